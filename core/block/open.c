/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which format an image has.
 *
 * It goes by the name alone: a guest can write anything into a raw image,
 * also the head of another format, and must not be able to choose how the
 * next run reads it.
 */
#include "block/block.h"

#include <gio/gio.h>
#include <strings.h>

#include "block/raw.h"

static const struct {
    const char *suffix, *format;
} other_formats[] = {
    { ".qcow2", "QCOW2" }, { ".qcow", "QCOW" },  { ".vhd", "VHD" },
    { ".vhdx", "VHDX" },   { ".avhdx", "VHDX" }, { ".vmdk", "VMDK" },
    { ".vdi", "VDI" },
};

static bool ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);

    return n > m && strcasecmp(path + n - m, suffix) == 0;
}

struct block_medium *block_open(const struct block_options *options,
                                GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(other_formats); i++) {
        if (!ends_with(options->path, other_formats[i].suffix))
            continue;
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                    "image '%s' is by its name a %s image, which is not "
                    "supported: convert it to a raw one",
                    options->path, other_formats[i].format);
        return NULL;
    }
    return raw_open(options, error);
}
