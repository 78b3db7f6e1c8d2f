#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rows as translated code against the host: as the translator usually
# does them, and with exact flags and counts.
# timeout: 900
set -eu
"$B/tests/cpu/oracle" -j -n "${STATES:-100}"
"$B/tests/cpu/oracle" -J -n "${STATES:-30}" -s 2
