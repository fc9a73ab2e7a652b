/* SPDX-License-Identifier: MIT */
/*
 * One device, by the counters of both sides.  Lost is what the truth says is
 * lost.  Verified is only what moved as a whole: whatever else the counters
 * show makes the sides not comparable.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "verdict.h"

__attribute__((format(printf, 2, 3))) static void because(struct judged *j,
							  const char *fmt, ...)
{
	va_list ap;

	if (j->nr_reasons == NR_REASONS)
		return;
	va_start(ap, fmt);
	vsnprintf(j->reasons[j->nr_reasons++], sizeof(j->reasons[0]), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void note(struct judged *j,
						       const char *fmt, ...)
{
	va_list ap;

	if (j->nr_notes == NR_REASONS)
		return;
	va_start(ap, fmt);
	vsnprintf(j->notes[j->nr_notes++], sizeof(j->notes[0]), fmt, ap);
	va_end(ap);
}

static unsigned int last_state(const struct sf_device *d)
{
	return d->nr_states ? d->states[d->nr_states - 1] : SF_ERROR;
}

static void judge_side(struct judged *j, const struct sf_device *d,
		       const char *side)
{
	if (d->nr_states && last_state(d) == SF_ERROR)
		because(j, "it is in ERROR at the %s", side);
	if (d->now.violations)
		because(j,
			"%" PRIu64 " accesses while it was stopped, at the "
			"%s",
			d->now.violations, side);
	if (d->now.faults)
		note(j, "%" PRIu64 " DMA accesses were refused at the %s",
		     d->now.faults, side);
}

static void judge_source(struct judged *j, const struct sf_device *s)
{
	judge_side(j, s, "source");
	if (!s->times_stopped)
		because(j, "it never stopped at the source");
	else if (!s->bytes_saved)
		because(j, "no state was read from it at the source");
	if (s->now.late_writes)
		because(j,
			"it wrote %" PRIu64 " times after it had stopped at "
			"the source",
			s->now.late_writes);
	if (s->ran_on)
		because(j, "it ran on at the source after its state was saved");
}

/* Marks of an exact log are reported, or go with it. */
static void judge_marks(struct judged *j, const struct sf_counters *now,
			const struct sf_counters *stopped)
{
	uint64_t told = now->pages_reported + now->discarded;

	if (now->marks > told)
		note(j, "%" PRIu64 " marks were never reported",
		     now->marks - told);
	if (now->marks < told)
		note(j, "%" PRIu64 " were reported that were never marked",
		     told - now->marks);
	if (now->discarded > stopped->discarded)
		note(j, "%" PRIu64 " marks went unread after it had stopped",
		     now->discarded - stopped->discarded);
}

static void judge_destination(struct judged *j, const struct sf_device *d)
{
	judge_side(j, d, "destination");
	if (d->nr_states && last_state(d) == SF_RESUMING)
		because(j, "it is still RESUMING at the destination");
	else if (!d->loaded)
		because(j, "the destination never loaded its state");
	else if (!d->ran)
		because(j, "it never ran at the destination");
	if (d->loaded && !d->truth.checks)
		because(j, "its writes were never looked for at the "
			   "destination");
	if (d->truth.overwritten)
		note(j,
		     "%" PRIu64 " pages could not be judged: other devices "
		     "wrote there before it was started",
		     d->truth.overwritten);
}

/* Is it the same state? */
static void judge_pair(struct judged *j, const struct sf_device *s,
		       const struct sf_device *d)
{
	if (!s->bytes_saved || !d->loaded)
		return;
	if (s->bytes_saved != d->bytes_loaded)
		because(j,
			"%" PRIu64 " bytes of state were read, and %" PRIu64
			" written",
			s->bytes_saved, d->bytes_loaded);
	if (d->truth.checks && s->now.pages_saved != d->truth.checked)
		because(j,
			"the source's state tells of %" PRIu64 " pages, "
			"the destination's of %" PRIu64,
			s->now.pages_saved, d->truth.checked);
	if (!d->truth.checks || d->truth.checked)
		return;
	/* Its memory was unmapped before the state was read, perhaps. */
	if (s->stopped.dma_writes)
		because(j, "of what it wrote, no page held its data any more "
			   "when its state was read");
	else
		note(j, "it had written nothing");
}

void judge_device(struct judged *j)
{
	const struct sf_device *s = j->source, *d = j->destination;

	if ((!s || !s->nr_states) && (!d || !d->nr_states)) {
		j->verdict = VERDICT_UNUSED;
		return;
	}
	if (!s)
		because(j, "the source has no such device");
	if (!d)
		because(j, "the destination has no such device");
	if (s)
		judge_source(j, s);
	if (s)
		judge_marks(j, &s->now, &s->stopped);
	if (d)
		judge_destination(j, d);
	if (s && d)
		judge_pair(j, s, d);
	if (d && d->truth.pages_lost)
		j->verdict = VERDICT_LOST;
	else
		j->verdict = j->nr_reasons ? VERDICT_NOT_COMPARABLE
					   : VERDICT_VERIFIED;
}

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {
		[VERDICT_UNUSED] = "unused",
		[VERDICT_VERIFIED] = "verified",
		[VERDICT_NOT_COMPARABLE] = "not comparable",
		[VERDICT_LOST] = "lost",
	};

	return names[v];
}
