/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with no processor: a board, a few devices and a stepped clock.
 * `backplane devtest` and the device tests (tests/dev) drive devices with
 * it, through the same host as in a real machine.
 *
 *     struct bench *b = bench_create("i8254", "irq=0", NULL);
 *     bench_out(b, 0x43, 1, 0x34);
 *     bench_step(b, 1000000);
 *     CHECK_EQ(bench_line(b, "isa", 0), 1);
 *     bench_destroy(b);
 *
 * Functions end the program with a sentence when the test asks for what
 * cannot be, so tests need no error handling; bench_try_* return instead.
 */
#ifndef VM_BENCH_H
#define VM_BENCH_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <backplane/block.h>

struct bench;
struct vm;
struct plugins;
struct bp_device_desc;

#define BENCH_RAM (16u << 20)

/*
 * A bench with the device of this id, named like its id: settings
 * "property=value", NULL ends.  Plugins come from $B/plugins (the
 * build folder of the test) or from where `backplane run` finds them.
 */
struct bench *bench_create(const char *id, ...) G_GNUC_NULL_TERMINATED;
/* A bench with nothing on it; devices are added with bench_add_device.  They
 * are realized and reset by bench_power_on, which happens by itself at the
 * first access or step. */
struct bench *bench_empty(void);
struct bench *bench_try_empty(struct plugins *plugins, uint64_t ram_bytes,
                              GError **error);
void bench_add_device(struct bench *b, const char *id, const char *name,
                      ...) G_GNUC_NULL_TERMINATED;
bool bench_try_add(struct bench *b, const struct bp_device_desc *desc,
                   const char *name, const char *const *settings,
                   GError **error);
void bench_power_on(struct bench *b);
bool bench_try_power_on(struct bench *b, GError **error);
void bench_destroy(struct bench *b);

struct vm *bench_vm(struct bench *b);

/* --- accesses: as a processor makes them ---------------------------------*/

uint32_t bench_in(struct bench *b, uint16_t port, unsigned size);
void bench_out(struct bench *b, uint16_t port, unsigned size, uint32_t value);
uint64_t bench_read(struct bench *b, uint64_t gpa, unsigned size);
void bench_write(struct bench *b, uint64_t gpa, unsigned size, uint64_t value);
uint32_t bench_pci_read(struct bench *b, unsigned slot, unsigned function,
                        unsigned offset, unsigned size);
void bench_pci_write(struct bench *b, unsigned slot, unsigned function,
                     unsigned offset, unsigned size, uint32_t value);
/* Main memory of BENCH_RAM bytes at 0. */
uint8_t *bench_ram(struct bench *b);

/* --- signals -------------------------------------------------------------*/

bool bench_line(struct bench *b, const char *group, unsigned number);
/* Rising edges since the last call. */
unsigned bench_edges(struct bench *b, const char *group, unsigned number);
/* Drives a line from outside: an output that the bench has on it. */
void bench_drive(struct bench *b, const char *group, unsigned number,
                 bool level);
/* The PIC's acknowledge cycle: the vector; -1 when no device answers. */
int bench_acknowledge(struct bench *b);
/* A local APIC ended a level-triggered interrupt. */
void bench_eoi(struct bench *b, uint8_t vector);

struct bench_message { /* what an I/O APIC or MSI sent */
    uint32_t dest;
    bool logical;
    unsigned delivery_mode;
    uint8_t vector;
    bool level;
};
/* The oldest message that was not taken yet; false: none. */
bool bench_message(struct bench *b, struct bench_message *out);

/* --- time ----------------------------------------------------------------*/

uint64_t bench_now(struct bench *b); /* virtual ns, 0 at first */
void bench_step(struct bench *b, uint64_t ns);
/* Steps to the next timer; false when none is armed. */
bool bench_step_to_timer(struct bench *b);
/* Runs what is posted to lanes, without moving the clock. */
void bench_run(struct bench *b);
/* The wall clock's value at virtual time 0, ns since 1970. */
void bench_set_wall(struct bench *b, uint64_t ns);

/* --- power ---------------------------------------------------------------*/

