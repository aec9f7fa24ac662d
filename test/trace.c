/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the reader of traces and of the archive: each kind of bad input
 * gives its message, with the line it is in, and good ones are understood.
 * What replay makes of a trace is tested where there is a heap (replay.c).
 */
#include "../kernel/kernel.h"

#include "test.h"

#define IDS_MAX 64u

struct reading {
    struct trace trace;
    enum trace_step end; /* TRACE_END or TRACE_BAD */
    struct trace_op last;
};

static void read_bytes(struct reading *reading, const char *text, size_t bytes)
{
    static uint32_t live[IDS_MAX / 32];
    struct trace_op op;

    *reading = (struct reading){.end = TRACE_BAD};
    if (!trace_open(&reading->trace, text, bytes))
        return;
    if (!CHECK(reading->trace.ids <= IDS_MAX))
        return;
    trace_begin(&reading->trace, live);
    while ((reading->end = trace_next(&reading->trace, &op)) == TRACE_OP)
        reading->last = op;
}

static void read_text(struct reading *reading, const char *text)
{
    read_bytes(reading, text, text_length(text));
}

/* The text must be refused with this very reason. */
static bool is_refused(const char *text, const char *reason)
{
    struct reading reading;

    read_text(&reading, text);
    if (reading.end == TRACE_BAD && text_equal(reading.trace.reason, reason))
        return true;
    test_note("got '%s', wanted '%s'",
        reading.end == TRACE_BAD ? reading.trace.reason : "no complaint",
        reason);
    return false;
}

TEST(a_good_trace_is_read_to_its_end)
{
    struct reading reading;

    read_text(&reading, "0\n3\n6\n1\n"
                        "a 0 512\na 2 0\nr 1 7\nf 0\nf -1\nr 1 4294967295\n");
    CHECK_EQ(reading.end, TRACE_END);
    CHECK_EQ(reading.trace.ids, 3);
    CHECK_EQ(reading.trace.promised, 6);
    CHECK_EQ(reading.trace.ops, 6);
    CHECK_EQ(reading.trace.extra_line, 0);
    CHECK_EQ(reading.last.verb, TRACE_REALLOC);
    CHECK_EQ(reading.last.id, 1);
    CHECK_EQ(reading.last.size, 4294967295u);
    CHECK(reading.last.known);
}

TEST(realloc_of_an_unknown_id_is_known_as_such)
{
    struct reading reading;

    read_text(&reading, "0 1 3 1\na 0 1\nf 0\nr 0 9\n");
    CHECK_EQ(reading.end, TRACE_END);
    CHECK_EQ(reading.last.verb, TRACE_REALLOC);
    CHECK(!reading.last.known);
}

TEST(blank_lines_blanks_and_carriage_returns_do_not_matter)
{
    struct reading reading;

    read_text(&reading, "\r\n0\r\n 1\t\n\n2\r\n1\r\n\r\n  a  0\t8 \r\nf 0");
    CHECK_EQ(reading.end, TRACE_END);
    CHECK_EQ(reading.trace.ops, 2);
}

TEST(more_operations_than_promised_are_read_and_told)
{
    struct reading reading;

    read_text(&reading, "0\n1\n1\n1\na 0 8\nf 0\na 0 9\n");
    CHECK_EQ(reading.end, TRACE_END);
    CHECK_EQ(reading.trace.ops, 3);
    CHECK_EQ(reading.trace.extra_line, 6);
}

TEST(a_trace_without_operations_is_good)
{
    struct reading reading;

    read_text(&reading, "0\n0\n0\n0\n");
    CHECK_EQ(reading.end, TRACE_END);
    CHECK_EQ(reading.trace.ops, 0);
}

TEST(an_empty_file_is_refused)
{
    CHECK(is_refused("", "line 1: the file is empty"));
    CHECK(is_refused("\n \r\n\n", "line 1: the file is empty"));
}

TEST(a_bad_header_is_refused)
{
    CHECK(is_refused("0\n1\n",
        "line 3: number 3 of the 4 in the header is missing or no number"));
    CHECK(is_refused("0\nx\n1\n1\n",
        "line 2: number 2 of the 4 in the header is missing or no number"));
    CHECK(is_refused("0\n1\n-3\n1\n",
        "line 3: number 3 of the 4 in the header is missing or no number"));
    CHECK(is_refused("a 0 8\nf 0\n",
        "line 1: number 1 of the 4 in the header is missing or no number"));
}

