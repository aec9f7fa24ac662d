/* SPDX-License-Identifier: MIT */
/*
 * frame - physical memory: buddies, a stock in front, owners.
 *
 *     zone z   orders  bitmap of the lists that are not empty
 *              head[0]  -> 1 frame  <-> 1 frame
 *              head[5]  -> 32 frames
 *              head[10] -> 1,024 frames <-> 1,024 frames
 *     stock    frame -> frame -> frame        singles of zone `top`, LIFO
 *
 *     one block of order 2, as the array of struct frame shows it:
 *              | FREE, order 2, link, prev | FREE_TAIL | TAIL | TAIL |
 *
 * A block of order k starts at a multiple of 2^k; its buddy is the number with
 * bit k flipped. A zone's frames end at its limit; blocks do not cross it. A
 * request goes through the zones from the highest one it allows down to 0.
 *
 * One stock, of the highest zone that has frames (`top`), because nearly all
 * requests begin there: few frames come from it and go there, a batch at a time
 * from and to the lists; lower zones' frames never enter it, so they are not
 * spent on those who can do without. Many frames come and go as whole blocks,
 * small blocks first, so that large ones stay whole. A request for a block that
 * finds none empties the stock once and looks again.
 *
 * The boot map is never sorted or copied: find_gap() asks it, for a page
 * number, where the next usable pages are. Usable ranges shrink to whole pages,
 * others grow to them, and win.
 *
 * Invariants (verso_i_frame_check):
 *   frame.1  a free block is one FREE frame, the others are FREE_TAIL, and no
 *            FREE_TAIL is anywhere else
 *   frame.2  a block is aligned, within one zone, and its buddy of the same
 *            order is not free too
 *   frame.3  counts agree: blocks per order, bitmaps, stock, managed frames
 *   frame.4  lists and stock hold only free frames, each of its own zone; so
 *            nothing reserved can be handed out
 *   frame.5  links lead to frames, and prev(link(f)) is f
 *   frame.6  a frame has owners if and only if it is USED or TABLE; one that
 *            is free is write-back and has no live entries
 *
 * Lock: frame, innermost, interrupts off while it is held; at most CHUNK frames
 * are passed through at a time. Misuse panics with the lock dropped and
 * nothing changed (in bulk: nothing but the frames before the bad one).
 *
 * Cost: single frames and coalescing O(orders); bulk a few words a frame.
 * Source: Knowlton, "A fast storage allocator", CACM 8(10), 1965; the
 * stock in front is what Linux calls its per-CPU page lists, without CPUs yet.
 */
#include "frame.h"

#include "stock.h"

#define ORDER_MAX (VERSO_FRAME_ORDERS - 1u)

/* Frames handled at most while interrupts are off. */
#define CHUNK ((size_t)1 << ORDER_MAX)

_Static_assert(sizeof(struct frame) == 16, "a frame's descriptor is 16 bytes");

struct zone {
    uint32_t head[VERSO_FRAME_ORDERS];   /* first free block, 0: none */
    uint32_t blocks[VERSO_FRAME_ORDERS]; /* how many */
    uint32_t orders;                     /* bit k: head[k] != 0 */
    uint32_t end;                        /* frame number where it ends */
    uint32_t managed;                    /* frames that are not reserved */
};

/* Keys: (c) constant after init; all else under the lock. */
static struct {
    struct lock lock;
    struct frame *frames; /* (c) from frame 0 */
    uint32_t count;       /* (c) how many */
    struct stock stock;   /* single frames of zone `top` */
    unsigned top;         /* (c) highest zone that has frames */
    struct zone zones[VERSO_ZONES];
} state VERSO_STATE = {.lock = {0, "frame"}};

/* Frames taken so far, linked in the order they were taken. */
struct taken {
    uint32_t first, last;
    uint32_t pages;
};

/* ---- the boot map ---- */

/* Pages [start, end); empty if start >= end. */
struct span {
    uint64_t start, end;
};

/* Page numbers from here on do not exist, or do not fit a pfn_t. */
static uint64_t map_pages_max(void)
{
    uint64_t pages = ((verso_phys_t)-1 >> VERSO_PAGE_SHIFT) + (uint64_t)1;
    return pages < UINT32_MAX ? pages : UINT32_MAX;
}

static uint64_t page_below(uint64_t byte)
{
    return byte >> VERSO_PAGE_SHIFT;
}

static uint64_t page_above(uint64_t byte)
{
    return (byte >> VERSO_PAGE_SHIFT) +
           ((byte & (VERSO_PAGE_SIZE - 1)) != 0 ? 1 : 0);
}

/* The pages wholly inside a range, or touched by it. A range that wraps around
 * ends at the top. */
static struct span span_of(const struct verso_range *range, bool inside)
{
    uint64_t end = range->start + range->bytes;
    if (range->bytes == 0)
        return (struct span){0, 0};
    if (end < range->start)
        end = UINT64_MAX;
    if (inside)
        return (struct span){page_above(range->start), page_below(end)};
    return (struct span){page_below(range->start), page_above(end)};
}

static bool span_has(struct span span, uint64_t page)
{
    return span.start <= page && page < span.end;
}

static struct span map_get_usable(const struct verso_boot *boot, size_t i)
{
    if (!boot->map[i].usable)
        return (struct span){0, 0};
    return span_of(&boot->map[i], true);
}

/* What must not be handed out: the map's other ranges, the given ones, the
 * frame array, page 0. */
static size_t map_count_reserved(const struct verso_boot *boot)
{
    return boot->map_count + boot->reserved_count + 2;
}

