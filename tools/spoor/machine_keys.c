/* SPDX-License-Identifier: MIT */
/*
 * The keys of a machine file's parts: what each is called, what it may be,
 * and what holds without it.  Tables only; see jpath.h for how they are read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "machine_file.h"

#define NR(a)	   (sizeof(a) / sizeof((a)[0]))
#define FIELD	   JP_FIELD
/* No file needs more, and sums of them stay far from 2^64. */
#define SIZE_LIMIT (1ull << 46)

static const char *const fills[] = { "zero", "random", NULL };
static const char *const backends[] = { "iommufd", "type1", NULL };
static const char *const dirty_bys[] = { "bit", "fault", NULL };
static const char *const models[] = {
	"nic", "dsa", "mdev", "plain", "edu", NULL
};
static const char *const migrations[] = { "stop-copy", "p2p", "pre-copy",
					  NULL };
static const char *const p2p_stops[] = { "peer", "all", NULL };
static const char *const patterns[] = { "uniform", "sequential", "hot", NULL };
static const char *const pin_dirty[] = { "while-pinned", "at-unpin",
					 "mark-once", NULL };

const char *mf_model_name(unsigned int model)
{
	return model < MF_NO_MODEL ? models[model] : "hardware";
}

bool mf_driven_as_edu(const struct mf_device *d)
{
	return d->model == MF_EDU ||
	       (d->model == MF_NO_MODEL && d->work.present);
}

static const struct jp_field contents_fields[] = {
	FIELD(mf_region, file, "file", jp_read_text, .cap = PATH_MAX),
	FIELD(mf_region, pattern, "pattern", jp_read_word, .words = fills),
	FIELD(mf_region, seed, "seed", jp_read_number),
};

static int read_contents(const struct jp *at, const struct jp_field *f,
			 void *into)
{
	struct mf_region *r = (void *)((char *)into - f->offset);
	bool file = json_object_get(at->value, "file");
	bool pattern = json_object_get(at->value, "pattern");

	if (jp_object(at, contents_fields, NR(contents_fields), r))
		return -EINVAL;
	if (file == pattern)
		return jp_fail(at, "must have either \"file\" or \"pattern\"");
	r->contents = file ? MF_CONTENTS_FILE : MF_CONTENTS_PATTERN;
	return 0;
}

int mf_read_region(const struct jp *at, struct mf_region *ret)
{
	static const struct jp_field fields[] = {
		FIELD(mf_region, iova, "iova", jp_read_address,
		      .multiple = MF_PAGE),
		FIELD(mf_region, size, "size", jp_read_size, .min = MF_PAGE,
		      .max = SIZE_LIMIT, .multiple = MF_PAGE),
		FIELD(mf_region, contents, "contents", read_contents),
		FIELD(mf_region, readonly, "readonly", jp_read_bool),
	};

	*ret = (struct mf_region){ .seed = 1 };
	if (jp_object(at, fields, NR(fields), ret))
		return -EINVAL;
	if (!json_object_get(at->value, "iova"))
		return jp_fail(at, "\"iova\" is missing");
	if (!ret->size)
		return jp_fail(at, "\"size\" is missing");
	return 0;
}

static int read_iommu_page(const struct jp *at, const struct jp_field *f,
			   void *into)
{
	uint64_t v;

	if (jp_read_size(at, f, &v))
		return -EINVAL;
	if (v != 1u << 12 && v != 1u << 14 && v != 1u << 16 && v != 1u << 21 &&
	    v != 1u << 30)
		return jp_fail(at, "must be \"4K\", \"16K\", \"64K\", \"2M\" "
				   "or \"1G\"");
	*(uint64_t *)into = v;
	return 0;
}

int mf_read_space(const struct jp *at, struct mf_space *ret)
{
	static const struct jp_field fields[] = {
		FIELD(mf_space, name, "name", jp_read_text, .cap = MF_NAME_MAX),
		FIELD(mf_space, backend, "backend", jp_read_word,
		      .words = backends),
		FIELD(mf_space, iommu_page, "iommu_page", read_iommu_page),
		FIELD(mf_space, dirty_tracking, "dirty_tracking", jp_read_bool),
		FIELD(mf_space, dirty_by, "dirty_by", jp_read_word,
		      .words = dirty_bys),
		FIELD(mf_space, p2p, "p2p", jp_read_bool),
	};

	*ret = (struct mf_space){ .backend = MF_IOMMUFD,
				  .iommu_page = MF_PAGE,
				  .dirty_tracking = true };
	if (jp_object(at, fields, NR(fields), ret))
		return -EINVAL;
	return ret->name[0] ? 0 : jp_fail(at, "\"name\" is missing");
}

