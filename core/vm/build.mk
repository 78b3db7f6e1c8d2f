# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/vm/,acpi.o acpi_dsdt.o acpi_gen2.o acpi_table.o \
	aml.o assembly.o bench.o bench_media.o bench_state.o board.o config.o \
	direct_boot.o multiboot.o error.o firmware.o fwcfg_items.o gen1.o gen2.o \
	lifecycle.o linux_kernel.o request.o smbios.o)
core-y += core/vm/bench_control.o
core-y += core/vm/storage.o core/vm/config_drive.o
core-y += core/vm/nics.o core/vm/bench_net.o
core-y += core/vm/bench_hv.o
core-y += core/vm/hot_ram.o
