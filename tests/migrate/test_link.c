/* SPDX-License-Identifier: MIT */
/*
 * The link fails at each frame in turn, in both directions: cut before it, cut
 * inside it, a bit flipped in it, silence instead of it.  Every outcome is the
 * one in docs/hand-over.md, and nothing hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "wire/frame.h"

/* Frames of the destination, in order. */
enum { WELCOME, LOADED, READY, DONE, NR_TO_SRC };

/* Nobody is silent, however late a thread has its turn. */
#define FOR_EVER_NS 60000000000ull
/* One is: longer than what is done before it takes. */
#define SILENCE_NS  3000000000ull
/* The same where it does not matter who gives up first, nor when. */
#define SHORT_NS    400000000ull

static void be_silent_after(struct pair *p, uint64_t ns)
{
	p->src.opts.silence_ns = ns;
	p->dst.opts.silence_ns = ns;
}

static struct pair *small(void)
{
	struct pair *p = malloc(sizeof(*p));

	pair_init(p);
	p->link = true;
	p->src.opts.no_cpu = true;
	be_silent_after(p, FOR_EVER_NS);
	/* Few runs, so few frames. */
	memset(p->src.hva[0], 0, p->src.len[0]);
	memset(p->src.hva[0] + 8192, 7, 300000);
	return p;
}

static void done(struct pair *p)
{
	pair_fini(p);
	free(p);
}

static void expect(struct pair *p, enum spoor_outcome src,
		   enum spoor_outcome dst, const char *what, unsigned int frame)
{
	const bool src_runs = src != SPOOR_MOVED && src != SPOOR_UNKNOWN;

	if (p->src.result.outcome != src || p->dst.result.outcome != dst ||
	    guest_runs(&p->src) != src_runs ||
	    guest_runs(&p->dst) != (dst == SPOOR_MOVED))
		fail_msg("%s at frame %u: source %d (%s), destination %d (%s), "
			 "expected %d and %d",
			 what, frame, p->src.result.outcome,
			 p->src.result.error, p->dst.result.outcome,
			 p->dst.result.error, src, dst);
	if (dst == SPOOR_MOVED)
		assert_true(pair_same_memory(p));
}

/* How many frames a good migration sends; the last is COMMIT. */
static unsigned int frames(void)
{
	struct pair *p = small();
	unsigned int nr;

	pair_run(p);
	expect(p, SPOOR_MOVED, SPOOR_MOVED, "nothing", 0);
	nr = p->frames_to_dst;
	assert_int_equal(p->frames_to_src, NR_TO_SRC);
	assert_int_equal(p->types_to_dst[SPOOR_FRAME_COMMIT], 1);
	assert_true(p->types_to_dst[SPOOR_FRAME_PAGES] >= 3);
	assert_int_equal(p->types_to_dst[SPOOR_FRAME_ABORT], 0);
	done(p);
	return nr;
}

static void sweep(enum fault fault, unsigned int offset, unsigned int step,
		  const char *what)
{
	const unsigned int nr = frames();

	for (unsigned int n = 0; n < nr; n += step) {
		struct pair *p = small();
		const bool commit = n == nr - 1;

		p->to_dst = (struct fault_plan){ fault, n, offset };
		pair_run(p);
		if (commit)
			expect(p, SPOOR_UNKNOWN, SPOOR_UNKNOWN, what, n);
		else
			expect(p, SPOOR_FAILED, SPOOR_FAILED, what, n);
		done(p);
	}
}

static void cut_before_each_frame_of_the_source(void **state)
{
	(void)state;
	sweep(FAULT_CUT, 0, 1, "cut before");
}

static void cut_inside_each_header(void **state)
{
	(void)state;
	sweep(FAULT_CUT, SPOOR_FRAME_HEADER - 1, 1, "cut inside");
}

static void cut_inside_each_payload(void **state)
{
	(void)state;
	/* Those without a payload arrive whole: COMMIT is the last, leave it. */
	const unsigned int nr = frames();

	for (unsigned int n = 0; n + 1 < nr; n++) {
		struct pair *p = small();

		p->to_dst = (struct fault_plan){ FAULT_CUT, n,
						 SPOOR_FRAME_HEADER + 5 };
		pair_run(p);
		expect(p, SPOOR_FAILED, SPOOR_FAILED, "cut in payload", n);
		done(p);
	}
}

