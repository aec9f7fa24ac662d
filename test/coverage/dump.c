/* SPDX-License-Identifier: MIT */
/*
 * dump.c - in the coverage build, the kernel's last act is to say how often
 * each piece of it ran.
 *
 *     gcc -fprofile-info-section=gcov_info     a pointer to each object's
 *                                              counters, in that section
 *     machine_exit(), wrapped by the linker    the end of every run
 *     __gcov_info_to_gcda(), from libgcov      makes the file of an object
 *     port 0xe9                                QEMU appends what comes to a
 *                                              file (isa-debugcon)
 *
 * What goes out is chunks: four bytes of length, then as many bytes. For each
 * object: the file's name, its contents in some chunks, an empty one.
 */
#include <gcov.h>

#include <stddef.h>
#include <stdint.h>

#include "machine.h"

#define DEBUGCON 0xe9

/* The linker's names for the ends of a section. */
extern const struct gcov_info *const __start_gcov_info[];
extern const struct gcov_info *const __stop_gcov_info[];

extern __typeof__(machine_exit) __wrap_machine_exit;
extern __typeof__(machine_exit) __real_machine_exit;

/* libgcov wants memory for profiles of values only, which are not asked for:
 * there is none. */
void *mmap(void *at, size_t bytes, int rights, int flags, int fd, long offset);
void *mmap(void *at, size_t bytes, int rights, int flags, int fd, long offset)
{
    (void)at;
    (void)bytes;
    (void)rights;
    (void)flags;
    (void)fd;
    (void)offset;
    return (void *)-1;
}

static void put(const void *bytes, unsigned count)
{
    __asm__ volatile("rep outsb"
                     : "+S"(bytes), "+c"(count)
                     : "d"((uint16_t)DEBUGCON)
                     : "memory");
}

static void put_chunk(const void *bytes, unsigned count, void *arg)
{
    (void)arg;
    put(&count, sizeof(count));
    put(bytes, count);
}

static void put_name(const char *name, void *arg)
{
    unsigned length = 0;
    while (name[length])
        length++;
    put_chunk(name, length, arg);
}

void __wrap_machine_exit(int code)
{
    for (const struct gcov_info *const *info = __start_gcov_info;
         info != __stop_gcov_info; info++) {
        __gcov_info_to_gcda(*info, put_name, put_chunk, NULL, NULL);
        put_chunk("", 0, NULL);
    }
    __real_machine_exit(code);
}

/* What libgcov would do with files, memory for profiles of values, and a libc.
 * It names them, and calls none of them from here. */
VERSO_NORETURN static void not_here(void)
{
    machine_panic("coverage: libgcov wants a libc");
}

void __gcov_merge_add(long long *counters, unsigned count);
void __gcov_merge_add(long long *counters, unsigned count)
{
    (void)counters, (void)count;
    not_here();
}

void *mmap64(void *, size_t, int, int, int, long long);
void *mmap64(
    void *at, size_t bytes, int rights, int flags, int file, long long offset)
{
    (void)at, (void)bytes, (void)rights, (void)flags, (void)file, (void)offset;
    not_here();
}

void abort(void);
void abort(void)
{
    not_here();
}