static struct span map_get_reserved(const struct verso_boot *boot, size_t i)
{
    if (i < boot->map_count) {
        if (boot->map[i].usable)
            return (struct span){0, 0};
        return span_of(&boot->map[i], false);
    }
    i -= boot->map_count;
    if (i < boot->reserved_count)
        return span_of(&boot->reserved[i], false);
    if (i > boot->reserved_count || boot->frames == NULL)
        return (struct span){0, 1};
    struct verso_range array = {.start = boot->frames_pa,
        .bytes = (uint64_t)boot->frame_count * sizeof(struct frame)};
    return span_of(&array, false);
}

/* The end of what is usable without a break from `page` on (reserved or not);
 * `page` itself if it is not usable. */
static uint64_t map_end_usable(const struct verso_boot *boot, uint64_t page)
{
    for (size_t i = 0; i < boot->map_count;) {
        struct span span = map_get_usable(boot, i);
        if (span_has(span, page)) {
            page = span.end;
            i = 0; /* another may go on from there */
        } else {
            i++;
        }
    }
    return page;
}

/* The first page at or above `page` that no reserved range has. */
static uint64_t map_end_reserved(const struct verso_boot *boot, uint64_t page)
{
    for (size_t i = 0; i < map_count_reserved(boot);) {
        struct span span = map_get_reserved(boot, i);
        if (span_has(span, page)) {
            page = span.end;
            i = 0;
        } else {
            i++;
        }
    }
    return page;
}

/* The lowest usable page at or above `page`; UINT64_MAX: none. */
static uint64_t map_next_usable(const struct verso_boot *boot, uint64_t page)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < boot->map_count; i++) {
        struct span span = map_get_usable(boot, i);
        if (span.start < span.end && span.end > page && span.start < next)
            next = span.start > page ? span.start : page;
    }
    return next;
}

bool verso_i_frame_find_gap(
    const struct verso_boot *boot, uint64_t from, struct frame_gap *gap)
{
    const uint64_t max = map_pages_max();
    uint64_t start = from;
    for (;;) {
        start = map_next_usable(boot, start);
        if (start >= max)
            return false;
        uint64_t free = map_end_reserved(boot, start);
        if (free == start)
            break;
        start = free;
    }
    uint64_t end = map_end_usable(boot, start);
    for (size_t i = 0; i < map_count_reserved(boot); i++) {
        struct span span = map_get_reserved(boot, i);
        if (span.start < span.end && span.start > start && span.start < end)
            end = span.start;
    }
    *gap = (struct frame_gap){start, end < max ? end : max};
    return true;
}

/* Where RAM ends: one more than the highest usable page. */
static uint64_t map_end(const struct verso_boot *boot)
{
    uint64_t end = 0;
    for (size_t i = 0; i < boot->map_count; i++) {
        struct span span = map_get_usable(boot, i);
        if (span.start < span.end && span.start < map_pages_max() &&
            span.end > end)
            end = span.end;
    }
    return end < map_pages_max() ? end : map_pages_max();
}

int verso_frame_place(struct verso_boot *boot, uint64_t from)
{
    const uint64_t count = map_end(boot);
    const uint64_t bytes = count * sizeof(struct frame);
    struct frame_gap gap = {0, page_above(from)};
    boot->frames = NULL; /* not a reserved range yet */
    boot->frame_count = 0;
    if (bytes > SIZE_MAX - boot->direct_offset)
        return VERSO_NO_MEMORY;
    do {
        if (!verso_i_frame_find_gap(boot, gap.end, &gap))
            return VERSO_NO_MEMORY;
    } while (gap.end - gap.start < page_above(bytes));
    uint64_t pa = gap.start << VERSO_PAGE_SHIFT;
    if (pa > SIZE_MAX - boot->direct_offset - bytes)
        return VERSO_NO_MEMORY;
    boot->frames = (struct frame *)(boot->direct_offset + (uintptr_t)pa);
    boot->frames_pa = pa;
    boot->frame_count = (size_t)count;
    return VERSO_OK;
}

/* ---- frames and buddies; the lock is held ---- */

static struct frame *frame_at(uint32_t nr)
{
    VERSO_ASSERT(nr < state.count);
    return &state.frames[nr];
}

static void list_add(struct zone *zone, uint32_t nr, unsigned order)
{
    struct frame *f = frame_at(nr);
    f->state = FRAME_FREE;
    f->order = (uint8_t)order;
    f->prev = 0;
    f->link = zone->head[order];
    if (f->link != 0)
        frame_at(f->link)->prev = nr;
    zone->head[order] = nr;
    zone->blocks[order]++;
    zone->orders |= 1u << order;
}

/* The whole block is FREE_TAIL afterwards: nothing takes it for a buddy. */
static void list_remove(struct zone *zone, uint32_t nr, unsigned order)
{
    struct frame *f = frame_at(nr);
    if (f->prev != 0)
        frame_at(f->prev)->link = f->link;
    else
        zone->head[order] = f->link;
    if (f->link != 0)
        frame_at(f->link)->prev = f->prev;
    if (zone->head[order] == 0)
        zone->orders &= ~(1u << order);
    zone->blocks[order]--;
    f->state = FRAME_FREE_TAIL;
}

/* Takes the first block of order `have`, which there is, and gives back all of
 * it but its first 2^want frames. They stay FREE_TAIL. */
static uint32_t block_take(struct zone *zone, unsigned have, unsigned want)
{
    uint32_t nr = zone->head[have];
    list_remove(zone, nr, have);
    while (have > want) {
        have--;
        list_add(zone, nr + (1u << have), have);
    }
    return nr;
}

