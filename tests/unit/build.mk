# SPDX-License-Identifier: Apache-2.0
unit-tests-y += harness
unit-tests-y += map dirty pio wire pci isa_dma clock lane log
unit-tests-y += control
unit-tests-y += watch
unit-tests-y += state_stream vm_config device_desc
unit-tests-y += decode gen_x86
unit-tests-y += block_raw block_media char_socket screen keynames console_proto
unit-tests-$(CONFIG_SDL) += console_window
unit-tests-y += monitor
unit/monitor-objs = plugins/synthetic/edid.o plugins/synthetic/pointer_shape.o
unit/console_proto-objs = tests/unit/console_machine.o
unit/console_window-objs = tests/unit/console_machine.o
unit-tests-y += scsi_disk
unit/scsi_disk-objs = $(addprefix plugins/scsi/,scsi.o scsi_disk.o scsi_disk_mode.o)
unit-tests-y += net_frame net_port
unit-tests-$(CONFIG_SLIRP) += net_user
