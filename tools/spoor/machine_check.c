/* SPDX-License-Identifier: MIT */
/*
 * What single keys of a machine file cannot tell: overlaps, names, files that
 * are not there.  Its policy is looked at in machine_policy.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "machine_file.h"
#include "units.h"

static int check_memory(const struct machine_file *mf, struct jp_error *error)
{
	if (!mf->nr_memory)
		return jp_error_set(error,
				    "memory: at least one region is needed");
	for (size_t i = 0; i < mf->nr_memory; i++) {
		const struct mf_region *a = &mf->memory[i];

		if (a->iova + (a->size - 1) < a->iova)
			return jp_error_set(error,
					    "memory[%zu]: 0x%" PRIx64
					    " and its size reach past 2^64",
					    i, a->iova);
		for (size_t j = 0; j < i; j++) {
			const struct mf_region *b = &mf->memory[j];

			if (a->iova <= b->iova + (b->size - 1) &&
			    b->iova <= a->iova + (a->size - 1))
				return jp_error_set(
					error,
					"memory[%zu].iova: 0x%" PRIx64
					": overlaps memory[%zu]",
					i, a->iova, j);
		}
	}
	return 0;
}

static int check_spaces(const struct machine_file *mf, struct jp_error *error)
{
	for (size_t i = 0; i < mf->nr_spaces; i++) {
		const struct mf_space *s = &mf->spaces[i];

		for (size_t j = 0; j < i; j++)
			if (!strcmp(mf->spaces[j].name, s->name))
				return jp_error_set(error,
						    "spaces[%zu].name: \"%s\": "
						    "is spaces[%zu] too",
						    i, s->name, j);
		if (s->dirty_by && s->backend != MF_IOMMUFD)
			return jp_error_set(error,
					    "spaces[%zu].dirty_by: \"fault\": "
					    "only an iommufd space reads its "
					    "IOMMU's dirty pages",
					    i);
		if (s->p2p && s->backend != MF_TYPE1)
			return jp_error_set(error,
					    "spaces[%zu].p2p: true: only a "
					    "\"type1\" space maps peers' BARs",
					    i);
	}
	return 0;
}

static int check_udp(const struct mf_device *d, size_t i,
		     struct jp_error *error)
{
	const char *colon = strrchr(d->udp, ':');
	char host[sizeof(d->udp)];
	struct in_addr in;
	uint64_t port;

	if (d->model != MF_NIC)
		return 0;
	snprintf(host, sizeof(host), "%.*s", colon ? (int)(colon - d->udp) : 0,
		 d->udp);
	if (inet_pton(AF_INET, host, &in) != 1 ||
	    units_number(colon + 1, &port) || port > 65535)
		return jp_error_set(error,
				    "devices[%zu].udp: \"%s\": must be an IPv4 "
				    "address and a port as \"127.0.0.1:9000\", "
				    "port 0 is chosen by the kernel",
				    i, d->udp);
	return 0;
}

/* "0000:01:00.0", as sysfs spells it: it becomes a name there. */
static int check_address(const struct mf_device *d, size_t i,
			 struct jp_error *error)
{
	static const char shape[] = "hhhh:hh:hh.h";
	const char *a = d->address;
	bool fits = strlen(a) == sizeof(shape) - 1;

	for (size_t k = 0; fits && shape[k]; k++)
		fits = shape[k] == 'h'
			       ? strchr("0123456789abcdef", a[k]) != NULL
			       : a[k] == shape[k];
	/* 32 devices of 8 functions on a bus */
	if (fits && a[8] <= '1' && a[11] <= '7')
		return 0;
	return jp_error_set(error,
			    "devices[%zu].address: \"%s\": must be a PCI "
			    "address as \"0000:01:00.0\"",
			    i, a);
}

static int check_gratuitous(const struct machine_file *mf,
			    const struct mf_device *d, size_t i,
			    struct jp_error *error)
{
	const struct mf_space *s = &mf->spaces[d->space];

	if (d->model != MF_NIC || !d->pins.gratuitous || s->backend == MF_TYPE1)
		return 0;
	return jp_error_set(error,
			    "devices[%zu].pins.gratuitous: true: needs a "
			    "\"type1\" space, \"%s\" is \"iommufd\"",
			    i, s->name);
}

struct mf_device *mf_find_device(const struct machine_file *mf,
				 const char *name, size_t len)
{
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (strlen(mf->devices[i].name) == len &&
		    !memcmp(mf->devices[i].name, name, len))
			return &mf->devices[i];
	return NULL;
}

bool mf_find_space(const struct machine_file *mf, const char *name, size_t *ret)
{
	for (size_t s = 0; s < mf->nr_spaces; s++)
		if (!strcmp(mf->spaces[s].name, name)) {
			*ret = s;
			return true;
		}
	return false;
}

static int find_space(const struct machine_file *mf, struct mf_device *d,
		      size_t i, struct jp_error *error)
{
	const bool found = !d->space_name[0] ||
			   mf_find_space(mf, d->space_name, &d->space);

	d->home = d->space;
	if (found)
		return 0;
	return jp_error_set(error, "devices[%zu].space: \"%s\": no such space",
			    i, d->space_name);
}

