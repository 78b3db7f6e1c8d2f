# SPDX-License-Identifier: Apache-2.0
core-y += $(addprefix core/block/,drive.o file.o open.o overlay.o pool.o raw.o)