/* Frees a block whose frames are FREE_TAIL; returns the order it grew to. */
static unsigned block_free(struct zone *zone, uint32_t nr, unsigned order)
{
    const uint8_t number = (uint8_t)(zone - state.zones);
    for (; order < ORDER_MAX; order++) {
        uint32_t buddy = nr ^ (1u << order);
        if (buddy >= state.count)
            break;
        const struct frame *f = frame_at(buddy);
        if (f->state != FRAME_FREE || f->order != order || f->zone != number)
            break;
        list_remove(zone, buddy, order);
        nr &= buddy;
    }
    list_add(zone, nr, order);
    return order;
}

/* Frees consecutive FREE_TAIL frames as the largest aligned blocks, cut where
 * a zone ends. */
static void run_free(uint32_t nr, uint32_t pages)
{
    while (pages > 0) {
        struct zone *zone = &state.zones[frame_at(nr)->zone];
        uint32_t here = zone->end - nr < pages ? zone->end - nr : pages;
        unsigned order = bit_highest(here);
        if (order > ORDER_MAX)
            order = ORDER_MAX;
        if (nr != 0 && order > bit_lowest(nr))
            order = bit_lowest(nr);
        block_free(zone, nr, order);
        nr += 1u << order;
        pages -= 1u << order;
    }
}

/* Gives consecutive frames a state and owners, each linked to the next. Live
 * entries and cache type of a free frame are 0 already. Inlined with constants:
 * live and count are one store then. */
ALWAYS_INLINE void run_fill_as(
    uint32_t nr, uint32_t pages, enum frame_state as, uint16_t owners)
{
    struct frame *f = frame_at(nr);
    UNROLL_4
    for (const struct frame *end = f + pages; f != end; f++) {
        f->link = ++nr;
        f->live = 0;
        f->count = owners;
        f->state = (uint8_t)as;
    }
}

static void run_fill(uint32_t nr, uint32_t pages, enum frame_state as)
{
    if (as == FRAME_USED)
        run_fill_as(nr, pages, FRAME_USED, 1);
    else
        run_fill_as(nr, pages, FRAME_STOCK, 0);
}

static void taken_add(
    struct taken *taken, uint32_t first, uint32_t last, uint32_t pages)
{
    if (taken->pages == 0)
        taken->first = first;
    else
        frame_at(taken->last)->link = first;
    taken->last = last;
    taken->pages += pages;
}

/* Takes up to `pages` frames out of the zone's lists, smallest blocks first. */
static void zone_take(
    struct zone *zone, struct taken *taken, uint32_t pages, enum frame_state as)
{
    while (pages > 0 && zone->orders != 0) {
        unsigned have = bit_lowest(zone->orders);
        unsigned want = bit_highest(pages);
        if (want > have)
            want = have;
        uint32_t nr = block_take(zone, have, want);
        uint32_t here = 1u << want;
        run_fill(nr, here, as);
        taken_add(taken, nr, nr + here - 1, here);
        pages -= here;
    }
}

/* ---- the stock; the lock is held ---- */

static uint32_t stock_pages(void)
{
    return (uint32_t)(VERSO_STOCK_HIGH - state.stock.room);
}

static NO_INLINE void stock_fill(void)
{
    struct taken taken = {.pages = 0};
    zone_take(&state.zones[state.top], &taken, VERSO_STOCK_BATCH, FRAME_STOCK);
    if (taken.pages == 0)
        return;
    frame_at(taken.last)->link = (uint32_t)state.stock.first;
    stock_push(&state.stock, taken.first, taken.pages);
}

/* Moves up to `pages` frames to the lists; did two of them make a pair? */
static NO_INLINE bool stock_empty(uint32_t pages)
{
    bool grew = false;
    for (; pages > 0 && state.stock.first != 0; pages--) {
        uint32_t nr = (uint32_t)state.stock.first;
        struct frame *f = frame_at(nr);
        stock_pop(&state.stock, f->link, 1);
        f->state = FRAME_FREE_TAIL;
        grew |= block_free(&state.zones[state.top], nr, 0) > 0;
    }
    return grew;
}

/* Takes up to `pages` frames out of the stock, as they are linked. */
ALWAYS_INLINE void stock_take(struct taken *taken, uint32_t pages)
{
    struct frame *const frames = state.frames; /* stores do not change it */
    const uint32_t first = (uint32_t)state.stock.first;
    uint32_t next = first, last = 0;
    if (pages > stock_pages())
        pages = stock_pages();
    if (pages == 0)
        return;
    UNROLL_4
    for (uint32_t left = pages; left > 0; left--) {
        struct frame *f = &frames[next];
        f->live = 0; /* is 0: so that one store writes both */
        f->count = 1;
        f->state = FRAME_USED;
        last = next;
        next = f->link;
    }
    stock_pop(&state.stock, next, pages);
    taken_add(taken, first, last, pages);
}

/* What remains of a frame when its last owner is gone: nothing. */
ALWAYS_INLINE void frame_clear(struct frame *f, enum frame_state as)
{
    f->live = 0;
    f->count = 0;
    f->state = (uint8_t)as;
    f->cache = 0;
}

/* ---- single frames ---- */

const char *verso_i_frame_state_name(unsigned as)
{
    static const char *const names[] = {
        [FRAME_RESERVED] = "reserved",
        [FRAME_FREE] = "free",
        [FRAME_FREE_TAIL] = "free",
        [FRAME_STOCK] = "free (stock)",
        [FRAME_USED] = "used",
        [FRAME_TABLE] = "a table",
        [FRAME_HOST_TABLE] = "a table of the host's",
    };
    return as < ARRAY_COUNT(names) ? names[as] : "damaged";
}

