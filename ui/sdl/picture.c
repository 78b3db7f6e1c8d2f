/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/sdl/picture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SIDE    8192u
#define GL_RENDERER 0x1F01

/* OpenGL that runs on the processor. */
static bool is_software_gl(SDL_Renderer *renderer)
{
    typedef const char *get_string(unsigned name);
    SDL_RendererInfo info;
    get_string *fn;
    const char *name;

    if (SDL_GetRendererInfo(renderer, &info) < 0 ||
        strncmp(info.name, "opengl", 6) != 0)
        return false;
    fn = (get_string *)SDL_GL_GetProcAddress("glGetString");
    name = fn ? fn(GL_RENDERER) : NULL;
    return name && (strstr(name, "llvmpipe") || strstr(name, "softpipe") ||
                    strstr(name, "swrast"));
}

bool picture_init(struct picture *p, SDL_Window *window)
{
    p->renderer = SDL_CreateRenderer(window, -1, 0);
    if (p->renderer && is_software_gl(p->renderer)) {
        SDL_DestroyRenderer(p->renderer);
        p->renderer = NULL;
    }
    if (!p->renderer)
        p->renderer = SDL_CreateRenderer(window, -1, SDL_RENDERER_SOFTWARE);
    return p->renderer;
}

static void drop_surface(struct picture *p)
{
    if (p->texture)
        SDL_DestroyTexture(p->texture);
    if (p->pixels)
        munmap((void *)(uintptr_t)p->pixels, p->bytes);
    p->texture = NULL;
    p->pixels = NULL;
    p->width = p->height = 0;
}

void picture_finish(struct picture *p)
{
    drop_surface(p);
    if (p->pointer)
        SDL_DestroyTexture(p->pointer);
    if (p->renderer)
        SDL_DestroyRenderer(p->renderer);
}

/* The memory must keep its size, or reading it could end us. */
static bool map_surface(struct picture *p, const struct console_surface *m,
                        int fd)
{
    struct stat st;
    void *at;

    if (m->width > MAX_SIDE || m->height > MAX_SIDE || !m->height ||
        m->stride < m->width * 4 || m->stride > MAX_SIDE * 8)
        return false;
    p->bytes = (size_t)m->stride * m->height;
    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < p->bytes ||
        !(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK))
        return false;
    at = mmap(NULL, p->bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return false;
    p->pixels = at;
    return true;
}

bool picture_set_surface(struct picture *p, const struct console_surface *m,
                         int fd)
{
    bool good;

    drop_surface(p);
    p->serial = m->serial;
    if (!m->width) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    good = fd >= 0 && map_surface(p, m, fd);
    if (fd >= 0)
        close(fd);
    if (!good)
        return false;
    p->width = m->width;
    p->height = m->height;
    p->stride = m->stride;
    p->texture = SDL_CreateTexture(p->renderer, SDL_PIXELFORMAT_RGB888,
                                   SDL_TEXTUREACCESS_STREAMING, (int)m->width,
                                   (int)m->height);
    return p->texture;
}

void picture_update(struct picture *p, const struct console_frame *m)
{
    if (m->serial != p->serial || !p->texture)
        return;
    for (uint32_t i = 0; i < m->changed.count; i++) {
        struct rect r = m->changed.rects[i];
        SDL_Rect part;

        if (r.x >= p->width || r.y >= p->height)
            continue;
        part.x = (int)r.x;
        part.y = (int)r.y;
        part.w = (int)SDL_min(r.width, p->width - r.x);
        part.h = (int)SDL_min(r.height, p->height - r.y);
        SDL_UpdateTexture(p->texture, &part,
                          p->pixels + (size_t)r.y * p->stride + (size_t)r.x * 4,
                          (int)p->stride);
    }
}

