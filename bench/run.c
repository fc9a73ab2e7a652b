/* SPDX-License-Identifier: MIT */
/* The designs by name, and what all runs have; see run.h. */
#include "bench/run.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/heap.h"
#include "iommu/space_priv.h"

const struct design run_designs[] = {
	{ "split", &run_split, 0 },
	{ "split-lean", &run_bare, DESIGN_PIN },
	{ "split-lean-copies", &run_bare, 0 },
	{ "split-words", &run_bare, DESIGN_PIN | DESIGN_BORROW },
	{ "split-words-copies", &run_bare, DESIGN_BORROW },
	{ "funnel", &run_funnel, DESIGN_HOLD },
	{ "funnel-borrow", &run_funnel, DESIGN_HOLD | DESIGN_BORROW },
	{ "funnel-lean", &run_funnel, DESIGN_PIN },
	{ "funnel-lean-copies", &run_funnel, 0 },
	{ "funnel-words", &run_funnel, DESIGN_PIN | DESIGN_BORROW },
	{ "funnel-words-copies", &run_funnel, DESIGN_BORROW },
	{ "shared", &run_shared, 0 },
	/* Tests: all that a device without a tracker may write is dirty. */
	{ "funnel-tracked-only", &run_funnel,
	  DESIGN_HOLD | DESIGN_TRACKED_ONLY },
};
const unsigned int run_nr_designs =
	sizeof(run_designs) / sizeof(run_designs[0]);

const struct design *run_design(const char *name)
{
	for (unsigned int i = 0; i < run_nr_designs; i++) {
		if (!strcmp(run_designs[i].name, name))
			return &run_designs[i];
	}
	return NULL;
}

uint64_t *run_words(uint64_t len)
{
	void *words = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (words == MAP_FAILED)
		return NULL;
	heap_add((int64_t)len);
	/* Every page is there before the kernel is to write it. */
	memset(words, 0, len);
	return words;
}

void run_words_free(uint64_t *words, uint64_t len)
{
	if (!words)
		return;
	munmap(words, len);
	heap_add(-(int64_t)len);
}

int run_container(const struct run *r, unsigned int n)
{
	return r->machine->spaces[n]->fd;
}

int run_start(struct run *r, const char *design, struct bench_machine *m,
	      uint64_t page_size)
{
	uint64_t *words;
	int err;

	*r = (struct run){ .design = run_design(design),
			   .machine = m,
			   .info.page_size = page_size };
	if (!r->design)
		return -ENOENT;
	err = r->design->ops->start(r);
	if (err)
		return err;
	r->len = (r->info.nr_bits + 63) / 64 * 8;
	words = run_words(r->len);
	if (!words) {
		r->design->ops->stop(r);
		return -ENOMEM;
	}
	r->into = (struct spoor_bitmap){
		.words = words,
		.nr_pages = r->info.nr_bits,
		.base = r->info.base,
		.page_shift = (unsigned int)__builtin_ctzll(r->info.page_size),
	};
	return 0;
}

int run_collect(struct run *r)
{
	return r->design->ops->collect(r);
}

int run_stop(struct run *r)
{
	int err = r->design->ops->stop(r);

	run_words_free(r->into.words, r->len);
	r->into.words = NULL;
	return err;
}
