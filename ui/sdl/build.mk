# SPDX-License-Identifier: Apache-2.0
ifeq ($(CONFIG_SDL),y)
core-y += $(addprefix ui/sdl/,hands.o link.o picture.o window.o)
else
core-y += ui/sdl/absent.o
endif
