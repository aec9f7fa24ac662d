/* SPDX-License-Identifier: MIT */
/*
 * adopt.c - somebody else's page tables, and what Verso makes of them. They are
 * made here bit by bit, without a line of the library's (Intel SDM vol. 3A,
 * tables 4-4 to 4-6, 4-15 to 4-20), with what a kernel may have in them:
 *
 *     extra + 0          a table of pages, under an entry without U:
 *                        THING_* below, a page each
 *     extra + 1 large    a large page, global, with a PAT bit
 *     extra + 2, 3 large one table in two places, read-only by the entries
 *                        above, which have bit 8 set
 *     extra + 4 large    a table for tests to empty
 *     extra + 1 huge     a page of 1 GiB, where the machine has them
 *     own_slot           where Verso's mirror would be, by default: a page
 *     self_slot          the host's own mirror
 *
 * The tests run where the machine was started so (the word `adopt` of the
 * kernel's command line, BOOT=adopt on um), in any order and twice.
 */
#include <verso/check.h>
#include <verso/frame.h>
#include <verso/paging.h>
#include <verso/reclaim.h>
#include <verso/util.h>

#include "../kernel/machine.h"
#include "adopt.h"
#include "geometry.h"
#include "test.h"

#if UINTPTR_MAX > 0xffffffffu
typedef uint64_t entry_t;
#define INDEX_BITS 9u
#define NX         0x8000000000000000u
#else
typedef uint32_t entry_t;
#define INDEX_BITS 10u
#define NX         0u
#endif
#define P         0x001u
#define W         0x002u
#define U         0x004u
#define PWT       0x008u
#define PCD       0x010u
#define PS        0x080u /* PAT, at level 0 */
#define G         0x100u
#define SOFT      0xe00u
#define PAT_LARGE 0x1000u

#define PAGE    VERSO_PAGE_SIZE
#define ENTRIES (1u << INDEX_BITS)
#define LARGE   (PAGE << INDEX_BITS)
#define DEVICE  (PFN_DEVICE * (entry_t)PAGE)
#define MAGIC   0x5eed0000u

/* Frames beyond RAM that no other test maps. */
#define PFN_DEVICE ((entry_t)(NX != 0 ? 0x6000000u : 0xff000u))
#define PFN_LARGE  ((entry_t)(NX != 0 ? 0x6010000u : 0xfc000u))

/* Pages of the first table. */
enum thing {
    THING_RAM,      /* a frame of the host's */
    THING_UNCACHED, /* the same frame, uncached: on some days that is meant */
    THING_USER,     /* a user's by its own entry */
    THING_AWAY,     /* not present, but something */
    THING_PAT,      /* write-back by another entry of the PAT */
    THING_DEVICE,   /* uncached, beyond RAM */
    THING_SOFT,     /* read-only, with bits that Verso wants */
    THING_CODE,     /* to be run */
    THINGS
};
#define RAM_FRAMES 5u

static struct {
    struct adopt_host host;
    size_t used; /* pages of the pool */
    uint64_t root, ram;
} own;

static void *bytes_at(uint64_t pa)
{
    return (void *)(uintptr_t)(own.host.boot->direct_offset + pa);
}

static uint64_t page_take(void)
{
    if (own.used == own.host.pages)
        verso_panic("adopt: %zu pages are too few for the host's tables",
            own.host.pages);
    uint64_t pa = own.host.pool + own.used++ * PAGE;
    entry_t *word = bytes_at(pa);
    for (size_t i = 0; i < PAGE / sizeof(*word); i++)
        word[i] = 0;
    return pa;
}

static unsigned shift_of(unsigned level)
{
    return VERSO_PAGE_SHIFT + INDEX_BITS * level;
}

static size_t index_of(vaddr_t va, unsigned level)
{
    return (va >> shift_of(level)) & (ENTRIES - 1);
}

static uint64_t frame_of(entry_t e)
{
    return e & ~(entry_t)(PAGE - 1) & ~(entry_t)NX;
}

/* The host's entry of va at a level; tables that it takes are hooked in with
 * these bits. */
