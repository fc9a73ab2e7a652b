/* SPDX-License-Identifier: MIT */
/*
 * The option table and what is made from it.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "opts.h"
#include "plan_file.h"
#include "report_costs.h"
#include "units.h"

enum kind {
	FLAG,
	TEXT,
	NUMBER,
	SECONDS, /* fractions allowed, kept in milliseconds */
	ON_OFF, /* true: off */
	SET, /* may be repeated */
};

struct option_entry {
	const char *name;
	const char *arg; /* NULL: takes none */
	const char *help; /* NULL: hidden */
	unsigned int verbs;
	enum kind kind;
	size_t offset;
};

#define RUNS	   (VERB_MIGRATE | VERB_TRACK | VERB_PLAN)
#define AT(member) offsetof(struct opts, member)

static const struct option_entry table[] = {
	{ "to", "ADDR",
	  "migrate to a waiting `spoor receive` (tcp:HOST:PORT "
	  "or unix:PATH)",
	  VERB_MIGRATE, TEXT, AT(to) },
	{ "listen", "ADDR", "where to wait for the source", VERB_RECEIVE, TEXT,
	  AT(listen) },
	{ "policy", "P|FILE",
	  "policy, or the file of a plan; wins over the machine file's",
	  RUNS | VERB_RECEIVE | VERB_CHILD, TEXT, AT(policy) },
	{ "set", "KEY=VALUE",
	  "override a line of policy, as "
	  "nic0.tracker=iommu; commas join several",
	  RUNS | VERB_RECEIVE | VERB_BENCH | VERB_COMPARE | VERB_CHILD, SET,
	  AT(sets) },
	{ "verify", "full|off", "digest and compare both memories (full)",
	  VERB_MIGRATE | VERB_RECEIVE | VERB_CHILD, ON_OFF, AT(no_verify) },
	{ "cpu-tracker", "auto|async|sync", "mechanism that tracks the CPU",
	  VERB_MIGRATE | VERB_TRACK | VERB_BENCH | VERB_COMPARE | VERB_CHILD,
	  TEXT, AT(cpu_tracker) },
	{ "policies", "A,B,...", "the policies to compare", VERB_COMPARE, TEXT,
	  AT(policies) },
	{ "repeat", "N", "how often each is timed (1)", VERB_COMPARE, NUMBER,
	  AT(repeat) },
	{ "profile", "FILE",
	  "figures to predict from, of `spoor bench`; without it they are "
	  "measured first",
	  VERB_COMPARE, TEXT, AT(profile) },
	{ "output", "PROFILE",
	  "where the profile goes; one of this machine that is there is gone "
	  "on with",
	  VERB_BENCH | VERB_CHILD, TEXT, AT(output) },
	{ "output", "PLAN", "write the plan there, to be edited and kept",
	  VERB_PLAN, TEXT, AT(output) },
	{ "profile", "FILE",
	  "figures to choose by and to predict from, of `spoor bench`",
	  VERB_PLAN | VERB_CHILD, TEXT, AT(profile) },
	{ "simulate", NULL,
	  "start nothing: machine file and profile are all there is; shows "
	  "the rounds in simulated time",
	  VERB_PLAN | VERB_CHILD, FLAG, AT(simulate) },
	{ "quick", NULL, "fewer repetitions, and nothing above 300 ms",
	  VERB_BENCH | VERB_COMPARE | VERB_CHILD, FLAG, AT(quick) },
	{ "dest-machine", "FILE",
	  "the destination's machine file, where its "
	  "addresses differ",
	  VERB_MIGRATE, TEXT, AT(dest_machine) },
	{ "control", "PATH",
	  "take orders on a unix socket: cancel, resume, "
	  "discard",
	  VERB_MIGRATE | VERB_RECEIVE, TEXT, AT(control) },
	{ "seconds", "N", "stop after so long", VERB_TRACK | VERB_CHILD,
	  SECONDS, AT(for_ms) },
	{ "interval", "N", "seconds between reads (1)", VERB_TRACK | VERB_CHILD,
	  SECONDS, AT(interval_ms) },
	{ "json", NULL,
	  "one JSON object a line on stdout, the last one the "
	  "result",
	  VERB_MIGRATE | VERB_RECEIVE | VERB_TRACK | VERB_CHECK | VERB_BENCH |
		  VERB_PLAN | VERB_REPORT | VERB_COMPARE,
	  FLAG, AT(json) },
	{ "json", NULL,
	  "one JSON object a device on stdout; a result only if it "
	  "fails",
	  VERB_PROBE, FLAG, AT(json) },
	{ "quiet", NULL, "no progress on stderr",
	  VERB_MIGRATE | VERB_RECEIVE | VERB_TRACK | VERB_PROBE | VERB_CHECK |
		  VERB_BENCH | VERB_PLAN | VERB_REPORT | VERB_COMPARE,
	  FLAG, AT(quiet) },
	{ "peer", "DEVICE", "a second device, whose BAR the first may write to",
	  VERB_CHECK | VERB_CHILD, TEXT, AT(peer) },
	{ "backend", "iommufd|type1", "what kind of address space to use",
	  VERB_CHECK | VERB_CHILD, TEXT, AT(backend) },
	{ "report", "FILE.html", "write a page with plots in the end",
	  VERB_MIGRATE | VERB_COMPARE | VERB_BENCH, TEXT, AT(report) },
	{ "links", "RATE,...",
	  "links that the page prices page sizes for (" REPORT_LINKS_DEFAULT
	  ")",
	  VERB_REPORT | VERB_COMPARE | VERB_BENCH, TEXT, AT(links) },
	{ "output", "FILE.html", "the page to write", VERB_REPORT, TEXT,
	  AT(output) },
	{ "completion", NULL, "print a completion script for bash", VERB_HELP,
	  FLAG, AT(completion) },
	{ "help", NULL, "this text", VERB_ALL & ~VERB_CHILD, FLAG, AT(help) },
	{ "own-spaces", NULL, NULL, VERB_CHILD, FLAG, AT(own_spaces) },
	{ "control-fd", "N", NULL, VERB_CHILD, NUMBER, AT(control_fd) },
	{ "stamps-fd", "N", NULL, VERB_CHILD, NUMBER, AT(stamps_fd) },
	{ "side", "N", NULL, VERB_CHILD, NUMBER, AT(side) },
	{ "parent", "PID", NULL, VERB_CHILD, NUMBER, AT(parent) },
};