static void flip_in_each_header(void **state)
{
	(void)state;
	/* The sequence number: no other field is looked at before. */
	sweep(FAULT_FLIP, 12, 1, "flipped sequence");
	sweep(FAULT_FLIP, 24, 1, "flipped check");
}

static void flip_in_each_payload(void **state)
{
	(void)state;
	sweep(FAULT_FLIP, SPOOR_FRAME_HEADER + 13, 1, "flipped payload");
}

static void silence_at_some_frames(void **state)
{
	(void)state;
	const unsigned int nr = frames();
	const unsigned int at[] = { 0, nr / 2, nr - 1 };

	for (size_t i = 0; i < 3; i++) {
		struct pair *p = small();

		p->to_dst = (struct fault_plan){ FAULT_STALL, at[i], 0 };
		be_silent_after(p, at[i] == nr - 1 ? SILENCE_NS : SHORT_NS);
		pair_run(p);
		if (at[i] == nr - 1)
			expect(p, SPOOR_UNKNOWN, SPOOR_UNKNOWN, "silence",
			       at[i]);
		else
			expect(p, SPOOR_FAILED, SPOOR_FAILED, "silence", at[i]);
		done(p);
	}
}

static void each_answer_fails(void **state)
{
	static const struct {
		enum fault fault;
		unsigned int frame, offset;
		enum spoor_outcome src, dst;
	} cases[] = {
		{ FAULT_CUT, WELCOME, 0, SPOOR_FAILED, SPOOR_FAILED },
		{ FAULT_CUT, LOADED, 0, SPOOR_FAILED, SPOOR_FAILED },
		/* READY went out: nobody can tell the destination any more. */
		{ FAULT_CUT, READY, 0, SPOOR_FAILED, SPOOR_UNKNOWN },
		{ FAULT_CUT, READY, 31, SPOOR_FAILED, SPOOR_UNKNOWN },
		{ FAULT_CUT, DONE, 0, SPOOR_UNKNOWN, SPOOR_MOVED },
		{ FAULT_CUT, DONE, 35, SPOOR_UNKNOWN, SPOOR_MOVED },
		/* The way to the destination is open: it hears ABORT. */
		{ FAULT_FLIP, WELCOME, 24, SPOOR_FAILED, SPOOR_FAILED },
		{ FAULT_FLIP, LOADED, 24, SPOOR_FAILED, SPOOR_FAILED },
		{ FAULT_FLIP, READY, 24, SPOOR_FAILED, SPOOR_FAILED },
		{ FAULT_FLIP, DONE, 24, SPOOR_UNKNOWN, SPOOR_MOVED },
		{ FAULT_STALL, READY, 0, SPOOR_FAILED, SPOOR_FAILED },
		{ FAULT_STALL, DONE, 0, SPOOR_UNKNOWN, SPOOR_MOVED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair *p = small();

		p->to_src = (struct fault_plan){ cases[i].fault, cases[i].frame,
						 cases[i].offset };
		/* Of two that wait for each other the source gives up first. */
		if (cases[i].fault == FAULT_STALL)
			p->src.opts.silence_ns = SILENCE_NS;
		pair_run(p);
		expect(p, cases[i].src, cases[i].dst, "answer", cases[i].frame);
		done(p);
	}
}

static void held_machine_can_be_resumed(void **state)
{
	struct pair *p = small();

	(void)state;
	p->to_dst = (struct fault_plan){ FAULT_CUT, frames() - 1, 0 };
	pair_run(p);
	expect(p, SPOOR_UNKNOWN, SPOOR_UNKNOWN, "cut", 0);
	assert_int_equal(spoor_machine_resume(p->dst.machine, &p->dst.opts), 0);
	assert_true(guest_runs(&p->dst));
	assert_false(guest_runs(&p->src));
	assert_true(pair_same_memory(p));
	done(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_before_each_frame_of_the_source),
		cmocka_unit_test(cut_inside_each_header),
		cmocka_unit_test(cut_inside_each_payload),
		cmocka_unit_test(flip_in_each_header),
		cmocka_unit_test(flip_in_each_payload),
		cmocka_unit_test(silence_at_some_frames),
		cmocka_unit_test(each_answer_fails),
		cmocka_unit_test(held_machine_can_be_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
