/* SPDX-License-Identifier: MIT */
/*
 * report.h - what there is, in words, to the host's sink (verso_host_log).
 *
 * Nothing is allocated. Context: not in interrupts; verso_describe() anywhere,
 * in a panic too (it takes no lock, and reads only memory that is there).
 */
#ifndef VERSO_REPORT_H
#define VERSO_REPORT_H

#include <verso/types.h>

void verso_report(void); /* all of the following but the walk */
void verso_report_frames(void);
/* Present entries from `from` on, neighbours merged: one line
 * "tables: VA-VA -> PA RIGHTS SIZE [mirror]" each. */
void verso_report_tables(vaddr_t from);
void verso_report_walk(vaddr_t va); /* level by level */
void verso_report_areas(void);
void verso_report_spaces(void);
/* And why the last request failed that did. */
void verso_report_slabs(void);

/* One line: which area, table, cache, object index and state an address
 * belongs to, and its neighbours. */
void verso_describe(const void *address);

#endif
