/* SPDX-License-Identifier: Apache-2.0 */
/* Keyboard and mouse of a window: what goes to the guest, and the chords of
 * Ctrl+Alt that are for the window itself. */
#ifndef UI_SDL_HANDS_H
#define UI_SDL_HANDS_H

#include <SDL.h>
#include <stdbool.h>
#include <stdint.h>

#include "ui/sdl/link.h"
#include "ui/sdl/picture.h"

enum chord {
    CHORD_NONE,
    CHORD_FULL_SCREEN,     /* Ctrl+Alt+F */
    CHORD_SCALING,         /* Ctrl+Alt+S */
    CHORD_ORIGINAL_SIZE,   /* Ctrl+Alt+0 */
    CHORD_RESET,           /* Ctrl+Alt+R */
    CHORD_PAUSE,           /* Ctrl+Alt+P */
    CHORD_CTRL_ALT_DELETE, /* Ctrl+Alt+End */
    CHORD_HELP,            /* Ctrl+Alt+H */
};

struct hands {
    SDL_Window *window;
    struct link *link;
    const struct picture *picture;
    bool absolute; /* the guest takes positions: no grab */
    bool grabbed;
    bool ctrl_alt;          /* both went down, and nothing else since */
    SDL_Scancode swallowed; /* the key of a chord, until it is up */
    uint32_t buttons;       /* BP_BUTTON_* as the guest knows them */
    int32_t dx, dy, wheel;  /* to be sent by hands_flush() */
    bool moved;
    int x, y;
};

void hands_init(struct hands *h, SDL_Window *window, struct link *link,
                const struct picture *picture);
/* Takes keyboard and mouse events; returns what the window shall do. */
enum chord hands_event(struct hands *h, const SDL_Event *e);
/* Sends the movement of the events since the last time, as one. */
void hands_flush(struct hands *h);
void hands_set_absolute(struct hands *h, bool absolute);
void hands_release(struct hands *h); /* the mouse */
void hands_focus_lost(struct hands *h);
void hands_ctrl_alt_delete(struct hands *h);

#endif
