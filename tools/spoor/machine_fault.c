/* SPDX-License-Identifier: MIT */
/*
 * What is planted in a software device: bugs of drivers, calls that fail, a
 * log that does not hear; from the machine file, or from one word for one
 * device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine_file.h"
#include "models/model_faults.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))
#define FAIL(member, key)                                                      \
	JP_FIELD(mf_fail, member, key, jp_read_number, .max = UINT32_MAX)

const char *const mf_fault_names[] = { MODEL_FAULT_NAMES };

static const struct jp_field fail_fields[] = {
	FAIL(log_start, "log-start"),
	FAIL(log_report, "log-report"),
	FAIL(state_read, "state-read"),
	FAIL(state_write, "state-write"),
	FAIL(run, "run"),
};

int mf_read_fail(const struct jp *at, const struct jp_field *f, void *into)
{
	(void)f;
	return jp_object(at, fail_fields, NR(fail_fields), into);
}

int mf_read_fault(const struct jp *at, const struct jp_field *f, void *into)
{
	const char *name = json_string_value(at->value);

	(void)f;
	for (size_t i = 0; name && mf_fault_names[i]; i++) {
		if (strcmp(mf_fault_names[i], name) != 0)
			continue;
		*(unsigned int *)into |= 1u << i;
		return 0;
	}
	return jp_fail(at, "no such bug; spoor-machine(5) names them");
}

/* KEY=N: one of "fail", or of a tracker's faults. */
static int plant_number(const struct jp *at, struct mf_device *d,
			const char *key)
{
	static const struct jp_field tracker_fields[] = {
		JP_FIELD(mf_tracker, deaf, "deaf", jp_read_number),
		JP_FIELD(mf_tracker, fail_after, "fail_after", jp_read_number),
	};
	const struct jp_field *f = NULL;
	char *into = (char *)&d->fail;

	for (size_t i = 0; i < NR(fail_fields); i++)
		if (!strcmp(fail_fields[i].key, key))
			f = &fail_fields[i];
	for (size_t i = 0; i < NR(tracker_fields) && !f; i++) {
		if (strcmp(tracker_fields[i].key, key) != 0)
			continue;
		f = &tracker_fields[i];
		into = (char *)&d->tracker;
	}
	if (!f)
		return jp_fail(at, "with a number: log-start, log-report, "
				   "state-read, state-write, run, deaf, "
				   "fail_after");
	return f->read(at, f, into + f->offset);
}

static int plant(struct mf_device *d, const char *text, char *what,
		 struct jp_error *error)
{
	struct jp root = { .error = error },
		  at = { &root, text, .error = error };
	char *number = strchr(what, '=');
	json_error_t bad;
	json_t *value;
	int r;

	if (number)
		*number++ = 0;
	value = number ? json_loads(number, JSON_DECODE_ANY, &bad)
		       : json_string(what);
	at.value = value;
	if (!value)
		r = jp_fail(&at, "\"%s\" is not a number", number);
	else if (number)
		r = plant_number(&at, d, what);
	else
		r = mf_read_fault(&at, NULL, &d->faults);
	json_decref(value);
	return r;
}

/* What a device lacks without which the bug would never show. */
static const char *lacks(const struct mf_device *d, const char *what)
{
	static const char *const of_trackers[] = { "log-",
						   "deaf=", "fail_after=" };

	for (size_t i = 0; i < NR(of_trackers); i++)
		if (!strncmp(what, of_trackers[i], strlen(of_trackers[i])))
			return d->tracker.present ? NULL : "tracker";
	if (!strcmp(what, "mark-before-data") ||
	    !strcmp(what, "reset-leaves-state"))
		return NULL;
	return d->migration ? NULL : "migration states";
}

int mf_plant(struct machine_file *mf, const char *text, struct jp_error *error)
{
	size_t len = strcspn(text, ":");
	char what[64];

	if (!text[len] || strlen(text + len + 1) >= sizeof(what))
		return jp_error_set(error, "%s: must be DEVICE:FAULT", text);
	snprintf(what, sizeof(what), "%s", text + len + 1);
	for (size_t i = 0; i < mf->nr_devices; i++) {
		struct mf_device *d = &mf->devices[i];

		if (strlen(d->name) != len || strncmp(d->name, text, len) != 0)
			continue;
		if (d->model == MF_NO_MODEL)
			return jp_error_set(error,
					    "%s: %s is no software device",
					    text, d->name);
		if (lacks(d, what))
			return jp_error_set(error, "%s: %s has no %s", text,
					    d->name, lacks(d, what));
		return plant(d, text, what, error);
	}
	return jp_error_set(error, "%s: %s has no such device", text, mf->path);
}
