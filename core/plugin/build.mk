# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/plugin/,device.o device_state.o load.o property.o \
	host_board.o host_control.o host_dma.o host_hv.o host_irq.o host_log.o \
	host_media.o host_mmio.o \
	host_pci.o host_pio.o host_timer.o)
core-y += core/plugin/host_watch.o
core-y += core/plugin/host_net.o
core-y += core/plugin/host_bay.o
core-y += core/plugin/host_ram.o
