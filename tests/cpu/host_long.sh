#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The tests against the host's processor, with other random numbers each time
# and many more of them: 12 million instructions of programs for each way to
# execute them.
# timeout: 7200
set -eu

seed=$(date +%s)
echo "seed $seed"
"$B/tests/cpu/oracle" -n "${STATES:-20000}" -s "$seed"
"$B/tests/cpu/oracle" -j -n "${STATES:-20000}" -s "$seed"
"$B/tests/cpu/oracle" -J -n "${STATES:-5000}" -s "$seed"
"$B/tests/cpu/fuzz_prog" -n "${PROGRAMS:-200000}" -s "$seed"
