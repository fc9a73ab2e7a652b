/* SPDX-License-Identifier: MIT */
/*
 * spoor check: does a device, and its driver, do what the kernel's interface
 * asks of it?
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "session.h"

/* What a software device may be pointed at. */
#define PEER_NAME    "check-peer"
#define PEER_ADDRESS "0000:fe:00.0"
#define PEER_GROUP   65000u

static bool finished(const struct session *s)
{
	return s->source.result || s->source.failed || !s->source.open;
}

static int tell_result(struct session *s)
{
	const json_t *checked = s->source.result;
	json_int_t broken;
	json_t *result;

	broken = json_integer_value(json_object_get(checked, "broken"));
	result = json_pack("{s:s, s:b, s:O, s:O, s:O, s:i}", "event", "result",
			   "ok", broken == 0, "holds",
			   json_object_get(checked, "holds"), "broken",
			   json_object_get(checked, "broken"), "not_applicable",
			   json_object_get(checked, "not_applicable"), "exit",
			   broken ? EXIT_FAILED : EXIT_DONE);
	output_result(&s->out, result);
	return broken ? EXIT_FAILED : EXIT_DONE;
}

/* @spec as the device is found in the process that has it. */
static int check(const struct opts *o, struct machine_file *mf,
		 const char *name, const char *spec)
{
	const char *error;
	struct session s;
	char how[80];
	int r = session_open(&s, o, mf);

	if (!r)
		r = side_spawn(&s.source, "source", "machine-check", o, spec,
			       mf, s.stamps_fd, 0);
	if (!r)
		session_wait(&s, finished, UINT64_MAX, true);
	if (!r && s.source.failed) {
		error = json_string_value(
			json_object_get(s.source.failed, "error"));
		r = (int)json_integer_value(
			json_object_get(s.source.failed, "exit"));
		output_complain("%s: %s", name, error);
	} else if (!r && s.source.result) {
		r = tell_result(&s);
	} else if (!r && s.interrupts) {
		r = EXIT_INTERRUPTED;
	} else if (!r) {
		output_complain("%s: while it was checked, %s", name,
				side_how_it_ended(&s.source, how, sizeof(how)));
		r = EXIT_FAILED;
	}
	session_close(&s);
	return r;
}

/* The device by itself, and a nic beside it whose BAR it can write to. */
static int only(struct machine_file *mf, const char *name)
{
	struct mf_device d, peer = {
		.name = PEER_NAME,
		.model = MF_NIC,
		.migration = MF_STOP_COPY | MF_P2P,
		.state_size = MF_PAGE,
		.udp = "127.0.0.1:0",
		.group = PEER_GROUP,
		.address = PEER_ADDRESS,
	};
	size_t i = 0;

	while (i < mf->nr_devices && strcmp(mf->devices[i].name, name) != 0)
		i++;
	if (i == mf->nr_devices || mf->devices[i].model == MF_NO_MODEL)
		return -ENOENT;
	d = mf->devices[i];
	free(mf->devices);
	mf->devices = calloc(2, sizeof(*mf->devices));
	mf->nr_devices = mf->devices ? 2 : 0;
	if (!mf->devices)
		return -ENOMEM;
	/* No two spaces: it must find its peer in its own. */
	d.space = 0;
	mf->devices[0] = d;
	mf->devices[1] = peer;
	return 0;
}

static int check_machine(const struct opts *o, const char *text)
{
	const char *hash = strrchr(text, '#');
	struct machine_file *mf = NULL;
	struct opts with_peer = *o;
	char path[PATH_MAX], spec[80];
	int r;

	if (!hash) {
		output_complain("%s: which device? Say %s#NAME", text, text);
		return EXIT_USAGE;
	}
	snprintf(path, sizeof(path), "%.*s", (int)(hash - text), text);
	r = cmd_load(&mf, path, o, false);
	if (r)
		return r;
	r = only(mf, hash + 1);
	if (r) {
		output_complain("%s: no software device \"%s\"", path,
				hash + 1);
		machine_file_free(mf);
		return r == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
	}
	snprintf(spec, sizeof(spec), "%s",
		 strchr(mf->devices[0].address, ':')
			 ? mf->devices[0].address
			 : "/dev/vfio/devices/vfio0");
	with_peer.peer = PEER_ADDRESS;
	r = check(&with_peer, mf, text, spec);
	machine_file_free(mf);
	return r;
}

static int check_hardware(const struct opts *o, const char *spec)
{
	struct machine_file *mf = NULL;
	int r;

	if (access("/dev/vfio", F_OK)) {
		output_complain("%s: this machine has no VFIO: there is no "
				"/dev/vfio",
				spec);
		return EXIT_MISSING;
	}
	if (machine_file_for_device(&mf, spec))
		return EXIT_FAILED;
	r = check(o, mf, spec, spec);
	machine_file_free(mf);
	return r;
}

int cmd_check(const struct opts *o)
{
	const char *text = o->args[0];

	if (!strncmp(text, "vfio-user:", 10)) {
		output_complain("%s: vfio-user devices are not in this version",
				text);
		return EXIT_USAGE;
	}
	if (strstr(text, ".json"))
		return check_machine(o, text);
	return check_hardware(o, text);
}
