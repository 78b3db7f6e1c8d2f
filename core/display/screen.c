/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything in a screen belongs to the device's lane: the device draws with
 * it held, and consumers take it.
 */
#include "display/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <backplane/host.h>

#include "lib/log.h"
#include "sched/lane.h"

/* Of <linux/fcntl.h>, which <fcntl.h> does not get along with. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define MAX_LISTENERS 8u
#define MAX_SIDE      8192u

struct screens {
    pthread_mutex_t lock;
    GPtrArray *list; /* in order of creation */
    uint64_t clock;
};

struct screen {
    struct screens *all;
    uint64_t shown_at; /* order of being shown; 0: is not.  all->lock */
    char *name;
    struct lane *lane;
    const struct bp_screen_ops *ops;
    void *ctx;

    struct bp_surface surface;
    int fd;
    size_t mapped;

    bool refreshing; /* the device may draw now */

    struct bp_text text;
    uint16_t *cells;

    /* The hardware pointer as the device set it; width 0: hidden. */
    uint32_t *pointer;
    uint32_t pointer_width, pointer_height, hot_x, hot_y;
    int32_t pointer_x, pointer_y;

    struct {
        const struct screen_listener *ops;
        void *opaque;
    } listeners[MAX_LISTENERS];
    unsigned listener_count;
};

struct screen *screen_create(const char *name, struct lane *lane,
                             const struct bp_screen_ops *ops, void *ctx)
{
    struct screen *s = g_new0(struct screen, 1);

    s->name = g_strdup(name);
    s->lane = lane;
    s->ops = ops;
    s->ctx = ctx;
    s->fd = -1;
    return s;
}

static void surface_drop(struct screen *s)
{
    if (s->surface.pixels)
        munmap(s->surface.pixels, s->mapped);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->mapped = 0;
    memset(&s->surface, 0, sizeof(s->surface));
}

void screen_destroy(struct screen *s)
{
    if (!s)
        return;
    surface_drop(s);
    g_free(s->pointer);
    g_free(s->cells);
    g_free(s->name);
    g_free(s);
}

const char *screen_name(const struct screen *s)
{
    return s->name;
}

/* --- those of one machine -------------------------------------------------*/

struct screens *screens_create(void)
{
    struct screens *all = g_new0(struct screens, 1);

    pthread_mutex_init(&all->lock, NULL);
    all->list = g_ptr_array_new();
    return all;
}

void screens_destroy(struct screens *all)
{
    if (!all)
        return;
    g_ptr_array_free(all->list, TRUE);
    pthread_mutex_destroy(&all->lock);
    g_free(all);
}

void screens_add(struct screens *all, struct screen *s)
{
    pthread_mutex_lock(&all->lock);
    g_ptr_array_add(all->list, s);
    s->all = all;
    pthread_mutex_unlock(&all->lock);
}

void screens_remove(struct screens *all, struct screen *s)
{
    pthread_mutex_lock(&all->lock);
    g_ptr_array_remove(all->list, s);
    s->all = NULL;
    pthread_mutex_unlock(&all->lock);
}

struct screen *screens_seen(struct screens *all)
{
    struct screen *seen = NULL;

    pthread_mutex_lock(&all->lock);
    for (guint i = 0; i < all->list->len; i++) {
        struct screen *s = all->list->pdata[i];
        if (!seen || s->shown_at > seen->shown_at)
            seen = s;
    }
    pthread_mutex_unlock(&all->lock);
    return seen;
}

void screen_show(struct screen *s, bool shown)
{
    struct screens *all = s->all;

    if (!all)
        return;
    pthread_mutex_lock(&all->lock);
    if (!shown)
        s->shown_at = 0;
    else if (!s->shown_at)
        s->shown_at = ++all->clock;
    pthread_mutex_unlock(&all->lock);
}

/* --- the device's side ----------------------------------------------------*/

/* Consumers get the descriptor: they cannot make the memory shorter under
 * us, nor write to it. */