static int read_power_of_two(const struct jp *at, const struct jp_field *f,
			     void *into)
{
	uint64_t v;

	if (jp_read_size(at, f, &v))
		return -EINVAL;
	if (v & (v - 1))
		return jp_fail(at, "must be a power of two");
	*(uint64_t *)into = v;
	return 0;
}

static int read_bits(const struct jp *at, size_t i, void *ctx)
{
	static const struct jp_field bits = { .min = 12, .max = 64 };

	return jp_read_number(at, &bits, (uint64_t *)ctx + i);
}

static int read_address_bits(const struct jp *at, const struct jp_field *f,
			     void *into)
{
	uint64_t bits[2];

	(void)f;
	if (!json_is_array(at->value) || json_array_size(at->value) != 2)
		return jp_fail(at, "must be two numbers, as [12, 42]");
	if (jp_array(at, 2, read_bits, bits))
		return -EINVAL;
	if (bits[0] > bits[1])
		return jp_fail(at, "the first must not be above the second");
	memcpy(into, bits, sizeof(bits));
	return 0;
}

static int read_cost(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		FIELD(mf_tracker, cost_mark_ns, "mark_ns", jp_read_number,
		      .max = 1000000000),
		FIELD(mf_tracker, cost_page_ns, "page_ns", jp_read_number,
		      .max = 1000000000),
	};

	return jp_object(at, fields, NR(fields), (char *)into - f->offset);
}

static const struct mf_tracker nic_tracker = {
	.present = true,
	.min_page = 1u << 12,
	.max_page = 1u << 24,
	.max_ranges = 8,
	.address_bits = { 12, 42 },
	.queue = 2048,
	.read_while_running = true,
};

static int read_tracker(const struct jp *at, const struct jp_field *f,
			void *into)
{
	static const struct jp_field fields[] = {
		FIELD(mf_tracker, min_page, "min_page", read_power_of_two,
		      .min = MF_PAGE, .max = 1ull << 40),
		FIELD(mf_tracker, max_page, "max_page", read_power_of_two,
		      .min = MF_PAGE, .max = 1ull << 40),
		FIELD(mf_tracker, max_ranges, "max_ranges", jp_read_number,
		      .min = 1, .max = 256),
		FIELD(mf_tracker, address_bits, "address_bits",
		      read_address_bits),
		FIELD(mf_tracker, queue, "queue", jp_read_number, .min = 1,
		      .max = 1u << 20),
		FIELD(mf_tracker, read_while_running, "read_while_running",
		      jp_read_bool),
		FIELD(mf_tracker, fail_after, "fail_after", jp_read_number),
		FIELD(mf_tracker, deaf, "deaf", jp_read_number),
		FIELD(mf_tracker, cost_mark_ns, "cost", read_cost),
	};
	struct mf_tracker t = nic_tracker;

	(void)f;
	if (json_is_null(at->value)) {
		*(struct mf_tracker *)into = (struct mf_tracker){ 0 };
		return 0;
	}
	if (jp_object(at, fields, NR(fields), &t))
		return -EINVAL;
	if (t.min_page > t.max_page)
		return jp_fail(at, "\"min_page\" is above \"max_page\"");
	*(struct mf_tracker *)into = t;
	return 0;
}

static int read_work(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		FIELD(mf_work, rate, "rate", jp_read_rate, .min = 1),
		FIELD(mf_work, set, "set", jp_read_size, .min = 1u << 16,
		      .max = SIZE_LIMIT, .multiple = 1u << 16),
		FIELD(mf_work, pattern, "pattern", jp_read_word,
		      .words = patterns),
		FIELD(mf_work, request, "request", jp_read_size, .min = MF_PAGE,
		      .max = 1u << 30, .multiple = MF_PAGE),
		FIELD(mf_work, depth, "depth", jp_read_number, .min = 1,
		      .max = 64),
		FIELD(mf_work, p2p, "p2p", jp_read_text, .cap = MF_NAME_MAX),
	};
	struct mf_work *w = into;

	(void)f;
	if (json_is_null(at->value))
		return 0;
	*w = (struct mf_work){ .present = true,
			       .request = 1u << 16,
			       .depth = 4 };
	return jp_object(at, fields, NR(fields), w);
}

