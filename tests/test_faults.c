/* Whole runs in which something goes wrong at every place in turn: allocations that fail, files
 * with seeded damage. A run then ends with an error or stores a failed point; it does not crash,
 * hang or leak (under AddressSanitizer), and the next one has the same results as if nothing had
 * been. BITBENCH_LONG=1 fails every allocation of our own and tries many more damages. */
#include "core/interrupt.h"
#include "core/log.h"
#include "core/pool.h"
#include "harness/run.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { HANG = 120 }; /* seconds after which a single run counts as hanging */

static char *folder;

/* With a sanitizer: the leaks since the last call. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void expect_no_leak(const char *what, long number)
{
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
        fail_msg("%s %ld leaks", what, number);
}

static char *in_folder(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    return path;
}

static void remove_database(void)
{
    static const char *const names[] = {"x.db", "x.db-wal", "x.db-shm", "x.db.lock"};
    for (int i = 0; i < 4; i++) {
        char *path = in_folder(names[i]);
        remove(path);
        mem_free(path);
    }
}

/* Runs spec.yaml into x.db. */
static int run_spec(const char *spec, const char *database, struct run_summary *summary)
{
    struct run run = {0};
    struct run_options options = {.spec = spec, .database = database};
    *summary = (struct run_summary){0};
    alarm(HANG);
    int rc = run_open(&run, &options);
    if (rc == 0)
        rc = run_points(&run, &options, summary);
    run_close(&run);
    alarm(0);
    return rc;
}

/* The sum of all finished points' values and losses: equal runs, equal sums. */
static double checksum(const char *database)
{
    static const char *const sql =
        "SELECT (SELECT total(value) FROM metrics) + (SELECT total(nll) FROM windows) + (SELECT "
        "total(margin) FROM items) + (SELECT total(relative_loss) FROM layers), (SELECT "
        "count(*) FROM points WHERE status = 'done'), (SELECT integrity_check = 'ok' FROM "
        "pragma_integrity_check)";
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    double sum = sqlite3_column_double(statement, 0);
    assert_int_equal(sqlite3_column_int(statement, 1), 3);
    assert_int_equal(sqlite3_column_int(statement, 2), 1);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return sum;
}

/* ---- allocations ---- */

/* Runs with the k-th allocation failing; 1 when the run had so many. */
static int run_failing(const char *spec, const char *database, long k, double expected)
{
    struct run_summary summary;
    remove_database();
    mem_fail_at(k);
    int rc = run_spec(spec, database, &summary);
    int reached = !mem_fail_pending();
    mem_fail_at(0);
    if (rc != 0 && (!reached || !*err_text()))
        fail_msg("allocation %ld fails: code %d, '%s'", k, rc, err_text());
    if (rc != 0 && rc != ERR_MEMORY)
        fail_msg("allocation %ld fails: %s (%s)", k, err_text(), err_name(rc));
    expect_no_leak("allocation", k);
    if (!reached)
        return 0;
    /* What was stored is what would have been: the next run adds what is missing, and nothing else
     * is there. */
    int computed = summary.computed;
    assert_int_equal(run_spec(spec, database, &summary), 0);
    if (summary.failed || summary.skipped != computed || checksum(database) != expected)
        fail_msg("allocation %ld fails, and after %d points the next run finds %d", k, computed,
                 summary.skipped);
    return reached;
}

static void failing_allocations(void **state)
{
    char *spec = in_folder("spec.yaml"), *database = in_folder("x.db");
    struct run_summary summary;
    long k = 1;
    remove_database();
    assert_int_equal(run_spec(spec, database, &summary), 0);
    assert_int_equal(summary.computed, 3);
    double expected = checksum(database);
    while (run_failing(spec, database, k, expected))
        k += getenv("BITBENCH_LONG") ? 1 : 1 + k / 8;
    print_message("%ld allocations of our own\n", k);
    mem_free(spec);
    mem_free(database);
}

/* ---- JSON's allocations ---- */

/* Where one fails the program ends (harness/main.c): jansson's parser would lose characters and
 * write behind its buffer. So each run is a process of its own. */
static long json_left; /* until one fails; 0: none does */
enum { ENDED = 77 };

static void *json_allocate(size_t size)
{
    if (json_left && --json_left == 0)
        _exit(ENDED);
    return malloc(size);
}

/* 0, or ENDED when the k-th allocation of JSON was reached (0: none fails). Needs a process that
 * has no threads yet. */
static int run_apart(const char *spec, const char *database, long k)
{
    struct run_summary summary;
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        json_left = k;
        int rc = run_spec(spec, database, &summary);
        _exit(rc || summary.failed ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != ENDED))
        fail_msg("allocation %ld of JSON fails: wait status %x", k, (unsigned)status);
    return WEXITSTATUS(status);
}

/* The next run finds nothing but whole points, and adds what is missing. */
static void failing_json(void **state)
{
    char *spec = in_folder("spec.yaml"), *database = in_folder("x.db");
    long k = 1;
    remove_database();
    assert_int_equal(run_apart(spec, database, 0), 0);
    double expected = checksum(database);
    for (;; k += 1 + k / (getenv("BITBENCH_LONG") ? 100 : 8)) {
        remove_database();
        if (run_apart(spec, database, k) == 0)
            break;
        assert_int_equal(run_apart(spec, database, 0), 0);
        assert_true(checksum(database) == expected);
    }
    print_message("%ld allocations of JSON\n", k);
    assert_true(k > 100);
    mem_free(spec);
    mem_free(database);
}