static void *map_sealed(int fd, size_t bytes)
{
    void *at;

    if (ftruncate(fd, (off_t)bytes) < 0)
        return MAP_FAILED;
    at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    /* Kernels before 5.1 do not know the seal against writing. */
    if (at != MAP_FAILED &&
        fcntl(fd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) < 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
        munmap(at, bytes);
        return MAP_FAILED;
    }
    return at;
}

static bool surface_make(struct screen *s, uint32_t width, uint32_t height)
{
    size_t bytes = (size_t)width * height * 4;
    int fd = memfd_create("backplane-screen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *at;

    if (fd < 0)
        return false;
    at = map_sealed(fd, bytes);
    if (at == MAP_FAILED) {
        int code = errno;
        close(fd);
        errno = code;
        return false;
    }
    surface_drop(s);
    s->fd = fd;
    s->mapped = bytes;
    s->surface.width = width;
    s->surface.height = height;
    s->surface.stride = width * 4;
    s->surface.pixels = at;
    return true;
}

int32_t screen_set_mode(struct screen *s, uint32_t width, uint32_t height,
                        struct bp_surface *out)
{
    if (!width || !height || width > MAX_SIDE || height > MAX_SIDE)
        return -EINVAL;
    if (!s->refreshing) {
        log_warn(s->name, "a mode was set outside of refresh");
        return -EPERM;
    }
    if (!surface_make(s, width, height)) {
        log_warn(s->name, "no memory for a surface of %u x %u: %s", width,
                 height, g_strerror(errno));
        return -ENOMEM;
    }
    *out = s->surface;
    for (unsigned i = 0; i < s->listener_count; i++) {
        if (s->listeners[i].ops->mode)
            s->listeners[i].ops->mode(s->listeners[i].opaque, &s->surface,
                                      s->fd);
    }
    return 0;
}

void screen_dirty(struct screen *s, uint32_t x, uint32_t y, uint32_t width,
                  uint32_t height)
{
    if (!s->refreshing || x >= s->surface.width || y >= s->surface.height)
        return;
    width = MIN(width, s->surface.width - x);
    height = MIN(height, s->surface.height - y);
    for (unsigned i = 0; width && height && i < s->listener_count; i++) {
        if (s->listeners[i].ops->dirty)
            s->listeners[i].ops->dirty(s->listeners[i].opaque, x, y, width,
                                       height);
    }
}

void screen_set_text(struct screen *s, const struct bp_text *text)
{
    uint64_t cells = (uint64_t)text->columns * text->rows;
    uint64_t before = (uint64_t)s->text.columns * s->text.rows;

    if (cells > SCREEN_MAX_CELLS || !text->cells)
        cells = 0;
    s->text = *text;
    if (cells != before || !cells)
        g_clear_pointer(&s->cells, g_free);
    if (!cells) {
        s->text.columns = s->text.rows = 0;
    } else {
        if (!s->cells)
            s->cells = g_new(uint16_t, cells);
        memcpy(s->cells, text->cells, cells * sizeof *s->cells);
    }
    s->text.cells = s->cells;
    for (unsigned i = 0; i < s->listener_count; i++) {
        if (s->listeners[i].ops->text)
            s->listeners[i].ops->text(s->listeners[i].opaque, &s->text);
    }
}

static void tell_pointer(struct screen *s, unsigned i)
{
    if (s->listeners[i].ops->pointer)
        s->listeners[i].ops->pointer(s->listeners[i].opaque, s->pointer,
                                     s->pointer_width, s->pointer_height,
                                     s->hot_x, s->hot_y, s->pointer_x,
                                     s->pointer_y);
}

void screen_set_pointer(struct screen *s, const uint32_t *argb, uint32_t width,
                        uint32_t height, uint32_t hot_x, uint32_t hot_y,
                        int32_t x, int32_t y)
{
    bool shown = argb && width && height && width <= SCREEN_MAX_POINTER &&
                 height <= SCREEN_MAX_POINTER;
    size_t bytes = shown ? (size_t)width * height * 4 : 0;

    if (shown && !s->pointer)
        s->pointer = g_malloc(SCREEN_MAX_POINTER * SCREEN_MAX_POINTER * 4);
    if (shown)
        memcpy(s->pointer, argb, bytes);
    s->pointer_width = shown ? width : 0;
    s->pointer_height = shown ? height : 0;
    s->hot_x = hot_x;
    s->hot_y = hot_y;
    s->pointer_x = x;
    s->pointer_y = y;
    for (unsigned i = 0; i < s->listener_count; i++)
        tell_pointer(s, i);
}

/* --- consumers ------------------------------------------------------------*/

bool screen_listen(struct screen *s, const struct screen_listener *listener,
                   void *opaque)
{
    bool room;

    lane_enter(s->lane);
    room = s->listener_count < MAX_LISTENERS;
    if (room) {
        s->listeners[s->listener_count].ops = listener;
        s->listeners[s->listener_count].opaque = opaque;
        s->listener_count++;
        if (s->surface.pixels && listener->mode)
            listener->mode(opaque, &s->surface, s->fd);
        if (s->pointer_width)
            tell_pointer(s, s->listener_count - 1);
    }
    lane_leave(s->lane);
    return room;
}

void screen_unlisten(struct screen *s, void *opaque)
{
    lane_enter(s->lane);
    for (unsigned i = 0; i < s->listener_count; i++) {
        if (s->listeners[i].opaque != opaque)
            continue;
        s->listeners[i] = s->listeners[--s->listener_count];
        break;
    }
    lane_leave(s->lane);
}

static void refresh(struct screen *s, bool full)
{
    s->refreshing = true;
    if (s->ops->refresh)
        s->ops->refresh(s->ctx, full);
    s->refreshing = false;
}

void screen_update(struct screen *s, bool full)
{
    lane_enter(s->lane);
    refresh(s, full);
    lane_leave(s->lane);
}

void screen_look(struct screen *s,
                 void (*fn)(void *opaque, const struct bp_surface *surface,
                            const struct bp_text *text),
                 void *opaque)
{
    lane_enter(s->lane);
    refresh(s, false);
    fn(opaque, &s->surface, &s->text);
    lane_leave(s->lane);
}

void screen_hint_size(struct screen *s, uint32_t width, uint32_t height)
{
    lane_enter(s->lane);
    if (BP_HAS(s->ops, resize_hint) && s->ops->resize_hint)
        s->ops->resize_hint(s->ctx, width, height);
    lane_leave(s->lane);
}

/* --- text -----------------------------------------------------------------*/

/* Code page 437 as Unicode, its graphic characters included. */
static const uint16_t cp437_low[32] = {
    0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022,
    0x25d8, 0x25cb, 0x25d9, 0x2642, 0x2640, 0x266a, 0x266b, 0x263c,
    0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7, 0x25ac, 0x21a8,
    0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc,
};
static const uint16_t cp437_high[129] = {
    0x2302, 0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7,
    0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9,
    0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6,
    0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3,
    0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd,
    0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524,
    0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c,
    0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e,
    0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567,
    0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a,
    0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df,
    0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9,
    0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264,
    0x2320, 0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f,
    0x00b2, 0x25a0, 0x00a0,
};

static gunichar unicode_of(uint8_t c)
{
    if (c < 32)
        return cp437_low[c];
    return c < 127 ? c : cp437_high[c - 127];
}

static void collect_text(void *opaque, const struct bp_surface *surface,
                         const struct bp_text *text)
{
    GString **out = opaque;

    if (!text->columns)
        return;
    *out = g_string_new(NULL);
    for (uint32_t row = 0; row < text->rows; row++) {
        gsize kept = (*out)->len;
        for (uint32_t column = 0; column < text->columns; column++) {
            uint8_t c = text->cells[row * text->columns + column] & 0xff;
            g_string_append_unichar(*out, unicode_of(c));
            if (c != ' ' && c != 0)
                kept = (*out)->len;
        }
        g_string_truncate(*out, kept);
        g_string_append_c(*out, '\n');
    }
}

char *screen_text_lines(struct screen *s)
{
    GString *out = NULL;

    screen_look(s, collect_text, &out);
    return out ? g_string_free(out, FALSE) : NULL;
}