static int read_pins(const struct jp *at, const struct jp_field *f, void *into)
{
	static const struct jp_field fields[] = {
		FIELD(mf_pins, read, "read", jp_read_size, .max = SIZE_LIMIT,
		      .multiple = MF_PAGE),
		FIELD(mf_pins, write, "write", jp_read_size, .max = SIZE_LIMIT,
		      .multiple = MF_PAGE),
		FIELD(mf_pins, dirty, "dirty", jp_read_word,
		      .words = pin_dirty),
		FIELD(mf_pins, read_pins_clean, "read_pins_clean",
		      jp_read_bool),
		FIELD(mf_pins, gratuitous, "gratuitous", jp_read_bool),
	};

	(void)f;
	return jp_object(at, fields, NR(fields), into);
}

static int read_clients(const struct jp *at, const struct jp_field *f,
			void *into)
{
	static const struct jp_field fields[] = {
		FIELD(mf_device, clients_rate, "rate", jp_read_number, .min = 1,
		      .max = 1000000),
		FIELD(mf_device, clients_timeout_ms, "timeout_ms",
		      jp_read_number, .min = 1, .max = 60000),
	};
	struct mf_device *d = (void *)((char *)into - f->offset);

	if (json_is_null(at->value))
		return 0;
	d->clients = true;
	return jp_object(at, fields, NR(fields), d);
}

static const struct jp_field device_fields[] = {
	FIELD(mf_device, name, "name", jp_read_text, .cap = MF_NAME_MAX),
	FIELD(mf_device, model, "model", jp_read_word, .words = models),
	FIELD(mf_device, vfio, "vfio", jp_read_text, .cap = 128),
	FIELD(mf_device, vfio_user, "vfio-user", jp_read_text, .cap = 128),
	FIELD(mf_device, space_name, "space", jp_read_text, .cap = MF_NAME_MAX),
	FIELD(mf_device, udp, "udp", jp_read_text, .cap = 64),
	FIELD(mf_device, migration, "migration", jp_read_word_set,
	      .words = migrations),
	FIELD(mf_device, state_size, "state_size", jp_read_size,
	      .max = 1ull << 32),
	FIELD(mf_device, stop_ms, "stop_ms", jp_read_number, .max = 10000),
	FIELD(mf_device, p2p_stops, "p2p_stops", jp_read_word,
	      .words = p2p_stops),
	FIELD(mf_device, clients, "clients", read_clients),
	FIELD(mf_device, tracker, "tracker", read_tracker),
	FIELD(mf_device, work, "work", read_work),
	FIELD(mf_device, pins, "pins", read_pins),
	FIELD(mf_device, ring, "ring", jp_read_size, .min = MF_PAGE,
	      .max = 1ull << 30, .multiple = MF_PAGE),
	FIELD(mf_device, dma_us, "dma_us", jp_read_number, .max = 10000000),
	FIELD(mf_device, dma_bits, "dma_bits", jp_read_number, .min = 20,
	      .max = 64),
	FIELD(mf_device, faults, "faults", jp_read_word_set,
	      .words = mf_fault_names),
	FIELD(mf_device, faults, "fault", mf_read_fault),
	FIELD(mf_device, fail, "fail", mf_read_fail),
	FIELD(mf_device, address, "address", jp_read_text, .cap = 64),
	FIELD(mf_device, group, "group", jp_read_number, .max = 65535),
	FIELD(mf_device, noiommu, "noiommu", jp_read_bool),
};

/* A nic pins its receive ring, if it does: it has no areas to choose. */
static int nic_pins_fit(const struct jp *at)
{
	const json_t *pins = json_object_get(at->value, "pins"), *v;
	struct jp pins_at = { at, "pins", 0, pins, at->error };
	const char *key;

	json_object_foreach((json_t *)pins, key, v)
	{
		if (strcmp(key, "gratuitous") != 0)
			return jp_fail(
				&(struct jp){ &pins_at, key, 0, v, at->error },
				"a nic takes only \"gratuitous\"");
	}
	return 0;
}

