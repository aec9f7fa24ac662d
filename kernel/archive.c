/* SPDX-License-Identifier: MIT */
/*
 * archive.c - the files of a ustar archive that lies in memory.
 *
 *     | header, 512 bytes | contents | 0.. to 512 | header | ... | 0 (1,024) |
 *
 * Only what `tar --format=ustar` writes for plain files is understood; other
 * kinds of entries (directories, links) are passed over. The boot loader hands
 * over whatever bytes it was given: nothing here trusts them.
 *
 * 1. Nothing outside [start, start + bytes) is read.
 * 2. A file handed out lies wholly inside.
 *
 * Source: POSIX.1-1988 (ustar), pax(1), "ustar Interchange Format".
 */
#include "kernel.h"

#define USTAR_BLOCK 512u

struct ustar {
    char name[100];
    char mode[8], uid[8], gid[8];
    char size[12]; /* octal */
    char mtime[12];
    char sum[8]; /* octal: of all bytes, this field as blanks */
    char type;   /* '0' or 0: a plain file */
    char linkname[100];
    char magic[6], version[2];
    char uname[32], gname[32], devmajor[8], devminor[8];
    char prefix[155];
    char pad[12];
};
_Static_assert(sizeof(struct ustar) == USTAR_BLOCK, "a header is a block");

#define ARCHIVE_FAIL(archive, ...)                                             \
    (verso_format((archive)->error, sizeof((archive)->error), __VA_ARGS__),    \
        ARCHIVE_BROKEN)

void archive_open(struct archive *archive, const void *start, size_t bytes)
{
    *archive = (struct archive){.at = start, .left = bytes};
}

/* False if it is no number, or one that does not fit. */
static bool octal_read(const char *field, size_t length, size_t *value)
{
    size_t n = 0, i = 0;

    while (i < length && field[i] == ' ')
        i++;
    if (i == length || field[i] < '0' || field[i] > '7')
        return false;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) {
        if (n > SIZE_MAX >> 3)
            return false;
        n = n << 3 | (size_t)(field[i] - '0');
    }
    *value = n;
    return i == length || field[i] == '\0' || field[i] == ' ';
}

static size_t ustar_sum(const struct ustar *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    const size_t from = offsetof(struct ustar, sum);
    const size_t to = from + sizeof(header->sum);
    size_t sum = 0;

    for (size_t i = 0; i < USTAR_BLOCK; i++)
        sum += i >= from && i < to ? ' ' : bytes[i];
    return sum;
}

static bool ustar_is_zero(const struct ustar *header)
{
    const char *bytes = (const char *)header;
    for (size_t i = 0; i < USTAR_BLOCK; i++)
        if (bytes[i] != '\0')
            return false;
    return true;
}

/* The last part of the path, ".gz" and ".rep" taken off its end. */
static void ustar_name(const struct ustar *header, char out[ARCHIVE_NAME_MAX])
{
    static const char *const ends[] = {".gz", ".rep"};
    size_t start = 0, end = 0, length = 0;

    for (; end < sizeof(header->name) && header->name[end] != '\0'; end++)
        if (header->name[end] == '/')
            start = end + 1;
    while (start < end && length + 1 < ARCHIVE_NAME_MAX)
        out[length++] = header->name[start++];
    out[length] = '\0';
    for (unsigned i = 0; i < ARRAY_COUNT(ends); i++) {
        size_t cut = text_length(ends[i]);
        if (length > cut && text_equal(out + length - cut, ends[i])) {
            length -= cut;
            out[length] = '\0';
        }
    }
}

/* Takes the entry at archive->at into *file and steps behind it. */
static enum archive_step archive_read(struct archive *archive,
    const struct ustar *header, struct archive_file *file)
{
    size_t sum, size, padded;

    if (!octal_read(header->sum, sizeof(header->sum), &sum) ||
        sum != ustar_sum(header))
        return ARCHIVE_FAIL(archive, "a header whose checksum is wrong");
    if (!octal_read(header->size, sizeof(header->size), &size))
        return ARCHIVE_FAIL(archive, "a header whose size is no number");
    ustar_name(header, file->name);
    if (size > archive->left - USTAR_BLOCK)
        return ARCHIVE_FAIL(archive,
            "%s: %zu bytes announced, %zu bytes left: cut off", file->name,
            size, archive->left - USTAR_BLOCK);
    file->text = archive->at + USTAR_BLOCK;
    file->bytes = size;
    padded = USTAR_BLOCK + size;
    if (padded % USTAR_BLOCK != 0)
        padded += USTAR_BLOCK - padded % USTAR_BLOCK;
    if (padded > archive->left) /* the last padding may be missing */
        padded = archive->left;
    archive->at += padded;
    archive->left -= padded;
    return ARCHIVE_FILE;
}

enum archive_step archive_next(
    struct archive *archive, struct archive_file *file)
{
    while (archive->left != 0) {
        const struct ustar *header =
            (const struct ustar *)(const void *)archive->at;
        if (archive->left < USTAR_BLOCK)
            return ARCHIVE_FAIL(archive,
                "%zu bytes left where a header was expected", archive->left);
        if (ustar_is_zero(header))
            return ARCHIVE_END;
        enum archive_step step = archive_read(archive, header, file);
        bool plain = header->type == '0' || header->type == '\0';
        if (step != ARCHIVE_FILE || plain)
            return step;
    }
    return ARCHIVE_END;
}
