/* SPDX-License-Identifier: MIT */
/*
 * spoor report: a page with plots, from files of events and profiles.
 *
 * A file is one of JSON lines, as --json prints, or one JSON document, as
 * `spoor bench` writes; which, its first line tells.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "output.h"
#include "report.h"

struct totals {
	size_t runs, comparisons, profiles, ignored, events;
};

__attribute__((format(printf, 2, 3))) static int refuse(const char *path,
							const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	output_complain("%s: %s", path, text);
	return EXIT_USAGE;
}

/* All of a file, with a 0 behind it; NULL, said. */
static char *read_all(const char *path, size_t *ret_len)
{
	FILE *in = fopen(path, "re");
	size_t len = 0, room = 1u << 16, n;
	char *buf = in ? malloc(room + 1) : NULL;
	char *more;

	while (buf && (n = fread(buf + len, 1, room - len, in))) {
		len += n;
		if (len > REPORT_FILE_MAX)
			break;
		if (len < room)
			continue;
		room *= 2;
		more = realloc(buf, room + 1);
		if (!more) {
			free(buf);
			errno = ENOMEM;
		}
		buf = more;
	}
	if (!buf || ferror(in) || len > REPORT_FILE_MAX) {
		if (buf && len > REPORT_FILE_MAX)
			refuse(path, "larger than %u MiB",
			       REPORT_FILE_MAX >> 20);
		else
			refuse(path, "%s", strerror(errno));
		free(buf);
		buf = NULL;
	} else {
		buf[len] = 0;
		*ret_len = len;
	}
	if (in)
		fclose(in);
	return buf;
}

static void count(struct totals *t, const json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));

	t->events++;
	if (!strcmp(name, "result"))
		t->runs++;
	else if (!strcmp(name, "comparison"))
		t->comparisons++;
}

static int take_line(struct report *r, const char *path, size_t line,
		     const char *text, size_t len, struct totals *t)
{
	json_error_t syntax;
	struct jp_error error = { "" };
	json_t *event = json_loadb(text, len, JSON_REJECT_DUPLICATES, &syntax);
	int e = 0;

	if (!event)
		return refuse(path, "line %zu: %s", line, syntax.text);
	if (report_check_event(event, &error))
		e = refuse(path, "line %zu: %s", line, error.text);
	else if (!report_event(r, event))
		t->ignored++;
	else
		count(t, event);
	json_decref(event);
	if (!e && t->events > REPORT_EVENTS_MAX)
		e = refuse(path, "line %zu: more than %u events", line,
			   REPORT_EVENTS_MAX);
	return e;
}

static int take_lines(struct report *r, const char *path, const char *text,
		      size_t len, struct totals *t)
{
	const size_t before = t->events;
	const char *end = text + len, *next;

	report_input(r, path);
	for (size_t line = 1; text < end; line++, text = next + 1) {
		int e;

		next = memchr(text, '\n', (size_t)(end - text));
		if (!next)
			next = end;
		/* The last line of a log may be empty. */
		if (strspn(text, " \t\r") >= (size_t)(next - text))
			continue;
		e = take_line(r, path, line, text, (size_t)(next - text), t);
		if (e)
			return e;
	}
	if (t->events == before)
		return refuse(path, "holds no events of migrate or compare, "
				    "and is no profile");
	return 0;
}

/* A document of its own, not a line of many? */
static json_t *load_profile(const char *text, size_t len, json_error_t *error)
{
	json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, error);

	if (json_object_get(doc, "event") ||
	    !json_object_get(doc, "spoor_profile")) {
		json_decref(doc);
		doc = NULL;
	}
	return doc;
}

/* What cannot be a document of a profile is lines. */
static bool looks_like_profile(const char *text, size_t len)
{
	const char *nl = memchr(text, '\n', len);
	const size_t first = nl ? (size_t)(nl - text) : len;
	json_error_t error;
	json_t *line = json_loadb(text, first, 0, &error);
	bool event = json_object_get(line, "event");

	json_decref(line);
	return !event && memmem(text, len, "\"spoor_profile\"",
				sizeof("\"spoor_profile\"") - 1);
}

static int take_profile(struct report *r, const char *path, const char *text,
			size_t len, struct totals *t)
{
	json_error_t syntax;
	struct jp_error error = { "" };
	json_t *doc = load_profile(text, len, &syntax);
	int e = 0;

	if (!doc && syntax.text[0])
		return refuse(path, "line %d: %s", syntax.line, syntax.text);
	if (!doc)
		return refuse(path, "spoor_profile: must be the document's");
	if (report_check_profile(doc, &error)) {
		e = refuse(path, "%s", error.text);
	} else {
		report_input(r, path);
		report_profile(r, doc);
		t->profiles++;
	}
	json_decref(doc);
	return e;
}

static int take_file(struct report *r, const char *path, struct totals *t)
{
	size_t len;
	char *text = read_all(path, &len);
	int e;

	if (!text)
		return EXIT_USAGE;
	e = looks_like_profile(text, len) ? take_profile(r, path, text, len, t)
					  : take_lines(r, path, text, len, t);
	free(text);
	return e;
}

static void say(const struct opts *o, const struct totals *t)
{
	struct output out;

	output_init(&out, o);
	if (o->json)
		output_result(&out,
			      json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I}",
					"event", "result", "ok", 1, "file",
					o->output, "runs", (json_int_t)t->runs,
					"comparisons",
					(json_int_t)t->comparisons, "profiles",
					(json_int_t)t->profiles, "ignored",
					(json_int_t)t->ignored));
	else if (!o->quiet && strcmp(o->output, "/dev/stdout") != 0)
		printf("%s: %zu runs, %zu comparisons, %zu profiles\n",
		       o->output, t->runs, t->comparisons, t->profiles);
	if (t->ignored && !o->quiet)
		fprintf(stderr, "%zu events of other kinds are not shown\n",
			t->ignored);
}

int cmd_report(const struct opts *o)
{
	struct totals t = { 0 };
	struct report *r = NULL;
	int e;

	if (!o->output) {
		output_complain("report: -o FILE.html is needed");
		return EXIT_USAGE;
	}
	e = report_open(&r, o->output, "-o");
	if (!e)
		e = report_links(r, o->links);
	for (size_t i = 0; !e && i < o->nr_args; i++)
		e = take_file(r, o->args[i], &t);
	if (e) {
		report_drop(r);
		return e;
	}
	e = report_close(r);
	if (!e)
		say(o, &t);
	return e;
}
