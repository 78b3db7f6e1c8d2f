/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sub-commands of `backplane`.  Each gets its name in argv[0] and
 * returns the exit status: 0 well, 1 it failed, 2 it was asked for what
 * cannot be.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <glib.h>

enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

int cli_run(int argc, char **argv);
int cli_plugins(int argc, char **argv);
int cli_devtest(int argc, char **argv);
int cli_ctl(int argc, char **argv);
int cli_save(int argc, char **argv);

/* "backplane: TEXT" on standard error. */
void cli_complain(const char *format, ...) G_GNUC_PRINTF(1, 2);

#endif
