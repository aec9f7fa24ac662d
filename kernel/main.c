/* SPDX-License-Identifier: MIT */
/*
 * main.c - the order of events, once the machine can print and report faults.
 *
 *     layout     the machine describes itself in a struct verso_boot
 *     verso_init from here on there are page tables, areas, slabs, alloc
 *     one of     cmd="..."     the monitor's commands
 *                crash=HOW     a fault, to see it reported (crash.c)
 *                test[=SUITE]  the tests
 *                bench         the figures
 *                (nothing)     the whole run, its report, then the monitor if
 *                              the word `interactive` says somebody is there
 *     exit       code 0 if and only if all went well
 *
 * Other words of the command line: accessor=direct, icount, seed=N, crlf.
 */
#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

static int run_default(void)
{
    int failed = summary_run();
    if (machine_option("interactive"))
        monitor_interactive();
    return failed;
}

/* Returns what failed: 0 is a good end. */
static int run_asked(void)
{
    const char *commands = machine_option("cmd");
    const char *suite = machine_option("test");
    const char *crash = machine_option("crash");
    if (commands)
        return monitor_run_commands(commands);
    if (crash)
        return crash_run(crash);
    if (suite)
        return suites_run(*suite ? suite : NULL);
    if (machine_option("bench"))
        return bench_main();
    return run_default();
}

void kernel_main(void)
{
    machine_layout();
    int err = verso_init(machine_boot());
    if (err != VERSO_OK)
        verso_panic("verso_init: %s", verso_err_name(err));
    machine_started();
    machine_exit(run_asked() == 0 ? 0 : 1);
}
