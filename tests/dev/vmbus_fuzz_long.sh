#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 14400
# The fuzzers of VMBus, BP_FUZZ_SECONDS (600) for each case and each device.
BP_FUZZ_SECONDS=${BP_FUZZ_SECONDS:-600}
export BP_FUZZ_SECONDS

for t in vmbus_fuzz vmbus_devices_fuzz; do
	"$B/tests/dev/$t"
done
