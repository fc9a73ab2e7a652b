/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing plans; see plan_file.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plan_file.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const char *const trackers[] = { "none",	  "device", "iommu",
					"pinned", "all",    NULL };
static const char *const whens[] = { "together", "before-bulk", "after-bulk",
				     NULL };
static const char *const hows[] = { "stop", "quiet", NULL };

/* Index of a word that was not given. */
#define UNSET 99u

struct line {
	char name[MF_NAME_MAX];
	char space[MF_NAME_MAX]; /* "": not given */
	unsigned int tracker, when, how;
	uint64_t page_size; /* 0: not given */
	char reason[512];
};

struct plan_file {
	bool stop_copy;
	struct line *lines;
	size_t nr;
	const struct machine_file *mf;
	unsigned int flags;
};

/* For people; nothing depends on it. */
static int pass_over(const struct jp *at, const struct jp_field *f, void *into)
{
	(void)at;
	(void)f;
	(void)into;
	return 0;
}

static int read_suspend(const struct jp *at, const struct jp_field *f,
			void *into)
{
	static const struct jp_field fields[] = {
		JP_FIELD(line, when, "when", jp_read_word, .words = whens),
		JP_FIELD(line, how, "how", jp_read_word, .words = hows),
	};

	return jp_object(at, fields, NR(fields), (char *)into - f->offset);
}

static int read_page_size(const struct jp *at, const struct jp_field *f,
			  void *into)
{
	uint64_t v;

	/* As results have it where there is no tracker. */
	if (json_is_integer(at->value) && !json_integer_value(at->value))
		return 0;
	if (jp_read_size(at, f, &v))
		return -EINVAL;
	if (v & (v - 1))
		return jp_fail(at, "must be a power of two");
	*(uint64_t *)into = v;
	return 0;
}

static bool known(const struct machine_file *mf, const char *name)
{
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (!strcmp(mf->devices[i].name, name))
			return true;
	return false;
}

static int name_fits(const struct jp *at, const struct plan_file *p, size_t i)
{
	const struct jp name = { at, "name", 0,
				 json_object_get(at->value, "name"),
				 at->error };

	if (!name.value)
		return jp_fail(at, "\"name\" is missing");
	if (!known(p->mf, p->lines[i].name))
		return jp_fail(&name, "is no device of this machine");
	for (size_t k = 0; k < i; k++)
		if (!strcmp(p->lines[k].name, p->lines[i].name))
			return jp_fail(&name, "is there twice");
	return 0;
}

static int space_fits(const struct jp *at, const struct plan_file *p,
		      const struct line *l)
{
	const struct jp space = { at, "space", 0,
				  json_object_get(at->value, "space"),
				  at->error };
	size_t s;

	if (!l->space[0] || (p->flags & PLAN_NO_SPACES) ||
	    mf_find_space(p->mf, l->space, &s))
		return 0;
	return jp_fail(&space, "is no space of this machine");
}

static int each_line(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field fields[] = {
		JP_FIELD(line, name, "name", jp_read_text, .cap = MF_NAME_MAX),
		JP_FIELD(line, tracker, "tracker", jp_read_word,
			 .words = trackers),
		JP_FIELD(line, page_size, "page_size", read_page_size,
			 .min = MF_PAGE, .max = 1ull << 40),
		JP_FIELD(line, when, "suspend", read_suspend),
		JP_FIELD(line, space, "space", jp_read_text,
			 .cap = MF_NAME_MAX),
		JP_FIELD(line, name, "quiet_read", pass_over),
		JP_FIELD(line, name, "covered_by", pass_over),
		JP_FIELD(line, reason, "reason", jp_read_text,
			 .cap = sizeof(((struct line *)0)->reason)),
		JP_FIELD(line, name, "predicted_service_gap_ms", pass_over),
		JP_FIELD(line, name, "predicted_slowdown", pass_over),
		JP_FIELD(line, name, "predicted_dirty_bytes", pass_over),
	};
	struct plan_file *p = ctx;
	struct line *l = &p->lines[i];

	*l = (struct line){ .tracker = UNSET, .when = UNSET, .how = UNSET };
	p->nr = i + 1;
	if (jp_object(at, fields, NR(fields), l) || name_fits(at, p, i) ||
	    space_fits(at, p, l))
		return -EINVAL;
	/* What has no page size is not asked for one. */
	if (l->tracker == 0 || l->tracker == 4)
		l->page_size = 0;
	return 0;
}

static int read_devices(const struct jp *at, const struct jp_field *f,
			void *into)
{
	struct plan_file *p = (void *)((char *)into - f->offset);
	const size_t nr = json_array_size(at->value);

	free(p->lines);
	p->lines = calloc(nr ? nr : 1, sizeof(*p->lines));
	return p->lines ? jp_array(at, MF_DEVICES_MAX, each_line, p) : -ENOMEM;
}