/* Freeing went wrong at this frame. */
static NO_INLINE void panic_free(uint32_t nr)
{
    if (nr >= state.count)
        verso_panic("frame 0x%x: freed, but there are only 0x%x frames", nr,
            state.count);
    const struct frame *f = frame_at(nr);
    verso_panic("frame 0x%x: freed, but it is %s, with %u owners", nr,
        verso_i_frame_state_name(f->state), f->count);
}

static void verify_zone(unsigned zone)
{
    VERSO_VERIFY(zone < VERSO_ZONES, "frame: zone %u, but there are only %u",
        zone, VERSO_ZONES);
}

/* Where a request begins to look: above `top` there are no frames. */
static unsigned zone_first(unsigned zone)
{
    return zone < state.top ? zone : state.top;
}

/* Adds up to `target` frames in all; the lock is held. */
static void frames_take(struct taken *taken, uint32_t target, unsigned zone)
{
    for (unsigned z = zone_first(zone) + 1; z-- > 0 && taken->pages < target;) {
        uint32_t want = target - taken->pages;
        bool few = z == state.top && want <= VERSO_STOCK_BATCH;
        if (!few)
            zone_take(&state.zones[z], taken, want, FRAME_USED);
        else if (stock_pages() < want)
            stock_fill();
        if (z == state.top)
            stock_take(taken, target - taken->pages);
    }
}

/* The stock is empty, or not for such requests. */
static NO_INLINE pfn_t alloc1_slow(unsigned zone)
{
    struct taken taken = {.pages = 0};
    verify_zone(zone);
    uintptr_t flags = lock_take_irq(&state.lock);
    frames_take(&taken, 1, zone);
    lock_drop_irq(&state.lock, flags);
    return pfn_make(taken.first);
}

/* What is not usual leaves by a jump at the very end, here and in free1: so
 * the compiler saves no registers for it. */
pfn_t verso_frame_alloc1(unsigned zone)
{
    if (unlikely(zone != VERSO_ZONE_ANY))
        return alloc1_slow(zone);
    uintptr_t flags = lock_take_irq(&state.lock);
    const uint32_t nr = (uint32_t)state.stock.first;
    if (unlikely(nr == 0)) {
        lock_drop_irq(&state.lock, flags);
        return alloc1_slow(VERSO_ZONE_ANY);
    }
    struct frame *f = frame_at(nr);
    f->live = 0; /* as above */
    f->count = 1;
    f->state = FRAME_USED;
    stock_pop(&state.stock, f->link, 1);
    lock_drop_irq(&state.lock, flags);
    return pfn_make(nr);
}

/* The last owner of a frame of the stock's zone is gone. */
ALWAYS_INLINE void stock_add(uint32_t nr, struct frame *f)
{
    frame_clear(f, FRAME_STOCK);
    f->link = (uint32_t)state.stock.first;
    stock_push(&state.stock, nr, 1);
}

/* One owner less; false: there is none. The lock is held. The stock takes what
 * is the top zone's, before it comes to this. */
static bool frame_release(uint32_t nr)
{
    struct frame *f = frame_at(nr);
    if (f->count == 0)
        return false;
    if (f->count > 1) {
        f->count--;
    } else {
        frame_clear(f, FRAME_FREE_TAIL);
        block_free(&state.zones[f->zone], nr, 0);
    }
    return true;
}

/* Several owners or none, or another zone. */
static NO_INLINE void free1_slow(uint32_t nr, uintptr_t flags)
{
    bool released = frame_release(nr);
    lock_drop_irq(&state.lock, flags);
    if (!released)
        panic_free(nr);
}

static NO_INLINE void free1_full(uintptr_t flags)
{
    stock_empty(VERSO_STOCK_BATCH);
    lock_drop_irq(&state.lock, flags);
}

void verso_frame_free1(pfn_t pfn)
{
    const uint32_t nr = pfn_nr(pfn);
    if (unlikely(nr >= state.count)) {
        panic_free(nr);
        return;
    }
    uintptr_t flags = lock_take_irq(&state.lock);
    struct frame *f = frame_at(nr);
    if (unlikely(f->count != 1 || f->zone != state.top)) {
        free1_slow(nr, flags);
        return;
    }
    stock_add(nr, f);
    if (unlikely(state.stock.room < 0)) {
        free1_full(flags);
        return;
    }
    lock_drop_irq(&state.lock, flags);
}

/* ---- blocks and runs ---- */

/* 2^order FREE_TAIL frames, 0 if none; the lock is held. */
static uint32_t blocks_find(unsigned order, unsigned zone)
{
    for (unsigned z = zone_first(zone) + 1; z-- > 0;) {
        uint32_t fit = state.zones[z].orders >> order;
        if (fit != 0)
            return block_take(&state.zones[z], order + bit_lowest(fit), order);
    }
    return 0;
}

pfn_t verso_frame_alloc_run(size_t pages, unsigned zone)
{
    VERSO_VERIFY(pages >= 1 && pages <= CHUNK,
        "frame: a run of %zu pages, 1..%zu are possible", pages, CHUNK);
    verify_zone(zone);
    const unsigned order = order_of(pages);
    const uint32_t used = (uint32_t)pages;
    if (order == 0)
        return verso_frame_alloc1(zone);
    uintptr_t flags = lock_take_irq(&state.lock);
    uint32_t nr = blocks_find(order, zone);
    if (nr == 0 && zone >= state.top && stock_empty(UINT32_MAX))
        nr = blocks_find(order, zone);
    if (nr != 0) {
        run_fill(nr, used, FRAME_USED);
        run_free(nr + used, (1u << order) - used);
    }
    lock_drop_irq(&state.lock, flags);
    return pfn_make(nr);
}

pfn_t verso_frame_alloc(unsigned order, unsigned zone)
{
    VERSO_VERIFY(order <= ORDER_MAX, "frame: a block of order %u, 0..%u exist",
        order, ORDER_MAX);
    return verso_frame_alloc_run((size_t)1 << order, zone);
}

