/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "lib/number.h"
#include "vm/config.h"

static const struct {
    const char *text;
    bool ok;
    uint64_t bytes;
} sizes[] = {
    { "0", true, 0 },
    { "4096", true, 4096 },
    { "0x10", true, 16 },
    { "512M", true, 512ull << 20 },
    { "2g", true, 2ull << 30 },
    { "1T", true, 1ull << 40 },
    { "16777215T", true, 16777215ull << 40 },
    { "16777216T", false, 0 },
    { "99999999999999999999", false, 0 },
    { "", false, 0 },
    { "M", false, 0 },
    { "1MB", false, 0 },
    { "-1", false, 0 },
    { " 1", false, 0 },
    { "1 ", false, 0 },
    { "0x", false, 0 },
    { "1.5G", false, 0 },
};

TEST_P(sizes_are_read, sizes)
{
    uint64_t bytes = 0;

    CHECK_EQ(number_parse_size(row->text, &bytes), row->ok);
    if (row->ok)
        CHECK_EQ(bytes, row->bytes);
}

static const struct {
    const char *key, *value;
    const char *says; /* part of the error; NULL: it is fine */
} keys[] = {
    { "memory", "512M", NULL },
    { "memory", "0", "1M to 1T" },
    { "memory", "2T", "1M to 1T" },
    { "memory", "1048577", "4K" },
    { "memory", "lots", "no size" },
    { "cpus", "64", NULL },
    { "cpus", "0", "1 to 64" },
    { "cpus", "65", "1 to 64" },
    { "cpus", "two", "1 to 64" },
    { "boot", "cd", NULL },
    { "boot", "disk,cd", NULL },
    { "boot", "acd", NULL },
    { "boot", "tape", "order" },
    { "boot", "", "order" },
    { "rtc-base", "2024-02-29T12:00:00Z", NULL },
    { "rtc-base", "2024-02-29T12:00:00", NULL },
    { "rtc-base", "yesterday", "no time" },
    { "disk", "a.img,snapshot=on,readonly=off", NULL },
    { "disk", "a.img,snapshot=maybe", "'maybe'" },
    { "disk", "a.img,colour=red", "'colour=red'" },
    { "disk", "", "file is missing" },
    { "disk", "a.img,bus=scsi,controller=3,lun=63,block=4096", NULL },
    { "disk", "a.img,readonly", NULL },
    { "disk", "a.img,bus=usb", "'usb'" },
    { "disk", "a.img,controller=4", "'4'" },
    { "disk", "a.img,lun=64", "'64'" },
    { "disk", "a.img,bus=ide,lun=1", "'1'" },
    { "disk", "a.img,block=1024", "'1024'" },
    { "disk", "a.img,bus=scsi,vmbus=off", "'off'" },
    { "disk", "a.img,vmbus=on", NULL },
    { "cdrom", "a.iso,lun=7", NULL },
    { "cdrom", "a.iso,block=4096", "block size" },
    { "floppy", "a.img,bus=scsi", "bus of its own" },
    { "cdrom", "", NULL },
    { "headless", "on", NULL },
    { "headless", "perhaps", "on or off" },
    { "headless", NULL, NULL },
    { "memory", NULL, "needs a value" },
    { "nic", "user,hostfwd=tcp::2222-:22", NULL },
    { "nic", "none,mac=02:00:00:00:00:01", NULL },
    { "nic", "user,colour=red", "no option" },
    { "nic", "", "no network" },
    { "nic", NULL, "needs a value" },
    { "device", "i8254,irq=0", NULL },
    { "device", "", "missing" },
    { "no-such-key", "1", "'no-such-key'" },
};

TEST_P(keys_take_what_they_should, keys)
{
    struct vm_config *c = config_new();
    GError *error = NULL;

    CHECK_EQ(config_set(c, row->key, row->value, &error), row->says == NULL);
    CHECK_EQ(error != NULL, row->says != NULL);
    if (error && !strstr(error->message, row->says))
        FAIL("it says: %s", error->message);
    g_clear_error(&error);
    config_free(c);
}

