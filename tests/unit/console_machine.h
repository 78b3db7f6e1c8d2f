/* SPDX-License-Identifier: Apache-2.0 */
/* A machine of a screen with a test pattern, a keyboard and a mouse, with a
 * console; for the tests of its protocol and of its window. */
#ifndef TESTS_UNIT_CONSOLE_MACHINE_H
#define TESTS_UNIT_CONSOLE_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/console.h"
#include "display/screen.h"
#include "input/input.h"

struct machine {
    struct lanes *lanes;
    struct lane *lane;
    struct screens *screens;
    struct screen *screen;
    struct inputs *inputs;
    struct receiver *keyboard, *mouse, *tablet;
    struct console *console;
    char path[300];

    pthread_mutex_t lock;   /* all below */
    uint32_t width, height; /* of the mode it wants */
    bool redraw;            /* something changed */
    uint32_t colour;        /* of a square that shows changes */
    uint32_t refreshes;
    char log[8192]; /* "down 04", "motion +5 -3 0 0", one a line */
    uint32_t run;
    bool has_button;
    uint32_t presses, offs, resets, pauses;
    uint32_t hint_width, hint_height;
};

void machine_start(struct machine *m, const char *title);
void machine_stop(struct machine *m);
void machine_set_mode(struct machine *m, uint32_t width, uint32_t height);
void machine_paint(struct machine *m, uint32_t colour);
void machine_set_run(struct machine *m, uint32_t run);
/* A number of the machine's, under its lock. */
uint32_t machine_get(struct machine *m, const uint32_t *number);
/* Waits until the log contains the text, which it then forgets up to there;
 * fails the test after some seconds. */
void machine_expect(struct machine *m, const char *text);
/* What was logged since; g_free it. */
char *machine_log(struct machine *m);

#endif