static int read_version(const struct jp *at, const struct jp_field *f,
			void *into)
{
	(void)f;
	(void)into;
	if (json_is_integer(at->value) &&
	    json_integer_value(at->value) == PLAN_VERSION)
		return 0;
	return jp_fail(at, "must be %d, the version that is read here",
		       PLAN_VERSION);
}

static const struct jp_field plan_fields[] = {
	JP_FIELD(plan_file, stop_copy, "spoor_plan", read_version),
	JP_FIELD(plan_file, stop_copy, "stop_copy", jp_read_bool),
	JP_FIELD(plan_file, lines, "devices", read_devices),
	JP_FIELD(plan_file, stop_copy, "policy", pass_over),
	JP_FIELD(plan_file, stop_copy, "machine", pass_over),
	JP_FIELD(plan_file, stop_copy, "coverage", pass_over),
	JP_FIELD(plan_file, stop_copy, "predicted", pass_over),
};

static int set(struct machine_file *mf, const struct line *l, const char *what,
	       const char *value, bool wins)
{
	char key[96];

	snprintf(key, sizeof(key), "%s.%s", l->name, what);
	for (size_t i = 0; i < mf->policy.nr_overrides && !wins; i++)
		if (!strcmp(mf->policy.overrides[i].key, key))
			return 0;
	return machine_file_override(mf, key, value, l->reason);
}

static int obey_line(struct machine_file *mf, const struct line *l,
		     unsigned int flags)
{
	const bool wins = flags & PLAN_WINS;
	char size[24];
	int r = 0;

	if (l->tracker != UNSET)
		r = set(mf, l, "tracker", trackers[l->tracker], wins);
	snprintf(size, sizeof(size), "%" PRIu64, l->page_size);
	if (!r && l->page_size)
		r = set(mf, l, "page_size", size, wins);
	if (!r && l->when != UNSET)
		r = set(mf, l, "suspend", whens[l->when], wins);
	if (!r && l->how != UNSET)
		r = set(mf, l, "how", hows[l->how], wins);
	if (!r && l->space[0] && !(flags & PLAN_NO_SPACES))
		r = set(mf, l, "space", l->space, wins);
	return r;
}

static int obey(struct machine_file *mf, const struct plan_file *p)
{
	int r = 0;

	snprintf(mf->policy.name, sizeof(mf->policy.name), "%s",
		 p->stop_copy ? "stop-copy" : "auto");
	/* Nothing is tracked then, and all are stopped together. */
	for (size_t i = 0; i < p->nr && !r && !p->stop_copy; i++)
		r = obey_line(mf, &p->lines[i], p->flags);
	return r;
}

int plan_file_apply(struct machine_file *mf, const char *path,
		    unsigned int flags, struct jp_error *error)
{
	struct plan_file p = { .mf = mf, .flags = flags };
	struct jp_error why = { "" };
	json_t *root = NULL;
	int r = jp_parse(path, &root, error);
	struct jp at;

	if (r)
		return r;
	at = (struct jp){ .value = root, .error = &why };
	if (json_is_object(root) && !json_object_get(root, "spoor_plan"))
		r = jp_fail(&at, "\"spoor_plan\" is missing: it is no plan");
	if (!r)
		r = jp_object(&at, plan_fields, NR(plan_fields), &p);
	if (!r)
		r = obey(mf, &p);
	if (r)
		jp_error_set(error, "%s: %s", path,
			     r == -ENOMEM ? "out of memory" : why.text);
	free(p.lines);
	json_decref(root);
	return r;
}

static int write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	int r = 0;

	if (!file)
		return -errno;
	if (fputs(text, file) < 0 || fflush(file) || fsync(fileno(file)))
		r = errno ? -errno : -EIO;
	if (fclose(file) && !r)
		r = -errno;
	return r;
}

int plan_file_save(const json_t *event, const struct machine_file *mf,
		   const char *path)
{
	const char *slash = strrchr(mf->path, '/');
	char temporary[PATH_MAX];
	json_t *plan, *rest = json_deep_copy(event);
	char *text = NULL;
	int r;

	plan = json_pack("{s:i, s:s}", "spoor_plan", PLAN_VERSION, "machine",
			 slash ? slash + 1 : mf->path);
	if (plan && rest) {
		json_object_del(rest, "event");
		json_object_del(rest, "blockers");
		json_object_update(plan, rest);
		text = json_dumps(plan,
				  JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	}
	json_decref(rest);
	json_decref(plan);
	r = snprintf(temporary, sizeof(temporary), "%s.%ld", path,
		     (long)getpid());
	if (!text || r < 0 || (size_t)r >= sizeof(temporary)) {
		free(text);
		return text ? -ENAMETOOLONG : -ENOMEM;
	}
	r = write_text(temporary, text);
	free(text);
	if (!r && rename(temporary, path))
		r = -errno;
	if (r)
		unlink(temporary);
	return r;
}
