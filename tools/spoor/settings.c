/* SPDX-License-Identifier: MIT */
/*
 * A machine as it is run: what its file says, and the defaults of what it does
 * not.  Keys and values as in the file, sizes in bytes.
 */
#include <inttypes.h>

#include "settings.h"

static const char *const patterns[] = { "uniform", "sequential", "hot" };
static const char *const objectives[] = { "downtime", "total", "bytes",
					  "service-gap" };
static const char *const pin_dirty[] = { "while-pinned", "at-unpin",
					 "mark-once" };

/* The library's, where the file names none. */
#define ROUNDS 30u

static json_t *number(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *migration_json(unsigned int bits)
{
	static const char *const names[] = { "stop-copy", "p2p", "pre-copy" };
	json_t *list = json_array();

	for (unsigned int i = 0; i < 3; i++)
		if (bits & (1u << i))
			json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *tracker_json(const struct mf_tracker *t)
{
	if (!t->present)
		return json_null();
	return json_pack(
		"{s:o, s:o, s:o, s:[o, o], s:o, s:b, s:o, s:o}", "min_page",
		number(t->min_page), "max_page", number(t->max_page),
		"max_ranges", number(t->max_ranges), "address_bits",
		number(t->address_bits[0]), number(t->address_bits[1]), "queue",
		number(t->queue), "read_while_running", t->read_while_running,
		"fail_after", number(t->fail_after), "deaf", number(t->deaf));
}

static json_t *work_json(const struct mf_work *w)
{
	if (!w->present)
		return json_null();
	return json_pack("{s:o, s:o, s:s}", "rate", number(w->rate), "set",
			 number(w->set), "pattern", patterns[w->pattern]);
}

static json_t *pins_json(const struct mf_pins *p)
{
	return json_pack("{s:o, s:o, s:s, s:b, s:b}", "read", number(p->read),
			 "write", number(p->write), "dirty",
			 pin_dirty[p->dirty], "read_pins_clean",
			 p->read_pins_clean, "gratuitous", p->gratuitous);
}

static json_t *device_json(const struct machine_file *mf,
			   const struct mf_device *d)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "name", d->name, "space",
			      mf->spaces[d->space].name, "p2p_stops",
			      d->p2p_stops ? "all" : "peer");

	if (d->model == MF_NO_MODEL) {
		json_object_set_new(o, "vfio", json_string(d->vfio));
		return o;
	}
	json_object_set_new(o, "model", json_string(mf_model_name(d->model)));
	json_object_set_new(o, "migration", migration_json(d->migration));
	json_object_set_new(o, "state_size", number(d->state_size));
	json_object_set_new(o, "tracker", tracker_json(&d->tracker));
	json_object_set_new(o, "work", work_json(&d->work));
	if (d->model == MF_MDEV)
		json_object_set_new(o, "pins", pins_json(&d->pins));
	if (d->model != MF_NIC)
		return o;
	json_object_set_new(o, "ring", number(d->ring));
	json_object_set_new(
		o, "clients",
		d->clients ? json_pack("{s:o, s:o}", "rate",
				       number(d->clients_rate), "timeout_ms",
				       number(d->clients_timeout_ms))
			   : json_null());
	return o;
}

static json_t *space_json(const struct mf_space *s)
{
	return json_pack(
		"{s:s, s:s, s:o, s:b, s:s, s:b}", "name", s->name, "backend",
		s->backend == MF_IOMMUFD ? "iommufd" : "type1", "iommu_page",
		number(s->iommu_page), "dirty_tracking", s->dirty_tracking,
		"dirty_by", s->dirty_by ? "fault" : "bit", "p2p", s->p2p);
}

json_t *settings_event(const struct machine_file *mf)
{
	const struct mf_policy *p = &mf->policy;
	json_t *spaces = json_array(), *devices = json_array();
	json_t *writers = json_array();

	for (size_t i = 0; i < mf->nr_spaces; i++)
		json_array_append_new(spaces, space_json(&mf->spaces[i]));
	for (size_t i = 0; i < mf->nr_devices; i++)
		json_array_append_new(devices,
				      device_json(mf, &mf->devices[i]));
	for (size_t i = 0; i < mf->nr_writers; i++)
		json_array_append_new(
			writers,
			json_pack("{s:o, s:o, s:s}", "rate",
				  number(mf->writers[i].rate), "set",
				  number(mf->writers[i].set), "pattern",
				  patterns[mf->writers[i].pattern]));
	return json_pack(
		"{s:s, s:{s:o, s:o, s:o}, s:{s:s, s:s, s:o, s:o, s:b}, "
		"s:{s:o, s:o}, s:o, s:o, s:o, s:o}",
		"event", "settings", "link", "rate",
		mf->link_rate ? number(mf->link_rate * 8) : json_null(),
		"latency_us", number(mf->link_latency_us), "channels",
		number(mf->link_channels), "policy", "name", p->name,
		"objective", objectives[p->objective], "downtime_ms",
		number(p->downtime_ms), "max_rounds",
		number(p->max_rounds ? p->max_rounds : ROUNDS),
		"strict_downtime", p->strict_downtime, "run", "before_ms",
		number(mf->before_ms), "after_ms", number(mf->after_ms), "seed",
		number(mf->seed), "spaces", spaces, "devices", devices,
		"cpu_writers", writers);
}
