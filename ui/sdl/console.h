/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UI_SDL_CONSOLE_H
#define UI_SDL_CONSOLE_H

/* `backplane console ...`; argv[0] is "console".  Returns the exit status. */
int console_main(int argc, char **argv);

#endif
