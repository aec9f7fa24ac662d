/* SPDX-License-Identifier: MIT */
/*
 * record.c - records the allocations of one process as a malloc-lab trace.
 *
 * A library for LD_PRELOAD.  It stands between the program and the C
 * library's malloc, calloc, realloc, reallocarray, free, aligned_alloc,
 * posix_memalign, memalign and valloc (C++'s new and delete end there too),
 * passes each call on and notes what was asked.  At exit it writes the trace.
 *
 *      cc -std=c17 -O2 -fPIC -shared -fno-builtin -o record.so record.c
 *      LD_PRELOAD=$PWD/record.so RECORD_OUT=ls.rep ls
 *
 * SETTINGS, all from the environment
 *
 *      RECORD_OUT      the file to write; %p becomes the process id.
 *                      Default: record.%p.rep.  Set but empty: record nothing.
 *      RECORD_PROGRAM  record only a program of this name (the last part of
 *                      argv[0]); the others run unrecorded.
 *      RECORD_MAX_OPS  stop recording after so many operations; what is live
 *                      by then stays live in the trace.  Default: no limit.
 *
 * A setting that cannot be used ends the program at once, with a message on
 * stderr and exit code 2: a trace that silently is not there costs more.
 *
 * THE FILE
 *
 *      0               suggested heap size: always 0, "no suggestion"
 *      3               number of ids
 *      5               number of operations = lines that follow
 *      1               weight
 *      a 0 100         object 0 = malloc(100); also calloc, memalign, ...
 *      a 1 24
 *      r 0 300         object 0 = realloc(object 0, 300)
 *      f 1             free(object 1); object 0 stays live to the end
 *      f -1            free(NULL)
 *
 * Each new object takes the next id; no id is used twice.
 * realloc(NULL, n) is an `a`; realloc(p, 0) frees, as in glibc, and is an `f`.
 *
 * HOW
 *
 *      program --> malloc here --> malloc of the C library
 *                     |
 *                     v   under one lock
 *            live: pointer -> id          log: one entry an operation
 *            (open hash, linear probes)   (an array, doubled with mremap)
 *
 * Both tables come from mmap: the recorder never calls malloc itself, so the
 * trace holds the program's requests only.
 *
 * A pointer leaves the table BEFORE the C library frees it and enters it AFTER
 * the C library returned it.  In between another thread may be given the same
 * address; the table then holds only the newer owner, and the log keeps the
 * order in which the table changed, so no `a` ever meets a live id.
 *
 * WHICH PROCESS
 *
 * One.  A forked child stops recording; the process that records empties its
 * own RECORD_OUT unless that has a %p, so the programs it starts inherit "off".
 * With a %p each of them writes a file of its own.  Without one, two programs
 * of the recorded name, one after the other, write the same file: last wins.
 *
 * LIMITS
 *
 * - The format has no alignment and no threads: both are lost.
 * - Not recorded: what was allocated before this library's constructor ran or
 *   after its destructor (some of other libraries' start and end), and
 *   whatever the program takes from mmap, brk or pvalloc.  Pointers never seen
 *   are passed on and left out.
 * - Nothing is written when a signal kills the process, or when it turns into
 *   another program with exec.
 * - A failed request is left out.
 * - Dynamically linked programs only; set-user-ID programs ignore LD_PRELOAD.
 * - glibc on Linux.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define EARLY_BYTES         ((size_t)16384) /* until malloc is found */
#define EARLY_ALIGN         ((size_t)16)
#define LIVE_MIN            ((size_t)1 << 16) /* slots; a power of two */
#define LOG_MIN             ((size_t)1 << 16) /* entries */
#define NO_ID               UINT32_MAX
#define OUT_BUF_BYTES       ((size_t)65536)
#define LINE_BYTES          ((size_t)64) /* longer than any line of a trace */
#define FINISH_WAIT_SECONDS 2

/* ---- The C library's own functions -------------------------------------- */

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*memalign)(size_t, size_t);
    void *(*valloc)(size_t);
    void (*exit_now)(int);
} real;

