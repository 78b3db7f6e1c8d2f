/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine is made of, as the user says it: vm.conf and the command
 * line have the same keys.
 *
 *     # vm.conf
 *     name = demo
 *     memory = 512M
 *     cpus = 2
 *     disk = a.img,snapshot=on
 *
 *     [device uart2]
 *     type = ns16550
 *     port = 0x2f8
 *
 * An unknown key is an error that names it.  Paths in a file are relative to
 * the file.
 */
#ifndef VM_CONFIG_H
#define VM_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum config_drive_kind { CONFIG_DISK, CONFIG_CDROM, CONFIG_FLOPPY };

/* ANY: IDE on Generation 1, SCSI on Generation 2. */
enum config_bus { CONFIG_BUS_ANY, CONFIG_BUS_IDE, CONFIG_BUS_SCSI };

#define CONFIG_CONTROLLERS 4u
#define CONFIG_LUNS        64u

struct config_drive {
    enum config_drive_kind kind;
    char *path; /* "": an empty removable drive */
    bool readonly, snapshot;
    enum config_bus bus;
    int controller, lun; /* SCSI; -1: the first that is free */
    unsigned block;      /* bytes of a block of a disk; 0: 512 */
    bool second_path;    /* an IDE disk that is on VMBus as well */
};

struct config_device {
    char *type;
    char *name;
    GPtrArray *settings; /* "property=value" */
};

struct vm_config {
    char *name;
    unsigned generation; /* 1 or 2 */
    uint64_t memory;     /* bytes */
    uint64_t memory_max; /* with what may come later; 0: no more */
    GPtrArray *dynmem;   /* char *: settings of dynamic memory */
    unsigned cpus;
    char *cpu;          /* model and features; NULL: the default */
    GPtrArray *drives;  /* struct config_drive * */
    GPtrArray *serials; /* char *: "stdio", .. */
    GPtrArray *nics;    /* struct net_options * */
    GPtrArray *devices; /* struct config_device * */
    GPtrArray *plugins; /* char *: files */
    char *kernel, *initrd, *append;
    char *firmware; /* file, or "seabios" */
    char *boot;     /* letters a c d n, NULL: the default */
    char *debugcon; /* like a serial port: firmware messages */
    char *ctl;      /* path of the control socket; may be NULL */
    char *restore;  /* file; may be NULL */
    bool headless;
    bool deterministic;
    bool jit;       /* translate guest code to host code */
    bool jit_check; /* and compare with the interpreter */
    bool perf_map;  /* and tell `perf report` of it */
    bool isa_debug_exit;
    bool hv;              /* the guest sees Hyper-V's interface */
    uint32_t hv_features; /* HV_F_* of hv/hv.h, if so */
    bool has_rtc_base;
    int64_t rtc_base;  /* ns since 1970 at the start */
    uint64_t pause_at; /* virtual ns at which the machine stops; 0: never */
};

struct vm_config *config_new(void);
void config_free(struct vm_config *c);

/* One key; the value of a switch may be NULL ("on"). */
bool config_set(struct vm_config *c, const char *key, const char *value,
                GError **error);
/* Does the key take a value on the command line?  False for switches and
 * unknown keys; *known says which. */
bool config_takes_value(const char *key, bool *known);
bool config_read_file(struct vm_config *c, const char *path, GError **error);
/* One more disk of `options` "a=b,c=d", on a SCSI controller. */
bool config_disk(struct vm_config *c, const char *path, const char *options,
                 GError **error);
/* Is the drive on a SCSI controller of this machine? */
bool config_is_scsi(const struct vm_config *c, const struct config_drive *d);
/* What cannot be seen from one key alone. */
bool config_check(const struct vm_config *c, GError **error);
/* What a saved machine and the one that loads it must have in common, as
 * text; to be freed. */
char *config_fingerprint(const struct vm_config *c);

/* "--key VALUE  help" lines for usage texts. */
void config_print_keys(GString *out);

#endif
