/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - the machine-independent part of the reference kernel: traces and
 * their replay, the monitor, the report of a run, the benchmarks. It uses the
 * library's public headers, and the machine through machine.h only.
 *
 *     archive    the files of a ustar archive
 *     trace      the operations of a .rep file, each checked
 *     replay     traces run against the heap, and what that cost
 *     summary    the report of a run that was asked for nothing else
 *     bench      figures
 *     monitor    commands, from the keyboard or the command line
 */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <verso/types.h>
#include <verso/util.h>

#define NO_INLINE      __attribute__((noinline))
#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- archive.c ---- */

#define ARCHIVE_NAME_MAX 64

struct archive_file {
    char name[ARCHIVE_NAME_MAX]; /* without directories and ".rep" */
    const char *text;
    size_t bytes;
};

struct archive {
    const char *at; /* the next header */
    size_t left;    /* bytes from there on */
    char error[96]; /* what ARCHIVE_BROKEN means */
};

enum archive_step {
    ARCHIVE_FILE,
    ARCHIVE_END,
    ARCHIVE_BROKEN
};

void archive_open(struct archive *archive, const void *start, size_t bytes);
/* The next regular file. After END or BROKEN, nothing more may be asked. */
enum archive_step archive_next(
    struct archive *archive, struct archive_file *file);

/* ---- trace.c ---- */

enum trace_verb {
    TRACE_ALLOC,
    TRACE_REALLOC,
    TRACE_FREE,
    TRACE_FREE_NULL
};

struct trace_op {
    enum trace_verb verb;
    uint32_t id; /* < trace.ids; not of TRACE_FREE_NULL */
    size_t size; /* bytes; of TRACE_ALLOC and TRACE_REALLOC */
    bool known;  /* TRACE_REALLOC: the object exists */
};

struct trace {
    const char *at, *end; /* what is not read yet */
    size_t line;          /* number of the line last read, from 1 */
    size_t ids;           /* as the header says */
    size_t promised;      /* operations, as the header says */
    size_t ops;           /* operations read */
    size_t extra_line;    /* of the first operation too many; 0: none */
    uint32_t *live;       /* a bit for each id: does the object exist? */
    char reason[112];     /* what is wrong, "line N: ..." */
};

enum trace_step {
    TRACE_OP,
    TRACE_END,
    TRACE_BAD
};

/* Reads the header: false, and trace->reason, if it is none. */
VERSO_MUST_CHECK bool trace_open(
    struct trace *trace, const char *text, size_t bytes);
/* Words of 32 bits that trace_begin() needs: one bit an id. */
size_t trace_live_words(const struct trace *trace);
void trace_begin(struct trace *trace, uint32_t *live);
/* The next operation. After END or BAD, nothing more may be asked. */
enum trace_step trace_next(struct trace *trace, struct trace_op *op);

/* ---- replay.c ---- */

struct replay_input {
    const char *name;
    const char *text;
    size_t bytes;
    /* After that many operations (0: never), stop() is called once, with
     * every object of that moment in place. */
    size_t stop_at;
    void (*stop)(const char *name);
};

struct replay_result {
    bool ok;
    char reason[160];
    size_t ops;            /* executed */
    size_t promised;       /* what the header says */
    size_t extra_line;     /* see struct trace */
    uint64_t payload_peak; /* bytes asked for and not freed, at the most */
    size_t peak_op;        /* number of the operation that reached it */
    uint64_t heap_peak;    /* bytes, see replay.c */
    bool counted;          /* is there an instruction count? */
    uint64_t spent;        /* instructions inside the allocator */
};

void replay_run(const struct replay_input *input, struct replay_result *result);
void replay_print(const char *name, const struct replay_result *result);
/* Instructions an operation, in tenths. */
uint32_t replay_tenths(const struct replay_result *result);
/* payload_peak / heap_peak, in thousandths. */
uint32_t replay_utilisation(const struct replay_result *result);
typedef void replay_visit(
    const struct archive_file *file, const struct replay_result *result);
/* Replays the trace of that name (NULL: all) of the machine's archive, prints a
 * line for each and shows the result to visit() (may be NULL). Returns how many
 * failed; none found is a failure. */
int replay_archive(const char *name_or_null, replay_visit *visit);

/* ---- summary.c, bench.c, monitor.c ---- */

/* The default run; 0 if all went well. */
int summary_run(void);
/* Prints the figures. 0 unless one could not be measured: a goal that is not
 * reached is a result, not a failure. */
int bench_main(void);
/* Commands separated by semicolons; returns the number that failed. */
int monitor_run_commands(const char *commands);
/* Prompt and all; returns at "quit" or at the end of input. */
void monitor_interactive(void);

/* ---- crash.c, random.c, suites.c ---- */

/* Does not return, or returns 1. */
int crash_run(const char *how);
/* Maps, unmaps and protects at random, in the tests' window; what it mapped
 * stays. 0 operations: unmaps it all. False if memory ran out. */
bool random_run(size_t operations, uint32_t seed);
/* Runs test_main() with the seed of the command line; returns the failures. */
int suites_run(const char *suite_or_null);

/* ---- options.c, fault.c, symbols.c: for machines ---- */

/* A function: [start, end). No name: there is none. */
struct symbol {
    vaddr_t start, end;
    const char *name;
};
/* The function an address lies in; the last one reaches up to text_end. */
struct symbol symbol_find(vaddr_t address, vaddr_t text_end);

/* Cuts up the command line; machine_option() answers from then on. */
void options_parse(const char *line);

/* A page fault, as the machine tells of it. */
struct fault {
    vaddr_t va;
    vaddr_t instruction;
    unsigned code;  /* VERSO_FAULT_*, and: */
    bool no_memory; /* it was a first touch, and no frame was left */
};
#define FAULT_RESERVED_BIT 0x8u /* a reserved bit was set in an entry */

/* Does the machine keep the kernel from this page because it is the users'? */
bool fault_is_guard(vaddr_t va, unsigned code);
/* Says what it was, where, and what is at that address. */
void fault_print(const struct fault *fault);
/* "instruction 0x00100a3c crash_rodata+0x4" and a newline. */
void fault_print_place(vaddr_t instruction);

/* ---- test/ ---- */

/* Runs one suite, or all (NULL), printing TAP. Returns the failures. */
int test_main(const char *suite);

/* ---- small things that several files need ---- */

/* n / d without the compiler's library: 64-bit division on 32 bits. */
uint64_t divide64(uint64_t n, uint64_t d);
size_t text_length(const char *text);
bool text_equal(const char *a, const char *b);
/* "1.5 MiB": writes at most 16 bytes. */
const char *text_bytes(char buffer[16], uint64_t bytes);

#endif
