/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's end of its windows: a socket that any number of windows, up
 * to a limit, connect to (display/console_proto.h), served by a thread of
 * its own.  Nothing a window does or fails to do holds up the machine.
 */
#ifndef DISPLAY_CONSOLE_H
#define DISPLAY_CONSOLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct console;
struct inputs;
struct screens;
struct vm;

/* Called on the console's thread; must return soon.  NULL members: there is
 * no such thing. */
struct console_ops {
    /* CONSOLE_RUNNING, _PAUSED or _OFF */
    uint32_t (*run_state)(void *opaque);
    /* False when the machine has no power button that anybody hears. */
    bool (*power_button)(void *opaque);
    void (*turn_off)(void *opaque);
    void (*reset)(void *opaque);
    void (*pause)(void *opaque, bool pause);
};

struct console_options {
    const char *path;        /* of the socket */
    const char *title;       /* the machine's name */
    struct screens *screens; /* windows show the one that is seen */
    struct inputs *inputs;
    const struct console_ops *ops;
    void *opaque;
};

/* NULL with one sentence.  Screens and inputs outlive it. */
struct console *console_open(const struct console_options *options,
                             GError **error);
/* The same for a machine: its name, its screens.  Pauses and resumes it
 * from the default main context, which its control thread runs. */
struct console *console_open_vm(struct vm *vm, const char *path,
                                GError **error);
/* Windows close; waits a moment for the one that console_spawn() started. */
void console_close(struct console *c);

/* Whether a window can be shown here: the program has one, and there is a
 * display. */
bool console_display_available(void);
/*
 * Starts `backplane console PATH` as a child.  False with one sentence; when
 * it cannot show its window, it says so itself and the machine goes on.
 */
bool console_spawn(struct console *c, GError **error);

#endif