static entry_t *entry_at(vaddr_t va, unsigned level, entry_t above)
{
    uint64_t table = own.root;
    for (unsigned l = own.host.levels - 1;; l--) {
        entry_t *e = (entry_t *)bytes_at(table) + index_of(va, l);
        if (l == level)
            return e;
        if (*e == 0)
            *e = (entry_t)page_take() | above;
        table = frame_of(*e);
    }
}

static void put(vaddr_t va, unsigned level, entry_t e)
{
    *entry_at(va, level, P | W) = e;
}

static entry_t bits_of(unsigned flags)
{
    return P | (flags & VERSO_WRITE ? W : 0) | (flags & VERSO_USER ? U : 0) |
           (flags & VERSO_CACHE_MASK) | (flags & VERSO_EXEC ? 0 : NX);
}

static void map_fixed(const struct verso_fixed *fixed)
{
    for (uint64_t done = 0; done < fixed->bytes;) {
        const vaddr_t va = fixed->va + (vaddr_t)done;
        const uint64_t pa = fixed->pa + done;
        const bool is_large = own.host.large &&
                              ((va | pa) & (LARGE - 1)) == 0 &&
                              fixed->bytes - done >= LARGE;
        put(va, is_large ? 1 : 0,
            (entry_t)pa | bits_of(fixed->flags) | (is_large ? PS : 0));
        done += is_large ? LARGE : PAGE;
    }
}

static bool is_named(const char *name, const char *other)
{
    while (other && *name && *name == *other) {
        name++;
        other++;
    }
    return other && *name == *other;
}

static vaddr_t large_at(unsigned i)
{
    return own.host.extra + i * (vaddr_t)LARGE;
}

static vaddr_t thing_at(enum thing thing)
{
    return own.host.extra + thing * PAGE;
}

static uint64_t ram_at(size_t frame)
{
    return own.ram + frame * PAGE;
}

static vaddr_t slot_at(unsigned slot)
{
    const unsigned shift = shift_of(own.host.levels - 1);
    const vaddr_t sign = (vaddr_t)1 << (shift + INDEX_BITS - 1);
    const vaddr_t va = (vaddr_t)slot << shift;
    return sizeof(vaddr_t) == 4 ? va : (va ^ sign) - sign;
}

static void make_things(void)
{
    const entry_t ram = (entry_t)ram_at(0), user = (entry_t)ram_at(1);
    const entry_t both = (entry_t)ram_at(4);
    put(thing_at(THING_RAM), 0, both | P | W | NX);
    put(thing_at(THING_UNCACHED), 0, both | P | PCD | PWT | NX);
    put(thing_at(THING_USER), 0, user | P | W | U | NX);
    put(thing_at(THING_AWAY), 0, 0x123000u | SOFT);
    put(thing_at(THING_PAT), 0, user | P | PS | NX);
    put(thing_at(THING_DEVICE), 0, DEVICE | P | W | PCD | PWT | NX);
    put(thing_at(THING_SOFT), 0, ram | P | SOFT | NX);
    put(thing_at(THING_CODE), 0, ram | P);
}

/* One table in two places. */
static void make_shared(entry_t second)
{
    const entry_t above = (entry_t)page_take() | P | G;
    ((entry_t *)bytes_at(frame_of(above)))[0] = (entry_t)ram_at(2) | P | W | NX;
    put(large_at(2), 1, above);
    put(large_at(3), 1, above | second);
}

static void make_large(void)
{
    const entry_t first = PFN_LARGE * (entry_t)PAGE;
    if (own.host.large)
        put(large_at(1), 1, first | PAT_LARGE | PS | P | W | G | NX);
    if (own.host.huge)
        put(own.host.extra + ((vaddr_t)LARGE << INDEX_BITS), 2,
            (entry_t)((uint64_t)4 << shift_of(2)) | PS | P | W | NX);
}