#define NR_OPTIONS (sizeof(table) / sizeof(table[0]))

/* What is short for an option, 0: nothing. */
static int letter_of(const struct option_entry *e)
{
	return strcmp(e->name, "output") ? 0 : 'o';
}

static int add_set(struct opts *o, const char *text)
{
	const char **more;

	more = reallocarray(o->sets, o->nr_sets + 1, sizeof(*o->sets));
	if (!more)
		return -ENOMEM;
	o->sets = more;
	o->sets[o->nr_sets++] = text;
	return 0;
}

static int seconds(const char *text, uint64_t *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0.001) || v > 1e7)
		return -EINVAL;
	*ret = (uint64_t)(v * 1000);
	return 0;
}

static int store(struct opts *o, const struct option_entry *e,
		 const char *value)
{
	void *at = (char *)o + e->offset;

	switch (e->kind) {
	case FLAG:
		*(bool *)at = true;
		return 0;
	case TEXT:
		*(const char **)at = value;
		return 0;
	case NUMBER:
		return units_number(value, at);
	case SECONDS:
		return seconds(value, at);
	case ON_OFF:
		if (strcmp(value, "off") != 0 && strcmp(value, "full") != 0)
			return -EINVAL;
		*(bool *)at = !strcmp(value, "off");
		return 0;
	case SET:
		return add_set(o, value);
	}
	return -EINVAL;
}

static int check_words(const struct opts *o)
{
	const char *t = o->cpu_tracker, *b = o->backend;

	if (b && strcmp(b, "iommufd") != 0 && strcmp(b, "type1") != 0) {
		fprintf(stderr,
			"spoor: --backend %s: must be iommufd or type1\n", b);
		return 2;
	}
	if (!t || !strcmp(t, "auto") || !strcmp(t, "async") ||
	    !strcmp(t, "sync"))
		return 0;
	fprintf(stderr,
		"spoor: --cpu-tracker %s: must be auto, async or "
		"sync\n",
		t);
	return 2;
}

int opts_parse(struct opts *o, enum verb verb, int argc, char **argv)
{
	struct option longs[NR_OPTIONS + 1];
	size_t which[NR_OPTIONS];
	char letters[2 * NR_OPTIONS + 2] = ":";
	size_t nr = 0, len = 1;
	int c, index = 0;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (!(table[i].verbs & verb))
			continue;
		longs[nr].name = table[i].name;
		longs[nr].has_arg =
			table[i].arg ? required_argument : no_argument;
		longs[nr].val = letter_of(&table[i]);
		if (letter_of(&table[i])) {
			letters[len++] = (char)letter_of(&table[i]);
			if (table[i].arg)
				letters[len++] = ':';
		}
		which[nr++] = i;
	}
	*o = (struct opts){ .interval_ms = 1000, .repeat = 1 };
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, letters, longs, &index)) != -1) {
		if (c == '?' || c == ':') {
			fprintf(stderr,
				c == ':' ? "spoor: %s needs a value\n"
					 : "spoor: %s: unknown option; see "
					   "`spoor help`\n",
				argv[optind - 1]);
			return 2;
		}
		/* A letter, or the name that it is short for. */
		for (size_t i = 0; c && i < nr; i++)
			if (longs[i].val == c)
				index = (int)i;
		if (store(o, &table[which[index]], optarg)) {
			fprintf(stderr, "spoor: --%s %s: must be %s\n",
				table[which[index]].name, optarg,
				table[which[index]].kind == SECONDS
					? "a number of seconds above 0"
					: table[which[index]].arg);
			return 2;
		}
	}
	o->args = argv + optind;
	o->nr_args = (size_t)(argc - optind);
	return check_words(o);
}

