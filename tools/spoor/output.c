/* SPDX-License-Identifier: MIT */
/*
 * JSON lines, and progress.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "output.h"
#include "units.h"

#define BAR_WIDTH 40u
#define BAR_NS	  100000000ull
#define LINE_NS	  1000000000ull

/* The process's: it has one stdout, and one last line there. */
static char complaint[1024];
static bool ended;
static int write_error; /* the first of stdout, errno */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

void output_init(struct output *out, const struct opts *o)
{
	const char *term = getenv("TERM");
	const char *no_colour = getenv("NO_COLOR");

	*out = (struct output){ .json = o->json, .quiet = o->quiet };
	out->bar = isatty(STDERR_FILENO);
	out->colour = !o->json && isatty(STDOUT_FILENO) &&
		      !(no_colour && *no_colour) && term &&
		      strcmp(term, "dumb") != 0;
}

void output_clear_bar(struct output *out)
{
	if (out->bar_shown)
		fputs("\r\033[K", stderr);
	out->bar_shown = false;
}

/* errno is what the last write left there, 0 before it. */
static void flush_stdout(void)
{
	if ((fflush(stdout) || ferror(stdout)) && !write_error)
		write_error = errno ? errno : EIO;
}

int output_end(int exit_code, bool output)
{
	errno = 0;
	flush_stdout();
	if (!write_error)
		return exit_code;
	fprintf(stderr, "spoor: standard output: %s%s\n", strerror(write_error),
		write_error == EPIPE ? ": nobody reads on" : "");
	return exit_code || !output ? exit_code : EXIT_FAILED;
}

static void print_json(const json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));

	errno = 0;
	if (text)
		puts(text);
	flush_stdout();
	free(text);
}

static void progress(struct output *out, const json_t *e)
{
	uint64_t sent =
		(uint64_t)json_integer_value(json_object_get(e, "bytes"));
	uint64_t left =
		(uint64_t)json_integer_value(json_object_get(e, "left"));
	uint64_t now = now_ns(), all = sent + left;
	char a[24], b[24];

	if (out->quiet ||
	    now - out->progress_ns < (out->bar ? BAR_NS : LINE_NS))
		return;
	out->progress_ns = now;
	units_format_bytes(a, sizeof(a), sent);
	units_format_bytes(b, sizeof(b), left);
	if (out->bar) {
		unsigned int full =
			all ? (unsigned int)((double)sent / (double)all *
					     BAR_WIDTH)
			    : 0;

		fprintf(stderr, "\r\033[K[%.*s%*s] %s sent, %s left", (int)full,
			"########################################",
			(int)(BAR_WIDTH - full), "", a, b);
		fflush(stderr);
		out->bar_shown = true;
	} else {
		fprintf(stderr, "%s sent, %s left\n", a, b);
	}
}

static void measuring(struct output *out, const json_t *e)
{
	const char *what = json_string_value(json_object_get(e, "what"));
	uint64_t size =
		(uint64_t)json_integer_value(json_object_get(e, "page_size"));
	char page[16] = "";

	if (out->quiet || !what)
		return;
	if (size)
		units_format_page(page, sizeof(page), size);
	fprintf(stderr, "%smeasuring %lld of %lld: %s%s%s%s",
		out->bar ? "\r\033[K" : "",
		(long long)json_integer_value(json_object_get(e, "n")),
		(long long)json_integer_value(json_object_get(e, "of")), what,
		size ? " " : "", page, out->bar ? "" : "\n");
	fflush(stderr);
	out->bar_shown = out->bar;
}

static void show_event(struct output *out, const char *name,
		       const json_t *event)
{
	report_event(out->report, event);
	output_clear_bar(out);
	errno = 0;
	if (out->json)
		print_json(event);
	else if (!out->tags)
		output_text_event(out, name, event);
	flush_stdout();
	out->broken = write_error;
}

void output_event(struct output *out, const json_t *event)
{
	json_t *tagged = NULL;
	const char *name = json_string_value(json_object_get(event, "event"));

	if (!name)
		return;
	if (!strcmp(name, "_progress")) {
		progress(out, event);
		return;
	}
	if (!strcmp(name, "_measuring"))
		measuring(out, event);
	if (name[0] == '_')
		return;
	if (out->tags)
		tagged = json_copy((json_t *)event);
	if (tagged)
		json_object_update(tagged, (json_t *)out->tags);
	show_event(out, name, tagged ? tagged : event);
	json_decref(tagged);
}

void output_result(struct output *out, json_t *result)
{
	if (!result)
		return;
	report_event(out->report, result);
	output_clear_bar(out);
	ended = true;
	errno = 0;
	if (out->json)
		print_json(result);
	else
		output_text_result(out, result);
	flush_stdout();
	json_decref(result);
}

void output_complain(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(complaint, sizeof(complaint), fmt, ap);
	va_end(ap);
	fprintf(stderr, "spoor: %s\n", complaint);
}

void output_failure(int exit_code)
{
	json_t *result;

	if (ended)
		return;
	if (!complaint[0])
		snprintf(complaint, sizeof(complaint), "%s",
			 exit_code == EXIT_INTERRUPTED ? "interrupted"
						       : "it failed");
	/* Cut in the middle of a character, it is no text. */
	result = json_pack("{s:s, s:b, s:s, s:i}", "event", "result", "ok", 0,
			   "error", complaint, "exit", exit_code);
	if (!result)
		result = json_pack("{s:s, s:b, s:s, s:i}", "event", "result",
				   "ok", 0, "error", "see stderr", "exit",
				   exit_code);
	if (result)
		print_json(result);
	json_decref(result);
}

void output_note(struct output *out, const char *level, const char *fmt, ...)
{
	char text[512];
	json_t *note;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note = json_pack("{s:s, s:s, s:s}", "event", "note", "level", level,
			 "text", text);
	if (note)
		output_event(out, note);
	json_decref(note);
}

json_t *output_named(const json_t *list, const char *name)
{
	size_t i;
	json_t *d;

	json_array_foreach((json_t *)list, i, d)
	{
		const char *n = json_string_value(json_object_get(d, "name"));

		if (n && !strcmp(n, name))
			return d;
	}
	return NULL;
}
