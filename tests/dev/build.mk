# SPDX-License-Identifier: Apache-2.0
# One test a chip, on the device bench (core/vm/bench.h).
dev-tests-y += i8254 i8259 i8237 mc146818 ns16550 ioapic
dev-tests-y += i440fx piix4_isa piix4_pm fw_cfg debug_port exit_port
dev-tests-y += i8042 ps2_keyboard ps2_mouse ata ata_features
dev-tests-y += piix4_ide atapi vga vga_memory vga_screen
dev-tests-y += every_device scsi_cd
dev-tests-y += acpi_pm
dev-tests-y += make_code
dev/scsi_cd-objs := plugins/scsi/scsi.o plugins/scsi/scsi_cd.o
dev/make_code-objs := plugins/synthetic/make_code.o
ic-tests := ic_heartbeat ic_shutdown ic_timesync ic_vss ic_kvp ic_fcopy \
	ic_fuzz
dev-tests-y += $(ic-tests)
$(foreach t,$(ic-tests),$(eval dev/$(t)-objs := tests/lib/vmbus_mock.o))

dev-tests-y += synthkbd synthmouse synthvid
vmbus-tests := vmbus vmbus_life vmbus_abuse vmbus_fuzz vmbus_devices_fuzz
dev-tests-y += $(vmbus-tests)
$(foreach t,$(vmbus-tests),$(eval dev/$(t)-objs := tests/dev/vmbus_echo.o \
	tests/dev/vmbus_fuzz_lib.o))
long-tests-y += dev/vmbus_fuzz_long
$(B)/tests/dev/vmbus_fuzz_long.log: $(B)/tests/dev/vmbus_fuzz \
	$(B)/tests/dev/vmbus_devices_fuzz
dev-tests-y += storvsp storvsp_life
dev/storvsp-objs := tests/dev/storvsp_guest.o
dev/storvsp_life-objs := tests/dev/storvsp_guest.o
dev-tests-y += dynmem
dev/dynmem-objs := tests/lib/vmbus_mock.o plugins/synthetic/page_ranges.o
dev-tests-y += hvsock hvsock_saved
dev/hvsock-objs := tests/dev/hvsock_program.o tests/lib/vmbus_mock.o
dev/hvsock_saved-objs := tests/dev/hvsock_program.o
net-tests := netvsp netvsp_frames netvsp_abuse
dev-tests-y += $(net-tests)
$(foreach t,$(net-tests),$(eval dev/$(t)-objs := tests/dev/netvsp_guest.o))
long-tests-y += dev/netvsp_fuzz_long
$(B)/tests/dev/netvsp_fuzz_long.log: $(B)/tests/dev/netvsp_abuse
