/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A screen of the machine: the core-side object of bp.display/1.
 *
 * The surface is shared memory (a memfd), so that a console process can map
 * it.  Consumers (console server, screenshot) ask for a refresh; the device
 * then draws and reports what changed, and all listeners are told.
 */
#ifndef DISPLAY_SCREEN_H
#define DISPLAY_SCREEN_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backplane/display.h>

struct lane;
struct screen;
struct screens;

#define SCREEN_MAX_CELLS (200u * 100u)
/* The side of a hardware pointer; a larger one is not shown. */
#define SCREEN_MAX_POINTER 128u

/* Called with the device's lane held: while a screen is brought up to date,
 * whoever asked for that, except pointer(), which may come whenever the
 * device runs.  Must not block.  NULL members are skipped. */
struct screen_listener {
    /* The surface has a new size and new memory: fd holds it; the listener
     * dups what it keeps.  Others can map it for reading only, and cannot
     * change its size. */
    void (*mode)(void *opaque, const struct bp_surface *surface, int fd);
    void (*dirty)(void *opaque, uint32_t x, uint32_t y, uint32_t width,
                  uint32_t height);
    void (*text)(void *opaque, const struct bp_text *text);
    /* width 0: hidden */
    void (*pointer)(void *opaque, const uint32_t *argb, uint32_t width,
                    uint32_t height, uint32_t hot_x, uint32_t hot_y, int32_t x,
                    int32_t y);
};

struct screen *screen_create(const char *name, struct lane *lane,
                             const struct bp_screen_ops *ops, void *ctx);
void screen_destroy(struct screen *s);
const char *screen_name(const struct screen *s);

/* --- those of one machine, any thread -------------------------------------*/

struct screens *screens_create(void);
/* The screens are gone. */
void screens_destroy(struct screens *all);
void screens_add(struct screens *all, struct screen *s);
void screens_remove(struct screens *all, struct screen *s);
/* The one that people see: shown last, else created first; NULL: there is no
 * screen.  It lives until its device is destroyed. */
struct screen *screens_seen(struct screens *all);

/* --- consumers, any thread that holds no lane ----------------------------*/

/* The listener is told of the current mode at once.  False: too many. */
bool screen_listen(struct screen *s, const struct screen_listener *listener,
                   void *opaque);
/* No callback runs any more when it returns. */
void screen_unlisten(struct screen *s, void *opaque);
/* The device draws what changed; full: everything. */
void screen_update(struct screen *s, bool full);
/*
 * Calls fn with the surface after an update, the lane held, so that nothing
 * changes under it.  surface->width is 0 before the first mode.
 */
void screen_look(struct screen *s,
                 void (*fn)(void *opaque, const struct bp_surface *surface,
                            const struct bp_text *text),
                 void *opaque);
/* The text on screen as UTF-8 lines; NULL in graphics modes. */
char *screen_text_lines(struct screen *s);
void screen_hint_size(struct screen *s, uint32_t width, uint32_t height);

/* --- the device's side, as in bp.display/1 [lane] ------------------------*/

int32_t screen_set_mode(struct screen *s, uint32_t width, uint32_t height,
                        struct bp_surface *out);
void screen_dirty(struct screen *s, uint32_t x, uint32_t y, uint32_t width,
                  uint32_t height);
void screen_set_text(struct screen *s, const struct bp_text *text);
void screen_set_pointer(struct screen *s, const uint32_t *argb, uint32_t width,
                        uint32_t height, uint32_t hot_x, uint32_t hot_y,
                        int32_t x, int32_t y);
void screen_show(struct screen *s, bool shown);

/* Writes the surface as a PNG file.  (core/display/png.c) */
bool screen_save_png(struct screen *s, const char *path, GError **error);

#endif
