/* SPDX-License-Identifier: MIT */
/* Power and reset of the machine: "bp.power/1". */
#ifndef BACKPLANE_POWER_H
#define BACKPLANE_POWER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_POWER "bp.power/1"

struct bp_dev;

struct bp_power {
    uint32_t size;
    /* Requests; they take effect after the current callback.  [any] */
    void (*reset)(struct bp_dev *dev);
    void (*poweroff)(struct bp_dev *dev);
    /* Ends the machine; `status` becomes the exit status of `run`. */
    void (*exit)(struct bp_dev *dev, int32_t status);
    /* fn is called [lane] when the user presses the power button.  One
     * device of a machine may take it.  [setup] */
    int32_t (*on_button)(struct bp_dev *dev, void (*fn)(void *ctx), void *ctx);
};

#ifdef __cplusplus
}
#endif

#endif
