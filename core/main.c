/* SPDX-License-Identifier: Apache-2.0 */
/* backplane: a PC emulator.  This file finds the sub-command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config.h"
#include "lib/log.h"
#include "ui/sdl/console.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "run", cli_run, "start a machine" },
    { "ctl", cli_ctl, "control a machine that runs" },
    { "save", cli_save, "save a machine that runs, and end it" },
    { "console", console_main, "show a machine's screen in a window" },
    { "plugins", cli_plugins, "list the devices that plugins offer" },
    { "devtest", cli_devtest, "drive one device from a script" },
};

static void usage(FILE *to)
{
    fputs("usage: backplane COMMAND [OPTION]..\n\n", to);
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n`backplane COMMAND --help` tells more.\n"
          "The environment variable BP_LOG=debug shows more messages.\n",
          to);
}

void cli_complain(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    char *text = g_strdup_vprintf(format, ap);
    va_end(ap);
    fprintf(stderr, "backplane: %s\n", text);
    g_free(text);
}

static void set_log_level(void)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    const char *wanted = getenv("BP_LOG");

    for (unsigned i = 0; wanted && i < G_N_ELEMENTS(names); i++) {
        if (strcmp(names[i], wanted) == 0)
            log_set_level((enum log_level)i);
    }
}

int main(int argc, char **argv)
{
    set_log_level();
    if (argc < 2) {
        usage(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return STATUS_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("backplane " BP_VERSION);
        return STATUS_OK;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    cli_complain("there is no command '%s'; try --help", argv[1]);
    return STATUS_USAGE;
}
