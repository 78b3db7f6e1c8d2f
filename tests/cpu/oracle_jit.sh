#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rows as translated code against the host: as the translator usually
# does them, and with exact flags and counts.
set -eu

"$B/tests/cpu/oracle" -j -n "${STATES:-200}"
"$B/tests/cpu/oracle" -J -n "${STATES:-60}" -s 2
