/* SPDX-License-Identifier: Apache-2.0 */
/* In place of the window in a program that was built without SDL. */
#include "ui/sdl/console.h"

#include <stdio.h>

int console_main(int argc, char **argv)
{
    fprintf(stderr, "backplane: this program was built without SDL2, which "
                    "the console window needs\n");
    return 1;
}
