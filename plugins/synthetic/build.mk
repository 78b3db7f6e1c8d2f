# SPDX-License-Identifier: Apache-2.0
# Devices that guests reach over VMBus, and the bus.

plugins-y += synthetic/synthmouse synthetic/synthkbd
synthetic/synthkbd-objs = $(addprefix plugins/synthetic/,synthkbd.o make_code.o)
plugins-y += synthetic/acpi_pm
synthetic/acpi_pm-objs = plugins/synthetic/acpi_pm.o plugins/acpi/acpi_regs.o

plugins-y += synthetic/synthvid
synthetic/synthvid-objs = $(addprefix plugins/synthetic/,synthvid.o \
	synthvid_draw.o pointer_shape.o edid.o)
plugins-y += synthetic/vmbus
synthetic/vmbus-objs = $(addprefix plugins/synthetic/,vmbus.o \
	vmbus_control.o vmbus_outbox.o vmbus_post.o vmbus_channel.o \
	vmbus_gpadl.o vmbus_legacy.o vmbus_state.o ring.o ring_packet.o)

# Integration components share the framing of their messages.
ics := heartbeat shutdown timesync kvp vss fcopy
plugins-y += $(ics:%=synthetic/ic_%)
$(foreach i,$(ics),$(eval synthetic/ic_$(i)-objs = \
	plugins/synthetic/ic_$(i).o plugins/synthetic/ic.o))
plugins-y += synthetic/storvsp
synthetic/storvsp-objs = $(addprefix plugins/synthetic/,storvsp.o \
	storvsp_protocol.o storvsp_request.o) \
	$(addprefix plugins/scsi/,scsi.o scsi_cd.o scsi_disk.o scsi_disk_mode.o)
plugins-y += synthetic/netvsp
synthetic/netvsp-objs = $(addprefix plugins/synthetic/,netvsp.o \
	netvsp_channel.o netvsp_offload.o netvsp_oid.o netvsp_receive.o \
	netvsp_rndis.o netvsp_rss.o netvsp_send.o)

plugins-y += synthetic/dynmem
synthetic/dynmem-objs = $(addprefix plugins/synthetic/,dynmem.o page_ranges.o)
plugins-y += synthetic/hvsock
synthetic/hvsock-objs = $(addprefix plugins/synthetic/,hvsock.o \
	hvsock_connection.o hvsock_saved.o)
