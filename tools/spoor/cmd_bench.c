/* SPDX-License-Identifier: MIT */
/*
 * spoor bench: measure a machine's trackers on this host.
 *
 * The profile is written whenever something was added to it, so that what an
 * interrupt cuts short goes on from there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/spoor/bench/bench.h"
#include "compare/compare.h"
#include "cmd.h"
#include "migrate.h"
#include "profile_file.h"
#include "report.h"
#include "session.h"

/* A profile is there, or could be: else nothing is started. */
static int check_output(const struct opts *o, const struct machine_file *mf)
{
	struct spoor_profile *old = NULL, now = { .host = "" };
	struct jp_error error = { "" };
	const char *why;
	int r;

	if (!o->output)
		return 0;
	r = o->output[0] ? profile_file_can_save(o->output) : -EINVAL;
	if (r) {
		output_complain("-o %s: %s", o->output,
				r == -EINVAL ? "must be a file's path"
					     : strerror(-r));
		return EXIT_USAGE;
	}
	if (access(o->output, F_OK))
		return 0;
	if (profile_file_load(&old, o->output, &error)) {
		output_complain("-o %s", error.text);
		return EXIT_USAGE;
	}
	r = bench_identify(&now, o, mf);
	why = r ? strerror(-r) : bench_differs(old, &now);
	profile_file_free(old);
	if (!why)
		return 0;
	output_complain("-o %s: %s: remove it, or name another file", o->output,
			why);
	return EXIT_USAGE;
}

struct kept {
	const json_t *line; /* that was written last */
	struct spoor_profile *p;
	int err; /* of writing */
};

/* 0, or -errno; then there is no point in measuring on. */
static int keep(struct kept *k, const struct session *s)
{
	struct spoor_profile *p = NULL;
	struct jp_error error;
	int r;

	if (!s->source.result || s->source.result == k->line)
		return 0;
	k->line = s->source.result;
	r = profile_file_read(&p, json_object_get(k->line, "profile"), &error);
	if (!r && s->o->output)
		r = profile_file_save(p, s->o->output);
	if (r) {
		profile_file_free(p);
		return k->err = r;
	}
	profile_file_free(k->p);
	k->p = p;
	return 0;
}

static bool finished(const struct session *s)
{
	return s->source.done || s->source.failed || !s->source.open ||
	       s->out.broken;
}

/* The loop looks at each profile: lines of the side are the side's. */
static const json_t *seen;

static bool news(const struct session *s)
{
	return finished(s) || s->source.result != seen;
}

static void watch(struct session *s, struct kept *k, struct verdict *v)
{
	/* An interrupt may come along with a profile. */
	while (!finished(s) && !k->err && !s->interrupts) {
		seen = k->line;
		if (!session_wait(s, news, UINT64_MAX, true))
			break;
		keep(k, s);
	}
	keep(k, s);
	if (k->err) {
		snprintf(v->error, sizeof(v->error), "%s: %s",
			 s->o->output ? s->o->output : "profile",
			 strerror(-k->err));
	} else if (s->source.done) {
		v->exit = EXIT_DONE;
	} else if (s->source.failed) {
		const char *why = json_string_value(
			json_object_get(s->source.failed, "error"));

		v->exit = (int)json_integer_value(
			json_object_get(s->source.failed, "exit"));
		snprintf(v->error, sizeof(v->error), "%s", why ? why : "");
	} else if (s->out.broken) {
		snprintf(v->error, sizeof(v->error),
			 "what it prints cannot be written");
	} else if (s->interrupts) {
		v->exit = EXIT_INTERRUPTED;
		snprintf(v->error, sizeof(v->error), "interrupted%s%s",
			 k->p && s->o->output ? "; what was measured is in "
					      : "",
			 k->p && s->o->output ? s->o->output : "");
	} else {
		char how[80];

		snprintf(v->error, sizeof(v->error),
			 "while it was measured, "
			 "%s",
			 side_how_it_ended(&s->source, how, sizeof(how)));
	}
}

int bench_measure(struct session *s, struct spoor_profile **ret,
		  struct verdict *v)
{
	struct kept k = { .line = NULL };
	int r = side_spawn(&s->source, "source", "machine-bench", s->o,
			   s->o->args[0], s->mf, s->stamps_fd, 0);

