# SPDX-License-Identifier: Apache-2.0
core-y += core/bus/pio.o
core-y += core/bus/wire.o core/bus/isa_dma.o core/bus/pci.o core/bus/pci_bar.o