void opts_free(struct opts *o)
{
	free(o->sets);
	o->sets = NULL;
	o->nr_sets = 0;
}

void opts_help(FILE *out, enum verb verb)
{
	fputs("Options:\n", out);
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		char left[40];

		if (!(table[i].verbs & verb) || !table[i].help)
			continue;
		snprintf(left, sizeof(left), "--%s%s%c%s%s", table[i].name,
			 letter_of(&table[i]) ? ", -" : "",
			 letter_of(&table[i]) ? letter_of(&table[i]) : ' ',
			 letter_of(&table[i]) && table[i].arg ? " " : "",
			 table[i].arg ? table[i].arg : "");
		fprintf(out, "  %-28s %s\n", left, table[i].help);
	}
}

/* For bash: verbs first, then the options of the verb that was typed. */
void opts_completion(FILE *out)
{
	fputs("_spoor() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n"
	      "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\twords=\"",
	      out);
	for (size_t v = 0; v < cmd_nr_verbs; v++)
		if (cmd_verbs[v].summary && cmd_verbs[v].run)
			fprintf(out, "%s ", cmd_verbs[v].name);
	fputs("\"\n\telse case ${COMP_WORDS[1]} in\n", out);
	for (size_t v = 0; v < cmd_nr_verbs; v++) {
		if (!cmd_verbs[v].summary || !cmd_verbs[v].run)
			continue;
		fprintf(out, "\t\t%s) words=\"", cmd_verbs[v].name);
		for (size_t i = 0; i < NR_OPTIONS; i++)
			if ((table[i].verbs & cmd_verbs[v].verb) &&
			    table[i].help)
				fprintf(out, "--%s ", table[i].name);
		fputs("\" ;;\n", out);
	}
	fputs("\tesac; fi\n"
	      "\tCOMPREPLY=($(compgen -W \"$words\" -f -- \"$cur\"))\n}\n"
	      "complete -F _spoor spoor\n",
	      out);
}

static int apply_set(const struct opts *o, struct machine_file *mf,
		     const char *text, size_t len, struct jp_error *error)
{
	const char *eq = memchr(text, '=', len);
	char key[96], value[64];

	if (!eq || eq == text || (size_t)(eq - text) >= sizeof(key) ||
	    len - (size_t)(eq - text) - 1 >= sizeof(value)) {
		snprintf(error->text, sizeof(error->text),
			 "--set %.*s: must be DEVICE.KEY=VALUE", (int)len,
			 text);
		return -EINVAL;
	}
	if (!memchr(text, '.', (size_t)(eq - text))) {
		snprintf(error->text, sizeof(error->text),
			 "--set %.*s: takes lines of devices, DEVICE.KEY; "
			 "other policy is in the machine file",
			 (int)len, text);
		return -EINVAL;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(eq - text), text);
	snprintf(value, sizeof(value), "%.*s",
		 (int)(len - (size_t)(eq - text) - 1), eq + 1);
	if (o->own_spaces && !strcmp(strchr(key, '.'), ".space"))
		return 0;
	return machine_file_override(mf, key, value, "");
}

/*
 * A plan's lines win over the machine file's if it was named here, and not if
 * the machine file names it; --set wins over both.
 */
static int apply_policy(const struct opts *o, struct machine_file *mf,
			struct jp_error *error)
{
	char path[PATH_MAX];

	if (!o->policy) {
		snprintf(path, sizeof(path), "%s", mf->policy.file);
		return path[0] ? plan_file_apply(mf, path, 0, error) : 0;
	}
	if (machine_policy_is_file(o->policy))
		return plan_file_apply(
			mf, o->policy,
			PLAN_WINS | (o->own_spaces ? PLAN_NO_SPACES : 0),
			error);
	if (strlen(o->policy) >= sizeof(mf->policy.name))
		return jp_error_set(error, "--policy %s: no such policy",
				    o->policy);
	snprintf(mf->policy.name, sizeof(mf->policy.name), "%s", o->policy);
	return 0;
}

int opts_apply(const struct opts *o, struct machine_file *mf,
	       struct jp_error *error)
{
	int r = apply_policy(o, mf, error);

	for (size_t i = 0; i < o->nr_sets && !r; i++) {
		const char *s = o->sets[i];

		for (bool more = true; more && !r;) {
			size_t len = strcspn(s, ",");

			more = s[len] == ',';
			if (len)
				r = apply_set(o, mf, s, len, error);
			else
				r = jp_error_set(error,
						 "--set %s: must be "
						 "DEVICE.KEY=VALUE, and more "
						 "after single commas",
						 o->sets[i]);
			s += len + more;
		}
	}
	if (!r)
		r = machine_check_policy(mf, error);
	return r ? r : machine_place(mf, error);
}