static const struct {
    const char *value, *letters;
} boots[] = {
    { "cd", "d" },     { "cdrom,disk", "dc" }, { "dca", "dca" },
    { "floppy", "a" }, { "c,d", "cd" },
};

TEST_P(boot_order_is_words_or_letters, boots)
{
    struct vm_config *c = config_new();

    CHECK(config_set(c, "boot", row->value, NULL));
    CHECK_STR_EQ(c->boot, row->letters);
    config_free(c);
}

TEST(eight_adapters_and_no_more)
{
    struct vm_config *c = config_new();
    GError *error = NULL;

    for (unsigned i = 0; i < 8; i++)
        CHECK(config_set(c, "nic", "none", NULL));
    CHECK(!config_set(c, "nic", "none", &error));
    CHECK(strstr(error->message, "at most 8"));
    g_error_free(error);
    config_free(c);
}

TEST(deterministic_machines_have_no_network)
{
    struct vm_config *c = config_new();
    GError *error = NULL;

    CHECK(config_set(c, "deterministic", NULL, NULL));
    CHECK(config_set(c, "nic", "none", NULL));
    CHECK(config_check(c, NULL));
    CHECK(config_set(c, "nic", "user", NULL));
    CHECK(!config_check(c, &error));
    CHECK(strstr(error->message, "deterministic"));
    g_error_free(error);
    config_free(c);
}

TEST(drive_options_are_split_at_commas_but_not_at_two)
{
    struct vm_config *c = config_new();

    CHECK(config_set(c, "disk", "a,,b.img,snapshot=on", NULL));
    const struct config_drive *d = c->drives->pdata[0];
    CHECK_STR_EQ(d->path, "a,b.img");
    CHECK(d->snapshot && !d->readonly);
    config_free(c);
}

static char *write_file(const char *text)
{
    char *path = g_build_filename(test_tmp_dir(), "vm.conf", NULL);

    CHECK(g_file_set_contents(path, text, -1, NULL));
    return path;
}

TEST(a_file_is_read_with_paths_beside_it)
{
    char *path = write_file("# a comment\n"
                            "name = demo\n"
                            "  memory=64M\n"
                            "disk = a.img\n"
                            "cdrom = /b.iso\n"
                            "firmware = seabios\n"
                            "append = a=b c\n"
                            "\n"
                            "[device second]\n"
                            "type = ns16550\n"
                            "port = 0x2f8\n"
                            "[machine]\n"
                            "cpus = 2\n");
    struct vm_config *c = config_new();
    char *folder = g_path_get_dirname(path);
    char *image = g_build_filename(folder, "a.img", NULL);

    CHECK(config_read_file(c, path, NULL));
    CHECK_STR_EQ(c->name, "demo");
    CHECK_EQ(c->memory, 64 << 20);
    CHECK_EQ(c->cpus, 2);
    const struct config_drive *d = c->drives->pdata[0];
    CHECK_STR_EQ(d->path, image);
    d = c->drives->pdata[1];
    CHECK_STR_EQ(d->path, "/b.iso");
    CHECK_STR_EQ(c->firmware, "seabios");
    CHECK_STR_EQ(c->append, "a=b c");
    const struct config_device *dev = c->devices->pdata[0];
    CHECK_STR_EQ(dev->name, "second");
    CHECK_STR_EQ(dev->type, "ns16550");
    CHECK_STR_EQ((const char *)dev->settings->pdata[0], "port=0x2f8");
    g_free(folder);
    g_free(image);
    g_free(path);
    config_free(c);
}

static const struct {
    const char *text, *says;
} wrong[] = {
    { "name = x\nnonsense\n", "line 2: a line is key = value" },
    { "\ncolour = red\n", "line 2: there is no key 'colour'" },
    { "[disk\n", "line 1: a section is" },
    { "[gadget x]\n", "line 1: a section is" },
    { "memory = 1\n", "line 1: memory '1'" },
};

TEST_P(a_wrong_line_is_named, wrong)
{
    char *path = write_file(row->text);
    struct vm_config *c = config_new();
    GError *error = NULL;

    CHECK(!config_read_file(c, path, &error));
    if (!strstr(error->message, row->says))
        FAIL("it says: %s", error->message);
    g_error_free(error);
    g_free(path);
    config_free(c);
}