/* Frees frames from `nr` on as long as each has one owner; returns how many.
 * `chained`: and as long as each is linked to the next. */
ALWAYS_INLINE uint32_t run_release(uint32_t nr, uint32_t max, bool chained)
{
    struct frame *const first = frame_at(nr);
    struct frame *f = first;
    for (const struct frame *end = f + max; f->count == 1;) {
        frame_clear(f, FRAME_FREE_TAIL);
        nr++;
        f++;
        if (f == end || (chained && f[-1].link != nr))
            break;
    }
    return (uint32_t)(f - first);
}

void verso_frame_free_run(pfn_t pfn, size_t pages)
{
    const uint32_t nr = pfn_nr(pfn);
    VERSO_VERIFY(pages >= 1 && pages <= CHUNK,
        "frame 0x%x: freed as a run of %zu pages", nr, pages);
    if (nr >= state.count || pages > state.count - nr)
        panic_free(nr < state.count ? state.count : nr);
    uintptr_t flags = lock_take_irq(&state.lock);
    uint32_t bad = nr;
    while (bad - nr < pages && frame_at(bad)->count == 1)
        bad++;
    if (unlikely(bad - nr < pages)) {
        lock_drop_irq(&state.lock, flags);
        panic_free(bad);
    }
    run_free(nr, run_release(nr, (uint32_t)pages, false));
    lock_drop_irq(&state.lock, flags);
}

void verso_frame_free(pfn_t pfn, unsigned order)
{
    const uint32_t nr = pfn_nr(pfn);
    VERSO_VERIFY(order <= ORDER_MAX && (nr & bits_below(order)) == 0,
        "frame 0x%x: freed as a block of order %u", nr, order);
    if (order == 0)
        verso_frame_free1(pfn);
    else
        verso_frame_free_run(pfn, (size_t)1 << order);
}

/* ---- bulk ---- */

/* Many, or the stock has too few. */
static NO_INLINE int alloc_bulk_other(
    struct verso_chain *chain, size_t pages, unsigned zone)
{
    struct taken taken = {.pages = 0};
    uint32_t target = 0;
    verify_zone(zone);
    while (taken.pages == target && target < pages && pages < state.count) {
        size_t rest = pages - target;
        target += (uint32_t)(rest < CHUNK ? rest : CHUNK);
        uintptr_t flags = lock_take_irq(&state.lock);
        frames_take(&taken, target, zone);
        lock_drop_irq(&state.lock, flags);
    }
    *chain = (struct verso_chain){pfn_make(taken.first), taken.pages};
    if (taken.pages != 0)
        frame_at(taken.last)->link = 0;
    if (taken.pages == pages)
        return VERSO_OK;
    verso_frame_free_bulk(chain);
    return VERSO_NO_MEMORY;
}

int verso_frame_alloc_bulk(
    struct verso_chain *chain, size_t pages, unsigned zone)
{
    struct taken taken = {.pages = 0};
    if (pages > VERSO_STOCK_BATCH || zone != VERSO_ZONE_ANY)
        return alloc_bulk_other(chain, pages, zone);
    uintptr_t flags = lock_take_irq(&state.lock);
    if (likely(pages <= stock_pages()))
        stock_take(&taken, (uint32_t)pages);
    lock_drop_irq(&state.lock, flags);
    if (unlikely(taken.pages == 0))
        return alloc_bulk_other(chain, pages, zone);
    frame_at(taken.last)->link = 0;
    *chain = (struct verso_chain){pfn_make(taken.first), pages};
    return VERSO_OK;
}

/* The chain goes on at frame `next`, `pages` further. */
static void chain_step(struct verso_chain *chain, uint32_t next, size_t pages)
{
    chain->pages -= pages;
    chain->first = pfn_make(chain->pages != 0 ? next : 0);
}

/* Makes frames of a chain frames of the stock, linked as they are, as long as
 * each has one owner and is of the stock's zone. Returns the last of them;
 * *left is how many are not. */
static NO_INLINE struct frame *chain_clear(uint32_t nr, size_t *left)
{
    struct frame *const frames = state.frames; /* stores do not change these */
    const uint32_t limit = state.count;
    const uint8_t top = (uint8_t)state.top;
    struct frame *last = NULL;
    size_t n = *left;
    while (likely(nr < limit)) {
        struct frame *f = &frames[nr];
        if (unlikely(f->count != 1) || unlikely(f->zone != top))
            break;
        frame_clear(f, FRAME_STOCK);
        last = f;
        nr = f->link;
        if (--n == 0)
            break;
    }
    *left = n;
    return last;
}

/* The first frame of a chain loses an owner, if it has one. */
static NO_INLINE void chain_release_one(struct verso_chain *chain)
{
    const uint32_t nr = pfn_nr(chain->first);
    const uint32_t next = nr < state.count ? frame_at(nr)->link : 0;
    if (nr < state.count && frame_release(nr))
        *chain = (struct verso_chain){pfn_make(next), chain->pages - 1};
}

/* Few frames: to the stock. One that is not like the others is released by
 * itself, and ends it. */
ALWAYS_INLINE void chain_to_stock(struct verso_chain *chain)
{
    size_t left = chain->pages;
    struct frame *last = chain_clear(pfn_nr(chain->first), &left);
    uint32_t nr = pfn_nr(chain->first);
    if (likely(last != NULL)) {
        nr = last->link;
        last->link = (uint32_t)state.stock.first;
        stock_push(&state.stock, pfn_nr(chain->first),
            (uint32_t)(chain->pages - left));
    }
    *chain = (struct verso_chain){pfn_make(nr), left};
    if (unlikely(left != 0))
        chain_release_one(chain);
    if (unlikely(state.stock.room < 0))
        stock_empty(VERSO_STOCK_BATCH);
}

