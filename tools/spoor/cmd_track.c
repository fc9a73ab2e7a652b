/* SPDX-License-Identifier: MIT */
/*
 * spoor track: run a machine and print how fast each tracker sees it write.
 */
#include <stdio.h>

#include "cmd.h"
#include "migrate.h"
#include "session.h"

static bool finished(const struct session *s)
{
	return s->source.done || s->source.failed || !s->source.open ||
	       s->out.broken;
}

int cmd_track(const struct opts *o)
{
	struct verdict v = { .exit = EXIT_FAILED, .running = "none" };
	struct machine_file *mf = NULL;
	struct session s;
	int r = cmd_load(&mf, o->args[0], o, true);

	if (!r)
		r = cmd_fits(mf, 1);
	if (r) {
		machine_file_free(mf);
		return r;
	}
	r = session_open(&s, o, mf);
	if (!r) {
		r = side_spawn(&s.source, "source", "machine-track", o,
			       o->args[0], mf, s.stamps_fd, 0);
		s.has_source = !r;
	}
	if (!r && migrate_begin(&s, &v)) {
		/* An interrupt is how it ends without --seconds. */
		bool done = session_wait(&s, finished, UINT64_MAX, true);

		v.exit = !done || s.source.done ? EXIT_DONE : EXIT_FAILED;
		snprintf(v.error, sizeof(v.error), "%s",
			 !v.exit	? ""
			 : s.out.broken ? "what it prints cannot be written"
					: "its process is gone");
	}
	if (s.has_source) {
		json_t *result =
			json_pack("{s:s, s:b, s:i}", "event", "result", "ok",
				  v.exit == EXIT_DONE, "exit", (int)v.exit);

		if (v.exit)
			json_object_set_new(result, "error",
					    json_string(v.error));
		session_stop(&s);
		output_result(&s.out, result);
		if (v.exit && !o->json && !s.out.broken)
			fprintf(stderr, "spoor: %s\n", v.error);
		r = v.exit;
	}
	session_close(&s);
	machine_file_free(mf);
	return r;
}
