/* A machine that refuses: databases that are not ours, read-only and full disks, signals, missing
 * programs. Nothing is lost, and nothing half-written looks whole. */
#include "tests/fixture.h"
#include "tests/program.h"

#include <signal.h>
#include <sqlite3.h>
#include <time.h>

enum { POINTS = 16 }; /* of spec.yaml */

static char *folder;

#define RUN "$B run spec.yaml -q --no-table --threads 1 --database "

/* The whole of a query's single value; the database is left as it is found. */
static int number(const char *database, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL), value;
    if (rc != SQLITE_OK || sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s: %s", database, sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    value = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

/* Finished points of a database that has to be whole. */
static int points(const char *database)
{
    static const char *const whole = "SELECT integrity_check = 'ok' FROM pragma_integrity_check";
    assert_int_equal(number(database, whole), 1);
    if (!number(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'points'"))
        return 0;
    assert_int_equal(number(database, "SELECT count(*) FROM points WHERE status <> 'done'"), 0);
    return number(database, "SELECT count(*) FROM points");
}

static void make(const char *database, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- databases ---- */

/* Every command that opens the database refuses it, and leaves its bytes as they are. */
static void refused_database(const char *name, int status, const char *text)
{
    static const char *const lines[] = {RUN, "$B run spec.yaml -n --threads 1 --database ",
                                        "$B table --database ",
                                        "$B plot --out pictures --database "};
    char line[200];
    snprintf(line, sizeof line, "rm -f kept; test ! -f '%s' || cp '%s' kept", name, name);
    works(line);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(line, sizeof line, "%s'%s'", lines[i], name);
        refuses(line, status, text);
    }
    snprintf(line, sizeof line, "test ! -f kept || cmp kept '%s'", name);
    works(line);
    works("test ! -e pictures; test -z \"$(ls *.lock 2>/dev/null)\"");
}

static void databases_that_are_not_ours(void **state)
{
    works(RUN "ours.db --limit 1");
    works("cp ours.db newer.db");
    make("newer.db", "PRAGMA user_version = 99");
    refused_database("newer.db", 1, "its schema is version 99, newer than this program's");
    make("other.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    refused_database("other.db", 1, "a SQLite database of another program");
    works("yes text | head -n 2000 >text.db");
    refused_database("text.db", 1, "not a SQLite database; name another file with --database");
    works("head -c 40000 ours.db >cut.db");
    refused_database("cut.db", 1, "the database is damaged");
    works("mkdir -p folder.db");
    refused_database("folder.db", 1, "folder.db: a folder, not a database");
    refused_database("/dev/null", 1, "/dev/null: a device or the like, not a database");
    works("test -c /dev/null; test ! -e /dev/null-journal");
    refuses(RUN "''", 2, "--database: a path is expected");
    refuses(RUN "text.txt/x.db", 1, "a file of that name is in the way");
    refuses("$B table --database none.db", 3, "none.db: no such database; `bitbench run` writes");
    refuses("$B plot --database none.db", 3, "none.db: no such database");
    refuses("$B table nosuch --database ours.db", 2, "there is no experiment 'nosuch', only bad");
    refuses("$B plot -e nosuch --database ours.db", 2, "there is no experiment 'nosuch'");
    works("test ! -e none.db");
}

/* ---- disks ---- */

/* Sets $N, which starts a command with mounts of its own; 0 where the system does not let us. */
static int mounts(void)
{
    setenv("N", geteuid() == 0 ? "unshare -m" : "unshare -rm", 1);
    if (shell("mkdir -p disk; $N sh -c 'mount -t tmpfs none disk'").status == 0)
        return 1;
    print_message("skipped: no file system can be mounted here\n");
    return 0;
}

#define DISK(size, rest) "$N sh -c 'mount -t tmpfs -o size=" size " none disk; " rest "'"

static void full_disk(void **state)
{
    if (!mounts())
        skip();
    /* A run stops where it cannot store, keeps what is stored, and goes on when there is space. */
    works(DISK("200k",
               RUN "disk/x.db 2>full; echo $? >>full; ls disk >left; cp -r disk stopped; "
                   "mount -o remount,size=8m disk; " RUN "disk/x.db && cp disk/x.db resumed.db"));
    struct result r = shell("cat full; cat left");
    assert_non_null(strstr(r.out, "was not stored: disk/x.db: cannot write: the disk is full"));
    assert_non_null(strstr(r.out, "free some space and start again\n1\n"));
    assert_null(strstr(r.out, ".lock"));
    int stored = points("stopped/x.db");
    assert_in_range(stored, 0, POINTS - 1);
    assert_int_equal(points("resumed.db"), POINTS);
    refuses(DISK("8k", RUN "disk/x.db"), 1, "disk is full");
    refuses(DISK("4k", "dd if=/dev/zero of=disk/fill 2>dd; " RUN "disk/x.db"), 1,
            "disk/x.db.lock: cannot write: No space left on device");
    /* files are whole or absent */
    static const char *const writers[] = {
        "$B tokenize -t model text.txt --out disk/ids",
        "$B eval -q --threads 1 -m model --corpora file:text.txt --window 8 --samples disk/s >o",
        "$B quantize rtn -q --threads 1 -m model --out disk/q >o",
        "$B train train.yaml -q --threads 1 --set output=disk/trained",
        "$B plot perplexity-bits --database ours.db -o disk/pictures",
        "$B plot perplexity-bits --database ours.db -o disk/pictures --format png",
        "$B plot perplexity-bits --database ours.db -o disk/pictures --format pdf",
    };
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        char line[400];
        snprintf(line, sizeof line, DISK("8k", "%s; s=$?; ls -R disk >left; exit $s"), writers[i]);
        refuses(line, 1, "disk");
        r = shell("cat left");
        if (strstr(r.out, ".tmp") || strstr(r.out, "ids") || strstr(r.out, ".safetensors") ||
            strstr(r.out, "perplexity"))
            fail_msg("%s leaves <%s>", line, r.out);
    }
}

/* The same by a limit of the size of files, which sends a signal. */
static void limited_files(void **state)
{
    static const char *const limits[] = {"0", "8", "100", "180", "300", "500"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        char line[200];
        snprintf(line, sizeof line,
                 "(ulimit -f %s; exec $B run spec.yaml -q --no-table --threads 1 "
                 "--database limited.db) 2>&1 | head -c 900 >limited",
                 limits[i]);
        works(line);
        struct result r = shell("cat limited; test ! -e limited.db.lock");
        assert_int_equal(r.status, 0);
        if (*r.out && (strncmp(r.out, "bitbench: ", 10) != 0 || strchr(r.out, '\n')[1]))
            fail_msg("with ulimit -f %s: <%s>", limits[i], r.out);
        if (access("limited.db", F_OK) == 0)
            assert_in_range(points("limited.db"), 0, POINTS);
    }
    works(RUN "limited.db");
    assert_int_equal(points("limited.db"), POINTS);
    refuses("ulimit -f 8; $B tokenize -t model text.txt --out ids", 1,
            "ids: cannot write: File too");
    works("test -z \"$(ls ids* 2>/dev/null)\"");
}

static void read_only_disk(void **state)
{
    if (!mounts())
        skip();
#define READ_ONLY(rest) DISK("1m", "cp ours.db disk/; mount -o remount,ro disk; " rest)
    refuses(READ_ONLY(RUN "disk/ours.db"), 1, "cannot write in this folder: Read-only file system");
    refuses(READ_ONLY(RUN "disk/new/x.db"), 1, "cannot make the folder: Read-only file system");
    works(READ_ONLY("$B table --database disk/ours.db >table"));
    refuses(READ_ONLY("$B plot --database ours.db -o disk"), 1, "Read-only file system");
    refuses(READ_ONLY("$B plot --database ours.db -o disk/new"), 1, "Read-only file system");
    refuses(READ_ONLY("$B tokenize -t model text.txt --out disk/ids"), 1, "Read-only file system");
    refuses(READ_ONLY("$B eval -q --threads 1 -m model --corpora file:text.txt --window 48 "
                      "--samples disk/samples"),
            1, "Read-only file system");
    refuses(READ_ONLY("$B quantize rtn -q --threads 1 -m model --out disk/q"), 1,
            "Read-only file system");
    refuses(READ_ONLY("$B train train.yaml -q --set output=disk/new"), 1, "Read-only file system");
    struct result r = shell("cat table");
    assert_non_null(strstr(r.out, "| rtn "));
}

/* Standard output is a file like others. */
static void full_standard_output(void **state)
{
    static const char *const lines[] = {
        "table --database ours.db",
        "table --database ours.db --json",
        "table --database ours.db --format latex",
        "plot perplexity-bits --database ours.db -o pictures",
        "models inspect model",
        "models model --json",
        "datasets file:text.txt",
        "datasets file:text.txt --show 1",
        "methods",
        "tokenize -t model text.txt",
        "eval -q --threads 1 -m model --corpora file:text.txt --tokens 99 --window 48",
        "eval -q --threads 1 -m model --corpora file:text.txt --tokens 99 --window 48 --json",
        "run spec.yaml -q --threads 1 -n",
        "run spec.yaml -q --threads 1 --limit 1 --database ours.db",
        "doctor --seconds 0.01 --threads 1",
        "version",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[200];
        snprintf(line, sizeof line, "$B %s >/dev/full", lines[i]);
        refuses(line, 1, "No space left on device");
    }
    works("rm -rf pictures");
}

/* Too little memory at whatever place: an error of one line, and never half a record. */
static void little_memory(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    skip(); /* which needs all the addresses there are */
#endif
    int failed = 0;
    works("rm -f little.db");
    for (int kilobytes = 90000; kilobytes <= 650000; kilobytes += 20000) {
        char line[200];
        snprintf(line, sizeof line,
                 "ulimit -v %d; " RUN "little.db 2>little; s=$?; "
                 "test $s -le 1 || exit $s",
                 kilobytes);
        struct result r = shell(line);
        if (r.status == 127) /* not even the libraries could be loaded */
            continue;
        r = shell("cat little");
        int lines = 0;
        for (const char *c = r.out; *c; c++)
            lines += *c == '\n';
        if (lines > 1 || (lines == 1 && strncmp(r.out, "bitbench: ", 10) != 0))
            fail_msg("with ulimit -v %d: <%s>", kilobytes, r.out);
        failed += lines;
    }
    works(RUN "little.db");
    assert_int_equal(points("little.db"), POINTS);
    print_message("%d runs had too little memory\n", failed);
}

/* Files never take the numbers of closed standard streams: messages would go into them. */
static void closed_standard_streams(void **state)
{
    works("$B train train.yaml --threads 1 --set output=quiet <&- >&- 2>&-");
    works("! grep -q tokens/s -r quiet");
    works("$B train train.yaml -q --threads 1 --set output=loud; for f in model.safetensors "
          "tokenizer.json config.json; do cmp loud/$f quiet/$f || exit 1; done; rm -r loud quiet");
    works("$B run spec.yaml --threads 1 --database closed.db <&- >&- 2>&-; test $? = 1");
    assert_int_equal(points("closed.db"), POINTS); /* only the table had nowhere to go */
}

/* ---- signals ---- */

/* Starts a run of spec.yaml and waits until its first point is done. */
static pid_t start_run(const char *database)
{
    const char *words[] = {getenv("B"), "run", "spec.yaml",  "--json", "--threads",
                           "1",         "-q",  "--database", database, NULL};
    const struct timespec nap = {0, 2000000};
    words[6] = "--no-table";
    pid_t pid = program_spawn(words);
    assert_true(pid > 0);
    for (int i = 0; i < 30000 && !strstr(program_output("out"), "\"event\":\"done\""); i++)
        nanosleep(&nap, NULL);
    return pid;
}

static void interrupted_run(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++) {
        char text[200];
        works("rm -f cut.db*");
        pid_t pid = start_run("cut.db");
        kill(pid, signals[i]);
        int status = program_status(pid), done = points("cut.db");
        assert_int_equal(status, 130);
        assert_in_range(done, 1, POINTS - 1);
        snprintf(text, sizeof text,
                 "bitbench: stopped by %s; %d of %d points are done, the same command goes on from "
                 "there\n",
                 i ? "a signal" : "Ctrl-C", done, POINTS);
        const char *err = program_output("err"), *line = strstr(err, "bitbench: ");
        assert_non_null(line);
        assert_string_equal(line, text);
        works("test -z \"$(ls cut.db-* cut.db.lock 2>/dev/null)\"");
        struct result r = shell("$B run spec.yaml --threads 1 --database cut.db --no-table");
        assert_int_equal(r.status, 0);
        snprintf(text, sizeof text, "%d points computed, %d were there already", POINTS - done,
                 done);
        assert_non_null(strstr(r.err, text));
        assert_int_equal(points("cut.db"), POINTS);
    }
}

static void killed_run(void **state)
{
    works("rm -f killed.db*");
    pid_t pid = start_run("killed.db");
    kill(pid, SIGKILL);
    assert_int_equal(program_status(pid), 1000 + SIGKILL);
    works("test -e killed.db.lock"); /* it does not keep the next run out */
    works("$B table --database killed.db >o");
    works(RUN "killed.db");
    assert_int_equal(points("killed.db"), POINTS);
    works("test -z \"$(ls killed.db-* killed.db.lock 2>/dev/null)\"");
}

static void two_runs_at_once(void **state)
{
    char text[100];
    works("rm -f both.db*");
    pid_t pid = start_run("both.db");
    kill(pid, SIGSTOP);
    snprintf(text, sizeof text, "another run (process %ld) is writing to this database", (long)pid);
    refuses(RUN "both.db", 1, text);
    works("ln -s both.db alias.db");
    refuses(RUN "alias.db", 1, text);
    works("$B table --database both.db >o"); /* readers are welcome */
    works("$B run spec.yaml -n --threads 1 --database both.db >o");
    kill(pid, SIGCONT);
    assert_int_equal(program_status(pid), 0);
    assert_int_equal(points("both.db"), POINTS);
}

static void interrupted_training(void **state)
{
    const char *words[] = {
        getenv("B"), "train", "train.yaml", "--threads", "1", "--set", "training.tokens=100000000",
        NULL};
    const struct timespec nap = {0, 5000000};
    pid_t pid = program_spawn(words);
    assert_true(pid > 0);
    for (int i = 0; i < 12000 && !strstr(program_output("err"), "update 100"); i++)
        nanosleep(&nap, NULL);
    kill(pid, SIGSTOP);
    const char *second[] = {getenv("B"), "train", "train.yaml", "-q", NULL};
    pid_t other = program_spawn(second);
    assert_int_equal(program_status(other), 1);
    assert_non_null(strstr(program_output("err"), "another run is training there"));
    kill(pid, SIGINT);
    kill(pid, SIGCONT);
    assert_int_equal(program_status(pid), 130);
    works("test -s trained/checkpoint.safetensors; test -z \"$(ls trained | grep tmp)\"");
    works("$B train train.yaml -q --threads 1 --set training.tokens=1000");
    works(
        "head -c 9000 trained/checkpoint.safetensors >cut; mv cut trained/checkpoint.safetensors");
    refuses("$B train train.yaml -q --threads 1", 1, "checkpoint.safetensors: ");
    works("cp model/model.safetensors trained/checkpoint.safetensors");
    refuses("$B train train.yaml -q --threads 1", 1, "not a checkpoint");
}

/* ---- gnuplot ---- */

static void gnuplot_is(const char *script)
{
    fixture_write(folder, "bin/gnuplot", script);
    works("chmod +x bin/gnuplot");
}

static void gnuplot_fails(void **state)
{
#define PLOT "PATH=$T/bin:$PATH $B plot perplexity-bits --database ours.db -o pictures"
    works("mkdir -p bin");
    refuses("PATH=/nowhere $B plot --database ours.db -o pictures", 3,
            "gnuplot is not installed, so nothing was drawn: apt-get install gnuplot-nox");
    gnuplot_is("#!/bin/sh\nexit 3\n");
    refuses(PLOT, 1, "gnuplot says: nothing, but it failed");
    gnuplot_is("#!/bin/sh\nkill -9 $$\n");
    refuses(PLOT, 1, "gnuplot says: nothing, but it failed");
    gnuplot_is("#!/bin/sh\nexit 0\n");
    refuses(PLOT, 1, "gnuplot wrote no whole picture");
    gnuplot_is("#!/bin/sh\nfor f in pictures/*.tmp.*; do echo '<svg>' >$f; done\n");
    refuses(PLOT, 1, "gnuplot wrote no whole picture");
    gnuplot_is("#!/bin/sh\necho '\"x.gp\" line 3: bad' >&2; exit 0\n");
    refuses(PLOT, 1, "gnuplot says: \"x.gp\" line 3: bad");
    works("chmod -x bin/gnuplot");
    refuses("PATH=$T/bin $B plot --database ours.db -o pictures", 1, "cannot be started");
    works("test -z \"$(ls pictures)\"");
    refuses("$B plot --database ours.db -o text.txt", 1, "a file of that name is in the way");
    refuses("$B plot nosuch --database ours.db", 2, "there is no plot 'nosuch', only ");
    refuses("$B plot training-loss --data /no/such", 3, "/no/such: no such file");
    refuses("$B plot training-loss --data model/config.json -o pictures", 1, "no training log");
}

int main(void)
{
    folder = fixture_folder("bad_machine");
    fixture_model(folder);
    fixture_write(folder, "spec.yaml",
                  "name: bad\nmodel: model\ncalibration: {corpus: 'file:text.txt', samples: 2, "
                  "length: 40}\nevaluation: {perplexity: [{corpus: 'file:text.txt', tokens: 2000, "
                  "window: 48}]}\nmethods: [{method: rtn, bits: [1, 2, 3, 4], group_size: [8, 16, "
                  "32, 64]}]\n");
    fixture_write(folder, "train.yaml",
                  "output: trained\ntokenizer: {vocabulary: 300}\nmodel: {layers: 2, width: 32, "
                  "hidden: 64, heads: 2, kv_heads: 1}\ntraining: {sequences: 2, shards: 1, "
                  "context: 32, tokens: 20000, warmup_tokens: 100}\nreport: {log_steps: 100}\n"
                  "corpora: [{name: 'docs:text.txt'}]\n");
    if (program_start(folder) != 0 || chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(databases_that_are_not_ours),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(limited_files),
        cmocka_unit_test(read_only_disk),
        cmocka_unit_test(full_standard_output),
        cmocka_unit_test(closed_standard_streams),
        cmocka_unit_test(little_memory),
        cmocka_unit_test(interrupted_run),
        cmocka_unit_test(killed_run),
        cmocka_unit_test(two_runs_at_once),
        cmocka_unit_test(interrupted_training),
        cmocka_unit_test(gnuplot_fails),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
