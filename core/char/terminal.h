/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of this process, of which there is one: raw while a guest has
 * it, and as it was before when the process ends, by a signal too.
 */
#ifndef CHAR_TERMINAL_H
#define CHAR_TERMINAL_H

#include <stdbool.h>

/* False, and nothing changed, when standard input is no terminal or one that
 * this process may not use (it runs in the background). */
bool terminal_take(void);
void terminal_give_back(void);

#endif
