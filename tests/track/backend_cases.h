/* SPDX-License-Identifier: MIT */
/*
 * One body of cases for every tracker backend.  A backend is a small struct of
 * functions; the cases use it and the public interface, nothing else.
 *
 * Threads: write() is called from several at once in the race case.
 */
#ifndef TESTS_TRACK_BACKEND_CASES_H
#define TESTS_TRACK_BACKEND_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <spoor/bitmap.h>
#include <spoor/tracker.h>

struct backend {
	const char *name;
	bool exact; /* no page is reported that was not written */
	bool everything; /* all pages, at every read */
	bool follows_map;
	bool no_holes; /* refuses to track what is not there */
	uint64_t page; /* what start() answers to a wish for 4096 */
	uint64_t last_address; /* the highest that it takes */
	/* Make everything the tracker needs; called before each case. */
	void (*up)(const struct backend *b);
	/* Take all of it down; asserts that nothing is left open. */
	void (*down)(const struct backend *b);
	/* Make memory reachable for the device, or unreachable. */
	void (*map)(const struct backend *b, const struct spoor_range *r,
		    void *hva);
	void (*unmap)(const struct backend *b, const struct spoor_range *r);
	/* A new tracker over what up() made. */
	struct spoor_tracker *(*open)(const struct backend *b);
	/* The source writes, as its DMA (or its CPU) would. */
	void (*write)(const struct backend *b, uint64_t iova, const void *buf,
		      size_t len);
	/* The same with the bug planted: mark, then data.  NULL: cannot. */
	void (*write_mark_first)(const struct backend *b, uint64_t iova,
				 const void *buf, size_t len);
	/* Every read fails from now on, until down().  NULL: cannot. */
	void (*spoil)(const struct backend *b);
};

/* Runs every case over the backend; the number of failed ones. */
int run_backend_cases(const struct backend *b);

#endif /* TESTS_TRACK_BACKEND_CASES_H */
