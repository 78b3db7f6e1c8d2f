/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/dev/ic_guest.h"

#define BYTES 20000u
#define NAME  (HEAD + 36u)
#define PATH  (NAME + 520u)
#define FLAGS (PATH + 520u)
#define SIZE  (FLAGS + 4u)
#define OFF   (HEAD + 40u)
#define LEN   (OFF + 8u)
#define DATA  (LEN + 4u)

static char *source; /* "source=/..." */
static uint8_t content[BYTES], copied[BYTES];

static const char *path(void)
{
    return source + strlen("source=");
}

static void setup(void)
{
    for (unsigned i = 0; i < BYTES; i++)
        content[i] = (uint8_t)(i * 7 + i / 256);
    source = g_strdup_printf("source=%s/file", test_tmp_dir());
    CHECK(g_file_set_contents(path(), (char *)content, BYTES, NULL));
    negotiate("ic-fcopy", 1, 1);
}

static void expect(uint32_t operation)
{
    CHECK(take());
    CHECK_EQ(get16(8 + 4), 7);
    CHECK_EQ(get32(HEAD), operation);
}

static void check_answer(struct bench_call *c, const char *text)
{
    CHECK_STR_EQ(bench_answer(c), text);
    bench_call_free(c);
}

TEST(copies_a_file)
{
    unsigned events = 0;
    char *event;

    setup();
    struct bench_call *c =
        bench_call(b, "copy-file", source, "destination=/tmp/d/name",
                   "overwrite", NULL);
    expect(0);
    check_text(NAME, "name");
    check_text(PATH, "/tmp/d/");
    CHECK_EQ(get32(FLAGS), 1);
    CHECK_EQ(get64(SIZE), BYTES);
    answer(0);
    for (uint32_t at = 0; at < BYTES; at += 6144) {
        expect(1);
        CHECK_EQ(got_bytes, DATA + 6144);
        CHECK_EQ(get64(OFF), at);
        CHECK_EQ(get32(LEN), MIN(BYTES - at, 6144));
        memcpy(copied + at, got + DATA, get32(LEN));
        answer(0);
    }
    expect(2);
    CHECK(!bench_answer(c));
    answer(0);
    check_answer(c, "{\"bytes\":20000}");
    CHECK_MEM_EQ(copied, content, BYTES);
    while ((event = bench_event(b))) {
        CHECK(g_str_has_prefix(event, "FILE_COPY {"));
        g_free(event);
        events++;
    }
    CHECK_EQ(events, 4);
    bench_destroy(b);
}

TEST(an_empty_file)
{
    setup();
    CHECK(g_file_set_contents(path(), "", 0, NULL));
    struct bench_call *c =
        bench_call(b, "copy-file", source, "destination=/n", "create", NULL);
    expect(0);
    check_text(PATH, "/");
    CHECK_EQ(get32(FLAGS), 2);
    answer(0);
    expect(2);
    answer(0);
    check_answer(c, "{\"bytes\":0}");
    bench_destroy(b);
}

static const struct {
    uint32_t status;
    const char *error;
} failures[] = {
    { 0x80070050, "error: it exists already in the guest" },
    { 0x80004005, "error: the guest failed to do it" },
};

TEST_P(the_guest_may_refuse, failures)
{
    setup();
    struct bench_call *c =
        bench_call(b, "copy-file", source, "destination=/n", NULL);
    expect(0);
    answer(row->status);
    check_answer(c, row->error);
    CHECK(!take());
    bench_destroy(b);
}

TEST(a_full_disk_ends_it)
{
    setup();
    struct bench_call *c =
        bench_call(b, "copy-file", source, "destination=/n", NULL);
    expect(0);
    answer(0);
    expect(1);
    answer(0x80070070);
    expect(3);
    CHECK(!bench_answer(c));
    answer(0);
    check_answer(c, "error: the guest's disk is full");
    bench_destroy(b);
}

TEST(a_file_that_shrinks)
{
    setup();
    struct bench_call *c =
        bench_call(b, "copy-file", source, "destination=/n", NULL);
    expect(0);
    CHECK_EQ(truncate(path(), 6144), 0);
    answer(0);
    expect(1);
    answer(0);
    expect(3);
    answer(0);
    check_answer(c, "error: the file became shorter meanwhile");
    bench_destroy(b);
}

TEST(cancelled_by_command_or_client)
{
    setup();
    struct bench_call *c =
        bench_call(b, "copy-file", source, "destination=/n", NULL);
    check_answer(bench_call(b, "copy-file-cancel", NULL), "{}");
    check_answer(c, "error: the copy was cancelled");
    expect(0);
    answer(0);
    expect(3);
    answer(0);
    check_answer(bench_call(b, "copy-file-cancel", NULL),
                 "error: no file is being copied");
    c = bench_call(b, "copy-file", source, "destination=/n", NULL);
    expect(0);
    answer(0);
    expect(1);
    bench_call_free(c);
    answer(0);
    expect(3);
    answer(0);
    CHECK(!take());
    bench_destroy(b);
}

TEST(a_restored_machine_gives_it_up)
{
    setup();
    struct bench_call *c =
        bench_call(b, "copy-file", source, "destination=/n", NULL);
    expect(0);
    answer(0);
    expect(1);
    bench_save_load(b);
    check_answer(c, "error: the device is gone");
    answer(0);
    expect(3);
    answer(0);
    c = bench_call(b, "copy-file", source, "destination=/n", NULL);
    expect(0);
    bench_call_free(c);
    bench_destroy(b);
}

static const struct {
    const char *source, *destination, *error;
} wrong[] = {
    { "source=/dev/null", "destination=/n", "error: that is no regular file" },
    { "source=/tmp", "destination=/n", "error: that is no regular file" },
    { "source=/nonexistent/x", "destination=/n",
      "error: there is no such file" },
    { "source=/etc/passwd", "destination=n",
      "error: the destination is no absolute path of a file" },
    { "source=/etc/passwd", "destination=/tmp/",
      "error: the destination is no absolute path of a file" },
};

TEST_P(refuses, wrong)
{
    setup();
    check_answer(bench_call(b, "copy-file", row->source, row->destination,
                            NULL),
                 row->error);
    CHECK(!take());
    bench_destroy(b);
}
