/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen-x86 X86.DEF FEATURES.H FOLDER    writes all generated files
 * gen-x86 --list X86.DEF FEATURES.H    prints one line a row: where it is,
 *                                      its encoding, what tests it
 */
#include "tools/gen-x86.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static FILE *create(const char *folder, const char *name)
{
    char path[1024];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "gen-x86: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    return f;
}

static bool finish(FILE *f, bool ok)
{
    bool bad = ferror(f);

    if (fclose(f) != 0 || bad) {
        perror("gen-x86: write");
        return false;
    }
    return ok;
}

typedef void generator(const struct row *rows, unsigned n, FILE *out);

static bool generate(const struct table *t, const char *folder,
                     const char *name, generator *gen)
{
    FILE *f = create(folder, name);

    gen(t->rows, t->count, f);
    return finish(f, true);
}

static int write_all(const struct table *t, const char *folder)
{
    FILE *f = create(folder, "decode_tables.c");
    bool ok = finish(f, gen_decode(t->rows, t->count, f));

    ok = ok && generate(t, folder, "rows.c", gen_rows) &&
         generate(t, folder, "handlers.h", gen_handlers_h) &&
         generate(t, folder, "handlers.c", gen_handlers_c) &&
         generate(t, folder, "vec.S", gen_vec);
    return ok ? 0 : 1;
}

static int list(const struct table *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        const struct row *r = &t->rows[i];
        const char *file = strrchr(r->file, '/');

        printf("%-12s %4u %-24s %-12s %-20s %s\n", file ? file + 1 : r->file,
               r->line, r->enc, r->mnemonic, r->operands,
               r->notest               ? r->notest
               : r->attrs & X86_A_USER ? "user"
                                       : "system");
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct table t = { 0 };

    if (argc != 4) {
        fputs("usage: gen-x86 X86.DEF FEATURES.H FOLDER\n"
              "       gen-x86 --list X86.DEF FEATURES.H\n",
              stderr);
        return 2;
    }
    if (strcmp(argv[1], "--list") == 0)
        return table_read(&t, argv[2], argv[3]) ? list(&t) : 1;
    return table_read(&t, argv[1], argv[2]) ? write_all(&t, argv[3]) : 1;
}
