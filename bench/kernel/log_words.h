/* SPDX-License-Identifier: MIT */
/*
 * A device's log as the bitmap that it is: read in place, or put where others
 * mark too.  What models/model.h does not offer, because no log of today's
 * hardware does.
 *
 * Threads: as the log's: all under the model's control.
 */
#ifndef BENCH_KERNEL_LOG_WORDS_H
#define BENCH_KERNEL_LOG_WORDS_H

#include "models/model.h"

/* Can it be read in place, while the device runs? */
bool log_words_readable(const struct model *m);

/*
 * OR words [first, first + nr) of the log, which has one range, into @out;
 * take: they are clear afterwards.  -EINVAL: not started, or fewer words.
 */
int log_words_read(struct model *m, uint64_t first, uint64_t nr, uint64_t *out,
		   bool take);

/* Clear the bits of @mask. */
int log_words_clear(struct model *m, uint64_t first, uint64_t nr,
		    const uint64_t *mask);

/* Mark in @words, which are as many, from now on; NULL: in its own again. */
int log_words_share(struct model *m, uint64_t *words);

/* As design_mark(). */
int log_words_mark(struct model *m, uint64_t iova, uint64_t nr, uint64_t run,
		   uint64_t step);

#endif /* BENCH_KERNEL_LOG_WORDS_H */
