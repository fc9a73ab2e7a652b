/* SPDX-License-Identifier: MIT */
/*
 * What the command says: JSON lines or text on stdout, progress on stderr.
 *
 * Threads: the parent's main thread.
 */
#ifndef SPOOR_TOOL_OUTPUT_H
#define SPOOR_TOOL_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "opts.h"
#include "report.h"

struct output {
	bool json, quiet, bar, colour;
	bool bar_shown;
	bool broken; /* stdout takes no more: nobody reads on */
	uint64_t progress_ns; /* when progress was last shown */
	struct report *report; /* gets what is said; NULL: none */
	/* Of one run among several: in each event; and people see none. */
	const json_t *tags; /* NULL: none */
};

void output_init(struct output *out, const struct opts *o);
/* An event, as the manual pages have them; names with "_" are not shown, but for progress. */
void output_event(struct output *out, const json_t *event);
/* The last line; takes the reference. */
void output_result(struct output *out, json_t *result);
/* Why the command fails, on stderr, and kept for output_failure(). */
void output_complain(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
/* The last line in JSON where nothing else was: what was complained of. */
void output_failure(int exit_code);
void output_note(struct output *out, const char *level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * At the very end: what stdout did not take is told.  The status: @exit_code,
 * or a failure instead of success where @output is all that was asked for.
 */
int output_end(int exit_code, bool output);
/* Before anything else is written to the terminal. */
void output_clear_bar(struct output *out);

/* The object of a list whose "name" it is; borrowed, NULL: none. */
json_t *output_named(const json_t *list, const char *name);

/* output_text.c: an event or result for people. */
void output_text_event(struct output *out, const char *name,
		       const json_t *event);
void output_text_result(struct output *out, const json_t *result);

#endif /* SPOOR_TOOL_OUTPUT_H */
