/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SDL's scancodes are USB HID usages of page 7 up to 231, so keys need no
 * table and no layout: the guest has the layout.
 */
#include "ui/sdl/hands.h"

#include <backplane/input.h>

#define LAST_USAGE 0xe7

static const struct {
    SDL_Scancode key;
    enum chord chord;
} chords[] = {
    { SDL_SCANCODE_F, CHORD_FULL_SCREEN },
    { SDL_SCANCODE_S, CHORD_SCALING },
    { SDL_SCANCODE_0, CHORD_ORIGINAL_SIZE },
    { SDL_SCANCODE_R, CHORD_RESET },
    { SDL_SCANCODE_P, CHORD_PAUSE },
    { SDL_SCANCODE_END, CHORD_CTRL_ALT_DELETE },
    { SDL_SCANCODE_H, CHORD_HELP },
};

void hands_init(struct hands *h, SDL_Window *window, struct link *link,
                const struct picture *picture)
{
    *h = (struct hands){
        .window = window,
        .link = link,
        .picture = picture,
    };
}

static void show_cursor(const struct hands *h)
{
    /* A guest that takes positions shows a pointer of its own. */
    SDL_ShowCursor(h->absolute ? SDL_DISABLE : SDL_ENABLE);
}

static void grab(struct hands *h, bool on)
{
    if (h->grabbed == on)
        return;
    h->grabbed = on;
    SDL_SetRelativeMouseMode(on ? SDL_TRUE : SDL_FALSE);
    SDL_SetWindowKeyboardGrab(h->window, on ? SDL_TRUE : SDL_FALSE);
    if (!on)
        show_cursor(h);
}

void hands_release(struct hands *h)
{
    hands_flush(h);
    if (h->buttons) {
        h->buttons = 0;
        h->moved = true;
        hands_flush(h);
    }
    grab(h, false);
}

void hands_set_absolute(struct hands *h, bool absolute)
{
    if (h->absolute == absolute)
        return;
    hands_release(h);
    h->absolute = absolute;
    show_cursor(h);
}

void hands_focus_lost(struct hands *h)
{
    link_send_plain(h->link, CONSOLE_RELEASE_ALL);
    h->ctrl_alt = false;
    h->swallowed = SDL_SCANCODE_UNKNOWN;
    hands_release(h);
}

void hands_ctrl_alt_delete(struct hands *h)
{
    static const uint32_t keys[] = { SDL_SCANCODE_LCTRL, SDL_SCANCODE_LALT,
                                     SDL_SCANCODE_DELETE };

    for (unsigned i = 0; i < SDL_arraysize(keys); i++)
        link_send_key(h->link, keys[i], true);
    for (unsigned i = SDL_arraysize(keys); i-- > 0;)
        link_send_key(h->link, keys[i], false);
}

/* --- keyboard ------------------------------------------------------------*/

static bool is_ctrl_or_alt(SDL_Scancode key)
{
    return key == SDL_SCANCODE_LCTRL || key == SDL_SCANCODE_RCTRL ||
           key == SDL_SCANCODE_LALT;
}

/* AltGr is no Alt here: it types characters. */
static bool ctrl_and_alt(const SDL_Keysym *k)
{
    return (k->mod & KMOD_CTRL) && (k->mod & KMOD_LALT);
}

static enum chord key_down(struct hands *h, const SDL_Keysym *k)
{
    SDL_Scancode key = k->scancode;

    if (ctrl_and_alt(k) && !is_ctrl_or_alt(key)) {
        h->ctrl_alt = false;
        for (unsigned i = 0; i < SDL_arraysize(chords); i++) {
            if (chords[i].key != key)
                continue;
            /* The guest saw Ctrl and Alt go down. */
            link_send_plain(h->link, CONSOLE_RELEASE_ALL);
            h->swallowed = key;
            return chords[i].chord;
        }
    }
    h->ctrl_alt = is_ctrl_or_alt(key) && ctrl_and_alt(k);
    if (key > 0 && key <= LAST_USAGE)
        link_send_key(h->link, key, true);
    return CHORD_NONE;
}

static void key_up(struct hands *h, const SDL_Keysym *k)
{
    SDL_Scancode key = k->scancode;

    if (h->swallowed == key) {
        h->swallowed = SDL_SCANCODE_UNKNOWN;
        return;
    }
    if (key > 0 && key <= LAST_USAGE)
        link_send_key(h->link, key, false);
    if (h->ctrl_alt && is_ctrl_or_alt(key))
        hands_release(h);
    h->ctrl_alt = false;
}

/* --- mouse ---------------------------------------------------------------*/

static uint32_t button_of(uint8_t button)
{
    switch (button) {
    case SDL_BUTTON_LEFT: return BP_BUTTON_LEFT;
    case SDL_BUTTON_RIGHT: return BP_BUTTON_RIGHT;
    case SDL_BUTTON_MIDDLE: return BP_BUTTON_MIDDLE;
    case SDL_BUTTON_X1: return BP_BUTTON_4;
    case SDL_BUTTON_X2: return BP_BUTTON_5;
    default: return 0;
    }
}

static void button(struct hands *h, const SDL_MouseButtonEvent *e)
{
    uint32_t bit = button_of(e->button);

    if (!h->absolute && !h->grabbed) {
        /* The click that takes the mouse is not for the guest. */
        if (e->type == SDL_MOUSEBUTTONDOWN && e->button == SDL_BUTTON_LEFT)
            grab(h, true);
        return;
    }
    h->x = e->x;
    h->y = e->y;
    /* Movement before and after a click must not become one. */
    hands_flush(h);
    if (e->type == SDL_MOUSEBUTTONDOWN)
        h->buttons |= bit;
    else
        h->buttons &= ~bit;
    h->moved = true;
    hands_flush(h);
}

static void motion(struct hands *h, const SDL_MouseMotionEvent *e)
{
    if (!h->absolute && !h->grabbed)
        return;
    h->dx += e->xrel;
    h->dy += e->yrel;
    h->x = e->x;
    h->y = e->y;
    h->moved = true;
}

static void wheel(struct hands *h, const SDL_MouseWheelEvent *e)
{
    if (!h->absolute && !h->grabbed)
        return;
    h->wheel += e->direction == SDL_MOUSEWHEEL_FLIPPED ? -e->y : e->y;
    h->moved = true;
}

void hands_flush(struct hands *h)
{
    uint32_t x, y;

    if (!h->moved)
        return;
    if (h->absolute) {
        picture_locate(h->picture, h->window, h->x, h->y, &x, &y);
        link_send_position(h->link, x, y, h->wheel, h->buttons);
    } else {
        link_send_motion(h->link, h->dx, h->dy, h->wheel, h->buttons);
    }
    h->dx = h->dy = h->wheel = 0;
    h->moved = false;
}

enum chord hands_event(struct hands *h, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_KEYDOWN:
        /* The guest's keyboard repeats by itself. */
        if (!e->key.repeat)
            return key_down(h, &e->key.keysym);
        break;
    case SDL_KEYUP: key_up(h, &e->key.keysym); break;
    case SDL_MOUSEMOTION: motion(h, &e->motion); break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: button(h, &e->button); break;
    case SDL_MOUSEWHEEL: wheel(h, &e->wheel); break;
    }
    return CHORD_NONE;
}
