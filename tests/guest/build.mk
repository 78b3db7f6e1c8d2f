# SPDX-License-Identifier: Apache-2.0
#
# Boots of real guests. X_long is a link to X: the cases too long for check.
# The guests are built when first used, by tests/guests/build.
script-tests-y += guest/boot_kernel guest/boot_iso guest/ipxe guest/memtest \
	guest/save_restore guest/determinism
script-tests-y += guest/hv_boot
long-tests-y += guest/hv_boot_long
long-tests-y += guest/hv_save
long-tests-y += guest/boot_kernel_long guest/boot_iso_long guest/ipxe_long \
	guest/memtest_long guest/save_restore_long guest/boot_disk \
	guest/boot_installer guest/keyboard_mouse guest/translated \
	guest/stress guest/determinism_long
script-tests-y += guest/hv_net
long-tests-y += guest/hv_net_long
script-tests-y += guest/hv_vmbus
long-tests-y += guest/hv_vmbus_long
script-tests-y += guest/hv_storage
long-tests-y += guest/hv_storage_long
script-tests-y += guest/hv_screen
long-tests-y += guest/hv_screen_long
script-tests-y += guest/hv_services guest/hv_sock
long-tests-y += guest/hv_services_long guest/hv_sock_long
