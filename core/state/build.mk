# SPDX-License-Identifier: Apache-2.0
core-y += core/state/field.o core/state/stream.o