/* Many: consecutive ones at once, to the lists; up to CHUNK. */
static NO_INLINE void chain_to_lists(struct verso_chain *chain)
{
    size_t left = chain->pages < CHUNK ? chain->pages : CHUNK;
    while (left != 0 && pfn_nr(chain->first) < state.count) {
        const uint32_t nr = pfn_nr(chain->first);
        const uint32_t above = state.count - nr;
        uint32_t max = left < above ? (uint32_t)left : above;
        uint32_t pages = run_release(nr, max, true);
        uint32_t next = frame_at(nr + (pages != 0 ? pages - 1 : 0))->link;
        if (pages != 0) {
            run_free(nr, pages);
        } else if (frame_at(nr)->count != 0) {
            frame_at(nr)->count--;
            pages = 1;
        } else {
            return;
        }
        chain_step(chain, next, pages);
        left -= pages;
    }
}

/* Many, or some that are not like the others. */
static NO_INLINE void free_bulk_other(struct verso_chain *chain)
{
    const bool few = chain->pages <= VERSO_STOCK_BATCH;
    while (chain->pages != 0) {
        const size_t before = chain->pages;
        uintptr_t flags = lock_take_irq(&state.lock);
        if (few)
            chain_to_stock(chain);
        else
            chain_to_lists(chain);
        lock_drop_irq(&state.lock, flags);
        if (chain->pages == before)
            panic_free(pfn_nr(chain->first));
    }
    chain->first = PFN_NONE;
}

void verso_frame_free_bulk(struct verso_chain *chain)
{
    if (chain->pages - 1 < VERSO_STOCK_BATCH) {
        uintptr_t flags = lock_take_irq(&state.lock);
        chain_to_stock(chain);
        lock_drop_irq(&state.lock, flags);
    }
    if (unlikely(chain->pages != 0))
        free_bulk_other(chain);
    chain->first = PFN_NONE;
}

/* ---- owners, cache type ---- */

struct frame *verso_frame_find(pfn_t pfn)
{
    const uint32_t nr = pfn_nr(pfn);
    return nr < state.count ? &state.frames[nr] : NULL;
}

void verso_frame_share(pfn_t pfn)
{
    struct frame *f = verso_frame_find(pfn);
    VERSO_VERIFY(f != NULL && f->count != 0 && f->count != UINT16_MAX,
        "frame 0x%x: one owner more than %u", pfn_nr(pfn),
        f != NULL ? f->count : 0u);
    uintptr_t flags = lock_take_irq(&state.lock);
    f->count++;
    lock_drop_irq(&state.lock, flags);
}

unsigned verso_frame_owners(pfn_t pfn)
{
    const struct frame *f = verso_frame_find(pfn);
    return f != NULL ? f->count : 0;
}

/* Reserved frames have a cache type too: devices are among them. */
void verso_frame_set_cache(pfn_t pfn, unsigned cache)
{
    struct frame *f = verso_frame_find(pfn);
    VERSO_VERIFY((cache & ~VERSO_CACHE_MASK) == 0 && cache_is_valid(cache),
        "frame 0x%x: cache type 0x%x does not exist", pfn_nr(pfn), cache);
    VERSO_VERIFY(f != NULL && (f->count != 0 || f->state == FRAME_RESERVED),
        "frame 0x%x: cache type 0x%x, but it is %s", pfn_nr(pfn), cache,
        f != NULL ? verso_i_frame_state_name(f->state) : "not in the array");
    f->cache = (uint8_t)(cache >> VERSO_CACHE_SHIFT);
}

/* ---- init, drain ---- */

/* Limits of 0, and beyond the array, are the array's end. */
static void init_zones(const struct verso_boot *boot)
{
    uint32_t start = 0;
    for (unsigned z = 0; z < VERSO_ZONES; z++) {
        uint64_t end = page_below(boot->zone_limit[z]);
        if (boot->zone_limit[z] == 0 || end > state.count)
            end = state.count;
        VERSO_VERIFY(end >= start,
            "frame: zone %u ends at frame 0x%x, below the one before", z,
            (uint32_t)end);
        state.zones[z] = (struct zone){.end = (uint32_t)end};
        for (; start < end; start++)
            state.frames[start] = (struct frame){.zone = (uint8_t)z};
    }
    /* above the last zone's limit nobody may ask; paging may look */
    for (uint32_t nr = start; nr < state.count; nr++)
        state.frames[nr] = (struct frame){.zone = VERSO_ZONES - 1};
    state.count = start;
}

static void init_gap(uint32_t nr, uint32_t end)
{
    for (uint32_t i = nr; i < end; i++) {
        struct frame *f = frame_at(i);
        f->state = FRAME_FREE_TAIL;
        state.zones[f->zone].managed++;
    }
    run_free(nr, end - nr);
}

int verso_i_frame_init(const struct verso_boot *boot)
{
    const uint64_t max = map_pages_max();
    struct frame_gap gap = {0, 0};
    VERSO_VERIFY(boot->frames != NULL && boot->frame_count != 0,
        "frame: no frame array, %zu frames", boot->frame_count);
    state.frames = boot->frames;
    state.count = (uint32_t)(boot->frame_count < max ? boot->frame_count : max);
    init_zones(boot);
    while (verso_i_frame_find_gap(boot, gap.end, &gap)) {
        if (gap.start >= state.count)
            break;
        if (gap.end > state.count)
            gap.end = state.count;
        init_gap((uint32_t)gap.start, (uint32_t)gap.end);
    }
    uint32_t managed = 0;
    state.stock = (struct stock){.room = VERSO_STOCK_HIGH};
    for (unsigned z = 0; z < VERSO_ZONES; z++) {
        if (state.zones[z].managed != 0)
            state.top = z;
        managed += state.zones[z].managed;
    }
    return managed != 0 ? VERSO_OK : VERSO_NO_MEMORY;
}

