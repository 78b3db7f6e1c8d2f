/* SPDX-License-Identifier: Apache-2.0 */
/* The pixels are copied with the device's lane held and packed without. */
#include "display/screen.h"

#include <errno.h>
#include <gio/gio.h>
#include <png.h>
#include <string.h>

struct picture {
    uint32_t width, height;
    uint8_t *rgb;
};

static void copy_pixels(void *opaque, const struct bp_surface *surface,
                        const struct bp_text *text)
{
    struct picture *p = opaque;
    size_t bytes = (size_t)surface->width * surface->height * 3;
    uint8_t *to;

    if (!bytes || !(p->rgb = g_try_malloc(bytes)))
        return;
    p->width = surface->width;
    p->height = surface->height;
    to = p->rgb;
    for (uint32_t y = 0; y < p->height; y++) {
        const uint32_t *line =
            surface->pixels + (size_t)y * (surface->stride / 4);

        for (uint32_t x = 0; x < p->width; x++, to += 3) {
            to[0] = (uint8_t)(line[x] >> 16);
            to[1] = (uint8_t)(line[x] >> 8);
            to[2] = (uint8_t)line[x];
        }
    }
}

static void append(png_structp png, png_bytep data, size_t bytes)
{
    g_byte_array_append(png_get_io_ptr(png), data, (guint)bytes);
}

static void flush(png_structp png)
{
}

static bool pack(const struct picture *p, GByteArray *out)
{
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;

    /* libpng comes back here with an error. */
    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_set_write_fn(png, out, append, flush);
    png_set_compression_level(png, 3);
    png_set_IHDR(png, info, p->width, p->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < p->height; y++)
        png_write_row(png, p->rgb + (size_t)y * p->width * 3);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return true;
}

static bool fail_write(const char *path, int code, GError **error)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code),
                "picture '%s' cannot be written: %s", path, g_strerror(code));
    return false;
}

bool screen_save_png(struct screen *s, const char *path, GError **error)
{
    struct picture p = { 0 };
    GByteArray *out;
    bool good;

    screen_look(s, copy_pixels, &p);
    if (!p.rgb) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "screen '%s' shows nothing yet", screen_name(s));
        return false;
    }
    out = g_byte_array_new();
    good = pack(&p, out);
    g_free(p.rgb);
    /* The file appears in one piece, for those that wait for it. */
    if (!good)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                    "the picture of screen '%s' cannot be packed",
                    screen_name(s));
    else if (!g_file_set_contents(path, (const char *)out->data,
                                  (gssize)out->len, NULL))
        good = fail_write(path, errno, error);
    g_byte_array_unref(out);
    return good;
}
