/* SPDX-License-Identifier: MIT */
/*
 * options.c - the words of the command line, wherever the machine has it from.
 *
 *     verso.elf icount cmd="areas; slabs" "test=paging" seed=7
 *
 * A word is KEY or KEY=VALUE; a value in "..." may contain spaces. A KEY alone
 * has the empty value. GRUB puts its quotes around the whole of a word that has
 * spaces in it, so those mean the same. The last of two equal keys counts. The
 * words are cut apart in a copy: machine_option() answers with pointers into
 * it.
 */
#include <verso/verso.h>

#include "kernel.h"
#include "machine.h"

#define OPTIONS_MAX 32

struct option {
    const char *key;
    const char *value;
};

static char text[2048];
static struct option options[OPTIONS_MAX];
static unsigned option_count;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Ends the value that starts at `at`, unquoted in place; the end of it. */
static char *option_end(char *at, bool quoted)
{
    char *to = at;
    for (; *at != 0 && (quoted || !is_space(*at)); at++) {
        if (*at == '"')
            quoted = !quoted;
        else
            *to++ = *at;
    }
    char *rest = *at == 0 ? at : at + 1;
    *to = 0;
    return rest;
}

/* The word at `at`, which is no space; what follows it. */
static char *option_read(char *at)
{
    struct option *option = &options[option_count++];
    bool quoted = *at == '"';
    if (quoted)
        at++;
    option->key = at;
    while (*at != 0 && *at != '=' && !is_space(*at))
        at++;
    if (*at != '=') {
        option->value = "";
        if (*at != 0)
            *at++ = 0;
        return at;
    }
    *at++ = 0;
    option->value = at;
    return option_end(at, quoted);
}

void options_parse(const char *line)
{
    size_t n = 0;
    while (n < sizeof text - 1 && line[n] != 0) {
        text[n] = line[n];
        n++;
    }
    char *at = text;
    while (option_count < OPTIONS_MAX) {
        while (is_space(*at))
            at++;
        if (*at == 0)
            return;
        at = option_read(at);
    }
    verso_print(
        "boot: only %d words of the command line are used\n", OPTIONS_MAX);
}

const char *machine_option(const char *key)
{
    for (unsigned i = option_count; i > 0; i--)
        if (text_equal(options[i - 1].key, key))
            return options[i - 1].value;
    return NULL;
}
