#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: symbols.sh NM [IMAGE]: prints, as assembly, the table of function names
# that kernel/symbols.c reads: of a linked kernel, or an empty one for the
# first link. It lies behind all code, so that filling it moves no function.
set -eu
nm=$1
{
    if [ $# -gt 1 ]; then
        # With a size: functions, not labels inside them.
        "$nm" -nS "$2" | awk 'NF == 4 && $3 ~ /[tT]/ { print $1, $4 }'
    fi
} | awk '
    BEGIN { n = 0 }
    { if ($1 == at) n--; at = $1; wide = length($1) > 8; address[n] = $1; name[n] = $2; n++ }
    END {
        print "    .section .symbols, \"a\", @progbits"
        print "    .globl symbol_count, symbol_addresses, symbol_names, symbol_text"
        print "    .balign 8"
        print "symbol_count: .long " (n + 0)
        print "symbol_names:"
        for (i = 0; i < n; i++) {
            print "    .long " (offset + 0)
            offset += length(name[i]) + 1
        }
        print "    .balign 8"
        print "symbol_addresses:"
        for (i = 0; i < n; i++)
            print "    " (wide ? ".quad" : ".long") " 0x" address[i]
        print "symbol_text:"
        for (i = 0; i < n; i++) print "    .asciz \"" name[i] "\""
        print "    .section .note.GNU-stack, \"\", @progbits"
    }'
