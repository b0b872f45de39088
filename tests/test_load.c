/* Whether a machine was busy: the counted time of /proc/stat, and the rule over two moments. */
#include "core/load.h"

#include "core/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reads_the_line(void **state)
{
    /* user nice system idle iowait irq softirq steal guest guest_nice (proc(5)): guests are users
     */
    const char *line = "cpu  100 20 30 5000 400 1 2 40 7 0\n";
    assert_true(fabs(load_machine_seconds(line, 100) - 1.93) < 1e-12);
    assert_true(fabs(load_machine_seconds("cpu 100 20 30 5000\n", 100) - 1.5) < 1e-12);
    assert_true(isnan(load_machine_seconds("cpu 100 20 30\n", 100)));
    assert_true(isnan(load_machine_seconds("cpu0 1 2 3 4 5 6 7 8\n", 100)));
    assert_true(isnan(load_machine_seconds("", 100)));
    assert_true(isnan(load_machine_seconds(line, 0)));
}

/* Ten seconds on four cores: four seconds of others are a tenth. */
static struct load moment(double wall, double own, double machine, double average)
{
    return (struct load){
        .wall = wall, .own = own, .machine = machine, .average = average, .cores = 4};
}

static void judges(void **state)
{
    struct load before = moment(100, 7, 500, 3), ours = moment(110, 47, 540, 9),
                noise = moment(110, 47, 543.9, 0), others = moment(110, 27, 524.1, 0);
    assert_false(load_busy(&before, &ours, 4)); /* all of it is our own, whatever the average says
                                                 */
    assert_false(load_busy(&before, &noise, 4));
    assert_true(load_busy(&before, &others, 2));
    before.machine = NAN; /* nothing is counted: the average decides */
    ours.average = 2.3;
    assert_false(load_busy(&before, &ours, 2));
    ours.average = 2.5;
    assert_true(load_busy(&before, &ours, 2));
    ours.average = NAN;
    assert_false(load_busy(&before, &ours, 2));
}

static void knows_this_machine(void **state)
{
    struct load before, after;
    load_now(&before);
    while (clock_cpu() - before.own < 0.15)
        continue;
    load_now(&after);
    assert_true(after.cores >= 1 && after.own >= before.own + 0.15 && after.wall > before.wall);
    if (isnan(after.machine))
        return; /* a system without /proc/stat */
    /* in ticks of a hundredth, and what we did is in it */
    assert_true(after.machine - before.machine > 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_line),
        cmocka_unit_test(judges),
        cmocka_unit_test(knows_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