/* ---- damage ---- */

struct damage {
    char *bytes; /* capacity: 2 * size + 64 */
    size_t size;
};

/* Changes the bytes in one of nine ways; within the first `head` bytes mostly. */
static void spoil(struct damage *d, size_t head, struct rng *rng)
{
    static const char *const words[] = {
        "-1", "99999999999999999999", "\"", "{", "}", "[", ":", "null", "1e999", "0", ",", "\n"};
    size_t range = rng_below(rng, 8) ? head : d->size;
    size_t at = rng_below(rng, range), rest = d->size - at;
    size_t length = 1 + rng_below(rng, rest < 16 ? rest : 16);
    switch (rng_below(rng, 9)) {
    case 0: d->bytes[at] = (char)(d->bytes[at] ^ 1 << rng_below(rng, 8)); break;
    case 1: d->bytes[at] = (char)rng_below(rng, 256); break;
    case 2: d->size = at; break;
    case 3:
        memmove(d->bytes + at, d->bytes + at + length, rest - length);
        d->size -= length;
        break;
    case 4:
        memmove(d->bytes + at + length, d->bytes + at, rest);
        d->size += length;
        break;
    case 5: /* a number that is another one */
        while (at + 1 < d->size && (d->bytes[at] < '0' || d->bytes[at] > '9'))
            at++;
        d->bytes[at] = (char)('0' + rng_below(rng, 10));
        break;
    case 6: memset(d->bytes + at, (int)(rng_below(rng, 2) ? 0xff : '9'), length); break;
    default: {
        const char *word = words[rng_below(rng, sizeof words / sizeof *words)];
        size_t replaced = rng_below(rng, 2) ? 0 : length;
        memmove(d->bytes + at + strlen(word), d->bytes + at + replaced, rest - replaced);
        memcpy(d->bytes + at, word, strlen(word));
        d->size += strlen(word) - replaced;
    }
    }
}

static void write_bytes(const char *path, const char *bytes, size_t size)
{
    struct file_writer writer = {0};
    FIXTURE_OK(file_write_begin(&writer, path));
    FIXTURE_OK(file_write(&writer, bytes, size));
    FIXTURE_OK(file_write_commit(&writer));
}

/* Damages the file `turns` times, each time anew, and runs. */
static void damage_file(const char *name, size_t head, int turns)
{
    char *path = in_folder(name), *spec = in_folder("spec.yaml"), *database = in_folder("x.db");
    char *whole;
    size_t size;
    int refused = 0;
    struct rng rng;
    rng_seed(&rng, 4242);
    FIXTURE_OK(file_read(path, &whole, &size));
    remove_database();
    for (int turn = 0; turn < turns; turn++) {
        struct damage damage = {.size = size};
        struct run_summary summary;
        FIXTURE_OK(mem_calloc(&damage.bytes, 2 * size + 64, 1));
        memcpy(damage.bytes, whole, size);
        spoil(&damage, head && head < size ? head : size, &rng);
        write_bytes(path, damage.bytes, damage.size);
        int rc = run_spec(spec, database, &summary);
        if (rc == ERR_INTERNAL || (rc && !*err_text()))
            fail_msg("%s, damage %d: code %d, '%s'", name, turn, rc, err_text());
        refused += rc != 0;
        mem_free(damage.bytes);
        expect_no_leak(name, turn);
    }
    print_message("%s: %d of %d damages are refused\n", name, refused, turns);
    write_bytes(path, whole, size);
    mem_free(whole);
    mem_free(path);
    mem_free(spec);
    mem_free(database);
}

static void damaged_files(void **state)
{
    int turns = getenv("BITBENCH_LONG") ? 3000 : 60;
    damage_file("model/model.safetensors", 2900, turns);
    damage_file("model/config.json", 0, turns);
    damage_file("model/tokenizer.json", 1500, turns);
    damage_file("model/tokenizer_config.json", 0, turns / 4);
    damage_file("spec.yaml", 0, turns);
    damage_file("questions.jsonl", 0, turns);
}

static const char *const spec_text =
    "name: faults\nmodel: model\n"
    "calibration: {corpus: 'file:text.txt', samples: 2, length: 40, seed: 3, "
    "allow_overlap: true}\n"
    "evaluation:\n  perplexity:\n    - {corpus: 'file:text.txt', tokens: 200, window: 48}\n"
    "  tasks:\n    - {task: 'jsonl:questions.jsonl', items: 0}\n"
    "methods:\n  - {method: full}\n  - {method: gptq, bits: 3, block_size: 32}\n"
    "  - {method: billm}\n";

int main(int argc, char **argv)
{
    fixture_start(argv, 1);
    json_set_alloc_funcs(json_allocate, free);
    folder = fixture_folder("faults");
    fixture_model(folder);
    char *text = fixture_text(600, 2);
    fixture_write(folder, "text.txt", text);
    mem_free(text);
    fixture_write(folder, "spec.yaml", spec_text);
    if (chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_json), /* first: nothing has made threads yet */
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(damaged_files),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    pool_stop();
    return failed;
}
