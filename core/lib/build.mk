# SPDX-License-Identifier: Apache-2.0
core-y += core/lib/log.o core/lib/number.o core/lib/unix_socket.o
