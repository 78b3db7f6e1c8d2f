/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/firmware.h"

#include <string.h>

#include "vm/vm.h"

static void item_free(gpointer p)
{
    struct firmware_item *item = p;

    g_free(item->name);
    g_bytes_unref(item->data);
    g_free(item);
}

static struct firmware_item *find(struct vm *vm, uint32_t key, const char *name)
{
    for (guint i = 0; vm->firmware && i < vm->firmware->len; i++) {
        struct firmware_item *item = vm->firmware->pdata[i];
        if (item->key == key && strcmp(item->name, name) == 0)
            return item;
    }
    return NULL;
}

void firmware_add_bytes(struct vm *vm, uint32_t key, const char *name,
                        GBytes *data)
{
    struct firmware_item *item = find(vm, key, name ? name : "");

    if (item) {
        g_bytes_unref(item->data);
        item->data = data;
        return;
    }
    if (!vm->firmware)
        vm->firmware = g_ptr_array_new_with_free_func(item_free);
    item = g_new0(struct firmware_item, 1);
    item->key = key;
    item->name = g_strdup(name ? name : "");
    item->data = data;
    g_ptr_array_add(vm->firmware, item);
}

void firmware_add_item(struct vm *vm, uint32_t key, const char *name,
                       const void *data, size_t bytes)
{
    firmware_add_bytes(vm, key, name, g_bytes_new(data, bytes));
}

void firmware_free_items(struct vm *vm)
{
    if (vm->firmware)
        g_ptr_array_free(vm->firmware, TRUE);
    vm->firmware = NULL;
}
