/* SPDX-License-Identifier: MIT */
/*
 * spoor: finds the verb and runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <spoor/error.h>

#include "cmd.h"
#include "layout.h"
#include "machine.h"
#include "output.h"
#include "softvfio_env.h"

const struct cmd_verb cmd_verbs[] = {
	{ "probe", VERB_PROBE, "[DEVICE...]",
	  "what tracks and migrates each device", cmd_probe, 0, 64 },
	{ "track", VERB_TRACK, "MACHINE",
	  "tracking without migrating: dirty rate per tracker", cmd_track, 1,
	  1 },
	{ "migrate", VERB_MIGRATE, "MACHINE", "run a machine and migrate it",
	  cmd_migrate, 1, 1 },
	{ "receive", VERB_RECEIVE, "MACHINE --listen ADDR",
	  "be the destination of a migration", cmd_receive, 1, 1 },
	{ "plan", VERB_PLAN, "MACHINE",
	  "the policy it would use, and predictions", cmd_plan, 1, 1 },
	{ "bench", VERB_BENCH, "MACHINE|DEVICE", "measure this host's trackers",
	  cmd_bench, 1, 1 },
	{ "compare", VERB_COMPARE, "MACHINE --policies A,B,...",
	  "one machine under several policies", cmd_compare, 1, 1 },
	{ "report", VERB_REPORT, "EVENTS... -o FILE.html",
	  "a page with plots, from events and profiles", cmd_report, 1, 64 },
	{ "check", VERB_CHECK, "DEVICE", "conformance of a device or driver",
	  cmd_check, 1, 1 },
	{ "serve", 0, "MODEL", "a software device behind vfio-user", NULL, 0,
	  0 },
	{ "help", VERB_HELP, "[VERB]", "the manual page of a verb", cmd_help, 0,
	  1 },
	{ "machine-source", VERB_CHILD, "", NULL, child_source, 1, 1 },
	{ "machine-destination", VERB_CHILD, "", NULL, child_destination, 1,
	  1 },
	{ "machine-track", VERB_CHILD, "", NULL, child_track, 1, 1 },
	{ "machine-probe", VERB_CHILD, "", NULL, child_probe, 1, 1 },
	{ "machine-plan", VERB_CHILD, "", NULL, child_planner, 1, 1 },
	{ "machine-bench", VERB_CHILD, "", NULL, child_bench, 1, 1 },
	{ "machine-check", VERB_CHILD, "", NULL, child_check, 1, 1 },
};
const size_t cmd_nr_verbs = sizeof(cmd_verbs) / sizeof(cmd_verbs[0]);

const struct cmd_verb *cmd_find(const char *name)
{
	for (size_t i = 0; i < cmd_nr_verbs; i++)
		if (!strcmp(cmd_verbs[i].name, name))
			return &cmd_verbs[i];
	return NULL;
}

void cmd_usage(const struct cmd_verb *v)
{
	printf("Usage: spoor %s %s [options]\n%s%s.\n\n", v->name, v->usage,
	       v->summary, v->run ? "" : " (not in this version)");
	if (v->run)
		opts_help(stdout, v->verb);
}

static void general_help(FILE *out)
{
	fputs("Usage: spoor VERB [arguments] [options]\n"
	      "Follows every page that devices write, and migrates machines "
	      "that have such devices.\n\nVerbs:\n",
	      out);
	for (size_t i = 0; i < cmd_nr_verbs; i++)
		if (cmd_verbs[i].summary)
			fprintf(out, "  %-10s %s%s\n", cmd_verbs[i].name,
				cmd_verbs[i].summary,
				cmd_verbs[i].run ? ""
						 : " (not in this version)");
	fputs("\n`spoor VERB --help` lists options, `spoor help VERB` opens "
	      "its manual page.\n",
	      out);
}

static int check_environment(const struct machine_file *mf,
			     struct jp_error *error)
{
	const char *kernel, *tmp = getenv("TMPDIR");

	if (!machine_has_models(mf))
		return 0;
	if (!softvfio_kernel_known(&kernel))
		return jp_error_set(error,
				    "SOFTVFIO_KERNEL: \"%s\": must be 6.1, "
				    "6.12 or latest",
				    kernel);
	/* softvfio's directory goes there, if it is no relative path. */
	if (tmp && *tmp == '/' && access(tmp, W_OK | X_OK))
		return jp_error_set(error, "TMPDIR: \"%s\": %s", tmp,
				    strerror(errno));
	return 0;
}

int cmd_load(struct machine_file **ret, const char *path, const struct opts *o,
	     bool source)
{
	struct machine_file *mf = NULL;
	struct layout *l = NULL;
	struct jp_error error = { "" };
	int r = machine_file_load(&mf, path, &error);

	if (!r)
		r = opts_apply(o, mf, &error);
	if (!r && source)
		r = machine_check_contents(mf, &error);
	if (!r)
		r = layout_make(&l, mf, &error);
	if (!r)
		r = check_environment(mf, &error);
	layout_free(l);
	if (!r) {
		*ret = mf;
		return 0;
	}
	output_complain("%s", error.text);
	machine_file_free(mf);
	return EXIT_USAGE;
}

int cmd_fits(const struct machine_file *mf, unsigned int sides)
{
	char why[600];

	if (machine_memory_fits(mf, sides, why, sizeof(why)))
		return 0;
	output_complain("%s", why);
	return EXIT_MISSING;
}

/* A descriptor opened meanwhile must not pass for a standard one. */
static void fill_standard(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return;
}

/* *ret_moves: a machine was to move, and more counts than what is printed. */
static int command(int argc, char **argv, bool *ret_moves)
{
	const struct cmd_verb *v;
	struct opts o;
	int r;

	if (argc < 2) {
		general_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		general_help(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("spoor %s\n", spoor_version());
		return EXIT_DONE;
	}
	v = cmd_find(argv[1]);
	if (!v) {
		fprintf(stderr, "spoor: %s: no such verb; see `spoor help`\n",
			argv[1]);
		return EXIT_USAGE;
	}
	if (!v->run && argc > 2 &&
	    (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
		cmd_usage(v);
		return EXIT_DONE;
	}
	if (!v->run) {
		fprintf(stderr, "spoor: %s: not in this version\n", v->name);
		return EXIT_USAGE;
	}
	r = opts_parse(&o, v->verb, argc - 1, argv + 1);
	*ret_moves = (v->verb & (VERB_MIGRATE | VERB_RECEIVE)) && !o.help;
	if (!r && o.help)
		cmd_usage(v);
	else if (!r && v->verb == VERB_HELP && !o.nr_args && !o.completion)
		general_help(stdout);
	else if (!r && (o.nr_args < v->min_args || o.nr_args > v->max_args)) {
		output_complain("usage: spoor %s %s", v->name, v->usage);
		r = EXIT_USAGE;
	} else if (!r)
		r = v->run(&o);
	if (r && o.json)
		output_failure(r);
	opts_free(&o);
	return r;
}

int main(int argc, char **argv)
{
	bool moves = false;
	int r;

	fill_standard();
	r = command(argc, argv, &moves);
	return output_end(r, !moves);
}
