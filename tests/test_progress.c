/* The progress display: plain lines, JSON lines, silence, a live line on a terminal of any width,
 * and what Ctrl-C leaves. */
#include "core/err.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/progress.h"
#include "core/progress_line.h"
#include "core/text.h"

#include <jansson.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What body() writes to a descriptor, through a file. */
static char *captured(int descriptor, void (*body)(void))
{
    static char text[1 << 16];
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int kept = dup(descriptor);
    dup2(fileno(file), descriptor);
    body();
    fflush(stdout);
    dup2(kept, descriptor);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void three_points(void)
{
    progress_begin("quick", 3, NULL);
    progress_skip(0, "full", "already done");
    for (int i = 1; i < 3; i++) {
        progress_point(i, i == 1 ? "rtn bits=2" : "gptq bits=2");
        for (int b = 0; b < 4; b++) {
            progress_block(b, 4);
            progress_stage("quantize", 1, 7, 0);
            progress_stage("evaluate", 3, 7, 1000);
        }
        progress_point_done(i == 1 ? "kjv 32.7" : "");
    }
    progress_line("a line with %d", 5);
    progress_end();
    progress_end();
    progress_stage("late", 1, 2, 3); /* after the end: nothing */
    progress_line("another line");
}

static void plain_lines(void **state)
{
    progress_set_mode(PROGRESS_PLAIN);
    const char *text = captured(STDERR_FILENO, three_points);
    assert_non_null(strstr(text, "[1/3] full: already done\n"));
    assert_non_null(strstr(text, "\n[2/3] rtn bits=2: kjv 32.7  (0.0 s"));
    assert_non_null(strstr(text, "\n[3/3] gptq bits=2  (0.0 s)\n"));
    assert_non_null(strstr(text, "\na line with 5\nanother line\n"));
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));
    int lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 5);
}

/* Not a terminal: AUTO is plain. */
static void automatic_mode(void **state)
{
    progress_set_mode(PROGRESS_AUTO);
    const char *text = captured(STDERR_FILENO, three_points);
    assert_non_null(strstr(text, "[3/3] gptq bits=2"));
    assert_null(strchr(text, '\033'));
}

static void silence(void **state)
{
    progress_set_mode(PROGRESS_QUIET);
    assert_string_equal(captured(STDERR_FILENO, three_points), "");
    assert_string_equal(captured(STDOUT_FILENO, three_points), "");
}

static void json_lines(void **state)
{
    static const char *const events[] = {"begin", "skip", "point", "done", "point",
                                         "done",  "line", "end",   "line"};
    progress_set_mode(PROGRESS_JSON);
    assert_string_equal(captured(STDERR_FILENO, three_points), "");
    const char *at = captured(STDOUT_FILENO, three_points);
    size_t seen = 0;
    for (; *at; at += strcspn(at, "\n") + 1) {
        json_t *object = json_loadb(at, strcspn(at, "\n"), 0, NULL);
        assert_non_null(object);
        const char *event = json_string_value(json_object_get(object, "event"));
        if (strcmp(event, "progress") != 0) {
            assert_true(seen < sizeof events / sizeof *events);
            assert_string_equal(event, events[seen++]);
        }
        json_decref(object);
    }
    assert_int_equal(seen, sizeof events / sizeof *events);
}

static void some_warnings(void)
{
    log_warning("%s %d", "first", 1);
    log_warning("second");
    log_warning("first 1");
    log_note("a note");
}

static void warnings(void **state)
{
    progress_set_mode(PROGRESS_QUIET);
    const char *lines =
        "bitbench: warning: first 1\nbitbench: warning: second\nbitbench: warning: first 1\n";
    const char *text = captured(STDERR_FILENO, some_warnings);
    assert_int_equal(strncmp(text, lines, strlen(lines)), 0);
    assert_string_equal(text + strlen(lines), "a note\n");
    log_set_mode(LOG_QUIET);
    assert_string_equal(captured(STDERR_FILENO, some_warnings), lines);
    log_set_mode(LOG_NORMAL);
}