	if (r)
		return r;
	s->has_source = true;
	*v = (struct verdict){ .exit = EXIT_FAILED, .running = "none" };
	if (migrate_begin(s, v))
		watch(s, &k, v);
	*ret = k.p;
	return 0;
}

static void tell(struct session *s, const struct spoor_profile *p,
		 const struct verdict *v)
{
	json_t *result = json_pack("{s:s, s:b, s:i}", "event", "result", "ok",
				   v->exit == EXIT_DONE, "exit", v->exit);

	if (v->exit)
		json_object_set_new(result, "error", json_string(v->error));
	if (p)
		json_object_set_new(result, "profile",
				    s->o->output ? json_string(s->o->output)
						 : profile_file_json(p));
	if (p && !s->o->json) {
		bench_text(p);
		bench_break_even(p, s->mf);
	}
	output_result(&s->out, result);
	if (v->exit && !s->o->json && !s->out.broken)
		fprintf(stderr, "spoor: %s\n", v->error);
}

/* Also of what was measured until it failed, or was interrupted. */
static int draw(struct report *page, const struct machine_file *mf,
		const struct spoor_profile *p)
{
	json_t *json = p && page ? profile_file_json(p) : NULL;

	if (json) {
		report_input(page, mf->path);
		report_profile(page, json);
		json_decref(json);
	}
	return report_close(page);
}

static int measure_and_tell(const struct opts *o, struct machine_file *mf,
			    struct report *page)
{
	struct verdict v = { .exit = EXIT_FAILED, .running = "none" };
	struct spoor_profile *p = NULL;
	struct session s;
	int r = session_open(&s, o, mf), drawn;

	if (!r)
		r = bench_measure(&s, &p, &v);
	if (r) {
		report_drop(page);
	} else {
		session_stop(&s);
		tell(&s, p, &v);
		drawn = draw(page, mf, p);
		r = v.exit ? v.exit : drawn;
	}
	profile_file_free(p);
	session_close(&s);
	return r;
}

static int bench(const struct opts *o)
{
	struct machine_file *mf = NULL;
	struct report *page = NULL;
	int r = cmd_load(&mf, o->args[0], o, true);

	if (!r)
		r = check_output(o, mf);
	if (!r)
		r = cmd_fits(mf, 1);
	if (!r)
		r = report_open_for(&page, o, mf);
	if (!r)
		r = measure_and_tell(o, mf, page);
	machine_file_free(mf);
	return r;
}

/* Not the file of a machine. */
static bool is_device(const char *text)
{
	return !strncmp(text, "/dev/vfio/", 10) ||
	       (strchr(text, ':') && !strchr(text, '/') && access(text, F_OK));
}

/*
 * A machine for a device by itself.  Where its memory is, every IOMMU maps and
 * reserves nothing, and any device that is not of the last century reaches.
 */
static json_t *machine_for(const char *device)
{
	/* A kernel without iommufd has groups and containers only. */
	const char *backend = access("/dev/iommu", F_OK) ? "type1" : "iommufd";

	return json_pack("{s:[{s:s, s:s}], s:[{s:s, s:s}], s:[{s:s, s:s}]}",
			 "memory", "iova", "0x100000000", "size", "256M",
			 "spaces", "name", "main", "backend", backend,
			 "devices", "name", "device", "vfio", device);
}

int cmd_bench(const struct opts *o)
{
	struct compare_file file = { .fd = -1 };
	struct opts on_file = *o;
	char *path = file.path;
	json_t *machine;
	int r;

	if (!is_device(o->args[0]))
		return bench(o);
	if (access("/dev/vfio", F_OK)) {
		output_complain("%s: this machine has no VFIO: there is no "
				"/dev/vfio",
				o->args[0]);
		return EXIT_MISSING;
	}
	machine = machine_for(o->args[0]);
	r = machine ? compare_file_make(&file, machine) : -EINVAL;
	json_decref(machine);
	if (r) {
		output_complain("%s: %s", o->args[0], strerror(-r));
		return EXIT_FAILED;
	}
	on_file.args = &path;
	r = bench(&on_file);
	compare_file_close(&file);
	return r;
}
