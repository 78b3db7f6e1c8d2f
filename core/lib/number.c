/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/number.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

static bool parse(const char *text, uint64_t *value, const char **end)
{
    unsigned base = 10;
    char *stop;

    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    if (!(base == 16 ? g_ascii_isxdigit(*text) : g_ascii_isdigit(*text)))
        return false;
    errno = 0;
    *value = g_ascii_strtoull(text, &stop, base);
    *end = stop;
    return errno == 0;
}

bool number_parse(const char *text, uint64_t *value)
{
    const char *end;

    return parse(text, value, &end) && !*end;
}

bool number_parse_size(const char *text, uint64_t *bytes)
{
    static const char suffixes[] = "KMGT";
    const char *end;
    uint64_t value;

    if (!parse(text, &value, &end))
        return false;
    if (*end) {
        const char *s = strchr(suffixes, g_ascii_toupper(*end));
        if (!s || end[1])
            return false;
        unsigned shift = 10 * (unsigned)(s - suffixes + 1);
        if (value > UINT64_MAX >> shift)
            return false;
        value <<= shift;
    }
    *bytes = value;
    return true;
}

bool number_parse_bool(const char *text, bool *value)
{
    static const char *const words[][2] = {
        { "off", "on" },
        { "no", "yes" },
        { "false", "true" },
        { "0", "1" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        for (unsigned v = 0; v < 2; v++) {
            if (strcmp(text, words[i][v]) == 0) {
                *value = v;
                return true;
            }
        }
    }
    return false;
}

char *number_format_size(uint64_t bytes)
{
    static const char *const suffixes[] = { "", "K", "M", "G", "T" };
    unsigned i = 0;

    while (bytes && bytes % 1024 == 0 && i + 1 < G_N_ELEMENTS(suffixes)) {
        bytes /= 1024;
        i++;
    }
    return g_strdup_printf("%" PRIu64 "%s", bytes, suffixes[i]);
}