static void make_mistake(void)
{
    const struct verso_boot *boot = own.host.boot;
    const entry_t table = (entry_t)page_take() | P | W;
    switch (own.host.mistake) {
    case ADOPT_MIRROR_TAKEN:
        put(slot_at(boot->mirror_slot), own.host.levels - 1, table);
        break;
    case ADOPT_HEAP_TAKEN:
        put(boot->heap_start + 5 * PAGE, 0, (entry_t)ram_at(0) | P);
        break;
    case ADOPT_TABLE_FREE:
        put(large_at(5), 1, (entry_t)own.host.free | P | W);
        break;
    case ADOPT_TABLE_FAR:
        put(large_at(5), 1, DEVICE | P | W);
        break;
    case ADOPT_TWO_LEVELS:
        put(slot_at(own.host.self_slot + 1), own.host.levels - 1,
            (*entry_at(large_at(0), 1, 0) & ~(entry_t)G));
        break;
    case ADOPT_FIXED:
        *entry_at(boot->fixed[0].va, 0, 0) += PAGE;
        break;
    default:
        break;
    }
}

uint32_t adopt_make(const struct adopt_host *host)
{
    struct verso_boot *boot = host->boot;
    own.host = *host;
    own.used = 0;
    own.root = page_take();
    own.ram = page_take();
    for (uint32_t i = 1; i < RAM_FRAMES; i++)
        (void)page_take();
    for (uint32_t i = 0; i < RAM_FRAMES; i++)
        *(uint32_t *)bytes_at(ram_at(i)) = MAGIC + i;
    for (size_t i = 0; i < boot->fixed_count; i++)
        if (!is_named(boot->fixed[i].name, host->skip))
            map_fixed(&boot->fixed[i]);
    make_things();
    make_large();
    make_shared(host->mistake == ADOPT_TWO_RIGHTS ? W : 0);
    for (size_t i = 0; i < 3; i++)
        put(large_at(4) + i * PAGE, 0, (entry_t)ram_at(i) | P | W | NX);
    if (host->own_slot != 0)
        put(slot_at(host->own_slot), 0, (entry_t)ram_at(3) | P | W | NX);
    put(slot_at(host->self_slot), host->levels - 1, (entry_t)own.root | P | W);
    make_mistake();
    boot->adopt = true;
    return (uint32_t)(own.root >> VERSO_PAGE_SHIFT);
}

/* ---- what Verso makes of them ---- */

static bool is_adopted(void)
{
    return machine_boot()->adopt;
}

#define ONLY_ADOPTED                                                           \
    do {                                                                       \
        if (!is_adopted())                                                     \
            SKIP("the tables are Verso's own");                                \
    } while (0)

/* What can be run where the machine forbids it, and is not. */
static unsigned declared(unsigned flags)
{
    if (NX == 0 && (flags & VERSO_WRITE) == 0)
        return flags | VERSO_EXEC;
    return flags;
}

static void check_mapping(vaddr_t va, uint64_t pa, unsigned flags)
{
    struct verso_mapping m;
    if (!CHECK_OK(verso_query(va, &m)))
        return;
    CHECK_EQ(paddr_raw(m.pa), pa);
    CHECK_EQ(m.flags, flags);
}

static uint32_t word_at(vaddr_t va)
{
    return *(volatile uint32_t *)va;
}

static struct frame *table_of(vaddr_t va, unsigned level)
{
    return verso_frame_find(
        pfn_make(geometry_raw_pfn(geometry_entry(va, level + 1))));
}

TEST(the_hosts_pages_are_known_with_the_rights_they_really_have)
{
    struct verso_mapping m;
    ONLY_ADOPTED;
    check_mapping(thing_at(THING_RAM), ram_at(4), VERSO_RW);
    check_mapping(thing_at(THING_UNCACHED), ram_at(4),
        declared(VERSO_READ) | VERSO_CACHE_UC);
    check_mapping(thing_at(THING_USER), ram_at(1), VERSO_RW);
    check_mapping(thing_at(THING_PAT), ram_at(1), declared(VERSO_READ));
    check_mapping(thing_at(THING_DEVICE), DEVICE, VERSO_RW | VERSO_CACHE_UC);
    check_mapping(thing_at(THING_SOFT), ram_at(0), declared(VERSO_READ));
    check_mapping(thing_at(THING_CODE), ram_at(0), VERSO_RX);
    CHECK_OK(verso_query(thing_at(THING_AWAY), &m));
    CHECK_EQ(m.state & VERSO_MAPPED_PRESENT, 0);
    CHECK_EQ(verso_query(thing_at(THINGS), &m), VERSO_ABSENT);
}

