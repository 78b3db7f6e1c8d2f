# SPDX-License-Identifier: Apache-2.0
# Each folder below has its own list; core/main.o is the program's main().
include $(wildcard $(S)/core/*/build.mk $(S)/core/*/*/build.mk)
