/* SPDX-License-Identifier: Apache-2.0 */
#include "display/console_proto.h"

#include <string.h>

static bool pointer_valid(const struct console_pointer *p, size_t bytes)
{
    if (bytes < sizeof *p || p->width > CONSOLE_MAX_POINTER ||
        p->height > CONSOLE_MAX_POINTER)
        return false;
    return bytes == sizeof *p + (size_t)p->width * p->height * 4;
}

static bool hello_valid(const struct console_hello *h, size_t bytes)
{
    return bytes == sizeof *h && memchr(h->title, 0, sizeof h->title);
}

static bool from_machine_valid(const void *message, uint32_t type, size_t bytes)
{
    switch (type) {
    case CONSOLE_HELLO: return hello_valid(message, bytes);
    case CONSOLE_SURFACE: return bytes == sizeof(struct console_surface);
    case CONSOLE_FRAME:
        return bytes == sizeof(struct console_frame) &&
               ((const struct console_frame *)message)->changed.count <=
                   REGION_MAX;
    case CONSOLE_POINTER: return pointer_valid(message, bytes);
    case CONSOLE_POINTER_AT: return bytes == sizeof(struct console_pointer_at);
    case CONSOLE_STATE: return bytes == sizeof(struct console_state);
    default: return false;
    }
}

static bool from_ui_valid(const void *message, uint32_t type, size_t bytes)
{
    switch (type) {
    case CONSOLE_UI_HELLO: return hello_valid(message, bytes);
    case CONSOLE_KEY: return bytes == sizeof(struct console_key);
    case CONSOLE_MOTION: return bytes == sizeof(struct console_motion);
    case CONSOLE_POSITION: return bytes == sizeof(struct console_position);
    case CONSOLE_SIZE: return bytes == sizeof(struct console_size);
    case CONSOLE_VISIBLE: return bytes == sizeof(struct console_visible);
    case CONSOLE_SHOWN: return bytes == sizeof(struct console_shown);
    case CONSOLE_ACTION: return bytes == sizeof(struct console_action);
    case CONSOLE_RELEASE_ALL:
    case CONSOLE_CLOSE: return bytes == sizeof(struct console_head);
    default: return false;
    }
}

bool console_message_valid(const void *message, size_t bytes, bool from_ui)
{
    const struct console_head *head = message;

    if (bytes < sizeof *head || head->size != bytes)
        return false;
    return from_ui ? from_ui_valid(message, head->type, bytes)
                   : from_machine_valid(message, head->type, bytes);
}
