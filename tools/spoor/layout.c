/* SPDX-License-Identifier: MIT */
/*
 * Placing the guest's areas: memory without contents first, from its bottom
 * up, so that what devices write is sent early in the bulk copy and then again;
 * else patterns, then files, from their ends, so that programs in memory are
 * overwritten only if there is no other room.  Areas never overlap and lie in
 * one region each.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

/* What is left of each region. */
struct room {
	const struct machine_file *mf;
	uint64_t *left; /* bytes, a region */
	struct jp_error *error;
};

/* Where in region @i the next area of @len goes, if all of it is reached. */
static bool fits(const struct room *room, size_t i, uint64_t len,
		 unsigned int bits, uint64_t *ret)
{
	const struct mf_region *r = &room->mf->memory[i];
	uint64_t last;

	if (r->readonly || room->left[i] < len)
		return false;
	*ret = r->iova + room->left[i] - len;
	if (r->contents == MF_CONTENTS_NONE)
		*ret = r->iova + r->size - room->left[i];
	last = *ret + (len - 1);
	return bits >= 64 || !(last >> bits);
}

static int take(struct room *room, struct layout_area *ret, uint64_t len,
		unsigned int bits, const char *key)
{
	const struct machine_file *mf = room->mf;

	if (!len)
		return 0;
	len = (len + MF_PAGE - 1) & ~(uint64_t)(MF_PAGE - 1);
	for (unsigned int c = MF_CONTENTS_NONE; c <= MF_CONTENTS_FILE; c++) {
		size_t best = mf->nr_memory;

		for (size_t i = 0; i < mf->nr_memory; i++) {
			const struct mf_region *r = &mf->memory[i];
			uint64_t iova;

			if (r->contents != c ||
			    !fits(room, i, len, bits, &iova))
				continue;
			if (best < mf->nr_memory &&
			    mf->memory[best].iova < r->iova)
				continue;
			best = i;
			ret->iova = iova;
		}
		if (best == mf->nr_memory)
			continue;
		room->left[best] -= len;
		ret->len = len;
		return 0;
	}
	return jp_error_set(room->error,
			    "%s: %s: no region of memory has %" PRIu64
			    " bytes left for it%s",
			    mf->path, key, len,
			    bits < 64 ? " where the device reaches (dma_bits)"
				      : "");
}

struct wish {
	struct layout_area *area;
	uint64_t len;
	const char *key;
	unsigned int bits; /* of addresses, 0: any */
};

static int take_all(struct room *room, const struct wish *wishes, size_t nr,
		    const char *list, size_t index)
{
	for (size_t i = 0; i < nr; i++) {
		char key[80];
		int r;

		snprintf(key, sizeof(key), "%s[%zu].%s", list, index,
			 wishes[i].key);
		r = take(room, wishes[i].area, wishes[i].len,
			 wishes[i].bits ? wishes[i].bits : 64, key);
		if (r)
			return r;
	}
	return 0;
}

/* What drivers need to talk to their devices. */
static int place_driver(struct room *room, struct layout_device *l, size_t i)
{
	const struct mf_device *d = &room->mf->devices[i];
	bool edu = mf_driven_as_edu(d);
	bool queues = d->model == MF_DSA || d->model == MF_MDEV || edu;
	bool pins = d->model == MF_MDEV;
	bool nic = d->model == MF_NIC;
	const struct wish wishes[] = {
		{ &l->control, MF_PAGE, "model", 0 },
		{ &l->rx, nic ? d->ring : 0, "ring", 0 },
		{ &l->tx, nic ? LAYOUT_NIC_TX_SLOTS * 2048u : 0, "ring", 0 },
		{ &l->descriptors, queues ? MF_PAGE : 0, "model",
		  edu ? (unsigned int)d->dma_bits : 0 },
		{ &l->completions, queues && !edu ? MF_PAGE : 0, "model", 0 },
		{ &l->read, pins ? d->pins.read : 0, "pins.read", 0 },
		{ &l->write, pins ? d->pins.write : 0, "pins.write", 0 },
	};

	if (d->model == MF_NO_MODEL && !edu)
		return 0;
	return take_all(room, wishes, sizeof(wishes) / sizeof(wishes[0]),
			"devices", i);
}