/* Keys that only software devices have, and of those which models. */
static int device_keys_fit(const struct jp *at, const struct mf_device *d)
{
	static const struct {
		const char *key;
		unsigned int models; /* bits */
	} only[] = {
		{ "udp", 1u << MF_NIC },
		{ "clients", 1u << MF_NIC },
		{ "ring", 1u << MF_NIC },
		{ "work", 1u << MF_DSA | 1u << MF_MDEV | 1u << MF_PLAIN |
				  1u << MF_EDU | 1u << MF_NO_MODEL },
		{ "dma_us", 1u << MF_EDU },
		{ "dma_bits", 1u << MF_EDU | 1u << MF_NO_MODEL },
		{ "pins", 1u << MF_MDEV | 1u << MF_NIC },
		{ "tracker", (1u << MF_NO_MODEL) - 1 },
		{ "migration", (1u << MF_NO_MODEL) - 1 },
		{ "state_size", (1u << MF_NO_MODEL) - 1 },
		{ "stop_ms", (1u << MF_NO_MODEL) - 1 },
		{ "faults", (1u << MF_NO_MODEL) - 1 },
		{ "fault", (1u << MF_NO_MODEL) - 1 },
		{ "fail", (1u << MF_NO_MODEL) - 1 },
		{ "address", (1u << MF_NO_MODEL) - 1 },
		{ "group", (1u << MF_NO_MODEL) - 1 },
		{ "noiommu", (1u << MF_NO_MODEL) - 1 },
	};

	for (size_t i = 0; i < NR(only); i++) {
		const json_t *v = json_object_get(at->value, only[i].key);

		if (v && !(only[i].models & 1u << d->model))
			return jp_fail(&(struct jp){ at, only[i].key, 0, v,
						     at->error },
				       "a %s device has no such key",
				       mf_model_name(d->model));
	}
	return d->model == MF_NIC ? nic_pins_fit(at) : 0;
}

int mf_read_device(const struct jp *at, size_t i, struct mf_device *ret)
{
	const json_t *model = json_object_get(at->value, "model");
	size_t kinds = (model != NULL) +
		       (json_object_get(at->value, "vfio") != NULL) +
		       (json_object_get(at->value, "vfio-user") != NULL);
	const char *name = json_string_value(model);

	*ret = (struct mf_device){
		.model = MF_NO_MODEL,
		.state_size = 64 << 10,
		.clients_rate = 1000,
		.clients_timeout_ms = 200,
		.pins = { .write = 64 << 10 },
		.ring = 4 << 20,
		.dma_us = 1000,
		.dma_bits = 28,
		.group = i,
		.udp = "127.0.0.1:0",
	};
	/* Defaults depend on the model, which need not come first. */
	if (name && !strcmp(name, "nic"))
		ret->tracker = nic_tracker;
	if (name && strcmp(name, "plain") != 0)
		ret->migration = MF_STOP_COPY | MF_P2P;
	snprintf(ret->address, sizeof(ret->address), "0000:%02zx:00.0", i + 1);
	if (jp_object(at, device_fields, NR(device_fields), ret))
		return -EINVAL;
	if (!ret->name[0])
		return jp_fail(at, "\"name\" is missing");
	if (kinds != 1)
		return jp_fail(at, "must have one of \"model\" and \"vfio\"");
	return device_keys_fit(at, ret);
}

int mf_read_writer(const struct jp *at, struct mf_writer *ret)
{
	static const struct jp_field fields[] = {
		FIELD(mf_writer, rate, "rate", jp_read_rate, .min = 1),
		FIELD(mf_writer, set, "set", jp_read_size, .min = MF_PAGE,
		      .max = SIZE_LIMIT, .multiple = MF_PAGE),
		FIELD(mf_writer, pattern, "pattern", jp_read_word,
		      .words = patterns),
	};

	*ret = (struct mf_writer){ .set = 0 };
	if (jp_object(at, fields, NR(fields), ret))
		return -EINVAL;
	if (!ret->rate)
		return jp_fail(at, "\"rate\" is missing");
	if (!ret->set)
		return jp_fail(at, "\"set\" is missing");
	return 0;
}