static atomic_bool real_is_ready;

/* dlsym may call calloc: while it searches, requests are cut from here. */
static _Alignas(16) unsigned char early_heap[EARLY_BYTES];
static atomic_size_t early_used;

/* ---- What is recorded --------------------------------------------------- */

struct live_slot {
    uintptr_t key; /* the pointer; 0 = empty */
    uint32_t id;
};

struct log_entry {
    size_t size; /* bytes; 0 for an f */
    uint32_t id; /* NO_ID: free(NULL) */
    char kind;   /* 'a', 'r' or 'f' */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool recording; /* tested without the lock, and again with it */

/* All below is guarded by the lock. */
static struct live_slot *live;
static size_t live_slots, live_count;
static struct log_entry *log_entries;
static size_t log_room, log_count, log_max = SIZE_MAX;
static uint32_t next_id;

static pid_t owner; /* the process that records */
static char out_path[PATH_MAX];

/* ---- Messages ----------------------------------------------------------- */

/* Writes all of it, or returns false with errno set. */
static bool write_all(int fd, const char *text, size_t bytes)
{
    while (bytes != 0) {
        ssize_t done = write(fd, text, bytes);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        text += done;
        bytes -= (size_t)done;
    }
    return true;
}

/* "record: WHAT: VALUE: WHY" on stderr, with no stdio: that would malloc. */
static void say(const char *what, const char *value, const char *why)
{
    const char *part[] = {"record: ", what, ": ", value, ": ", why, "\n"};
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++)
        if (!write_all(STDERR_FILENO, part[i], strlen(part[i])))
            return;
}

static _Noreturn void refuse(
    const char *what, const char *value, const char *why)
{
    say(what, value, why);
    if (real.exit_now != NULL)
        real.exit_now(2);
    abort();
}

/* ---- The C library behind us -------------------------------------------- */

/* dlsym returns a data pointer; copying its bytes into the function pointer
 * is what POSIX promises and what no compiler warns about. */
static void real_find(void *function_pointer, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        refuse("dlsym", name, "not in the C library");
    memcpy(function_pointer, &found, sizeof found);
}

/* Two threads may both do it: they store the same values. */
static void real_init(void)
{
    real_find(&real.exit_now, "_exit");
    real_find(&real.free, "free");
    real_find(&real.calloc, "calloc");
    real_find(&real.realloc, "realloc");
    real_find(&real.aligned_alloc, "aligned_alloc");
    real_find(&real.posix_memalign, "posix_memalign");
    real_find(&real.memalign, "memalign");
    real_find(&real.valloc, "valloc");
    real_find(&real.malloc, "malloc");
    atomic_store(&real_is_ready, true);
}

static _Thread_local bool real_in_init
    __attribute__((tls_model("initial-exec")));

/* False: dlsym itself asks; serve it from the early heap. */
static bool real_get(void)
{
    if (atomic_load_explicit(&real_is_ready, memory_order_acquire))
        return true;
    if (real_in_init)
        return false;
    real_in_init = true;
    real_init();
    real_in_init = false;
    return true;
}

/* Zeroed, never given back. */
static void *early_alloc(size_t size)
{
    if (size > EARLY_BYTES)
        return NULL;
    size_t bytes = (size + EARLY_ALIGN - 1) & ~(EARLY_ALIGN - 1);
    size_t at = atomic_fetch_add(&early_used, bytes);
    if (at > EARLY_BYTES - bytes)
        return NULL;
    return early_heap + at;
}

static bool early_owns(const void *p)
{
    uintptr_t at = (uintptr_t)p, base = (uintptr_t)early_heap;
    return at >= base && at - base < EARLY_BYTES;
}

/* Moves an early object out; reading past its end stays in the early heap. */
static void *early_move(const void *p, size_t size)
{
    void *to = malloc(size);
    if (to == NULL)
        return NULL;
    size_t left = EARLY_BYTES - ((uintptr_t)p - (uintptr_t)early_heap);
    memcpy(to, p, size < left ? size : left);
    return to;
}

/* ---- The live table: pointer -> id (all _locked) ------------------------ */

