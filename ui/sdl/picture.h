/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's picture in a window: its shared memory, a texture, scaling,
 * and the pointer that the guest's hardware draws. */
#ifndef UI_SDL_PICTURE_H
#define UI_SDL_PICTURE_H

#include <SDL.h>
#include <stdbool.h>
#include <stdint.h>

#include "display/console_proto.h"

enum scaling {
    SCALING_AUTO, /* nearest when the scale is a whole number */
    SCALING_NEAREST,
    SCALING_LINEAR,
    SCALING_COUNT,
};

struct picture {
    SDL_Renderer *renderer;
    SDL_Texture *texture; /* NULL: nothing to show */
    uint32_t serial, width, height, stride;
    const uint8_t *pixels; /* shared with the machine */
    size_t bytes;
    enum scaling scaling;

    SDL_Texture *pointer; /* NULL: none */
    int pointer_width, pointer_height, hot_x, hot_y, pointer_x, pointer_y;
};

/* Chooses the renderer: software when the host's OpenGL is software, for
 * that is slower.  False with SDL_GetError(). */
bool picture_init(struct picture *p, SDL_Window *window);
void picture_finish(struct picture *p);
/* Takes fd.  False when it is not what the message says. */
bool picture_set_surface(struct picture *p, const struct console_surface *m,
                         int fd);
void picture_update(struct picture *p, const struct console_frame *m);
void picture_set_pointer(struct picture *p, const struct console_pointer *m);
void picture_move_pointer(struct picture *p,
                          const struct console_pointer_at *m);
void picture_draw(struct picture *p);
/* Where a point of the window is on the picture, 0..32767; clamped. */
void picture_locate(const struct picture *p, SDL_Window *window, int x, int y,
                    uint32_t *px, uint32_t *py);

#endif
