/* SPDX-License-Identifier: MIT */
/*
 * spoor migrate: run a machine and move it to another process, here or at the
 * other end of a connection.
 */
#include "cmd.h"
#include "migrate.h"
#include "session.h"

int cmd_migrate(const struct opts *o)
{
	struct machine_file *mf = NULL, *dest = NULL;
	struct opts there = *o;
	struct report *report = NULL;
	struct session s;
	struct verdict v;
	int r = cmd_load(&mf, o->args[0], o, true);

	if (!r && o->to && o->dest_machine) {
		output_complain("--dest-machine: with --to the "
				"destination has a machine file of its own");
		r = EXIT_USAGE;
	}
	there.own_spaces = true;
	if (!r && o->dest_machine)
		r = cmd_load(&dest, o->dest_machine, &there, false);
	if (!r)
		r = cmd_fits(mf, o->to ? 1 : 2);
	if (!r)
		r = report_open_for(&report, o, mf);
	if (!r) {
		r = session_open(&s, o, mf);
		s.out.report = report;
		report_input(report, o->args[0]);
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