static int check_work(const struct machine_file *mf, const struct mf_device *d,
		      size_t i, struct jp_error *error)
{
	const struct mf_work *w = &d->work;
	const struct mf_device *peer;

	if (!w->present)
		return 0;
	if (!w->set && d->model != MF_MDEV)
		return jp_error_set(error,
				    "devices[%zu].work: \"set\" is missing", i);
	if (!w->rate)
		return jp_error_set(
			error, "devices[%zu].work: \"rate\" is missing", i);
	if (w->set && w->request > w->set)
		return jp_error_set(error,
				    "devices[%zu].work.request: %" PRIu64
				    ": is larger than \"set\", %" PRIu64,
				    i, w->request, w->set);
	if (!w->p2p[0])
		return 0;
	peer = mf_find_device(mf, w->p2p, strlen(w->p2p));
	if (!peer || peer->model != MF_NIC || peer == d)
		return jp_error_set(error,
				    "devices[%zu].work.p2p: \"%s\": must be a "
				    "nic of this machine",
				    i, w->p2p);
	if (d->model != MF_DSA)
		return jp_error_set(error,
				    "devices[%zu].work.p2p: a %s device does "
				    "not write to peers",
				    i, mf_model_name(d->model));
	if (!mf->spaces[d->space].p2p)
		return jp_error_set(error,
				    "devices[%zu].work.p2p: \"%s\": its space "
				    "\"%s\" maps no peers (\"p2p\")",
				    i, w->p2p, mf->spaces[d->space].name);
	return 0;
}

/* Keys of policy are "NAME.what", and options NAME.what=value. */
static int check_name(const struct machine_file *mf, size_t i,
		      struct jp_error *error)
{
	const struct mf_device *d = &mf->devices[i];

	if (strpbrk(d->name, ".=#/ ,"))
		return jp_error_set(
			error,
			"devices[%zu].name: \"%s\": must not hold "
			"\".\", \"=\", \"#\", \"/\", \",\" or blanks",
			i, d->name);
	for (size_t j = 0; j < i; j++) {
		const struct mf_device *e = &mf->devices[j];

		if (!strcmp(e->name, d->name))
			return jp_error_set(error,
					    "devices[%zu].name: \"%s\": is "
					    "devices[%zu] too",
					    i, d->name, j);
		if (d->model == MF_NO_MODEL || e->model == MF_NO_MODEL)
			continue;
		if (!strcmp(e->address, d->address))
			return jp_error_set(error,
					    "devices[%zu].address: \"%s\": is "
					    "devices[%zu] too",
					    i, d->address, j);
	}
	return 0;
}

static int check_devices(struct machine_file *mf, struct jp_error *error)
{
	bool models = machine_has_models(mf);
	int r = 0;

	for (size_t i = 0; i < mf->nr_devices && !r; i++) {
		struct mf_device *d = &mf->devices[i];

		if (d->vfio_user[0])
			return jp_error_set(error,
					    "devices[%zu].vfio-user: \"%s\": "
					    "vfio-user devices are not in this "
					    "version",
					    i, d->vfio_user);
		if (models && d->model == MF_NO_MODEL)
			return jp_error_set(error,
					    "devices[%zu].vfio: \"%s\": a "
					    "machine has software devices or "
					    "hardware, not both",
					    i, d->vfio);
		if ((d->migration & (MF_P2P | MF_PRE_COPY)) &&
		    !(d->migration & MF_STOP_COPY))
			return jp_error_set(error,
					    "devices[%zu].migration: needs "
					    "\"stop-copy\" too",
					    i);
		if (d->model == MF_PLAIN &&
		    (d->migration || d->tracker.present))
			return jp_error_set(error,
					    "devices[%zu]: a plain device "
					    "neither migrates nor logs: no "
					    "\"migration\", no \"tracker\"",
					    i);
		r = check_name(mf, i, error);
		if (!r)
			r = check_udp(d, i, error);
		if (!r && d->model != MF_NO_MODEL)
			r = check_address(d, i, error);
		if (!r)
			r = find_space(mf, d, i, error);
		if (!r)
			r = check_gratuitous(mf, d, i, error);
	}
	for (size_t i = 0; i < mf->nr_devices && !r; i++)
		r = check_work(mf, &mf->devices[i], i, error);
	return r;
}

int machine_check(struct machine_file *mf, struct jp_error *error)
{
	int r = check_memory(mf, error);

	if (!r)
		r = check_spaces(mf, error);
	if (!r)
		r = check_devices(mf, error);
	if (!r)
		r = machine_check_policy(mf, error);
	return r;
}

int machine_check_contents(const struct machine_file *mf,
			   struct jp_error *error)
{
	for (size_t i = 0; i < mf->nr_memory; i++) {
		const struct mf_region *r = &mf->memory[i];
		struct stat st;

		if (r->contents != MF_CONTENTS_FILE)
			continue;
		errno = 0;
		if (stat(r->file, &st) || !S_ISREG(st.st_mode))
			return jp_error_set(
				error,
				"%s: memory[%zu].contents.file: \"%s\": %s",
				mf->path, i, r->file,
				errno ? strerror(errno)
				      : "is not a regular file");
		if ((uint64_t)st.st_size > r->size)
			return jp_error_set(
				error,
				"%s: memory[%zu].contents.file: \"%s\": "
				"%" PRIu64 " bytes do not fit in %" PRIu64,
				mf->path, i, r->file, (uint64_t)st.st_size,
				r->size);
	}
	return 0;
}