void picture_set_pointer(struct picture *p, const struct console_pointer *m)
{
    if (p->pointer)
        SDL_DestroyTexture(p->pointer);
    p->pointer = NULL;
    p->pointer_width = (int)m->width;
    p->pointer_height = (int)m->height;
    p->hot_x = (int)m->hot_x;
    p->hot_y = (int)m->hot_y;
    p->pointer_x = m->x;
    p->pointer_y = m->y;
    if (!m->width || !m->height)
        return;
    p->pointer = SDL_CreateTexture(p->renderer, SDL_PIXELFORMAT_ARGB8888,
                                   SDL_TEXTUREACCESS_STATIC, p->pointer_width,
                                   p->pointer_height);
    if (!p->pointer)
        return;
    SDL_UpdateTexture(p->pointer, NULL, m->argb, p->pointer_width * 4);
    SDL_SetTextureBlendMode(p->pointer, SDL_BLENDMODE_BLEND);
}

void picture_move_pointer(struct picture *p, const struct console_pointer_at *m)
{
    p->pointer_x = m->x;
    p->pointer_y = m->y;
}

/* The picture's place in an area: as large as fits, in the middle. */
static SDL_Rect place(const struct picture *p, int width, int height)
{
    SDL_Rect r = { 0, 0, width, height };
    uint64_t across = (uint64_t)width * p->height;
    uint64_t down = (uint64_t)height * p->width;

    if (across > down)
        r.w = (int)(down / p->height);
    else
        r.h = (int)(across / p->width);
    r.w = SDL_max(r.w, 1);
    r.h = SDL_max(r.h, 1);
    r.x = (width - r.w) / 2;
    r.y = (height - r.h) / 2;
    return r;
}

static SDL_ScaleMode scale_mode(const struct picture *p, const SDL_Rect *to)
{
    bool whole = to->w % (int)p->width == 0 && to->h % (int)p->height == 0;

    if (p->scaling == SCALING_NEAREST || (p->scaling == SCALING_AUTO && whole))
        return SDL_ScaleModeNearest;
    return SDL_ScaleModeLinear;
}

static void draw_pointer(struct picture *p, const SDL_Rect *to)
{
    SDL_Rect r;

    r.x = to->x + (p->pointer_x - p->hot_x) * to->w / (int)p->width;
    r.y = to->y + (p->pointer_y - p->hot_y) * to->h / (int)p->height;
    r.w = SDL_max(p->pointer_width * to->w / (int)p->width, 1);
    r.h = SDL_max(p->pointer_height * to->h / (int)p->height, 1);
    SDL_RenderSetClipRect(p->renderer, to);
    SDL_RenderCopy(p->renderer, p->pointer, NULL, &r);
    SDL_RenderSetClipRect(p->renderer, NULL);
}

void picture_draw(struct picture *p)
{
    int width, height;
    SDL_Rect to;

    SDL_SetRenderDrawColor(p->renderer, 0, 0, 0, 255);
    SDL_RenderClear(p->renderer);
    if (p->texture &&
        SDL_GetRendererOutputSize(p->renderer, &width, &height) == 0) {
        to = place(p, width, height);
        SDL_SetTextureScaleMode(p->texture, scale_mode(p, &to));
        SDL_RenderCopy(p->renderer, p->texture, NULL, &to);
        if (p->pointer)
            draw_pointer(p, &to);
    }
    SDL_RenderPresent(p->renderer);
}

static uint32_t along(int at, int start, int length)
{
    int64_t v = length > 1 ? (int64_t)(at - start) * 32767 / (length - 1) : 0;

    return (uint32_t)SDL_clamp(v, 0, 32767);
}

void picture_locate(const struct picture *p, SDL_Window *window, int x, int y,
                    uint32_t *px, uint32_t *py)
{
    int width, height;
    SDL_Rect at;

    SDL_GetWindowSize(window, &width, &height);
    if (!p->width)
        at = (SDL_Rect){ 0, 0, width, height };
    else
        at = place(p, width, height);
    *px = along(x, at.x, at.w);
    *py = along(y, at.y, at.h);
}
