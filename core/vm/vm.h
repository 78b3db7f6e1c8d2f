/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine: the object that owns everything of a guest.
 *
 * A process may hold several (tests do); there is no global state.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem/map.h"
#include "bus/pio.h"
#include "sched/clock.h"
#include "sched/lane.h"

struct accel_ops;
struct vcpu;
struct vm_config;
struct wires;
struct pci_bus;
struct isa_dma;
struct inputs;
struct plugins;
struct device;
struct screens;
struct typing;
struct control;
struct watches;
struct hot_ram;
struct _JsonNode;
struct direct_boot;
struct hv;
struct hv_sink;
struct hv_ports;

enum vm_run_state {
    VM_CREATED,
    VM_RUNNING,
    VM_PAUSED,
    VM_OFF,
};

/* Why the run loop ended; becomes the exit status of `backplane run`. */
enum vm_end {
    VM_END_NONE,
    VM_END_POWEROFF,
    VM_END_QUIT,
    VM_END_EXIT_PORT,
    VM_END_ERROR,
};

struct vm {
    const struct vm_config *config;
    const struct accel_ops *accel;
    void *accel_data; /* the engine's own */

    struct map *map;
    struct pio *pio;
    struct clocks *clocks;
    struct lanes *lanes;
    struct wires *wires; /* core/bus/wire.h: IRQ lines */
    struct pci_bus *pci; /* NULL on machines without PCI */

    struct memory *ram;
    uint64_t ram_below_4g;   /* bytes at 0; the rest starts at 4 GiB */
    struct hot_ram *hot_ram; /* vm/hot_ram.h; NULL: none can come */

    struct vcpu **vcpus;
    unsigned vcpu_count;
    bool deterministic;
    bool jit;          /* the software engine translates */
    bool jit_check;    /* ... and compares with the interpreter */
    bool perf_map;     /* ... and writes /tmp/perf-PID.map */
    uint64_t tsc_hz;   /* guest TSC frequency */
    uint64_t a20_mask; /* atomically replaced; ~0 or ~(1 << 20) */

    const char *name;        /* for people */
    struct plugins *plugins; /* where device types come from; not owned */
    GPtrArray *devices;      /* struct device *, in creation order */

    /* The hypervisor interface, NULL: the guest sees none; what stands in for
     * it on a machine without processors; its ports.  core/hv */
    struct hv *hv;
    const struct hv_sink *hv_sink;
    struct hv_ports *hv_ports;

    struct isa_dma *isa_dma;
    struct inputs *inputs;
    struct control *control; /* plugin/control.h */
    struct watches *watches; /* plugin/watch.h; NULL until the first */
    struct typing *typing;   /* keys that wait; ctl/typing.c */
    GPtrArray *drives;       /* struct block_drive * */
    GPtrArray *ports;        /* struct char_port * */
    GPtrArray *nets;         /* struct net_port * */
    struct screens *screens; /* of the devices */
    GPtrArray *memories;     /* struct vm_memory *, of the devices */
    GPtrArray *roms;         /* struct region *: the board's own */
    struct memory *firmware_rom;
    GPtrArray *firmware;             /* struct firmware_item *, vm/firmware.h */
    struct direct_boot *direct_boot; /* NULL: firmware starts the machine */

    /* The legacy interrupt controller's acknowledge cycle, set by the PIC
     * plugin through the host API: returns the vector.  [vcpu] */
    int (*pic_ack)(void *opaque);
    void *pic_opaque;
    /* Tells I/O APICs that a level-triggered vector was acknowledged. */
    void (*ioapic_eoi)(void *opaque, uint8_t vector);
    void *ioapic_opaque;

    /* Where messages of I/O APICs go: apic_deliver(), or a test. */
    void (*message)(void *opaque, uint32_t dest, bool logical,
                    unsigned delivery_mode, uint8_t vector, bool level);
    void *message_opaque;

    /* The device that hears of the power button; NULL: none. */
    struct device *button_device;
    void (*button_fn)(void *ctx);
    void *button_ctx;

    /* Called after a request was recorded, from any thread: the control
     * thread should call vm_serve_requests() soon. */
    void (*wake)(void *opaque);
    void *wake_opaque;
    /* What happened, for the control socket: "RESET", "STOP", .. , and data
     * of it or NULL.  Control thread. */
    void (*event)(void *opaque, const char *name, struct _JsonNode *data);
    void *event_opaque;

    pthread_mutex_t lock; /* run state below */
    pthread_cond_t changed;
    unsigned requests; /* VM_REQUEST_*; also read without the lock */
    enum vm_run_state run_state;
    enum vm_end end;
    int end_status;  /* value of the exit port */
    uint64_t resets; /* since the start */
};

#define VM_REQUEST_RESET 1u
#define VM_REQUEST_END   2u /* see end, end_status */
#define VM_REQUEST_PAUSE 4u

/* Memory of a device. */
struct vm_memory {
    char *name; /* in saved state: "vga.vram" */
    struct memory *mem;
};

/*
 * Life cycle, implemented in core/vm/lifecycle.c.  All but vm_request_* are
 * for the control thread.  vm_stop returns when every vCPU is out of guest
 * code and every lane is drained; vm_reset does the same, resets CPUs and
 * devices, and goes on.
 */
void vm_start(struct vm *vm);
void vm_stop(struct vm *vm);
void vm_reset(struct vm *vm);
/* Does what was requested.  True when the machine came to its end. */
bool vm_serve_requests(struct vm *vm);
/* The power button, as bp.power/1 tells the device that listens for it.
 * False when no device does.  [any] */
bool vm_press_power_button(struct vm *vm);
/* From any thread, also device code inside a vCPU's access. */
void vm_request_reset(struct vm *vm);
void vm_request_poweroff(struct vm *vm);
void vm_request_pause(struct vm *vm);
void vm_request_exit(struct vm *vm, enum vm_end end, int status);

#endif