bool verso_i_frame_drain(void)
{
    uintptr_t flags = lock_take_irq(&state.lock);
    bool grew = stock_empty(UINT32_MAX);
    lock_drop_irq(&state.lock, flags);
    return grew;
}

/* ---- stats, report ---- */

static uint32_t zone_count_free(const struct zone *zone)
{
    uint32_t pages = 0;
    for (unsigned k = 0; k < VERSO_FRAME_ORDERS; k++)
        pages += zone->blocks[k] << k;
    return pages;
}

void verso_frame_stats(struct verso_frame_stats *stats)
{
    *stats = (struct verso_frame_stats){.managed = 0};
    uintptr_t flags = lock_take_irq(&state.lock);
    for (unsigned z = 0; z < VERSO_ZONES; z++) {
        const struct zone *zone = &state.zones[z];
        stats->managed += zone->managed;
        stats->free += zone_count_free(zone);
        for (unsigned k = 0; k < VERSO_FRAME_ORDERS; k++)
            stats->blocks[k] += zone->blocks[k];
    }
    stats->stock = stock_pages();
    stats->free += stats->stock;
    stats->used = stats->managed - stats->free;
    lock_drop_irq(&state.lock, flags);
}

size_t verso_frame_used(void)
{
    size_t used = 0;
    for (unsigned z = 0; z < VERSO_ZONES; z++)
        if (state.zones[z].managed != 0)
            used += state.zones[z].managed - zone_count_free(&state.zones[z]);
    return used - stock_pages();
}

/* "    1.5 MiB": 11 characters. */
static void print_size(uint64_t pages)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    uint64_t tenths = (pages << (VERSO_PAGE_SHIFT - 10)) * 10;
    unsigned unit = 0;
    while (tenths >= 10240 && unit + 1 < ARRAY_COUNT(units)) {
        tenths >>= 10;
        unit++;
    }
    uint32_t rest = (uint32_t)tenths;
    verso_print("%5u.%u %s", rest / 10, rest % 10, units[unit]);
}

#define PICTURE_COLUMNS 64u

/* One character of the picture: what most frames of a stretch are. */
static char picture_at(uint32_t nr, uint32_t end)
{
    static const char signs[] = {'x', '.', '#', 'T'};
    uint32_t counts[ARRAY_COUNT(signs)] = {0};
    unsigned most = 0;
    for (; nr < end; nr++) {
        unsigned as = frame_at(nr)->state;
        counts[as == FRAME_RESERVED                          ? 0
               : as == FRAME_USED                            ? 2
               : as == FRAME_TABLE || as == FRAME_HOST_TABLE ? 3
                                                             : 1]++;
    }
    for (unsigned i = 1; i < ARRAY_COUNT(signs); i++)
        if (counts[i] > counts[most])
            most = i;
    return signs[most];
}

static void report_picture(void)
{
    char line[PICTURE_COLUMNS + 1];
    uint32_t step = (state.count + PICTURE_COLUMNS - 1) / PICTURE_COLUMNS;
    uint32_t column = 0;
    for (uint32_t nr = 0; nr < state.count; column++) {
        uint32_t end = state.count - nr > step ? nr + step : state.count;
        line[column] = picture_at(nr, end);
        nr = end;
    }
    line[column] = '\0';
    verso_print(
        "  [%s]\n   x reserved  # used  T tables  . free; a sign is", line);
    print_size(step);
    verso_print("\n");
}

static void report_states(void)
{
    static const char *const rows[] = {
        [FRAME_RESERVED] = "reserved",
        [FRAME_FREE] = "free, in blocks",
        [FRAME_STOCK] = "free, in stock",
        [FRAME_USED] = "used",
        [FRAME_TABLE] = "used for tables",
        [FRAME_HOST_TABLE] = "host's tables",
    };
    uint32_t counts[FRAME_HOST_TABLE + 1] = {0};
    for (uint32_t nr = 0; nr < state.count; nr++) {
        unsigned as = frame_at(nr)->state;
        counts[as == FRAME_FREE_TAIL ? FRAME_FREE : as]++;
    }
    for (unsigned as = 0; as < ARRAY_COUNT(rows); as++) {
        if (rows[as] == NULL || (as == FRAME_HOST_TABLE && counts[as] == 0))
            continue;
        verso_print("  %-16s %9u frames ", rows[as], counts[as]);
        print_size(counts[as]);
        verso_print("\n");
    }
}

static void report_blocks(void)
{
    struct verso_frame_stats stats;
    verso_frame_stats(&stats);
    verso_print("  free blocks of 2^k pages\n   k");
    for (unsigned k = 0; k < VERSO_FRAME_ORDERS; k++)
        verso_print("%6u", k);
    verso_print("\n    ");
    for (unsigned k = 0; k < VERSO_FRAME_ORDERS; k++)
        verso_print("%6zu", stats.blocks[k]);
    verso_print("\n");
}

static void report_zones(void)
{
    uint32_t start = 0;
    for (unsigned z = 0; z < VERSO_ZONES; z++) {
        const struct zone *zone = &state.zones[z];
        if (zone->end > start) {
            verso_print("  zone %u  frames 0x%05x..0x%05x  RAM ", z, start,
                zone->end - 1);
            print_size(zone->managed);
            verso_print("  free ");
            print_size(
                zone_count_free(zone) + (z == state.top ? stock_pages() : 0));
            verso_print("\n");
        }
        start = zone->end;
    }
}

