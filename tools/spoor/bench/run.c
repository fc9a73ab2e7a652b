/* SPDX-License-Identifier: MIT */
/*
 * The machine's process, measured from outside: once as its file has it, then
 * with devices in other spaces.
 *
 * The profile is written whenever something was added to it, so that what an
 * interrupt cuts short goes on from there.
 *
 * Threads: the parent's main thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tools/spoor/cmd.h"
#include "tools/spoor/compare/compare.h"
#include "tools/spoor/migrate.h"
#include "tools/spoor/profile_file.h"
#include "tools/spoor/session.h"

struct kept {
	const char *path; /* NULL: nowhere */
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
	if (!r && k->path)
		r = profile_file_save(p, k->path);
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
			 k->path ? k->path : "profile", strerror(-k->err));
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
			 k->p && k->path ? "; what was measured is in " : "",
			 k->p && k->path ? k->path : "");
	} else {
		char how[80];

		snprintf(v->error, sizeof(v->error),
			 "while it was measured, "
			 "%s",
			 side_how_it_ended(&s->source, how, sizeof(how)));
	}
}

static int run(struct session *s, struct kept *k, const struct opts *o,
	       const struct machine_file *mf, struct verdict *v)
{
	int r = side_spawn(&s->source, "source", "machine-bench", o, o->args[0],
			   mf, s->stamps_fd, 0);

	if (r)
		return r;
	s->has_source = true;
	k->line = NULL;
	*v = (struct verdict){ .exit = EXIT_FAILED, .running = "none" };
	if (migrate_begin(s, v))
		watch(s, k, v);
	return 0;
}

/* The machine with devices moved; NULL: that cannot be, or is known. */
static struct machine_file *moved_machine(const struct opts *o,
					  const struct spoor_profile *p)
{
	struct machine_file *mf = NULL;

	if (!cmd_load(&mf, o->args[0], o, true) && bench_moved_known(mf, p))
		mf = machine_file_free(mf);
	return mf;
}

/*
 * Goes on with what is known so far, of which all but the spaces' trackers is
 * measured already.
 */
static int run_moved(struct session *s, struct kept *k, const char *set,
		     struct verdict *v)
{
	const char *sets[] = { set };
	struct compare_file known = { .fd = -1 };
	struct opts o = *s->o;
	struct machine_file *mf;
	json_t *json;
	int r;

	o.sets = sets;
	o.nr_sets = 1;
	mf = moved_machine(&o, k->p);
	if (!mf)
		return 0;
	json = profile_file_json(k->p);
	r = json ? compare_file_make(&known, json) : -ENOMEM;
	json_decref(json);
	if (!r) {
		output_note(&s->out, "info", "once more, with %s", set);
		o.output = known.path;
		session_end_source(s);
		r = run(s, k, &o, mf, v);
	} else {
		output_complain("profile: %s", strerror(-r));
		r = EXIT_FAILED;
	}
	compare_file_close(&known);
	machine_file_free(mf);
	return r;
}

static bool moved_already(const struct machine_file *mf)
{
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (mf->devices[i].space != mf->devices[i].home)
			return true;
	return false;
}

/* What cannot be had there is no reason to give up what was had. */
static int run_all_moved(struct session *s, struct kept *k, struct verdict *v)
{
	struct bench_moves moves;
	int r = bench_moves_find(&moves, s->mf, k->p);

	if (r)
		output_complain("out of memory");
	for (size_t i = 0; i < moves.nr && !r && v->exit == EXIT_DONE; i++) {
		r = run_moved(s, k, moves.sets[i], v);
		if (r || v->exit == EXIT_DONE || s->interrupts || k->err ||
		    s->out.broken)
			continue;
		output_note(&s->out, "warning", "%s: not measured: %s",
			    moves.sets[i], v->error);
		v->exit = EXIT_DONE;
	}
	if (moves.nr_left_out)
		output_note(&s->out, "warning",
			    "%zu more ways to put devices into spaces are not "
			    "measured; --set NAME.space=SPACE measures one",
			    moves.nr_left_out);
	bench_moves_clear(&moves);
	return r ? EXIT_FAILED : 0;
}

int bench_measure(struct session *s, struct spoor_profile **ret,
		  struct verdict *v)
{
	struct kept k = { .path = s->o->output };
	int r = run(s, &k, s->o, s->mf, v);

	if (!r && v->exit == EXIT_DONE && k.p && !moved_already(s->mf))
		r = run_all_moved(s, &k, v);
	*ret = k.p;
	return r;
}
