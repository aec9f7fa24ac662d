/* SPDX-License-Identifier: MIT */
/*
 * monitor.c - looking at Verso, and poking it, from the keyboard or from the
 * command line (cmd="...").
 *
 *     line -> words (in place) -> commands[] by name -> run(argc, argv) -> ok?
 *
 * A command says whether it succeeded, after printing what was wrong. Numbers
 * are decimal, or hexadecimal after 0x. What `alloc` and `area` return is kept
 * in a small table, and `free` takes nothing else: the library would panic on
 * a wrong address, which is right for a kernel and harsh for a typing error.
 */
#include <stdatomic.h>

#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

#define LINE_MAX  200u
#define WORDS_MAX 6u
#define HELD_MAX  64u

struct command {
    const char *name;
    const char *arguments;
    const char *help;
    unsigned words_min, words_max; /* its own name included */
    bool (*run)(unsigned words, char **word);
};

static struct {
    bool quit;
    struct {
        void *address;
        size_t size; /* bytes, or pages of an area */
        bool is_area;
    } held[HELD_MAX];
} monitor;

/* ---- arguments ---- */

/* The value of a digit in any base up to 16; 16 if it is none. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

static bool number_read(const char *text, size_t *value)
{
    size_t base = 10, n = 0;
    const char *at = text;

    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        base = 16;
        at += 2;
    }
    bool ok = *at != '\0';
    for (; ok && *at != '\0'; at++) {
        size_t digit = digit_value(*at);
        ok = digit < base && n <= (SIZE_MAX - digit) / base;
        n = n * base + digit;
    }
    if (!ok)
        verso_print("%s: not a number (12, 0xc) that fits\n", text);
    *value = n;
    return ok;
}

static bool address_read(const char *text, vaddr_t *va)
{
    size_t value;
    if (!number_read(text, &value))
        return false;
    *va = value;
    return true;
}

/* ---- reports ---- */

static bool command_frames(unsigned words, char **word)
{
    (void)words;
    (void)word;
    verso_report_frames();
    return true;
}

static bool command_tables(unsigned words, char **word)
{
    vaddr_t from = 0;
    if (words > 1 && !address_read(word[1], &from))
        return false;
    verso_report_tables(from);
    return true;
}

static bool command_walk(unsigned words, char **word)
{
    vaddr_t va;
    (void)words;
    if (!address_read(word[1], &va))
        return false;
    verso_report_walk(va);
    return true;
}

static bool command_areas(unsigned words, char **word)
{
    (void)words;
    (void)word;
    verso_report_areas();
    return true;
}

static bool command_slabs(unsigned words, char **word)
{
    (void)words;
    (void)word;
    verso_report_slabs();
    return true;
}

static bool command_describe(unsigned words, char **word)
{
    vaddr_t va;
    (void)words;
    if (!address_read(word[1], &va))
        return false;
    verso_describe((const void *)va);
    return true;
}

static bool command_check(unsigned words, char **word)
{
    const char *broken = verso_check();
    (void)words;
    (void)word;
    verso_print(
        "check: %s\n", broken == NULL ? "every invariant holds" : broken);
    return broken == NULL;
}

/* ---- memory by hand ---- */

/* The entry of an address; of NULL, a free entry. HELD_MAX: none. */
static size_t held_find(const void *address)
{
    size_t i = 0;
    while (i < HELD_MAX && monitor.held[i].address != address)
        i++;
    return i;
}

static bool held_has_room(size_t *index)
{
    *index = held_find(NULL);
    if (*index == HELD_MAX)
        verso_print("%u are held already: free one first\n", HELD_MAX);
    return *index < HELD_MAX;
}

static void held_list(void)
{
    bool any = false;
    for (size_t i = 0; i < HELD_MAX; i++) {
        if (monitor.held[i].address == NULL)
            continue;
        verso_print("held: %p %s of %zu %s\n", monitor.held[i].address,
            monitor.held[i].is_area ? "area" : "object", monitor.held[i].size,
            monitor.held[i].is_area ? "pages" : "bytes");
        any = true;
    }
    if (!any)
        verso_print("held: nothing\n");
}