TEST(the_hosts_memory_is_where_it_was)
{
    ONLY_ADOPTED;
    CHECK_EQ(word_at(thing_at(THING_RAM)), MAGIC + 4);
    CHECK_EQ(word_at(thing_at(THING_USER)), MAGIC + 1);
    CHECK_EQ(word_at(large_at(2)), MAGIC + 2);
    CHECK_EQ(word_at(large_at(3)), MAGIC + 2);
    CHECK(machine_probe((void *)thing_at(THING_SOFT), true));
    CHECK(!machine_probe((void *)thing_at(THING_RAM), true));
    CHECK(machine_probe((void *)large_at(2), true));
    if (own.host.own_slot != 0)
        CHECK_EQ(word_at(slot_at(own.host.own_slot)), MAGIC + 3);
}

/* pitfall 9: through the mirror, bit 8 would be "global". */
TEST(a_table_in_two_places_is_one_read_only_in_both_and_not_global)
{
    ONLY_ADOPTED;
    check_mapping(large_at(2), ram_at(2), declared(VERSO_READ));
    check_mapping(large_at(3), ram_at(2), declared(VERSO_READ));
    CHECK_EQ(geometry_entry(large_at(2), 1) & G, 0);
    CHECK_EQ(geometry_entry(large_at(2), 1), geometry_entry(large_at(3), 1));
    CHECK_EQ(table_of(large_at(2), 0)->state, FRAME_HOST_TABLE);
    /* what is done at one place is done at the other, and flushed there */
    const uint32_t word = word_at(large_at(3));
    CHECK_OK(verso_unmap(large_at(2), 1));
    CHECK(machine_probe((void *)large_at(3), false));
    CHECK_EQ(table_of(large_at(2), 0)->live, 0);
    CHECK_EQ(verso_check() == NULL, true);
    CHECK_OK(verso_map(large_at(3),
        paddr_to_pfn(paddr_make((verso_phys_t)ram_at(2))), 1,
        declared(VERSO_READ)));
    CHECK_EQ(word_at(large_at(2)), word);
}

/* pitfall 43. */
TEST(the_hosts_tables_stay_though_they_be_empty)
{
    ONLY_ADOPTED;
    const uint64_t above = geometry_entry(large_at(4), 1);
    struct frame *table = table_of(large_at(4), 0);
    CHECK_EQ(table->state, FRAME_HOST_TABLE);
    CHECK_EQ(table->live, 3);
    CHECK_OK(verso_unmap(large_at(4), ENTRIES));
    verso_trim(); /* nor as an idle one */
    CHECK_EQ(table->live, 0);
    CHECK_EQ(table->state, FRAME_HOST_TABLE);
    CHECK_EQ(geometry_entry(large_at(4), 1) & ~(uint64_t)0x60,
        above & ~(uint64_t)0x60);
    CHECK_EQ(verso_check() == NULL, true);
    CHECK_EQ(machine_probe((void *)large_at(4), false), true);
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(verso_map(large_at(4) + i * PAGE,
            pfn_make((uint32_t)(ram_at(i) >> VERSO_PAGE_SHIFT)), 1, VERSO_RW));
    CHECK_EQ(word_at(large_at(4) + PAGE), MAGIC + 1);
    CHECK_EQ(table->live, 3);
}

/* The rights come back; the entry is Verso's from then on. */
TEST(the_hosts_pages_are_protected_as_any_other)
{
    ONLY_ADOPTED;
    const vaddr_t va = thing_at(THING_RAM);
    CHECK_OK(verso_protect(va, 1, 0));
    CHECK(machine_probe((void *)va, false));
    check_mapping(va, ram_at(4), 0);
    CHECK_OK(verso_protect(va, 1, VERSO_READ));
    CHECK(machine_probe((void *)va, true));
    CHECK_OK(verso_protect(va, 1, VERSO_RW));
    CHECK_EQ(word_at(va), MAGIC + 4);
    CHECK_EQ(verso_map(va, geometry_nowhere(), 1, VERSO_RW), VERSO_EXISTS);
}