TEST(too_many_drives_are_refused)
{
    struct vm_config *c = config_new();
    GError *error = NULL;

    for (int i = 0; i < 5; i++)
        CHECK(config_set(c, "disk", "a.img", NULL));
    CHECK(!config_check(c, &error));
    CHECK(strstr(error->message, "at most 4"));
    g_error_free(error);
    config_free(c);
}

TEST(what_a_guest_sees_is_in_the_fingerprint)
{
    struct vm_config *a = config_new(), *b = config_new();

    config_set(a, "disk", "x.img", NULL);
    config_set(b, "disk", "y.img", NULL);
    char *one = config_fingerprint(a), *two = config_fingerprint(b);
    CHECK_STR_EQ(one, two);
    g_free(two);
    config_set(b, "memory", "64M", NULL);
    two = config_fingerprint(b);
    CHECK(strcmp(one, two) != 0);
    g_free(one);
    g_free(two);
    config_free(a);
    config_free(b);
}

/* --- drives ---------------------------------------------------------------*/

static const struct {
    const char *name, *generation, *disk, *hv, *error;
} drives[] = {
    { "SCSI on Generation 1", "1", "a.img,bus=scsi", "on", NULL },
    { "IDE on Generation 2", "2", "a.img,bus=ide", "on", "no IDE controller" },
    { "SCSI without Hyper-V", "1", "a.img,lun=1", "off", "Hyper-V" },
    { "large blocks on IDE", "1", "a.img,block=4096", "on", "512 bytes" },
    { "large blocks on SCSI", "2", "a.img,block=4096", "on", NULL },
};

TEST_P(drive_fits_its_machine, drives)
{
    struct vm_config *c = config_new();
    GError *error = NULL;

    CHECK(config_set(c, "gen", row->generation, NULL));
    CHECK(config_set(c, "kernel", "vmlinuz", NULL));
    CHECK(config_set(c, "hv", row->hv, NULL));
    CHECK(config_set(c, "disk", row->disk, NULL));
    CHECK_EQ(config_check(c, &error), row->error == NULL);
    if (row->error && !strstr(error->message, row->error))
        FAIL("the message is: %s", error->message);
    g_clear_error(&error);
    config_free(c);
}

TEST(ide_has_four_places_and_scsi_more)
{
    struct vm_config *c = config_new();

    for (unsigned i = 0; i < 20; i++)
        CHECK(config_set(c, "disk", "a.img,bus=scsi", NULL));
    for (unsigned i = 0; i < 4; i++)
        CHECK(config_set(c, "disk", "a.img", NULL));
    CHECK(config_check(c, NULL));
    CHECK(config_set(c, "cdrom", "", NULL));
    CHECK(!config_check(c, NULL));
    config_free(c);
}

/* SCSI disks come and go between saving and restoring; IDE ones do not. */
TEST(fingerprint_leaves_scsi_disks_out)
{
    struct vm_config *a = config_new(), *b = config_new();

    config_set(a, "disk", "x.img", NULL);
    config_set(b, "disk", "x.img", NULL);
    config_set(b, "disk", "y.img,bus=scsi", NULL);
    g_autofree char *one = config_fingerprint(a);
    g_autofree char *other = config_fingerprint(b);
    CHECK_STR_EQ(one, other);
    config_set(b, "disk", "z.img", NULL);
    g_autofree char *third = config_fingerprint(b);
    CHECK(strcmp(one, third) != 0);
    config_free(a);
    config_free(b);
}

TEST(disk_of_options)
{
    struct vm_config *c = config_new();
    const struct config_drive *d;

    c->generation = 2;
    CHECK(config_disk(c, "/a,b/c.img", "lun=9,readonly", NULL));
    d = c->drives->pdata[0];
    CHECK_STR_EQ(d->path, "/a,b/c.img");
    CHECK_EQ(d->lun, 9);
    CHECK_EQ(d->controller, -1);
    CHECK(d->readonly);
    CHECK(!config_disk(c, "c.img", "bus=ide", NULL));
    CHECK(config_disk(c, "c.img", "", NULL));
    config_free(c);
}
