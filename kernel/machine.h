/* SPDX-License-Identifier: MIT */
/*
 * machine.h - what the machine-independent part of the reference kernel
 * (monitor, replay, bench, suites) needs of the machine it runs on.
 */
#ifndef KERNEL_MACHINE_H
#define KERNEL_MACHINE_H

#include <verso/fault.h>
#include <verso/types.h>

/* Console. */
void machine_write(const char *text, size_t bytes);
/* Waits; the next character, -1 at the end of input (Ctrl-D). Return is
 * '\n' from whatever keyboard. */
int machine_read(void);

/* Ends everything: code 0 is success (QEMU's debug exit, else power off). */
VERSO_NORETURN void machine_exit(int code);

/* Instructions executed so far, where something counts them (icount). */
bool machine_counts(void);
uint64_t machine_count(void);
uint64_t machine_boot_count(void); /* at the first of the kernel */

/* How often run(arg) turns interrupts on or off: executes it one instruction
 * at a time and looks at each. What runs inside an exception is not seen. */
size_t machine_count_toggles(void (*run)(void *arg), void *arg);

/* What stands for the figures where nothing counts instructions: says so, or
 * prints figures of the machine's own. 0: they were all measured. */
int machine_bench(void);

/* Words of the command line: the value behind "KEY=", "" for a word KEY alone,
 * or NULL. A value may be quoted with "...". */
const char *machine_option(const char *key);

/* The archive of traces (ustar), NULL if none was given. */
const void *machine_archive(size_t *bytes);

/* Name of the function an address lies in and the distance, for backtraces;
 * NULL if unknown. */
const char *machine_symbol(vaddr_t address, size_t *offset);

/* A run of `pages` pages for the kernel's own tables (replay's), outside the
 * heap: NULL if there is none. Given back with machine_pages_free(). */
void *machine_pages(size_t pages);
void machine_pages_free(void *address, size_t pages);

/* Addresses that nobody else uses: for those tables (pages.c), and for the
 * tests; that one begins where a large page of any size may. */
#define OWN_WINDOW_PAGES  0x10000u
#define TEST_WINDOW_PAGES 0x10000u
vaddr_t machine_own_window(void);
vaddr_t machine_test_window(void);

/* Name of the port and the machine, for the first line of the report. */
const char *machine_name(void);

/* Physical RAM, for the memory map of the report. */
const struct verso_boot *machine_boot(void);

/* Where the page tables show through their mirror. */
struct machine_mirror {
    unsigned slot;     /* entry of the root that names the root, or the first */
    unsigned slots;    /* of so many, one for each frame of the root */
    unsigned bits;     /* of an address that choose an entry, at each level */
    vaddr_t tables;    /* first byte of the window: the tables, in order */
    vaddr_t directory; /* the root itself, a page within it */
    uint64_t bytes;    /* size of what each of the entries shows */
};
void machine_mirror(struct machine_mirror *mirror);

/*
 * Reads the byte at `address`; `how`, as fault codes say it: VERSO_FAULT_WRITE
 * stores it back, VERSO_FAULT_EXEC calls it instead (what stands there returns
 * at once), VERSO_FAULT_USER does so as a user. Returns the code of a page
 * fault of it that Verso does not own, also MACHINE_RESERVED if an entry has a
 * bit set that must be 0; or one of the others. For tests: guard pages, rights.
 */
#define MACHINE_RESERVED 0x8
#define MACHINE_PASSED   (-1) /* no fault, or one that Verso has taken */
#define MACHINE_CANNOT   (-2) /* this kernel has no users: nothing was done */
int machine_access(const volatile void *address, unsigned how);
/* Does such an access of the kernel itself fault where users have the right for
 * it? If so, the code of an execution says that it was one. */
bool machine_guards_users(unsigned how);
/* From now on the kernel may read and write there, or no longer. */
void machine_open_users(bool open);
/* Writes the code of a function that returns at once. */
void machine_put_return(void *at);

/* Does touching `address` (write: store its own first byte back) fault? */
static inline bool machine_probe(const volatile void *address, bool write)
{
    return machine_access(address, write ? VERSO_FAULT_WRITE : 0) >= 0;
}

/* Calls run(arg). True if it ended in verso_host_panic(): the text (cut to fit,
 * terminated) is in `message`, and everything stands as at the panic, locks
 * held then included. For tests of misuse; calls do not nest. */
bool machine_catch_panic(
    void (*run)(void *), void *arg, char *message, size_t room);

/* Supplies verso_host_panic(): back into machine_catch_panic(), or prints the
 * message and a backtrace, and exits with a failing code. */
VERSO_NORETURN void machine_panic(const char *message);

/* Is an interrupt being handled? Tests may pretend that one is. */
bool machine_in_interrupt(void);
void machine_pretend_interrupt(bool running);

/* ---- start, in this order ---- */

/* main.c: called by the machine when it can print and report faults. */
VERSO_NORETURN void kernel_main(void);
/* Fills machine_boot(), the frame array placed. */
void machine_layout(void);
/* After verso_init(): paging is on. */
void machine_started(void);

#endif
