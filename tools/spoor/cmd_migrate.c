/* SPDX-License-Identifier: MIT */
/*
 * spoor migrate: run a machine and move it to another process, here or at the
 * other end of a connection.
 */
#include "cmd.h"
#include "migrate.h"
#include "session.h"

static int open_report(struct report **ret, const struct opts *o)
{
	int r;

	if (!o->report)
		return 0;
	r = report_open(ret, o->report, "--report");
	if (!r)
		report_input(*ret, o->args[0]);
	return r;
}

int cmd_migrate(const struct opts *o)
{
	struct machine_file *mf = NULL, *dest = NULL;
	struct report *report = NULL;
	struct session s;
	struct verdict v;
	int r = cmd_load(&mf, o->args[0], o, true);

	if (!r && o->to && o->dest_machine) {
		output_complain("--dest-machine: with --to the "
				"destination has a machine file of its own");
		r = EXIT_USAGE;
	}
	if (!r && o->dest_machine)
		r = cmd_load(&dest, o->dest_machine, o, false);
	if (!r)
		r = cmd_fits(mf, o->to ? 1 : 2);
	if (!r)
		r = open_report(&report, o);
	if (!r) {
		r = session_open(&s, o, mf);
		s.out.report = report;
		if (!r)
			r = migrate_run(&s, dest, &v);
		if (!r)
			r = migrate_finish(&s, &v);
		session_close(&s);
		/* Where the machine is comes before what is drawn of it. */
		(void)!report_close(report);
	}
	machine_file_free(dest);
	machine_file_free(mf);
	return r;
}
