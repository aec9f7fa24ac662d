/* SPDX-License-Identifier: MIT */
/*
 * once.c - a target without libFuzzer: runs each file of its corpus once, as a
 * regression test. Needs no clang. Usage: fuzz-NAME FILE...; TAP on standard
 * output. An input that fails ends the run: its line is missing.
 */
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t size);

#define SIZE_MAX_INPUT 65536u

static size_t file_read(const char *path, unsigned char *bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(bytes, 1, SIZE_MAX_INPUT, file);
    fclose(file);
    return size;
}

int main(int argc, char **argv)
{
    static unsigned char bytes[SIZE_MAX_INPUT];
    const int files = argc - 1;
    LLVMFuzzerInitialize(&argc, &argv);
    printf("1..%d\n", files);
    for (int i = 1; i <= files; i++) {
        LLVMFuzzerTestOneInput(bytes, file_read(argv[i], bytes));
        printf("ok %d - fuzz: %s\n", i, argv[i]);
    }
    return files > 0 ? 0 : 1;
}
