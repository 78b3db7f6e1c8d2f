/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream between a device and the world: the core-side object of
 * bp.char/1.  The port buffers what arrives until the device takes it and
 * brings it to the device's lane; a back end moves the bytes.
 */
#ifndef CHAR_PORT_H
#define CHAR_PORT_H

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <backplane/chardev.h>

struct lane;
struct char_port;
struct state_writer;
struct state_reader;

/* Calls come from the device's lane and must not block; NULL members are not
 * of interest to the back end. */
struct char_backend_ops {
    const char *name; /* "stdio" */
    /* Returns how many bytes were taken; after less than n, the back end
     * calls char_port_writable() when it has room again. */
    uint32_t (*write)(void *backend, const uint8_t *data, uint32_t n);
    /* char_port_receive() took less than it was given; now it has room.
     * Called from the lane or from the thread inside char_port_receive. */
    void (*room)(void *backend);
    void (*set_lines)(void *backend, uint32_t dtr_rts);
    void (*set_params)(void *backend, uint32_t baud, uint32_t data_bits,
                       uint32_t parity, uint32_t stops);
    void (*send_break)(void *backend, bool on);
    /* Waits until what was written is out, a second at most; frees. */
    void (*close)(void *backend);
};

#define CHAR_PORT_BUFFER 4096u

struct char_port {
    char *name;                         /* "serial0" */
    const struct char_backend_ops *ops; /* NULL: nothing attached */
    void *backend;

    pthread_mutex_t lock;         /* all below */
    uint8_t in[CHAR_PORT_BUFFER]; /* ring */
    uint32_t in_first, in_count;
    bool held;    /* the machine stands: nothing is delivered */
    bool starved; /* the back end waits for room() */
    bool delivery_posted;
    bool writable_posted;
    uint32_t lines; /* CTS, DSR, DCD, RI as the back end says */

    struct lane *lane; /* of the device, once attached */
    const struct bp_char_events *events;
    void *ctx;
};

struct char_port *char_port_create(const char *name);
void char_port_destroy(struct char_port *p);
/*
 * Connects the port with "stdio", "socket:PATH", "file:PATH" or "none".
 * False with one sentence.  (core/char/open.c; it calls char_port_connect.)
 */
bool char_port_open(struct char_port *p, const char *spec, GError **error);
void char_port_connect(struct char_port *p, const struct char_backend_ops *ops,
                       void *backend);

/* While a port is held, the device hears nothing; what arrives waits, and is
 * told when it is let go.  A port is not held at first. */
void char_port_hold(struct char_port *p, bool held);

/* What arrived and was not taken yet.  Machine stopped. */
void char_port_save(struct char_port *p, struct state_writer *w);
bool char_port_load(struct char_port *p, struct state_reader *r,
                    GError **error);

/* --- from back ends, any thread ------------------------------------------*/

/* Returns how many bytes were taken; the rest is offered again after
 * room(). */
uint32_t char_port_receive(struct char_port *p, const uint8_t *data,
                           uint32_t n);
void char_port_writable(struct char_port *p);
/* CTS, DSR, DCD, RI.  A port starts with CTS, DSR and DCD set. */
void char_port_lines(struct char_port *p, uint32_t lines);
void char_port_break(struct char_port *p);

/* --- the device's side, as in bp.char/1 [lane] ---------------------------*/

/* NULL detaches, before the lane ends: nothing is posted to it any more. */
void char_port_attach(struct char_port *p, struct lane *lane);
void char_port_listen(struct char_port *p, const struct bp_char_events *ev,
                      void *ctx);
uint32_t char_port_write(struct char_port *p, const uint8_t *data, uint32_t n);
void char_port_ready(struct char_port *p);
void char_port_set_lines(struct char_port *p, uint32_t dtr_rts);
void char_port_set_params(struct char_port *p, uint32_t baud,
                          uint32_t data_bits, uint32_t parity, uint32_t stops);
void char_port_send_break(struct char_port *p, bool on);
uint32_t char_port_get_lines(struct char_port *p);

#endif
