/* SPDX-License-Identifier: MIT */
/*
 * Collecting what a page shows, and writing it; see report.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <spoor/error.h>

#include "cmd.h"
#include "output.h"
#include "profile_file.h"
#include "report.h"

struct report {
	int fd;
	bool made; /* the file was not there before */
	const char *path; /* borrowed */
	json_t *inputs;
	json_t *events; /* of the last of them, borrowed */
	size_t nr_events;
	bool full; /* some are left out */
	struct report_links links;
};

int report_open(struct report **ret, const char *path, const char *option)
{
	struct report *r;

	if (!report_page.head) {
		output_complain("%s: this spoor was built without the library "
				"that draws (Debian: libjs-vega)",
				option);
		return EXIT_MISSING;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		goto no_memory;
	r->path = path;
	(void)!report_links_parse(&r->links, REPORT_LINKS_DEFAULT);
	r->made = access(path, F_OK) != 0;
	r->inputs = json_array();
	if (!r->inputs)
		goto no_memory;
	/* A page that is there already is another run's, until this is over. */
	r->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (r->fd < 0) {
		output_complain("%s %s: %s", option, path, strerror(errno));
		json_decref(r->inputs);
		free(r);
		return EXIT_USAGE;
	}
	*ret = r;
	return 0;

no_memory:
	free(r);
	output_complain("%s: out of memory", option);
	return EXIT_FAILED;
}

int report_links(struct report *r, const char *list)
{
	if (!list || !report_links_parse(&r->links, list))
		return 0;
	output_complain("--links %s: must be rates in decimal bits a second, "
			"as 1G, %u at most, with single commas between them",
			list, REPORT_LINKS_MAX);
	return EXIT_USAGE;
}

int report_open_for(struct report **ret, const struct opts *o,
		    const struct machine_file *mf)
{
	struct report *r = NULL;
	int e;

	if (!o->report && o->links) {
		output_complain("--links needs --report FILE");
		return EXIT_USAGE;
	}
	if (!o->report)
		return 0;
	e = report_open(&r, o->report, "--report");
	if (!e)
		e = report_links(r, o->links);
	if (e) {
		report_drop(r);
		return e;
	}
	r->links.downtime_ns = mf->policy.downtime_ms * 1000000u;
	if (mf->link_rate)
		(void)!report_links_add(&r->links, mf->link_rate,
					mf->link_latency_us * 1000);
	*ret = r;
	return 0;
}

static json_t *new_input(struct report *r, const char *name)
{
	const char *slash = strrchr(name, '/');
	json_t *input = json_pack("{s:s}", "name", slash ? slash + 1 : name);

	/* A name that is no text is nobody's. */
	if (!input)
		input = json_pack("{s:s}", "name", "?");
	if (input && json_array_append_new(r->inputs, input))
		input = NULL;
	r->events = NULL;
	return input;
}

void report_input(struct report *r, const char *name)
{
	json_t *input = r ? new_input(r, name) : NULL;
	json_t *events = input ? json_array() : NULL;

	if (!input || json_object_set_new(input, "events", events))
		return;
	r->events = events;
}

bool report_event(struct report *r, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));

	if (!r || !r->events || !name || !report_shows(name))
		return false;
	if (r->nr_events >= REPORT_EVENTS_MAX && strcmp(name, "result") != 0) {
		r->full = true;
		return true;
	}
	r->nr_events++;
	json_array_append(r->events, (json_t *)event);
	return true;
}

void report_profile(struct report *r, const json_t *profile)
{
	json_t *input =
		json_array_get(r->inputs, json_array_size(r->inputs) - 1);
	struct spoor_profile *p = NULL;
	struct jp_error error;
	json_t *costs;

	json_object_set(input, "profile", (json_t *)profile);
	r->events = NULL;
	/* The page shows what it can of one that no plan would take. */
	if (profile_file_read(&p, profile, &error))
		return;
	costs = json_array();
	if (costs && p->memory_bytes)
		report_costs(costs, p, &r->links);
	json_object_set_new(input, "costs", costs);
	profile_file_free(p);
}

/* Inside a script, "</script>" ends it, and "<!--" begins something else. */
static void put_json(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("\\u003c", out);
		else
			putc(*text, out);
	}
}

static int write_page(struct report *r, FILE *out)
{
	json_t *page = json_pack("{s:s, s:b, s:O}", "spoor", spoor_version(),
				 "full", r->full, "inputs", r->inputs);
	char *text =
		page ? json_dumps(page, JSON_COMPACT | JSON_REAL_PRECISION(9))
		     : NULL;

	json_decref(page);
	if (!text)
		return ENOMEM;
	errno = 0;
	fwrite(report_page.head, 1, report_page.head_len, out);
	put_json(out, text);
	fwrite(report_page.tail, 1, report_page.tail_len, out);
	free(text);
	return fflush(out) || ferror(out) ? (errno ? errno : EIO) : 0;
}

static int emptied(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return errno;
	/* Not /dev/stdout. */
	return S_ISREG(st.st_mode) && ftruncate(fd, 0) ? errno : 0;
}

int report_close(struct report *r)
{
	FILE *out;
	int error;

	if (!r || !json_array_size(r->inputs) ||
	    (r->events && !json_array_size(r->events) &&
	     json_array_size(r->inputs) == 1)) {
		/* It ended before there was anything to show. */
		report_drop(r);
		return 0;
	}
	error = emptied(r->fd);
	out = error ? NULL : fdopen(r->fd, "w");
	if (out) {
		r->fd = -1;
		error = write_page(r, out);
		if (fclose(out) && !error)
			error = errno;
	} else if (!error) {
		error = errno;
	}
	if (error)
		output_complain("%s: %s", r->path, strerror(error));
	r->made = false;
	report_drop(r);
	return error ? EXIT_FAILED : 0;
}

void report_drop(struct report *r)
{
	if (!r)
		return;
	if (r->made)
		unlink(r->path);
	if (r->fd >= 0)
		close(r->fd);
	json_decref(r->inputs);
	free(r);
}
