# SPDX-License-Identifier: Apache-2.0
# One plugin a chip.
plugins-y += legacy/i440fx legacy/piix4_isa legacy/piix4_pm
plugins-y += legacy/i8237 legacy/i8254 legacy/i8259 legacy/ioapic
plugins-y += legacy/mc146818 legacy/ns16550
plugins-y += legacy/fw_cfg legacy/debug_port legacy/exit_port legacy/test_ports

plugins-y += legacy/i8042
legacy/i8042-objs = plugins/legacy/i8042.o plugins/legacy/ps2_keyboard.o \
	plugins/legacy/ps2_mouse.o

plugins-y += legacy/vga
legacy/vga-objs = plugins/legacy/vga.o plugins/legacy/vga_memory.o \
	plugins/legacy/vga_draw.o

plugins-y += legacy/piix4_ide
legacy/piix4_ide-objs = $(addprefix plugins/legacy/,piix4_ide.o \
	ide_channel.o ata.o atapi.o) plugins/scsi/scsi.o plugins/scsi/scsi_cd.o

legacy/piix4_pm-objs = plugins/legacy/piix4_pm.o plugins/acpi/acpi_regs.o
