/* SPDX-License-Identifier: MIT */
/*
 * The keys of a SOFTVFIO_CONFIG line: one table, so that what is written is
 * what is read.  Included by config.c and config_write.c only.
 */
#ifndef SOFTVFIO_CONFIG_KEYS_H
#define SOFTVFIO_CONFIG_KEYS_H

#include <stddef.h>

#include "softvfio/config.h"

enum sv_key_kind {
	/* A char array of .size bytes, its end included. */
	SV_KEY_STRING,
	/* Plain decimal, .size bytes wide. */
	SV_KEY_NUMBER,
	/* One of .names, stored as its index, .size bytes wide. */
	SV_KEY_NAME,
	/* A comma list of .names, stored as bits of an unsigned int. */
	SV_KEY_FLAGS,
};

struct sv_key {
	const char *name;
	const char *const *names; /* ends with NULL */
	size_t offset, size; /* in struct sv_config_device */
	enum sv_key_kind kind;
};

static const char *const sv_names_bool[] = { "0", "1", NULL };
static const char *const sv_names_dirty_by[] = { "bit", "fault", NULL };
static const char *const sv_names_p2p[] = { "peer", "all", NULL };
static const char *const sv_names_migration[] = { "stop-copy", "p2p",
						  "pre-copy", NULL };
static const char *const sv_names_pin[] = { "while-pinned", "at-unpin",
					    "mark-once", NULL };
static const char *const sv_names_fault[] = { MODEL_FAULT_NAMES };

_Static_assert(SV_MIG_STOP_COPY == 1u << 0 && SV_MIG_P2P == 1u << 1 &&
		       SV_MIG_PRE_COPY == 1u << 2,
	       "bits follow sv_names_migration");
_Static_assert(MODEL_PIN_WHILE_PINNED == 0 && MODEL_PIN_AT_UNPIN == 1 &&
		       MODEL_PIN_MARK_ONCE == 2,
	       "values follow sv_names_pin");

#define SV_KEY(key, field, key_kind, key_names)                                \
	{                                                                      \
		.name = (key), .names = (key_names),                           \
		.offset = offsetof(struct sv_config_device, field),            \
		.size = sizeof(((struct sv_config_device *)NULL)->field),      \
		.kind = (key_kind)                                             \
	}
#define SV_STRING(key, field)	    SV_KEY(key, field, SV_KEY_STRING, NULL)
#define SV_NUMBER(key, field)	    SV_KEY(key, field, SV_KEY_NUMBER, NULL)
#define SV_BOOL(key, field)	    SV_KEY(key, field, SV_KEY_NAME, sv_names_bool)
#define SV_NAME(key, field, names)  SV_KEY(key, field, SV_KEY_NAME, names)
#define SV_FLAGS(key, field, names) SV_KEY(key, field, SV_KEY_FLAGS, names)

static const struct sv_key sv_keys[] = {
	SV_STRING("name", model.name),
	SV_STRING("model", model.model),
	SV_NUMBER("index", index),
	SV_NUMBER("group", group),
	SV_STRING("address", address),
	SV_FLAGS("migration", migration, sv_names_migration),
	SV_NAME("p2p_stops", model.p2p_stops_all, sv_names_p2p),
	SV_NUMBER("state_size", model.state_size),
	SV_NUMBER("stop_ms", model.stop_ms),
	SV_BOOL("emulated", emulated),
	SV_BOOL("noiommu", noiommu),
	SV_BOOL("iommu_dirty", iommu_dirty),
	SV_NAME("iommu_dirty_by", iommu_faults, sv_names_dirty_by),
	SV_NUMBER("iommu_page", iommu_page),
	SV_STRING("udp", model.udp),
	SV_NUMBER("dma_us", model.dma_us),
	SV_NUMBER("dma_bits", model.dma_bits),
	SV_BOOL("log", model.log.present),
	SV_NUMBER("log_min_page", model.log.min_page),
	SV_NUMBER("log_max_page", model.log.max_page),
	SV_NUMBER("log_max_ranges", model.log.max_ranges),
	SV_NUMBER("log_bits_min", model.log.address_bits_min),
	SV_NUMBER("log_bits_max", model.log.address_bits_max),
	SV_NUMBER("log_queue", model.log.queue),
	SV_BOOL("log_read_while_running", model.log.read_while_running),
	SV_NUMBER("log_fail_after", model.log.fail_after),
	SV_NUMBER("log_deaf", model.log.deaf),
	SV_NUMBER("log_cost_mark_ns", model.log.cost_mark_ns),
	SV_NUMBER("log_cost_report_page_ns", model.log.cost_report_page_ns),
	SV_NAME("pin_dirty", model.pin_dirty, sv_names_pin),
	SV_BOOL("read_pins_clean", model.read_pins_clean),
	SV_BOOL("pins_gratuitous", model.pins_gratuitous),
	SV_FLAGS("faults", model.faults, sv_names_fault),
	SV_NUMBER("fail_log_start", fail[SV_CALL_LOG_START]),
	SV_NUMBER("fail_log_report", fail[SV_CALL_LOG_REPORT]),
	SV_NUMBER("fail_state_read", fail[SV_CALL_STATE_READ]),
	SV_NUMBER("fail_state_write", fail[SV_CALL_STATE_WRITE]),
	SV_NUMBER("fail_run", fail[SV_CALL_RUN]),
};

#define SV_NR_KEYS (sizeof(sv_keys) / sizeof(sv_keys[0]))

#endif /* SOFTVFIO_CONFIG_KEYS_H */
