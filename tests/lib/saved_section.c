/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/saved_section.h"

#include <string.h>

#include "state/stream.h"
#include "tests/lib/test.h"

#define FILE_HEAD    12u
#define SECTION_HEAD 24u

static size_t name_length(const struct saved_section *s)
{
    return (size_t)state_load_uint(s->head + 4, 4);
}

bool saved_section_next(struct saved_section *s, uint8_t *data, size_t bytes)
{
    uint8_t *head = s->head ? s->content + s->length : data + FILE_HEAD;

    if ((size_t)(head - data) + SECTION_HEAD > bytes)
        return false;
    s->head = head;
    s->content = head + SECTION_HEAD + name_length(s);
    s->length = (size_t)state_load_uint(head + 8, 8);
    return true;
}

struct saved_section saved_section_of(uint8_t *data, size_t bytes,
                                      const char *device)
{
    struct saved_section s = { NULL, NULL, 0 };
    size_t n = strlen(device);

    while (saved_section_next(&s, data, bytes)) {
        if (name_length(&s) >= n && !memcmp(s.content - n, device, n))
            return s;
    }
    FAIL("nothing is saved of %s", device);
}

void saved_section_seal(const struct saved_section *s)
{
    state_store_uint(s->head + 20, 4,
                     state_crc32(0, s->head + SECTION_HEAD,
                                 name_length(s) + s->length));
}
