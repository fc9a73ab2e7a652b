/* SPDX-License-Identifier: MIT */
/*
 * spoor compare: one machine under several policies, side by side.
 *
 * Repetition by repetition, so that what this host does meanwhile comes to all
 * policies alike; after one run of each that is verified in full.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/compare.h"
#include "cmd.h"
#include "profile_file.h"

static int bad(const char *what, const char *why)
{
	output_complain("%s: %s", what, why);
	return EXIT_USAGE;
}

static int add(struct comparison *c, const char *policy)
{
	struct compared *p = &c->of[c->nr];
	struct opts o = *c->o;
	json_t *name;
	int r;

	if (c->nr == COMPARE_POLICIES_MAX)
		return bad("--policies", "32 at most");
	if (!*policy)
		return bad("--policies",
			   "must be names, with single commas between them");
	/* Events carry it. */
	name = json_string(policy);
	if (!name)
		return bad("--policies", "must be UTF-8");
	json_decref(name);
	for (size_t i = 0; i < c->nr; i++)
		if (!strcmp(c->of[i].policy, policy)) {
			output_complain("--policies: %s: is there twice",
					policy);
			return EXIT_USAGE;
		}
	o.policy = policy;
	r = cmd_load(&p->mf, o.args[0], &o, true);
	if (r)
		return r;
	p->policy = policy;
	p->plan.fd = -1;
	p->timed = json_array();
	p->notes = json_array();
	c->nr++;
	return 0;
}

static int check_profile(const struct opts *o)
{
	struct spoor_profile *p = NULL;
	struct jp_error error = { "" };

	if (!o->profile)
		return 0;
	if (profile_file_load(&p, o->profile, &error)) {
		output_complain("--profile %s", error.text);
		return EXIT_USAGE;
	}
	profile_file_free(p);
	return 0;
}

/* Everything that can be wrong, before anything is started. */
static int check(struct comparison *c, char *names)
{
	const struct opts *o = c->o;
	char *name;
	int r = 0;

	if (!o->policies)
		return bad("compare", "--policies A,B,... is needed");
	if (!o->repeat || o->repeat > COMPARE_REPEAT_MAX)
		return bad("--repeat", "must be 1 to 1000");
	while (!r && (name = strsep(&names, ",")))
		r = add(c, name);
	if (!r)
		r = check_profile(o);
	return r ? r : cmd_fits(c->of[0].mf, 2);
}

static void run_all(struct comparison *c)
{
	for (size_t i = 0; i < c->nr && !compare_stops(c); i++)
		compare_predict(c, &c->of[i]);
	for (unsigned int n = 0; n <= c->o->repeat; n++)
		for (size_t i = 0; i < c->nr && !compare_stops(c); i++)
			compare_run(c, &c->of[i], n);
}

static int exit_of(const struct comparison *c)
{
	int r = c->broken ? EXIT_FAILED : EXIT_DONE;

	for (size_t i = 0; i < c->nr; i++) {
		if (c->of[i].lost)
			r = EXIT_LOST;
		else if (c->of[i].failed && !r)
			r = EXIT_FAILED;
	}
	return c->interrupted ? EXIT_INTERRUPTED : r;
}

static int tell(struct comparison *c)
{
	const int r = exit_of(c);
	json_t *result = compare_json(c, r);

	if (!c->o->json)
		compare_text(c, result);
	output_result(&c->out, result);
	return r;
}

/* What it shows is told; what is drawn of it comes after that. */
static int measure(struct comparison *c)
{
	int r, drawn;

	if (c->out.report)
		report_input(c->out.report, c->o->args[0]);
	run_all(c);
	r = tell(c);
	drawn = report_close(c->out.report);
	return r ? r : drawn;
}

static void release(struct comparison *c)
{
	for (size_t i = 0; i < c->nr; i++) {
		struct compared *p = &c->of[i];

		json_decref(p->predicted);
		json_decref(p->checked);
		json_decref(p->timed);
		json_decref(p->notes);
		json_decref(p->lost);
		compare_file_close(&p->plan);
		machine_file_free(p->mf);
	}
	compare_file_close(&c->measured);
	free(c);
}

int cmd_compare(const struct opts *o)
{
	struct comparison *c = calloc(1, sizeof(*c));
	char *names = strdup(o->policies ? o->policies : "");
	int r = EXIT_FAILED;

	if (c && names) {
		c->o = o;
		c->measured.fd = -1;
		output_init(&c->out, o);
		r = check(c, names);
		if (!r)
			r = report_open_for(&c->out.report, o, c->of[0].mf);
		if (!r)
			r = compare_profile(c);
		if (r)
			report_drop(c->out.report);
		else
			r = measure(c);
	}
	if (c)
		release(c);
	free(names);
	return r;
}