TEST(an_id_out_of_range_is_refused)
{
    CHECK(is_refused("0\n2\n1\n1\na 2 8\n",
        "line 5: id 2 is out of range, the header says 2 ids"));
    CHECK(is_refused("0\n2\n1\n1\na -1 8\n",
        "line 5: id -1 is out of range, the header says 2 ids"));
    CHECK(is_refused("0\n2\n1\n1\nr -1 8\n",
        "line 5: id -1 is out of range, the header says 2 ids"));
    CHECK(is_refused("0\n2\n1\n1\nf -2\n",
        "line 5: id -2 is out of range, the header says 2 ids"));
    CHECK(is_refused("0\n2\n2\n1\nf -1\na x 8\n", "line 6: an id is missing"));
    CHECK(is_refused("0\n2\n1\n1\nf\n", "line 5: an id is missing"));
}

TEST(allocating_a_live_id_is_refused)
{
    CHECK(is_refused("0\n2\n2\n1\na 0 8\na 0 8\n",
        "line 6: 'a' on id 0, which is allocated already"));
    CHECK(is_refused("0\n2\n2\n1\nr 1 8\na 1 8\n",
        "line 6: 'a' on id 1, which is allocated already"));
}

TEST(freeing_an_unknown_id_is_refused)
{
    CHECK(is_refused("0\n2\n1\n1\nf 1\n", "line 5: 'f' on unknown id 1"));
    CHECK(is_refused(
        "0\n2\n3\n1\na 1 1\nf 1\nf 1\n", "line 7: 'f' on unknown id 1"));
}

TEST(a_bad_size_is_refused)
{
    CHECK(is_refused("0\n2\n1\n1\na 1 -8\n", "line 5: negative size -8"));
    CHECK(is_refused("0\n2\n1\n1\nr 1 -1\n", "line 5: negative size -1"));
    CHECK(is_refused("0\n2\n1\n1\na 1\nf 1\n", "line 5: a size is missing"));
    CHECK(is_refused("0\n2\n1\n1\na 1 8k\n", "line 5: a size is missing"));
    CHECK(is_refused("0\n2\n1\n1\na 1 99999999999999999999999\n",
        "line 5: the size is more than this machine can address"));
}

TEST(another_letter_is_refused)
{
    CHECK(is_refused(
        "0\n2\n1\n1\nx 1 8\n", "line 5: unknown operation 'x', not a, r or f"));
    CHECK(is_refused("0\n2\n1\n1\nalloc 1 8\n",
        "line 5: unknown operation 'a', not a, r or f"));
    CHECK(is_refused("0\n2\n1\n1\n\x01 1 8\n",
        "line 5: unknown operation '?', not a, r or f"));
}

TEST(more_on_a_line_is_refused)
{
    CHECK(is_refused(
        "0\n2\n1\n1\na 1 8 8\n", "line 5: more on the line than expected"));
    CHECK(is_refused(
        "0\n2\n1\n1\nf -1 8\n", "line 5: more on the line than expected"));
}

TEST(fewer_operations_than_promised_are_refused)
{
    CHECK(is_refused("0\n2\n3\n1\na 0 8\nf 0\n",
        "line 7: the file ends after 2 operations, the header says 3"));
    CHECK(is_refused("0\n2\n1\n1",
        "line 4: the file ends after 0 operations, the header says 1"));
}

/* Cut off anywhere, filled with any byte: an answer, and nothing read beyond
 * the end (which the sanitisers of the host would tell). */
TEST(any_bytes_get_an_answer)
{
    static const char good[] = "0\n3\n4\n1\na 0 512\nr 0 640\nf 0\nf -1\n";
    char text[sizeof(good) - 1];
    struct reading reading;

    for (size_t cut = 0; cut <= sizeof(text); cut++) {
        read_bytes(&reading, good, cut);
        CHECK(reading.end == TRACE_BAD || reading.trace.ops == 4);
    }
    for (unsigned round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof(text); i++)
            text[i] = good[i];
        /* Beyond the header: ids stay few. */
        text[8 + test_random_below(sizeof(text) - 8)] = (char)test_random();
        read_bytes(&reading, text, sizeof(text));
        CHECK(reading.end == TRACE_BAD || reading.trace.ops >= 4);
    }
}

/* ---- the archive ---- */

#define BLOCK 512u

static unsigned char tar[6 * BLOCK];

static void put_octal(unsigned char *at, size_t digits, size_t value)
{
    while (digits-- > 0) {
        at[digits] = (unsigned char)('0' + (value & 7));
        value >>= 3;
    }
}

static void put_sum(unsigned char *header)
{
    size_t sum = 0;

    for (size_t i = 148; i < 156; i++)
        header[i] = ' ';
    for (size_t i = 0; i < BLOCK; i++)
        sum += header[i];
    put_octal(header + 148, 6, sum);
    header[154] = '\0';
}