static void *pages_get(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Fibonacci hashing: the low bits of a pointer are all zero. */
static size_t live_home_locked(uintptr_t key)
{
    uint64_t hash = (uint64_t)key * 0x9e3779b97f4a7c15u;
    return (size_t)(hash >> 32) & (live_slots - 1);
}

static size_t live_find_locked(uintptr_t key)
{
    size_t at = live_home_locked(key);
    while (live[at].key != 0 && live[at].key != key)
        at = (at + 1) & (live_slots - 1);
    return at;
}

/* Doubles the table once it is half full. */
static bool live_grow_locked(void)
{
    struct live_slot *old = live;
    size_t old_slots = live_slots;
    size_t slots = old_slots == 0 ? LIVE_MIN : 2 * old_slots;
    struct live_slot *grown = pages_get(slots * sizeof *grown);
    if (grown == NULL)
        return false;
    live = grown;
    live_slots = slots;
    for (size_t i = 0; i < old_slots; i++)
        if (old[i].key != 0)
            live[live_find_locked(old[i].key)] = old[i];
    if (old != NULL)
        munmap(old, old_slots * sizeof *old);
    return true;
}

static bool live_insert_locked(void *p, uint32_t id)
{
    if (2 * (live_count + 1) > live_slots && !live_grow_locked())
        return false;
    size_t at = live_find_locked((uintptr_t)p);
    if (live[at].key == 0)
        live_count++;
    live[at] = (struct live_slot){.key = (uintptr_t)p, .id = id};
    return true;
}

/* Returns the id, or NO_ID.  The run behind the hole closes up, so there are
 * no tombstones (Knuth, vol. 3, 6.4, algorithm R). */
static uint32_t live_remove_locked(void *p)
{
    size_t mask = live_slots - 1;
    size_t hole = live_find_locked((uintptr_t)p);
    if (live[hole].key == 0)
        return NO_ID;
    uint32_t id = live[hole].id;
    for (size_t at = (hole + 1) & mask; live[at].key != 0;
         at = (at + 1) & mask) {
        size_t home = live_home_locked(live[at].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            live[hole] = live[at];
            hole = at;
        }
    }
    live[hole].key = 0;
    live_count--;
    return id;
}

/* ---- The log (all _locked) ---------------------------------------------- */

static void log_stop_locked(const char *why)
{
    atomic_store(&recording, false);
    if (why != NULL)
        say("the trace ends early", out_path, why);
}

static bool log_grow_locked(void)
{
    size_t room = log_room == 0 ? LOG_MIN : 2 * log_room;
    size_t bytes = room * sizeof *log_entries;
    void *grown = log_room == 0
                      ? pages_get(bytes)
                      : mremap(log_entries, log_room * sizeof *log_entries,
                            bytes, MREMAP_MAYMOVE);
    if (grown == NULL || grown == MAP_FAILED)
        return false;
    log_entries = grown;
    log_room = room;
    return true;
}

static void log_add_locked(char kind, uint32_t id, size_t size)
{
    if (log_count == log_room && !log_grow_locked()) {
        log_stop_locked("no memory for the log");
        return;
    }
    log_entries[log_count++] =
        (struct log_entry){.size = size, .id = id, .kind = kind};
    if (log_count == log_max)
        log_stop_locked(NULL);
}

/* ---- Noting one call ---------------------------------------------------- */

/* Takes the lock if we record; the caller unlocks when it got true. */
static bool note_begin(void)
{
    if (!atomic_load_explicit(&recording, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&lock);
    if (atomic_load(&recording))
        return true;
    pthread_mutex_unlock(&lock);
    return false;
}

static void note_end(void)
{
    pthread_mutex_unlock(&lock);
}

static void note_alloc(void *p, size_t size)
{
    if (p == NULL || !note_begin())
        return;
    if (next_id == NO_ID)
        log_stop_locked("no ids left");
    else if (!live_insert_locked(p, next_id))
        log_stop_locked("no memory for the table");
    else
        log_add_locked('a', next_id++, size);
    note_end();
}

static void note_free(void *p)
{
    if (!note_begin())
        return;
    uint32_t id = p == NULL ? NO_ID : live_remove_locked(p);
    if (p == NULL || id != NO_ID)
        log_add_locked('f', id, 0);
    note_end();
}

/* First half of a realloc: the pointer leaves the table, nothing is logged. */
static uint32_t note_take(void *p)
{
    if (!note_begin())
        return NO_ID;
    uint32_t id = live_remove_locked(p);
    note_end();
    return id;
}

/* Second half: the object is at p now; resized unless realloc failed. */
static void note_put(void *p, uint32_t id, size_t size, bool resized)
{
    if (id == NO_ID || !note_begin())
        return;
    if (!live_insert_locked(p, id))
        log_stop_locked("no memory for the table");
    else if (resized)
        log_add_locked('r', id, size);
    note_end();
}

/* ---- The functions the program calls ------------------------------------ */

void *malloc(size_t size)
{
    if (!real_get())
        return early_alloc(size);
    void *p = real.malloc(size);
    note_alloc(p, size);
    return p;
}

void *calloc(size_t count, size_t each)
{
    size_t size;
    bool fits = !__builtin_mul_overflow(count, each, &size);
    if (!real_get())
        return fits ? early_alloc(size) : NULL;
    void *p = real.calloc(count, each);
    note_alloc(p, size);
    return p;
}

void free(void *p)
{
    if (early_owns(p) || !real_get())
        return;
    note_free(p);
    real.free(p);
}

void *realloc(void *p, size_t size)
{
    if (p == NULL)
        return malloc(size);
    if (early_owns(p) || !real_get())
        return early_move(p, size);
    if (size == 0) {
        free(p);
        return NULL;
    }
    uint32_t id = note_take(p);
    void *to = real.realloc(p, size);
    note_put(to != NULL ? to : p, id, size, to != NULL);
    return to;
}

/* glibc's reallocarray would call our realloc, and so do we. */
void *reallocarray(void *p, size_t count, size_t each)
{
    size_t size;
    if (__builtin_mul_overflow(count, each, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    if (!real_get())
        return NULL;
    void *p = real.aligned_alloc(align, size);
    note_alloc(p, size);
    return p;
}

void *memalign(size_t align, size_t size)
{
    if (!real_get())
        return NULL;
    void *p = real.memalign(align, size);
    note_alloc(p, size);
    return p;
}

void *valloc(size_t size)
{
    if (!real_get())
        return NULL;
    void *p = real.valloc(size);
    note_alloc(p, size);
    return p;
}

int posix_memalign(void **to, size_t align, size_t size)
{
    if (!real_get())
        return ENOMEM;
    int error = real.posix_memalign(to, align, size);
    if (error == 0)
        note_alloc(*to, size);
    return error;
}

/* ---- Writing the file --------------------------------------------------- */

static char out_buf[OUT_BUF_BYTES];
static size_t out_used;

static void out_char(char c)
{
    out_buf[out_used++] = c;
}

static void out_number(size_t n)
{
    char digit[24];
    size_t count = 0;
    do {
        digit[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    while (count != 0)
        out_char(digit[--count]);
}

static void out_header(void)
{
    const size_t line[] = {0, next_id, log_count, 1};
    for (size_t i = 0; i < sizeof line / sizeof line[0]; i++) {
        out_number(line[i]);
        out_char('\n');
    }
}

static void out_entry(const struct log_entry *e)
{
    out_char(e->kind);
    out_char(' ');
    if (e->id == NO_ID) {
        out_char('-');
        out_char('1');
    } else {
        out_number(e->id);
    }
    if (e->kind != 'f') {
        out_char(' ');
        out_number(e->size);
    }
    out_char('\n');
}

static bool out_all(int fd)
{
    out_used = 0;
    out_header();
    for (size_t i = 0; i < log_count; i++) {
        out_entry(&log_entries[i]);
        if (out_used > OUT_BUF_BYTES - LINE_BYTES) {
            if (!write_all(fd, out_buf, out_used))
                return false;
            out_used = 0;
        }
    }
    return write_all(fd, out_buf, out_used);
}

/* A signal handler may call _exit while its own thread holds the lock: give
 * up after FINISH_WAIT_SECONDS rather than hang. */
static bool finish_lock(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FINISH_WAIT_SECONDS;
    return pthread_mutex_timedlock(&lock, &until) == 0;
}

/* At exit, once, and only in the process that recorded: a vforked child
 * shares our memory and leaves through _exit as well. */
static void record_finish(void)
{
    static bool done;

    if (owner == 0 || getpid() != owner)
        return;
    if (!finish_lock()) {
        say("no trace", out_path, "exit in the middle of an allocation");
        return;
    }
    atomic_store(&recording, false);
    if (!done) {
        done = true;
        int fd = open(out_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0 || !out_all(fd) || close(fd) != 0)
            say("RECORD_OUT", out_path, strerrordesc_np(errno));
    }
    pthread_mutex_unlock(&lock);
}

_Noreturn void _exit(int status)
{
    record_finish();
    if (real_get())
        real.exit_now(status);
    abort();
}

_Noreturn void _Exit(int status)
{
    _exit(status);
}

/* ---- Start -------------------------------------------------------------- */

static size_t config_max_ops(void)
{
    const char *text = getenv("RECORD_MAX_OPS");
    if (text == NULL || *text == '\0')
        return SIZE_MAX;
    size_t n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || n > (SIZE_MAX - 9) / 10)
            refuse("RECORD_MAX_OPS", text, "must be a whole number from 1 on");
        n = 10 * n + (size_t)(*c - '0');
    }
    if (n == 0)
        refuse("RECORD_MAX_OPS", text, "must be a whole number from 1 on");
    return n;
}

static void path_add(const char *text, size_t bytes)
{
    size_t used = strlen(out_path);
    if (bytes >= sizeof out_path - used)
        refuse("RECORD_OUT", out_path, "path too long");
    memcpy(out_path + used, text, bytes);
    out_path[used + bytes] = '\0';
}

static void path_add_number(size_t n)
{
    out_used = 0;
    out_number(n);
    path_add(out_buf, out_used);
}

/* Makes out_path: absolute, as the program may change directory. */
static void config_path(const char *text)
{
    if (*text != '/') {
        if (getcwd(out_path, sizeof out_path) == NULL)
            refuse("RECORD_OUT", text, "no current directory");
        path_add("/", 1);
    }
    for (; *text != '\0'; text++) {
        if (text[0] == '%' && text[1] == 'p') {
            path_add_number((size_t)getpid());
            text++;
        } else {
            path_add(text, 1);
        }
    }
}

/* Better now than after an hour's run. */
static void config_try_path(void)
{
    int fd = open(out_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        refuse("RECORD_OUT", out_path, strerrordesc_np(errno));
    close(fd);
}

/* The lock may be held by a thread the child does not have: touch nothing. */
static void record_in_child(void)
{
    atomic_store(&recording, false);
}

__attribute__((constructor)) static void record_start(void)
{
    if (!real_get())
        return;
    const char *only = getenv("RECORD_PROGRAM");
    if (only != NULL && *only != '\0' &&
        strcmp(only, program_invocation_short_name) != 0)
        return;
    char *out = getenv("RECORD_OUT");
    if (out != NULL && *out == '\0')
        return;
    log_max = config_max_ops();
    config_path(out != NULL ? out : "record.%p.rep");
    config_try_path();
    if (out != NULL && strstr(out, "%p") == NULL)
        *out = '\0'; /* in the environment itself: children inherit "off" */
    if (!live_grow_locked() || !log_grow_locked())
        refuse("mmap", "tables", "no memory");
    if (pthread_atfork(NULL, NULL, record_in_child) != 0 ||
        at_quick_exit(record_finish) != 0)
        refuse("pthread_atfork", "at start", "no memory");
    owner = getpid();
    atomic_store(&recording, true);
}

__attribute__((destructor)) static void record_end(void)
{
    record_finish();
}
