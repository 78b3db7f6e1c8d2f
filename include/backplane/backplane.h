/* SPDX-License-Identifier: MIT */
/* The whole plugin ABI of Backplane. */
#ifndef BACKPLANE_BACKPLANE_H
#define BACKPLANE_BACKPLANE_H

#include <backplane/version.h>
#include <backplane/plugin.h>
#include <backplane/host.h>
#include <backplane/device.h>
#include <backplane/property.h>
#include <backplane/state.h>
#include <backplane/log.h>
#include <backplane/lane.h>
#include <backplane/timer.h>
#include <backplane/pio.h>
#include <backplane/mmio.h>
#include <backplane/irq.h>
#include <backplane/isa_dma.h>
#include <backplane/dma.h>
#include <backplane/pci.h>
#include <backplane/block.h>
#include <backplane/chardev.h>
#include <backplane/display.h>
#include <backplane/input.h>
#include <backplane/power.h>
#include <backplane/firmware.h>
#include <backplane/net.h>
#include <backplane/control.h>
#include <backplane/watch.h>
#include <backplane/hv.h>
#include <backplane/vmbus.h>
#include <backplane/ram.h>

#endif
