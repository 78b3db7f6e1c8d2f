#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 3600
# Random packets to netvsp for BP_FUZZ_SECONDS (600).
BP_FUZZ_SECONDS=${BP_FUZZ_SECONDS:-600}
export BP_FUZZ_SECONDS

"$B/tests/dev/netvsp_abuse" -n 'random_*'
