/* SPDX-License-Identifier: MIT */
/*
 * spoor plan: which tracker, page size and suspension each device gets, why,
 * and what a migration would cost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "migrate.h"
#include "plan_facts.h"
#include "plan_figures.h"
#include "plan_file.h"
#include "planner.h"
#include "profile_file.h"
#include "session.h"
#include "settings.h"

static bool finished(const struct session *s)
{
	return s->source.done || s->source.failed || !s->source.open ||
	       s->out.broken;
}

/* Why the machine's process ended as it did. */
static void judge(const struct session *s, struct verdict *v)
{
	const char *why =
		json_string_value(json_object_get(s->source.failed, "error"));
	char how[80];

	if (s->source.done) {
		v->exit = EXIT_DONE;
	} else if (s->source.failed) {
		v->exit = (int)json_integer_value(
			json_object_get(s->source.failed, "exit"));
		snprintf(v->error, sizeof(v->error), "%s", why ? why : "");
	} else if (s->out.broken) {
		snprintf(v->error, sizeof(v->error),
			 "what it prints cannot be written");
	} else if (s->interrupts) {
		v->exit = EXIT_INTERRUPTED;
		snprintf(v->error, sizeof(v->error), "interrupted");
	} else {
		snprintf(v->error, sizeof(v->error), "its process %s",
			 side_how_it_ended(&s->source, how, sizeof(how)));
	}
}

/* The plan goes to its file, then the last line is told. */
static int tell_end(struct session *s, struct verdict *v)
{
	json_t *result, *settings;
	int r = 0;

	if (!v->exit && s->o->output)
		r = plan_file_save(s->plan, s->mf, s->o->output);
	if (r) {
		v->exit = EXIT_FAILED;
		snprintf(v->error, sizeof(v->error), "-o %s: %s", s->o->output,
			 strerror(-r));
	}
	settings = settings_event(s->mf);
	if (settings && s->plan)
		output_event(&s->out, settings);
	json_decref(settings);
	result = json_pack("{s:s, s:b, s:i}", "event", "result", "ok",
			   v->exit == EXIT_DONE, "exit", v->exit);
	if (v->exit)
		json_object_set_new(result, "error", json_string(v->error));
	else if (json_object_get(s->plan, "predicted"))
		json_object_set(result, "predicted",
				json_object_get(s->plan, "predicted"));
	output_result(&s->out, result);
	if (v->exit && !s->o->json && !s->out.broken)
		fprintf(stderr, "spoor: %s\n", v->error);
	return v->exit;
}

static int on_machine(struct session *s)
{
	struct verdict v = { .exit = EXIT_FAILED };
	int r = side_spawn(&s->source, "source", "machine-plan", s->o,
			   s->o->args[0], s->mf, s->stamps_fd, 0);

	if (r)
		return r;
	s->has_source = true;
	session_wait(s, finished, UINT64_MAX, true);
	judge(s, &v);
	session_stop(s);
	return tell_end(s, &v);
}

static void tell(void *session, json_t *event)
{
	struct session *s = session;

	if (!event)
		return;
	if (!strcmp(json_string_value(json_object_get(event, "event")),
		    "plan")) {
		json_decref(s->plan);
		s->plan = json_incref(event);
	}
	output_event(&s->out, event);
	json_decref(event);
}

/* Nothing is opened: the file and the profile are all there is. */
static int simulate(struct session *s, const struct spoor_profile *profile)
{
	struct verdict v = { .exit = EXIT_FAILED };
	struct spoor_profile fitted;
	struct spoor_device_fact *facts = NULL;
	struct planner p = { .mf = s->mf,
			     .o = s->o,
			     .memory_bytes = plan_facts_memory(s->mf),
			     .profile = profile,
			     .tell = tell,
			     .opaque = s };
	size_t nr;

	if (!plan_profile_fit(&fitted, s->mf, profile, &nr)) {
		facts = plan_facts(s->mf, &fitted);
		plan_profile_clear(&fitted);
	}
	p.facts = facts;
	if (facts)
		v.exit = planner_run(&p);
	snprintf(v.error, sizeof(v.error), "%s",
		 facts ? p.error : "out of memory");
	free(facts);
	return tell_end(s, &v);
}

static int load_profile(struct spoor_profile **ret, const struct opts *o)
{
	struct jp_error error = { "" };

	if (o->simulate && !o->profile) {
		output_complain("--simulate needs --profile FILE");
		return EXIT_USAGE;
	}
	if (!o->profile || !profile_file_load(ret, o->profile, &error))
		return 0;
	output_complain("--profile %s", error.text);
	return EXIT_USAGE;
}

int cmd_plan(const struct opts *o)
{
	struct spoor_profile *profile = NULL;
	struct machine_file *mf = NULL;
	struct session s;
	int r = load_profile(&profile, o);

	if (!r)
		r = cmd_load(&mf, o->args[0], o, false);
	if (!r && !o->simulate)
		r = cmd_fits(mf, 1);
	if (!r) {
		r = session_open(&s, o, mf);
		if (!r)
			r = o->simulate ? simulate(&s, profile)
					: on_machine(&s);
		session_close(&s);
	}
	profile_file_free(profile);
	machine_file_free(mf);
	return r;
}
