/* SPDX-License-Identifier: MIT */
/*
 * util - what every storey uses: assertions, locks, bits, rounding.
 *
 * A lock belongs to one storey and is taken in its entry points only. Two
 * kinds: lock_take() for what no interrupt handler reaches, lock_take_irq()
 * for what it may: that one keeps interrupts off while held. A lock that is
 * taken is spun for, yielding; with one CPU and nobody to yield to that is a
 * bug, and panics.
 */
#ifndef VERSO_SRC_UTIL_H
#define VERSO_SRC_UTIL_H

#include <verso/host.h>
#include <verso/types.h>
#include <verso/util.h>

#include <cpu.h> /* the port's */

/* All writable data of the library is in this section: one struct a storey. */
#define VERSO_STATE __attribute__((section("verso_state")))

#define likely(x)     __builtin_expect(!!(x), 1)
#define assume(x)     ((x) ? (void)0 : __builtin_unreachable())
#define unlikely(x)   __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NO_INLINE     __attribute__((noinline))
#define NO_SANITIZE   __attribute__((no_sanitize("address")))
#if defined(__clang__)
#define UNROLL_4 _Pragma("clang loop unroll_count(4)")
#define UNROLL_8 _Pragma("clang loop unroll_count(8)")
#else
#define UNROLL_4 _Pragma("GCC unroll 4")
#define UNROLL_8 _Pragma("GCC unroll 8")
#endif
#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A caller's mistake, always checked; the message carries the numbers. */
#define VERSO_VERIFY(condition, ...)                                           \
    do {                                                                       \
        if (unlikely(!(condition)))                                            \
            verso_panic(__VA_ARGS__);                                          \
    } while (0)

/* Our own mistake, checked in debug builds. */
#if VERSO_DEBUG
#define VERSO_ASSERT(condition)                                                \
    VERSO_VERIFY(condition, "%s:%d: assertion failed: %s", __FILE__, __LINE__, \
        #condition)
#else
#define VERSO_ASSERT(condition) ((void)sizeof(condition))
#endif

static inline bool is_power2(uintptr_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static inline uintptr_t round_up(uintptr_t n, uintptr_t power2)
{
    return (n + power2 - 1) & ~(power2 - 1);
}

static inline uintptr_t round_down(uintptr_t n, uintptr_t power2)
{
    return n & ~(power2 - 1);
}

/* Pages that hold `bytes`; no overflow for any size. */
static inline size_t pages_of(size_t bytes)
{
    return (bytes >> VERSO_PAGE_SHIFT) +
           ((bytes & (VERSO_PAGE_SIZE - 1)) != 0 ? 1 : 0);
}

static inline size_t bytes_of(size_t pages)
{
    VERSO_ASSERT(pages <= SIZE_MAX >> VERSO_PAGE_SHIFT);
    return pages << VERSO_PAGE_SHIFT;
}

static inline bool is_page_aligned(uintptr_t va)
{
    return (va & (VERSO_PAGE_SIZE - 1)) == 0;
}

/* Is [va, va + pages) a range: aligned, not empty, not wrapping around (its
 * end may be 0, the top of the address space)? */
static inline bool is_page_range(vaddr_t va, size_t pages)
{
    return is_page_aligned(va) && pages != 0 &&
           pages - 1 <= (UINTPTR_MAX - va) >> VERSO_PAGE_SHIFT;
}

/* The last frame there is a number, and an address, for. */
#define PFN_LAST ((uint32_t)((verso_phys_t)-1 >> VERSO_PAGE_SHIFT))

/* Number of the lowest / highest bit that is set; word != 0. */
static inline unsigned bit_lowest(uint32_t word)
{
    return (unsigned)__builtin_ctz(word);
}

static inline unsigned bit_highest(uint32_t word)
{
    return 31u - (unsigned)__builtin_clz(word);
}

/* The same of a size; n != 0. */
static inline unsigned size_highest(size_t n)
{
    _Static_assert(sizeof(n) == sizeof(long), "clzl is for sizes");
    return 8u * (unsigned)sizeof(n) - 1u - (unsigned)__builtin_clzl(n);
}

/* Bits 0..n-1 / 0..n; n < 32. */
static inline uint32_t bits_below(unsigned n)
{
    return ((uint32_t)1 << n) - 1;
}

static inline uint32_t bits_upto(unsigned n)
{
    return ((uint32_t)2 << n) - 1;
}

/* The smallest order with 2^order >= n; n >= 1. */
static inline unsigned order_of(size_t n)
{
    unsigned order = 0;
    while (((size_t)1 << order) < n)
        order++;
    return order;
}

static inline bool product_overflows(size_t a, size_t b, size_t *product)
{
    return __builtin_mul_overflow(a, b, product);
}

/* To write and to execute, without having asked for both by name? */
static inline bool rights_are_refused(unsigned flags)
{
    const unsigned both = VERSO_WRITE | VERSO_EXEC;
    return (flags & both) == both && (flags & VERSO_WX) == 0;
}

static inline bool cache_is_valid(unsigned flags)
{
    return (flags & VERSO_CACHE_MASK) <= VERSO_CACHE_UC;
}

struct lock {
    uint32_t held;
    const char *name;
};

NO_INLINE void verso_i_lock_contended(struct lock *lock);

/* Debug builds know which lock was taken last, and how many are held. */
void verso_i_lock_note(const struct lock *lock, int change);
const char *verso_i_lock_held(void); /* its name; NULL: none is held */

/* False if somebody holds it. */
ALWAYS_INLINE VERSO_MUST_CHECK bool lock_try(struct lock *lock)
{
    if (unlikely(cpu_swap(&lock->held, 1) != 0))
        return false;
    if (VERSO_DEBUG)
        verso_i_lock_note(lock, 1);
    return true;
}

ALWAYS_INLINE void lock_take(struct lock *lock)
{
    if (unlikely(cpu_swap(&lock->held, 1) != 0))
        verso_i_lock_contended(lock);
    if (VERSO_DEBUG)
        verso_i_lock_note(lock, 1);
}

ALWAYS_INLINE void lock_drop(struct lock *lock)
{
    if (VERSO_DEBUG)
        verso_i_lock_note(lock, -1);
    cpu_release(&lock->held, 0);
}

/* With one CPU and interrupts off nobody can contend: the word is kept up only
 * to find mistakes. */
#define LOCK_IRQ_HELD (CPU_COUNT_MAX > 1 || VERSO_DEBUG)

ALWAYS_INLINE VERSO_MUST_CHECK uintptr_t lock_take_irq(struct lock *lock)
{
    uintptr_t flags = cpu_irq_save();
    if (LOCK_IRQ_HELD)
        lock_take(lock);
    return flags;
}

ALWAYS_INLINE void lock_drop_irq(struct lock *lock, uintptr_t flags)
{
    if (LOCK_IRQ_HELD)
        lock_drop(lock);
    cpu_irq_restore(flags);
}

/* What the compiler may call anyway, and all that we need of the C library. */
void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *at, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
