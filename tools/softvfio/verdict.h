/* SPDX-License-Identifier: MIT */
/*
 * What softvfio verify makes of one device on two sides, and how it says it.
 */
#ifndef SOFTVFIO_TOOL_VERDICT_H
#define SOFTVFIO_TOOL_VERDICT_H

#include "stats_file.h"

enum verdict {
	VERDICT_UNUSED, /* on neither side did a program open it */
	VERDICT_VERIFIED,
	VERDICT_NOT_COMPARABLE,
	VERDICT_LOST,
};

#define NR_REASONS 16u

struct judged {
	const char *name;
	const struct sf_device *source, *destination; /* NULL: not there */
	enum verdict verdict;
	/* Why it cannot be compared; and what does not meet the eye. */
	char reasons[NR_REASONS][200], notes[NR_REASONS][200];
	size_t nr_reasons, nr_notes;
};

void judge_device(struct judged *j);

const char *verdict_name(enum verdict v);
void verdict_text(const struct judged *all, size_t nr,
		  const struct stats_file *source);
void verdict_json(const struct judged *all, size_t nr, enum verdict worst);

#endif /* SOFTVFIO_TOOL_VERDICT_H */