static int place_all(struct room *room, struct layout *l)
{
	const struct machine_file *mf = room->mf;
	int r = 0;

	for (size_t i = 0; i < mf->nr_devices && !r; i++)
		r = place_driver(room, &l->devices[i], i);
	for (size_t i = 0; i < mf->nr_writers && !r; i++)
		r = take_all(room,
			     &(struct wish){ &l->writers[i].control, MF_PAGE,
					     "set", 0 },
			     1, "cpu.writers", i);
	for (size_t i = 0; i < mf->nr_devices && !r; i++) {
		const struct mf_device *d = &mf->devices[i];
		struct wish set = { &l->devices[i].set, d->work.set, "work.set",
				    0 };

		if (mf_driven_as_edu(d))
			set.bits = (unsigned int)d->dma_bits;
		if (d->model != MF_MDEV)
			r = take_all(room, &set, 1, "devices", i);
	}
	for (size_t i = 0; i < mf->nr_writers && !r; i++)
		r = take_all(room,
			     &(struct wish){ &l->writers[i].set,
					     mf->writers[i].set, "set", 0 },
			     1, "cpu.writers", i);
	return r;
}

/* Peers' BARs must not lie where memory is. */
static int check_peers(const struct machine_file *mf, struct jp_error *error)
{
	uint64_t last =
		LAYOUT_PEER_BASE + MF_DEVICES_MAX * LAYOUT_PEER_STEP - 1;

	for (size_t s = 0; s < mf->nr_spaces; s++)
		for (size_t i = 0; mf->spaces[s].p2p && i < mf->nr_memory;
		     i++) {
			const struct mf_region *r = &mf->memory[i];

			if (r->iova > last ||
			    r->iova + (r->size - 1) < LAYOUT_PEER_BASE)
				continue;
			return jp_error_set(
				error,
				"%s: spaces[%zu].p2p: true: memory[%zu] lies "
				"where peers' BARs are mapped, at 0x%llx",
				mf->path, s, i, LAYOUT_PEER_BASE);
		}
	return 0;
}

int layout_make(struct layout **ret, const struct machine_file *mf,
		struct jp_error *error)
{
	struct layout *l = calloc(1, sizeof(*l));
	struct room room = { .mf = mf, .error = error };
	int r = -ENOMEM;

	if (!l)
		goto out_of_memory;
	l->devices = calloc(mf->nr_devices + 1, sizeof(*l->devices));
	l->writers = calloc(mf->nr_writers + 1, sizeof(*l->writers));
	room.left = calloc(mf->nr_memory + 1, sizeof(*room.left));
	if (!l->devices || !l->writers || !room.left)
		goto out_of_memory;
	for (size_t i = 0; i < mf->nr_memory; i++)
		room.left[i] = mf->memory[i].size;
	r = check_peers(mf, error);
	if (!r)
		r = place_all(&room, l);
	free(room.left);
	if (r) {
		layout_free(l);
		return r;
	}
	*ret = l;
	return 0;

out_of_memory:
	jp_error_set(error, "%s: out of memory", mf->path);
	free(room.left);
	layout_free(l);
	return -ENOMEM;
}

struct layout *layout_free(struct layout *l)
{
	if (!l)
		return NULL;
	free(l->devices);
	free(l->writers);
	free(l);
	return NULL;
}

static void put_area(FILE *out, const struct layout_area *a)
{
	if (a->len)
		fprintf(out, " %" PRIx64 "+%" PRIx64, a->iova, a->len);
}

char *layout_text(const struct layout *l, const struct machine_file *mf)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (size_t i = 0; i < mf->nr_devices; i++) {
		const struct layout_device *d = &l->devices[i];

		fprintf(out, "%s %s", mf->devices[i].name,
			mf_model_name(mf->devices[i].model));
		put_area(out, &d->control);
		put_area(out, &d->rx);
		put_area(out, &d->tx);
		put_area(out, &d->descriptors);
		put_area(out, &d->completions);
		put_area(out, &d->read);
		put_area(out, &d->write);
		put_area(out, &d->set);
		fputs("; ", out);
	}
	for (size_t i = 0; i < mf->nr_writers; i++) {
		fputs("cpu", out);
		put_area(out, &l->writers[i].control);
		put_area(out, &l->writers[i].set);
		fputs("; ", out);
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