static bool held_keep(size_t index, void *address, size_t size, bool is_area)
{
    if (address == NULL) {
        verso_print("no memory\n");
        return false;
    }
    monitor.held[index].address = address;
    monitor.held[index].size = size;
    monitor.held[index].is_area = is_area;
    return true;
}

static bool command_alloc(unsigned words, char **word)
{
    size_t size, index;
    (void)words;
    if (!number_read(word[1], &size) || !held_has_room(&index))
        return false;
    void *object = verso_alloc(size);
    if (!held_keep(index, object, size, false))
        return false;
    verso_print("alloc %zu: %p, %zu bytes usable\n", size, object,
        verso_usable_size(object));
    return true;
}

/* The words after the number of pages. */
static bool area_flags(unsigned words, char **word, unsigned *flags)
{
    static const struct {
        const char *name;
        unsigned flags;
    } known[] = {{"lazy", VERSO_AREA_LAZY}, {"bare", VERSO_AREA_BARE},
        {"guard", VERSO_AREA_GUARD}};

    *flags = VERSO_AREA_MAPPED;
    for (unsigned i = 2; i < words; i++) {
        size_t k = 0;
        while (k < ARRAY_COUNT(known) && !text_equal(word[i], known[k].name))
            k++;
        if (k == ARRAY_COUNT(known)) {
            verso_print("%s: not one of lazy, bare, guard\n", word[i]);
            return false;
        }
        *flags |= known[k].flags;
    }
    if ((*flags & VERSO_AREA_LAZY) && (*flags & VERSO_AREA_BARE)) {
        verso_print("lazy or bare, not both\n");
        return false;
    }
    return true;
}

static bool command_area(unsigned words, char **word)
{
    size_t pages, index;
    unsigned flags;

    if (!number_read(word[1], &pages) || !area_flags(words, word, &flags) ||
        !held_has_room(&index))
        return false;
    if (pages == 0) {
        verso_print("an area has at least one page\n");
        return false;
    }
    void *area = verso_area_alloc(pages, flags);
    if (!held_keep(index, area, pages, true))
        return false;
    verso_print("area of %zu pages: %p\n", pages, area);
    return true;
}

static bool command_free(unsigned words, char **word)
{
    vaddr_t va;

    if (words == 1) {
        held_list();
        return true;
    }
    if (!address_read(word[1], &va))
        return false;
    size_t index = va == 0 ? HELD_MAX : held_find((const void *)va);
    if (index == HELD_MAX) {
        verso_print("%p was not allocated here with alloc or area; held "
                    "are:\n",
            (void *)va);
        held_list();
        return false;
    }
    if (monitor.held[index].is_area)
        verso_area_free(monitor.held[index].address);
    else
        verso_free(monitor.held[index].address);
    monitor.held[index].address = NULL;
    verso_print("freed %p\n", (void *)va);
    return true;
}

/* ---- touching ---- */

static bool command_touch(unsigned words, char **word)
{
    size_t before, made;
    vaddr_t va;

    (void)words;
    if (!address_read(word[1], &va))
        return false;
    before = verso_frame_used();
    bool read = !machine_probe((const volatile void *)va, false);
    bool write = !machine_probe((const volatile void *)va, true);
    made = verso_frame_used() - before;
    verso_print("touch %p: read %s, write %s", (void *)va,
        read ? "ok" : "faults", write ? "ok" : "faults");
    if (made != 0 && made < 16)
        verso_print("; first touch: %zu frames were put there", made);
    verso_print("\n");
    return true;
}

/* A write that leaves the byte as it is, should it succeed. Where there is a
 * page: an atomic addition of 0, which the compiler must not leave out. Where
 * there is none, a plain store: the addition might fault as a read. (Should a
 * page be put there on first touch, its bytes are 0.) */
static void byte_write(vaddr_t va)
{
    static volatile unsigned char zero;
    struct verso_mapping mapping;
    if (verso_query(va, &mapping) == VERSO_OK &&
        (mapping.state & VERSO_MAPPED_PRESENT))
        atomic_fetch_add((volatile _Atomic unsigned char *)va, zero);
    else
        *(volatile unsigned char *)va = 0;
}

