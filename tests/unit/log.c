/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/test.h"

#include <glib.h>
#include <string.h>

#include "lib/log.h"

static char *path;

static void set_up(void)
{
    path = g_strdup_printf("%s/log", test_tmp_dir());
    CHECK_EQ(log_set_file(path), 0);
}

static char *written(void)
{
    char *text = NULL;

    CHECK(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

TEST(a_line_has_level_and_area)
{
    char *text;

    set_up();
    log_info("vm", "machine '%s' starts", "demo");
    log_debug("vm", "not wanted");
    log_error("vhdx", "bad");
    text = written();
    CHECK_STR_EQ(text, "info: vm: machine 'demo' starts\nerror: vhdx: bad\n");
    g_free(text);
}

TEST(text_of_a_guest_cannot_steer_the_terminal)
{
    char *text;

    set_up();
    log_warn("fw", "%s", "a\n\033[2Jb\177");
    text = written();
    CHECK_STR_EQ(text, "warning: fw: a??[2Jb?\n");
    g_free(text);
}

TEST(a_place_that_repeats_itself_is_held_back)
{
    char *text;
    unsigned lines = 0;

    set_up();
    for (unsigned i = 0; i < 1000; i++)
        log_warn("pio", "again");
    log_warn("pio", "another place");
    text = written();
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    CHECK_EQ(lines, LOG_BURST + 1);
    CHECK(strstr(text, "another place"));
    g_free(text);
}

TEST(what_was_held_back_is_counted)
{
    struct log_limit limit = { 0 };
    uint32_t held = 9;

    for (unsigned i = 0; i < LOG_BURST + 5; i++)
        CHECK_EQ(log_limit_pass(&limit, &held), i < LOG_BURST);
    CHECK_EQ(limit.total, LOG_BURST + 5);
    limit.period_start -= LOG_PERIOD_NS;
    CHECK(log_limit_pass(&limit, &held));
    CHECK_EQ(held, 5);
    CHECK(log_limit_pass(&limit, &held));
    CHECK_EQ(held, 0);
}

TEST(a_file_that_cannot_be_is_an_error)
{
    CHECK_LT(log_set_file("/nonexistent/log"), 0);
}
