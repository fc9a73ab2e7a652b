/* SPDX-License-Identifier: MIT */
/*
 * spoor bench: measure a machine's trackers on this host.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/spoor/bench/bench.h"
#include "compare/compare.h"
#include "cmd.h"
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