void bench_reset(struct bench *b, uint32_t kind);
void bench_start(struct bench *b); /* devices' start() */
bool bench_press_button(struct bench *b);
/* What the device asked for since the last call: VM_REQUEST_* of vm.h. */
unsigned bench_requests(struct bench *b);
int bench_exit_status(struct bench *b);

/* --- commands and events (plugin/control.h) -------------------------------*/

/* Starts a command with arguments "name=value" or "switch"; NULL ends. */
struct bench_call;
struct bench_call *bench_call(struct bench *b, const char *command,
                              ...) G_GNUC_NULL_TERMINATED;
/* JSON, or "error: SENTENCE"; NULL: it is not done. */
const char *bench_answer(struct bench_call *c);
/* Cancels it when it is not done: the client went away. */
void bench_call_free(struct bench_call *c);
/* The oldest event that was not taken, "NAME JSON", to be freed; NULL. */
char *bench_event(struct bench *b);

/* --- back ends: made before the device that uses them --------------------*/

/* A drive with a medium in memory of `bytes` (0: empty), filled with zeros;
 * *data is its content.  kind: 0 disk, 1 CD-ROM, 2 floppy.  The property of
 * the device then takes "name".  Requests complete 200 us after submission,
 * by bench_step(). */
void bench_add_drive(struct bench *b, const char *name, int kind,
                     uint64_t bytes, uint8_t **data);
/* Requests fail with this errno from now on; 0: no more. */
void bench_drive_fail(struct bench *b, const char *name, int32_t status);
/* The user changes the medium: bytes 0 takes it out.  False: locked. */
bool bench_change_medium(struct bench *b, const char *name, uint64_t bytes,
                         uint8_t **data);

/* A character port whose other end is the test. */
void bench_add_port(struct bench *b, const char *name);
void bench_send(struct bench *b, const char *name, const void *data,
                size_t bytes);
/* What the device wrote since the last call; returns the number of bytes. */
size_t bench_received(struct bench *b, const char *name, void *data,
                      size_t max);
/* How many bytes the other end takes from now on; UINT32_MAX: all. */
void bench_port_room(struct bench *b, const char *name, uint32_t bytes);
void bench_port_lines(struct bench *b, const char *name, uint32_t lines);

/*
 * A network port whose other end is the test.  Frames of the device stay in
 * the port (net_port_take() of net/port.h), complete; takes_large: TCP frames
 * of any length, else cut.
 */
void bench_add_net(struct bench *b, const char *name, bool takes_large);
struct net_port *bench_net(struct bench *b, const char *name);
/* A frame for the guest; its checksums are looked at. */
void bench_net_send(struct bench *b, const char *name, const void *data,
                    size_t bytes);
void bench_net_link(struct bench *b, const char *name, bool up);

/* Input as a user makes it. */
void bench_key(struct bench *b, uint32_t usage, bool down);
void bench_motion(struct bench *b, int dx, int dy, int wheel, uint32_t buttons);
void bench_position(struct bench *b, uint32_t x, uint32_t y, int wheel,
                    uint32_t buttons);

/* The device's screen after a refresh: its text, UTF-8 lines, to be freed;
 * NULL in graphics modes.  And one pixel. */
char *bench_screen_text(struct bench *b);
bool bench_screen_size(struct bench *b, uint32_t *width, uint32_t *height);
uint32_t bench_pixel(struct bench *b, uint32_t x, uint32_t y);

/* An item that the firmware interface offers. */
void bench_add_firmware(struct bench *b, uint32_t key, const char *name,
                        const void *data, size_t bytes);

/* --- state ---------------------------------------------------------------*/

/* Everything on the bench as it is saved; g_free it. */
uint8_t *bench_save(struct bench *b, size_t *bytes);
bool bench_try_load(struct bench *b, const uint8_t *data, size_t bytes,
                    GError **error);
/* Makes all devices anew, loads and starts them; false: they hold what was
 * loaded up to the error, and are not started. */
bool bench_try_load_anew(struct bench *b, const uint8_t *data, size_t bytes,
                         GError **error);
/*
 * Saves, makes all devices anew and loads: what follows must behave as if
 * nothing had happened.  RAM, clock and back ends stay.
 */
void bench_save_load(struct bench *b);
/* SHA-256 of what bench_save gives; to be freed. */
char *bench_hash(struct bench *b);

#endif