static void durations(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{-1, "?"},         {0, "0.0 s"},      {9.94, "9.9 s"},
                 {9.96, "10 s"},    {59.4, "59 s"},    {59.6, "1:00"},
                 {185, "3:05"},     {7385, "2:03:05"}, {359999, "99:59:59"},
                 {360000, "100 h"}, {461700, "128 h"}, {1e300, "100000 h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        progress_duration(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static struct progress_state a_state(void)
{
    struct progress_state s = {.title = "t",
                               .label = "gptq bits=2 group_size=128",
                               .stage = "quantize",
                               .points = 12,
                               .index = 2,
                               .block = 11,
                               .blocks = 30,
                               .done = 3,
                               .total = 7,
                               .tokens = 0,
                               .begin = 100,
                               .now = 160,
                               .cost_total = 12,
                               .cost_finished = 2,
                               .cost_point = 1,
                               .within = 0.5,
                               .finished = 2};
    return s;
}

static void estimates(void **state)
{
    struct progress_state s = a_state();
    assert_true(progress_share(&s) == 2.5 / 12);
    double left = progress_estimate(&s);
    assert_true(left > 227.9 && left < 228.1); /* 60 s (1 - 2.5 / 12) / (2.5 / 12) */
    s.now = 100.5;                             /* too early to tell */
    assert_true(progress_estimate(&s) < 0);
    s.cost_finished = 12;
    s.cost_point = 0;
    assert_true(progress_estimate(&s) == 0);
    s = (struct progress_state){.points = 0};
    assert_true(progress_share(&s) == 1);
    s.tokens = 500;
    s.stage_begin = 10;
    s.now = 12;
    assert_true(progress_rate(&s) == 250);
}

static void lines_of_any_width(void **state)
{
    struct progress_state s = a_state();
    char line[512];
    progress_format(&s, 0, line, sizeof line);
    assert_string_equal(
        line, "[3/12] gptq bits=2 group_size=128  block 12/30, quantize 43 %  21 %, ETA 3:48");
    for (size_t width = 1; width < 100; width++) {
        progress_format(&s, width, line, sizeof line);
        assert_true(text_columns(line) <= width);
        assert_true(text_is_utf8(line, strlen(line), NULL));
        if (width >= 30) /* what matters most is still there */
            assert_non_null(strstr(line, "21 %, ETA 3:48"));
    }
}

/* ---- on a terminal ---- */

static pid_t child_on_terminal(unsigned short columns, int *terminal, int endless)
{
    struct winsize size = {.ws_row = 24, .ws_col = columns};
    pid_t pid = forkpty(terminal, NULL, NULL, &size);
    if (pid < 0) { /* a container without /dev/pts */
        print_message("skipped: no pseudo-terminal can be had\n");
        skip();
    }
    if (pid > 0)
        return pid;
    setenv("TERM", "xterm", 1);
    interrupt_install();
    progress_set_mode(PROGRESS_AUTO);
    if (progress_mode() != PROGRESS_LIVE)
        _exit(9);
    progress_begin("t", 5, NULL);
    progress_point(0, "gptq bits=2 group_size=128 act_order=true");
    progress_stage("evaluate", 1, 9, 0);
    for (int i = 0; endless && i < 1000; i++) {
        progress_stage("evaluate", 1, 9, 0);
        if (endless == 1 && interrupted())
            break;
        usleep(10000);
    }
    progress_line("a line that stays");
    progress_end();
    _exit(interrupted() ? 40 : 41);
}

/* All the child writes until it ends; its exit status. */
static int collect(pid_t pid, int terminal, char *text, size_t size)
{
    int status;
    size_t used = 0;
    ssize_t got;
    while (used + 1 < size && (got = read(terminal, text + used, size - used - 1)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(terminal);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void live_line(void **state)
{
    for (unsigned short columns = 10; columns < 120; columns += 25) {
        char text[4096];
        int terminal;
        pid_t pid = child_on_terminal(columns, &terminal, 0);
        assert_int_equal(collect(pid, terminal, text, sizeof text), 41);
        assert_non_null(strstr(text, "a line that stays"));
        /* each redrawing fits into the width and is not ended by a newline */
        for (const char *at = strchr(text, '\r'); at; at = strchr(at + 1, '\r')) {
            char line[400];
            snprintf(line, sizeof line, "%.*s", (int)strcspn(at + 1, "\r\n\033"), at + 1);
            if (strncmp(line, "a line", 6) != 0)
                assert_true(text_columns(line) < columns);
        }
        /* the line is taken away at the end */
        const char *end = "\r\033[K";
        assert_string_equal(text + strlen(text) - strlen(end), end);
    }
}

static void one_interrupt(void **state)
{
    char text[4096];
    int terminal;
    pid_t pid = child_on_terminal(80, &terminal, 1);
    assert_int_equal(read(terminal, text, 1), 1); /* it has begun */
    assert_int_equal(write(terminal, "\003", 1), 1);
    assert_int_equal(collect(pid, terminal, text, sizeof text), 40);
    assert_non_null(strstr(text, "a line that stays"));
}

/* The second one ends at once, with the line taken away. */
static void two_interrupts(void **state)
{
    char text[4096];
    int terminal;
    pid_t pid = child_on_terminal(80, &terminal, 2);
    assert_int_equal(read(terminal, text, 1), 1);
    assert_int_equal(kill(pid, SIGINT), 0);
    usleep(100000);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(collect(pid, terminal, text, sizeof text), 128 + SIGTERM);
    assert_null(strstr(text, "a line that stays"));
    assert_string_equal(text + strlen(text) - 4, "\r\033[K");
}

static void interrupt_as_error(void **state)
{
    assert_int_equal(interrupt_check(), 0);
    interrupt_simulate(SIGINT);
    assert_int_equal(interrupt_check(), ERR_INTERRUPTED);
    assert_string_equal(err_text(), "stopped by Ctrl-C");
    interrupt_simulate(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_lines),    cmocka_unit_test(automatic_mode),
        cmocka_unit_test(silence),        cmocka_unit_test(json_lines),
        cmocka_unit_test(warnings),       cmocka_unit_test(durations),
        cmocka_unit_test(estimates),      cmocka_unit_test(lines_of_any_width),
        cmocka_unit_test(live_line),      cmocka_unit_test(one_interrupt),
        cmocka_unit_test(two_interrupts), cmocka_unit_test(interrupt_as_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