static bool command_fault(unsigned words, char **word)
{
    vaddr_t va;

    if (!address_read(word[1], &va))
        return false;
    bool read = words > 2 && text_equal(word[2], "read");
    if (words > 2 && !read && !text_equal(word[2], "write")) {
        verso_print("%s: not one of read, write\n", word[2]);
        return false;
    }
    if (read)
        (void)*(volatile unsigned char *)va;
    else
        byte_write(va);
    verso_print("%p: no fault\n", (void *)va);
    return true;
}

/* ---- the long ones ---- */

static bool command_replay(unsigned words, char **word)
{
    return replay_archive(words > 1 ? word[1] : NULL, NULL) == 0;
}

static bool command_bench(unsigned words, char **word)
{
    (void)words;
    (void)word;
    return bench_main() == 0;
}

static bool command_test(unsigned words, char **word)
{
    return suites_run(words > 1 ? word[1] : NULL) == 0;
}

static bool command_random(unsigned words, char **word)
{
    size_t operations, seed = 1;
    if (!number_read(word[1], &operations) ||
        (words > 2 && !number_read(word[2], &seed)))
        return false;
    return random_run(operations, (uint32_t)seed);
}

/* `space N`: the N-th of the monitor's user spaces, made at its first use. */
static bool command_space(unsigned words, char **word)
{
    static struct space *made[4];
    size_t number;
    if (words == 1) {
        verso_report_spaces();
        return true;
    }
    if (!number_read(word[1], &number))
        return false;
    if (number > ARRAY_COUNT(made)) {
        verso_print("space: 0 (the kernel's) to %zu\n", ARRAY_COUNT(made));
        return false;
    }
    if (number == 0) {
        verso_space_switch(verso_space_kernel());
        return true;
    }
    if (made[number - 1] == NULL && machine_boot()->user_pages != 0)
        made[number - 1] = verso_space_create();
    if (made[number - 1] == NULL) {
        verso_print("space: no memory, or no addresses for users here\n");
        return false;
    }
    verso_space_switch(made[number - 1]);
    return true;
}

static bool command_quit(unsigned words, char **word)
{
    (void)words;
    (void)word;
    monitor.quit = true;
    return true;
}

/* ---- finding and running ---- */

static bool command_help(unsigned words, char **word);

static const struct command commands[] = {
    {"help", "", "this list", 1, 1, command_help},
    {"frames", "", "physical frames by state", 1, 1, command_frames},
    {"tables", "[ADDR]", "page tables, from ADDR on", 1, 2, command_tables},
    {"walk", "ADDR", "the entries for ADDR, level by level", 2, 2,
        command_walk},
    {"areas", "", "ranges of the heap", 1, 1, command_areas},
    {"slabs", "", "caches of objects", 1, 1, command_slabs},
    {"alloc", "N", "allocate N bytes", 2, 2, command_alloc},
    {"area", "N [lazy|bare] [guard]", "allocate an area of N pages", 2, 4,
        command_area},
    {"free", "[ADDR]", "free what alloc or area gave; list what is held", 1, 2,
        command_free},
    {"describe", "ADDR", "what is at ADDR", 2, 2, command_describe},
    {"touch", "ADDR", "read and write a byte there, if it can be", 2, 2,
        command_touch},
    {"fault", "ADDR [read|write]", "really access it: a fault ends the kernel",
        2, 3, command_fault},
    {"replay", "[NAME]", "the traces of the archive, or one", 1, 2,
        command_replay},
    {"bench", "", "the figures", 1, 1, command_bench},
    {"check", "", "every invariant of every storey", 1, 1, command_check},
    {"test", "[SUITE]", "the tests, or one suite of them", 1, 2, command_test},
    {"random", "N [SEED]", "N changes of mappings; 0: unmap them", 2, 3,
        command_random},
    {"space", "[N]", "user spaces; load the N-th, 0: the kernel's", 1, 2,
        command_space},
    {"quit", "", "the end", 1, 1, command_quit},
};

