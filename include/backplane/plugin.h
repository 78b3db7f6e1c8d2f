/* SPDX-License-Identifier: MIT */
/*
 * What a plugin exports: one data symbol, `bp_plugin`.
 *
 * The host opens the shared object with RTLD_NOW | RTLD_LOCAL, reads the
 * symbol, checks `abi_major` and `abi_minor` (version.h) before anything
 * else, and runs no code of the plugin until a machine uses a device.  The
 * host exports no symbols: everything a device needs comes through
 * struct bp_host (host.h).
 */
#ifndef BACKPLANE_PLUGIN_H
#define BACKPLANE_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bp_device_desc;

struct bp_plugin {
    uint32_t size;       /* sizeof(struct bp_plugin) */
    uint16_t abi_major;  /* BP_ABI_MAJOR */
    uint16_t abi_minor;  /* BP_ABI_MINOR */
    const char *id;      /* "legacy.i8254"; "com.example.foo" */
    const char *title;   /* one line for people */
    const char *licence; /* SPDX expression */
    const struct bp_device_desc *const *devices; /* NULL ends it */
};

#define BP_PLUGIN_SYMBOL "bp_plugin"

#if defined(__GNUC__)
#define BP_EXPORT __attribute__((visibility("default")))
#else
#define BP_EXPORT
#endif

extern BP_EXPORT const struct bp_plugin bp_plugin;

#ifdef __cplusplus
}
#endif

#endif
