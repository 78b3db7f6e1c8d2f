/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that devices wait for (bp.watch/1): one thread a machine, made
 * with the first watch, that posts to the devices' lanes.
 *
 * While a device stands (device.started is clear) nothing is posted to it;
 * what happened meanwhile is told when it starts.
 */
#ifndef PLUGIN_WATCH_H
#define PLUGIN_WATCH_H

struct vm;
struct device;
struct watches;

/* The device was started.  Control thread. */
void watches_resume(struct device *d);
/* No device is left; NULL is fine. */
void watches_destroy(struct watches *w);

#endif