static void put_header(
    unsigned char *header, const char *name, size_t bytes, char type)
{
    for (size_t i = 0; i < BLOCK; i++)
        header[i] = '\0';
    for (size_t i = 0; name[i] != '\0'; i++)
        header[i] = (unsigned char)name[i];
    put_octal(header + 124, 11, bytes);
    header[156] = (unsigned char)type;
    put_sum(header);
}

/* A directory, a file of 3 bytes, a file of 600, and the end. */
static size_t put_archive(void)
{
    put_header(tar, "traces/", 0, '5');
    put_header(tar + BLOCK, "traces/one.rep", 3, '0');
    for (size_t i = 0; i < BLOCK; i++)
        tar[2 * BLOCK + i] = i < 3 ? 'x' : '\0';
    put_header(tar + 3 * BLOCK, "two.rep.gz", 600, '0');
    for (size_t i = 0; i < 2 * BLOCK; i++)
        tar[4 * BLOCK + i] = i < 600 ? 'y' : '\0';
    return 6 * BLOCK;
}

TEST(the_files_of_an_archive_are_found_by_their_bare_names)
{
    struct archive archive;
    struct archive_file file;

    archive_open(&archive, tar, put_archive());
    CHECK_EQ(archive_next(&archive, &file), ARCHIVE_FILE);
    CHECK(text_equal(file.name, "one"));
    CHECK_EQ(file.bytes, 3);
    CHECK_EQ(file.text[2], 'x');
    CHECK_EQ(archive_next(&archive, &file), ARCHIVE_FILE);
    CHECK(text_equal(file.name, "two"));
    CHECK_EQ(file.bytes, 600);
    CHECK_EQ(file.text[599], 'y');
    CHECK_EQ(archive_next(&archive, &file), ARCHIVE_END);
}

TEST(an_archive_cut_off_is_refused)
{
    struct archive archive;
    struct archive_file file;
    size_t whole = put_archive();

    for (size_t cut = 1; cut < whole; cut++) {
        enum archive_step step;
        size_t files = 0;
        archive_open(&archive, tar, cut);
        while ((step = archive_next(&archive, &file)) == ARCHIVE_FILE) {
            CHECK(file.text + file.bytes <= (const char *)tar + cut);
            files++;
        }
        CHECK(step == ARCHIVE_BROKEN || files < 2 || cut >= 4 * BLOCK + 600);
    }
}

TEST(an_archive_with_a_wrong_checksum_or_size_is_refused)
{
    struct archive archive;
    struct archive_file file;
    size_t whole = put_archive();

    tar[BLOCK + 1] ^= 1;
    archive_open(&archive, tar, whole);
    CHECK_EQ(archive_next(&archive, &file), ARCHIVE_BROKEN);
    CHECK(text_equal(archive.error, "a header whose checksum is wrong"));

    (void)put_archive();
    put_octal(tar + BLOCK + 124, 11, (size_t)UINT32_MAX);
    put_sum(tar + BLOCK);
    archive_open(&archive, tar, whole);
    CHECK_EQ(archive_next(&archive, &file), ARCHIVE_BROKEN);

    (void)put_archive();
    tar[BLOCK + 124] = 'z';
    put_sum(tar + BLOCK);
    archive_open(&archive, tar, whole);
    CHECK_EQ(archive_next(&archive, &file), ARCHIVE_BROKEN);
    CHECK(text_equal(archive.error, "a header whose size is no number"));
}

TEST(division_without_a_library_is_division)
{
    CHECK_EQ(divide64(0, 7), 0);
    CHECK_EQ(divide64(100, 7), 14);
    CHECK_EQ(divide64(UINT64_MAX, 1), UINT64_MAX);
    CHECK_EQ(divide64(UINT64_MAX, UINT64_MAX), 1);
    CHECK_EQ(divide64((uint64_t)1 << 63, 3), 0x2aaaaaaaaaaaaaaaull);
    CHECK_EQ(divide64(13590900ull * 1000, 14700000), 924);
}

SUITE(trace, a_good_trace_is_read_to_its_end,
    realloc_of_an_unknown_id_is_known_as_such,
    blank_lines_blanks_and_carriage_returns_do_not_matter,
    more_operations_than_promised_are_read_and_told,
    a_trace_without_operations_is_good, an_empty_file_is_refused,
    a_bad_header_is_refused, an_id_out_of_range_is_refused,
    allocating_a_live_id_is_refused, freeing_an_unknown_id_is_refused,
    a_bad_size_is_refused, another_letter_is_refused, more_on_a_line_is_refused,
    fewer_operations_than_promised_are_refused, any_bytes_get_an_answer,
    the_files_of_an_archive_are_found_by_their_bare_names,
    an_archive_cut_off_is_refused,
    an_archive_with_a_wrong_checksum_or_size_is_refused,
    division_without_a_library_is_division);
