/* SPDX-License-Identifier: MIT */
/* Byte streams (serial ports): "bp.char/1". */
#ifndef BACKPLANE_CHARDEV_H
#define BACKPLANE_CHARDEV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_CHAR "bp.char/1"

struct bp_dev;
struct bp_char_port;

/* clang-format off */
enum {                          /* modem lines, both directions */
    BP_CHAR_DTR = 1, BP_CHAR_RTS = 2, BP_CHAR_CTS = 4, BP_CHAR_DSR = 8,
    BP_CHAR_DCD = 16, BP_CHAR_RI = 32,
};
/* clang-format on */

struct bp_char_events {
    uint32_t size;
    /* Bytes arrived; returns how many were taken (the rest is offered again
     * after ready()).  [lane] */
    uint32_t (*receive)(void *ctx, const uint8_t *data, uint32_t n);
    /* write() has room again after it took less than it was given. */
    void (*writable)(void *ctx);
    /* CTS, DSR, DCD, RI changed. */
    void (*lines)(void *ctx, uint32_t lines);
    void (*break_)(void *ctx);
};

struct bp_char {
    uint32_t size;
    /* [setup]; events may have NULL members */
    void (*listen)(struct bp_char_port *p, const struct bp_char_events *ev,
                   void *ctx);
    /* Returns how many bytes were taken: less than n only when the other
     * side does not read. */
    uint32_t (*write)(struct bp_char_port *p, const uint8_t *data, uint32_t n);
    /* The device can receive again. */
    void (*ready)(struct bp_char_port *p);
    void (*set_lines)(struct bp_char_port *p, uint32_t dtr_rts);
    void (*set_params)(struct bp_char_port *p, uint32_t baud,
                       uint32_t data_bits, uint32_t parity, uint32_t stops);
    void (*send_break)(struct bp_char_port *p, int32_t on);
    uint32_t (*get_lines)(struct bp_char_port *p);
};

#ifdef __cplusplus
}
#endif

#endif
