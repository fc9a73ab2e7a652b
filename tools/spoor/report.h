/* SPDX-License-Identifier: MIT */
/*
 * The page with plots: what `spoor report` makes of files, and what a verb
 * that was asked for --report makes of the events it prints.
 *
 *	report_open_for()		before anything is started
 *	report_input(), report_event()	as they come; report_profile()
 *	report_close()			in the end, whatever came of it
 *
 * The page is one file: its own HTML, CSS and JavaScript and the library that
 * draws are in the command, put there when it was built; the events go in
 * between as JSON.  tools/spoor/report has the page.
 *
 * Threads: the parent's main thread.
 */
#ifndef SPOOR_TOOL_REPORT_H
#define SPOOR_TOOL_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "jpath.h"
#include "report_costs.h"

/* A page with more than this is no use to a browser. */
#define REPORT_EVENTS_MAX 200000u
#define REPORT_FILE_MAX	  (64u << 20)

struct report;
struct opts;
struct machine_file;

/* report_page.c, made at build time; or report_page_none.c: no page. */
struct report_page {
	const char *head, *tail; /* around the events; NULL: none */
	size_t head_len, tail_len;
};
extern const struct report_page report_page;

/*
 * Makes sure that @path can be written, and leaves what it holds.  0, or an
 * exit code, said on stderr, with *ret untouched.
 */
int report_open(struct report **ret, const char *path, const char *option);
/* --links, NULL: as it is; 0, or an exit code, said on stderr. */
int report_links(struct report *r, const char *list);
/*
 * Where --report says, with --links; page sizes are priced for the machine's
 * own link too.  *ret is untouched if there is no such option.
 */
int report_open_for(struct report **ret, const struct opts *o,
		    const struct machine_file *mf);
/* What follows is of this source: a file, a machine. */
void report_input(struct report *r, const char *name);
/* Kept if the page shows such events; false: it does not.  NULL is no report. */
bool report_event(struct report *r, const json_t *event);
/* With what its page sizes cost, where that can be predicted. */
void report_profile(struct report *r, const json_t *profile);
/* Writes the page; takes @r, or NULL.  0, or an exit code, said on stderr. */
int report_close(struct report *r);
/* Forgets it; the file stays as it was.  NULL is no error. */
void report_drop(struct report *r);

/*
 * report_check.c: is it what the manual pages say it is?  Unknown keys are: there may be
 * more than this version knows.  0, or -EINVAL with key and reason.
 */
int report_check_event(const json_t *event, struct jp_error *error);
int report_check_profile(const json_t *profile, struct jp_error *error);
/* Does the page show events of this name? */
bool report_shows(const char *name);

#endif /* SPOOR_TOOL_REPORT_H */