void verso_i_frame_report(void)
{
    verso_print("frames: %u of %u KiB,", state.count,
        (unsigned)(VERSO_PAGE_SIZE / 1024));
    print_size(state.count);
    verso_print(" from address 0; the array is at %p,", (void *)state.frames);
    print_size(pages_of(state.count * sizeof(struct frame)));
    verso_print("\n");
    report_picture();
    report_states();
    report_blocks();
    report_zones();
}

/* ---- check: the invariants ---- */

static const char *broken(const char *what, uint32_t nr)
{
    verso_print("check: %s: frame 0x%x of 0x%x", what, nr, state.count);
    if (nr < state.count) {
        const struct frame *f = frame_at(nr);
        verso_print(": state %u order %u zone %u cache %u owners %u live %u "
                    "link 0x%x prev 0x%x",
            f->state, f->order, f->zone, f->cache, f->count, f->live, f->link,
            f->prev);
    }
    verso_print("\n");
    return what;
}

static const char *const LINKS = "frame.5: links lead to frames and back";
static const char *const LISTED =
    "frame.4: lists and stock hold free frames of their zone";
static const char *const COUNTS = "frame.3: counts agree";

static const char *check_list(unsigned z, unsigned order)
{
    const struct zone *zone = &state.zones[z];
    uint32_t count = 0, prev = 0;
    for (uint32_t nr = zone->head[order]; nr != 0; count++) {
        if (nr >= state.count || frame_at(nr)->prev != prev ||
            count > zone->blocks[order])
            return broken(LINKS, nr);
        const struct frame *f = frame_at(nr);
        if (f->state != FRAME_FREE || f->order != order || f->zone != z)
            return broken(LISTED, nr);
        prev = nr;
        nr = f->link;
    }
    bool listed = (zone->orders >> order & 1) != 0;
    if (count != zone->blocks[order] || listed != (count != 0))
        return broken(COUNTS, zone->head[order]);
    return NULL;
}

static const char *check_stock(void)
{
    uint32_t count = 0;
    for (uint32_t nr = (uint32_t)state.stock.first; nr != 0; count++) {
        if (nr >= state.count || count > stock_pages())
            return broken(LINKS, nr);
        const struct frame *f = frame_at(nr);
        if (f->state != FRAME_STOCK || f->zone != state.top)
            return broken(LISTED, nr);
        nr = f->link;
    }
    if (count != stock_pages())
        return broken(COUNTS, (uint32_t)state.stock.first);
    return NULL;
}

/* The block that begins at a FREE frame. */
static const char *check_block(uint32_t nr)
{
    const struct frame *f = frame_at(nr);
    const char *const shape = "frame.2: blocks are aligned, in a zone, merged";
    if (f->order > ORDER_MAX || (nr & bits_below(f->order)) != 0 ||
        state.zones[f->zone].end - nr < 1u << f->order)
        return broken(shape, nr);
    uint32_t buddy = nr ^ 1u << f->order;
    if (f->order < ORDER_MAX && buddy < state.count) {
        const struct frame *b = frame_at(buddy);
        if (b->state == FRAME_FREE && b->order == f->order &&
            b->zone == f->zone)
            return broken(shape, nr);
    }
    for (uint32_t i = nr + 1; i < nr + (1u << f->order); i++)
        if (frame_at(i)->state != FRAME_FREE_TAIL ||
            frame_at(i)->zone != f->zone)
            return broken("frame.1: a block is a head and its tail", i);
    return NULL;
}

static bool is_never_ours(const struct frame *f)
{
    return f->state == FRAME_RESERVED || f->state == FRAME_HOST_TABLE;
}

static const char *check_owners(uint32_t nr)
{
    const struct frame *f = frame_at(nr);
    bool owned = f->state == FRAME_USED || f->state == FRAME_TABLE;
    bool plain = f->cache == 0 && f->live == 0;
    if (f->state > FRAME_HOST_TABLE || owned != (f->count != 0) ||
        (!owned && !is_never_ours(f) && !plain))
        return broken("frame.6: owners, cache type and state agree", nr);
    return NULL;
}

static const char *check_zone(unsigned z)
{
    const struct zone *zone = &state.zones[z];
    const uint32_t start = z == 0 ? 0 : state.zones[z - 1].end;
    uint32_t free = 0, managed = 0, tail = 0;
    for (uint32_t nr = start; nr < zone->end; nr++) {
        const struct frame *f = frame_at(nr);
        const char *bad = check_owners(nr);
        if (bad == NULL && f->zone != z)
            bad = broken("frame.2: zones are where their limits say", nr);
        if (bad == NULL && f->state == FRAME_FREE)
            bad = check_block(nr);
        if (bad != NULL)
            return bad;
        if (f->state == FRAME_FREE)
            tail = nr + (1u << f->order);
        if (f->state == FRAME_FREE_TAIL && nr >= tail)
            return broken("frame.1: a tail has a head", nr);
        managed += !is_never_ours(f);
        free += f->state == FRAME_FREE || f->state == FRAME_FREE_TAIL;
    }
    if (free != zone_count_free(zone) || managed != zone->managed)
        return broken(COUNTS, start);
    return NULL;
}

const char *verso_i_frame_check(void)
{
    const char *bad = check_stock();
    for (unsigned z = 0; bad == NULL && z < VERSO_ZONES; z++) {
        for (unsigned k = 0; bad == NULL && k < VERSO_FRAME_ORDERS; k++)
            bad = check_list(z, k);
        if (bad == NULL)
            bad = check_zone(z);
    }
    return bad;
}
