/* SPDX-License-Identifier: MIT */
/* What a log consists of; log.c has its rules. */
#ifndef MODELS_LOG_PRIV_H
#define MODELS_LOG_PRIV_H

#include "models/model_priv.h"

struct log_area {
	uint64_t first, last; /* whole granules */
	uint64_t bit; /* of its first granule; a multiple of 64 */
};

struct model_log {
	unsigned int shift; /* of the granule */
	uint64_t nr_words;
	_Atomic(uint64_t) *dirty;
	_Atomic(uint64_t) *deaf; /* never reported; NULL: none is */
	uint64_t *seen; /* marked since the start: asked already */
	uint64_t *queue; /* addresses of granules */
	size_t nr_queued, room;
	bool bounded; /* a full queue holds the device back */
	size_t nr_areas;
	struct log_area areas[];
};

#endif /* MODELS_LOG_PRIV_H */
