# SPDX-License-Identifier: Apache-2.0
# The link needs no SDL, and the tests of the protocol use it.
core-y += ui/sdl/link.o
ifeq ($(CONFIG_SDL),y)
core-y += $(addprefix ui/sdl/,hands.o picture.o window.o)
else
core-y += ui/sdl/absent.o
endif
