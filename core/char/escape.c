/* SPDX-License-Identifier: Apache-2.0 */
#include "char/backends.h"

#define ESCAPE_KEY 0x01 /* Ctrl-A */

static enum escape_action action_of(uint8_t c)
{
    switch (c) {
    case 'x':
    case 'X': return ESCAPE_QUIT;
    case 'b':
    case 'B': return ESCAPE_BREAK;
    default: return ESCAPE_HELP;
    }
}

enum escape_action escape_filter(struct escape *e, uint8_t *data, uint32_t *n,
                                 uint8_t **rest, uint32_t *rest_n)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < *n; i++) {
        uint8_t c = data[i];

        if (!e->pending) {
            e->pending = c == ESCAPE_KEY;
            if (!e->pending)
                data[kept++] = c;
            continue;
        }
        e->pending = false;
        if (c == ESCAPE_KEY || c == 'a') {
            data[kept++] = ESCAPE_KEY;
            continue;
        }
        *rest = data + i + 1;
        *rest_n = *n - i - 1;
        *n = kept;
        return action_of(c);
    }
    *n = kept;
    *rest_n = 0;
    return ESCAPE_NONE;
}