/* Of large pages the PAT bit would be a bit of a small one's frame. */
TEST(a_large_page_of_the_hosts_is_split_as_any_other)
{
    struct verso_mapping m;
    const uint64_t first = (uint64_t)PFN_LARGE * PAGE;
    ONLY_ADOPTED;
    if (!own.host.large)
        SKIP("no large pages");
    CHECK_OK(verso_query(large_at(1), &m));
    check_mapping(large_at(1) + 7 * PAGE, first + 7 * PAGE, VERSO_RW);
    CHECK_OK(verso_protect(large_at(1) + 5 * PAGE, 1, VERSO_READ));
    for (size_t i = 0; i < ENTRIES; i++)
        check_mapping(large_at(1) + i * PAGE, first + i * PAGE,
            i == 5 ? VERSO_READ : VERSO_RW);
    CHECK_OK(verso_unmap(large_at(1), ENTRIES));
    CHECK_OK(verso_map(large_at(1),
        pfn_make((uint32_t)(first >> VERSO_PAGE_SHIFT)), ENTRIES, VERSO_RW));
    CHECK_OK(verso_query(large_at(1), &m));
    CHECK_EQ(m.page_pages, ENTRIES);
}

TEST(a_page_of_a_gib_of_the_hosts_is_cut_down_for_the_mirror)
{
    const vaddr_t va = own.host.extra + ((vaddr_t)LARGE << INDEX_BITS);
    struct verso_mapping m;
    ONLY_ADOPTED;
    if (!own.host.huge)
        SKIP("no pages of 1 GiB");
    const uint64_t first = (uint64_t)4 << shift_of(2);
    CHECK_OK(verso_query(va, &m));
    CHECK_EQ(
        m.page_pages, machine_boot()->use_direct ? ENTRIES * ENTRIES : ENTRIES);
    check_mapping(va + 3 * LARGE + PAGE, first + 3 * LARGE + PAGE, VERSO_RW);
}

/* pitfall 24. */
TEST(a_device_that_the_host_has_mapped_is_not_mapped_with_another_cache_type)
{
    size_t pages;
    ONLY_ADOPTED;
    vaddr_t va = test_window(&pages);
    pfn_t device = pfn_make((uint32_t)PFN_DEVICE);
    CHECK_EQ(verso_map(va, device, 1, VERSO_RW), VERSO_DENIED);
    CHECK_OK(verso_map(va, device, 1, VERSO_RW | VERSO_CACHE_UC));
    CHECK_OK(verso_unmap(va, 1));
}

TEST(what_is_fixed_is_mapped_whoever_did_it)
{
    const struct verso_boot *boot = machine_boot();
    ONLY_ADOPTED;
    CHECK(boot->fixed_count > 0);
    for (size_t i = 0; i < boot->fixed_count; i++) {
        const struct verso_fixed *fixed = &boot->fixed[i];
        const uint64_t last = fixed->bytes - PAGE;
        struct verso_mapping m;
        for (size_t end = 0; end < 2; end++) {
            const uint64_t at = end ? last : 0;
            if (!CHECK_OK(verso_query(fixed->va + (vaddr_t)at, &m)))
                continue;
            CHECK_EQ(paddr_raw(m.pa), fixed->pa + at);
            CHECK_EQ(m.flags, fixed->flags);
        }
    }
}

SUITE(adopt, the_hosts_pages_are_known_with_the_rights_they_really_have,
    the_hosts_memory_is_where_it_was,
    a_table_in_two_places_is_one_read_only_in_both_and_not_global,
    the_hosts_tables_stay_though_they_be_empty,
    the_hosts_pages_are_protected_as_any_other,
    a_large_page_of_the_hosts_is_split_as_any_other,
    a_page_of_a_gib_of_the_hosts_is_cut_down_for_the_mirror,
    a_device_that_the_host_has_mapped_is_not_mapped_with_another_cache_type,
    what_is_fixed_is_mapped_whoever_did_it);