static bool command_help(unsigned words, char **word)
{
    (void)words;
    (void)word;
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        verso_print("  %-9s%-22s  %s\n", commands[i].name,
            commands[i].arguments, commands[i].help);
    verso_print("  numbers are decimal, or hexadecimal after 0x\n");
    return true;
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (text_equal(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static void command_unknown(const char *name)
{
    verso_print("%s: no such command; there are:", name);
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        verso_print(" %s", commands[i].name);
    verso_print("\n");
}

/* Cuts the line at its blanks. Returns the number of words, one more than
 * WORDS_MAX if there are too many. */
static unsigned line_split(char *line, char *word[WORDS_MAX])
{
    unsigned words = 0;

    for (char *at = line; *at != '\0';) {
        while (*at == ' ' || *at == '\t')
            *at++ = '\0';
        if (*at == '\0')
            break;
        if (words == WORDS_MAX)
            return words + 1;
        word[words++] = at;
        while (*at != '\0' && *at != ' ' && *at != '\t')
            at++;
    }
    return words;
}

/* True if the line is empty or its command succeeded. Cuts the line up. */
static bool line_run(char *line)
{
    char *word[WORDS_MAX];
    unsigned words = line_split(line, word);

    if (words == 0)
        return true;
    const struct command *command = command_find(word[0]);
    if (command == NULL) {
        command_unknown(word[0]);
        return false;
    }
    if (words < command->words_min || words > command->words_max) {
        verso_print("usage: %s%s%s\n", command->name,
            command->arguments[0] != '\0' ? " " : "", command->arguments);
        return false;
    }
    return command->run(words, word);
}

int monitor_run_commands(const char *text)
{
    char line[LINE_MAX];
    int failed = 0;

    monitor.quit = false;
    while (*text != '\0' && !monitor.quit) {
        size_t length = 0, kept = 0;
        for (; text[length] != '\0' && text[length] != ';'; length++)
            if (kept + 1 < sizeof(line))
                line[kept++] = text[length];
        line[kept] = '\0';
        text += length + (text[length] == ';' ? 1 : 0);
        if (kept < length) {
            verso_print(
                "a command is longer than %u characters\n", LINE_MAX - 1);
            failed++;
        } else if (!line_run(line)) {
            failed++;
        }
    }
    return failed;
}

/* ---- the keyboard ---- */

#define KEY_BACKSPACE 0x08
#define KEY_DELETE    0x7f
#define KEY_END       0x04 /* ^D */
#define KEY_CANCEL    0x03 /* ^C */
#define KEY_KILL      0x15 /* ^U */
#define KEY_ESCAPE    0x1b

static void echo(const char *text)
{
    machine_write(text, text_length(text));
}

static size_t line_rub_out(size_t length, size_t count)
{
    for (; count > 0; count--, length--)
        echo("\b \b");
    return length;
}

/* Arrow keys and the like: ESC [ ... letter. */
static void escape_skip(void)
{
    int key = machine_read();
    if (key != '[' && key != 'O')
        return;
    do {
        key = machine_read();
    } while (key != -1 && (key < 0x40 || key > 0x7e));
}

/* The new length. */
static size_t line_key(char line[LINE_MAX], size_t length, int key)
{
    if (key == KEY_BACKSPACE || key == KEY_DELETE)
        return line_rub_out(length, length > 0 ? 1 : 0);
    if (key == KEY_KILL)
        return line_rub_out(length, length);
    if (key == KEY_ESCAPE) {
        escape_skip();
        return length;
    }
    if (key < ' ' || key > '~' || length + 1 == LINE_MAX)
        return length;
    char text[2] = {(char)key, '\0'};
    echo(text);
    line[length] = (char)key;
    return length + 1;
}

/* False at the end of input. */
static bool line_read(char line[LINE_MAX])
{
    size_t length = 0;

    for (;;) {
        int key = machine_read();
        if (key == -1 || (key == KEY_END && length == 0))
            return false;
        if (key == '\n' || key == '\r')
            break;
        if (key == KEY_CANCEL) {
            length = 0;
            break;
        }
        length = line_key(line, length, key);
    }
    echo("\n");
    line[length] = '\0';
    return true;
}

void monitor_interactive(void)
{
    char line[LINE_MAX];

    monitor.quit = false;
    verso_print("\nThis is the monitor; `help` lists what it can do.\n");
    while (!monitor.quit) {
        verso_print("verso> ");
        if (!line_read(line)) {
            verso_print("\n");
            return;
        }
        (void)line_run(line);
    }
}
