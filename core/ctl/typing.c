/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/typing.h"

#include <glib.h>

#include "input/input.h"
#include "vm/vm.h"

#define INTERVAL_MS 25u
#define MAX_STEPS   16384u
#define LEFT_SHIFT  0xe1u

struct step {
    uint8_t usage;
    bool down;
    bool pause; /* the next step comes a moment later */
};

struct typing {
    struct vm *vm;
    GArray *steps;
    guint next;
    guint source;
};

static gboolean tick(gpointer opaque)
{
    struct typing *t = opaque;
    bool pause = false;

    while (t->next < t->steps->len && !pause) {
        const struct step *s = &g_array_index(t->steps, struct step, t->next++);
        inputs_key(t->vm->inputs, s->usage, s->down);
        pause = s->pause;
    }
    if (t->next < t->steps->len)
        return G_SOURCE_CONTINUE;
    g_array_set_size(t->steps, 0);
    t->next = 0;
    t->source = 0;
    return G_SOURCE_REMOVE;
}

static void push(struct typing *t, uint32_t usage, bool down, bool pause)
{
    struct step s = { (uint8_t)usage, down, pause };

    g_array_append_val(t->steps, s);
}

static struct typing *typing_of(struct vm *vm)
{
    if (!vm->typing) {
        vm->typing = g_new0(struct typing, 1);
        vm->typing->vm = vm;
        vm->typing->steps = g_array_new(FALSE, FALSE, sizeof(struct step));
    }
    return vm->typing;
}

/* The first step goes at once when nothing is under way. */
static void begin(struct typing *t)
{
    if (!t->source && tick(t))
        t->source = g_timeout_add(INTERVAL_MS, tick, t);
}

bool typing_press(struct vm *vm, const uint32_t *usages, unsigned n)
{
    struct typing *t = typing_of(vm);

    if (t->steps->len + 2 * n > MAX_STEPS)
        return false;
    for (unsigned i = 0; i < n; i++)
        push(t, usages[i], true, i + 1 == n);
    for (unsigned i = n; i > 0; i--)
        push(t, usages[i - 1], false, i == 1);
    begin(t);
    return true;
}

bool typing_text(struct vm *vm, const char *text)
{
    struct typing *t = typing_of(vm);
    uint32_t usage;
    bool shift;

    for (; *text; text++) {
        if (t->steps->len + 4 > MAX_STEPS)
            return false;
        if (!keys_for_char(*text, &usage, &shift))
            continue;
        if (shift)
            push(t, LEFT_SHIFT, true, false);
        push(t, usage, true, false);
        push(t, usage, false, !shift);
        if (shift)
            push(t, LEFT_SHIFT, false, true);
    }
    begin(t);
    return true;
}

void typing_stop(struct vm *vm)
{
    struct typing *t = vm->typing;

    if (!t)
        return;
    if (t->source)
        g_source_remove(t->source);
    g_array_free(t->steps, TRUE);
    g_free(t);
    vm->typing = NULL;
}
