/* SPDX-License-Identifier: MIT */
/*
 * The profile that predictions rest on; and files without a name, which end
 * with the process that made them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/spoor/bench/bench.h"
#include "tools/spoor/cmd.h"
#include "tools/spoor/profile_file.h"
#include "tools/spoor/report.h"
#include "tools/spoor/session.h"

#include "compare.h"

int compare_file_make(struct compare_file *f, const json_t *content)
{
	int fd = memfd_create("spoor-compare", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (json_dumpfd(content, fd, JSON_REAL_PRECISION(9))) {
		close(fd);
		return -EIO;
	}
	f->fd = fd;
	/* Children are of the same user: they may open what is ours. */
	snprintf(f->path, sizeof(f->path), "/proc/%ld/fd/%d", (long)getpid(),
		 fd);
	return 0;
}

void compare_file_close(struct compare_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static int keep(struct comparison *c, const struct spoor_profile *p)
{
	json_t *json = p ? profile_file_json(p) : NULL;
	int r = json ? compare_file_make(&c->measured, json) : -EINVAL;

	if (!r && c->out.report) {
		report_input(c->out.report, p->machine);
		report_profile(c->out.report, json);
	}
	json_decref(json);
	if (r)
		output_complain("profile: %s", strerror(-r));
	return r ? EXIT_FAILED : 0;
}

/* It was looked at already, before anything was started. */
static void draw_given(const struct comparison *c)
{
	struct spoor_profile *p = NULL;
	struct jp_error error;
	json_t *json;

	if (!c->out.report || profile_file_load(&p, c->o->profile, &error))
		return;
	json = p->nr_trackers ? profile_file_json(p) : NULL;
	if (json) {
		report_input(c->out.report, c->o->profile);
		report_profile(c->out.report, json);
		json_decref(json);
	}
	profile_file_free(p);
}

int compare_profile(struct comparison *c)
{
	struct verdict v = { .exit = EXIT_FAILED };
	struct spoor_profile *p = NULL;
	json_t *tags;
	struct opts o = *c->o;
	struct session s;
	int r;

	if (c->o->profile) {
		draw_given(c);
		return 0;
	}
	if (!c->o->quiet)
		fputs("measuring a profile first\n", stderr);
	tags = json_object();
	o.output = NULL;
	r = session_open(&s, &o, c->of[0].mf);
	s.out.tags = tags;
	if (!r)
		r = bench_measure(&s, &p, &v);
	c->interrupted = s.interrupts > 0;
	c->broken = s.out.broken;
	output_clear_bar(&s.out);
	session_close(&s);
	if (!r && !compare_stops(c)) {
		r = v.exit ? v.exit : keep(c, p);
		if (v.exit)
			output_complain("no profile: %s", v.error);
	}
	profile_file_free(p);
	json_decref(tags);
	return r;
}
