/* SPDX-License-Identifier: MIT */
/*
 * once.c - a target without libFuzzer: runs each file of its corpus once, as a
 * regression test. Needs no clang. Usage: fuzz-NAME FILE...; without files, all
 * of test/corpus/NAME, below the working directory. TAP on standard output. An
 * input that fails ends the run: its line is missing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size);

#define INPUT_MAX 65536u

static void run_file(int number, const char *path)
{
    static unsigned char bytes[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    printf("ok %d - fuzz: %s\n", number, path);
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int run_corpus(const char *target)
{
    struct dirent **files;
    char path[300];
    snprintf(path, sizeof(path), "test/corpus/%s", target);
    int count = scandir(path, &files, is_file, alphasort);
    if (count < 0)
        perror(path);
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        snprintf(
            path, sizeof(path), "test/corpus/%s/%s", target, files[i]->d_name);
        run_file(i + 1, path);
        free(files[i]);
    }
    if (count >= 0)
        free(files);
    return count > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const int files = argc - 1;
    const char *target = strrchr(argv[0], '-');
    setvbuf(stdout, NULL, _IOLBF, 0);
    LLVMFuzzerInitialize(&argc, &argv);
    if (files == 0)
        return run_corpus(target ? target + 1 : "");
    printf("1..%d\n", files);
    for (int i = 1; i <= files; i++)
        run_file(i, argv[i]);
    return 0;
}
