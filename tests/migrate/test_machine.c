/* SPDX-License-Identifier: MIT */
/*
 * A machine without devices moves between two threads: whole, while its CPU
 * stores; and when it cannot, it runs on where it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pair.h"
#include "wire/frame.h"

static int setup(void **state)
{
	static struct pair p;

	pair_init(&p);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	pair_fini(*state);
	return 0;
}

static void assert_moved(struct pair *p)
{
	if (p->src.result.outcome)
		print_error("source: %s\n", p->src.result.error);
	if (p->dst.result.outcome)
		print_error("destination: %s\n", p->dst.result.error);
	assert_int_equal(p->src.rc, 0);
	assert_int_equal(p->dst.rc, 0);
	assert_int_equal(p->src.result.outcome, SPOOR_MOVED);
	assert_int_equal(p->dst.result.outcome, SPOOR_MOVED);
	assert_string_equal(p->src.result.running, "destination");
	assert_string_equal(p->dst.result.running, "destination");
	assert_false(guest_runs(&p->src));
	assert_true(guest_runs(&p->dst));
	assert_true(pair_same_memory(p));
}

static void assert_runs_on(struct pair *p)
{
	assert_true(p->src.rc < 0);
	assert_true(p->dst.rc < 0);
	assert_string_equal(p->src.result.running, "source");
	assert_true(guest_runs(&p->src));
	assert_false(guest_runs(&p->dst));
	assert_int_equal(p->dst.nr_resume, 0);
	assert_int_not_equal(p->src.result.error[0], 0);
	assert_int_not_equal(p->dst.result.error[0], 0);
}

static void machine_arrives_whole_while_its_cpu_stores(void **state)
{
	struct pair *p = *state;

	pair_run(p);
	assert_moved(p);
	assert_true(p->src.result.verified);
	assert_true(p->dst.result.verified);
	assert_true(p->src.result.converged);
	assert_true(p->src.result.rounds >= 2);
	assert_int_equal(p->src.result.rounds, p->dst.result.rounds);
	assert_int_equal(p->src.result.pages_sent, p->dst.result.pages_sent);
	assert_true(p->src.result.downtime_ns > 0);
	assert_true(p->src.result.downtime_ns < p->src.result.total_ns);
	assert_int_equal(p->dst.nr_events[SPOOR_EVENT_RUNNING], 1);
	assert_int_equal(p->src.nr_events[SPOOR_EVENT_PAUSED], 1);
	assert_string_equal(p->dst.section, "registers");
	assert_int_equal(p->dst.section_len, sizeof("registers"));
}

static uint64_t of_bucket(const struct spoor_event_area *a, size_t i)
{
	const uint64_t left = a->range.len - i * a->bucket_bytes;

	return (left < a->bucket_bytes ? left : a->bucket_bytes) / 4096;
}

static uint64_t seen_pages, seen_tail;

static void take_map(struct guest *g, const struct spoor_event *event)
{
	size_t buckets = 0;

	if (event->type != SPOOR_EVENT_ROUND)
		return;
	assert_int_equal(event->nr_areas, PAIR_REGIONS);
	for (size_t i = 0; i < event->nr_areas; i++) {
		const struct spoor_event_area *a = &event->areas[i];

		assert_int_equal(a->range.len, g->len[i]);
		for (size_t k = 0; k < a->nr; k++) {
			/* The bulk copy sends all of every bucket. */
			if (event->round == 1)
				assert_int_equal(a->pages[k], of_bucket(a, k));
			seen_pages += a->pages[k];
			/* The CPU's working set begins region 0. */
			if (event->round > 1 &&
			    (i || k * a->bucket_bytes >= g->working_set))
				seen_tail += a->pages[k];
		}
		buckets += a->nr;
	}
	/* 3 MiB, and 1 MiB with a page more. */
	assert_true(buckets > 128 && buckets <= 256);
}

static void map_of_a_round_counts_its_pages_by_address(void **state)
{
	struct pair *p = *state;

	seen_pages = seen_tail = 0;
	p->src.on_event = take_map;
	pair_run(p);
	assert_moved(p);
	assert_true(p->src.result.rounds >= 2);
	assert_int_equal(seen_pages, p->src.result.pages_sent);
	assert_int_equal(seen_tail, 0);
}

static void stop_copy_sends_every_page_once(void **state)
{
	struct pair *p = *state;

	p->src.plan.stop_copy = true;
	pair_run(p);
	assert_moved(p);
	assert_int_equal(p->src.result.rounds, 1);
	assert_int_equal(p->src.result.pages_sent,
			 p->src.result.memory_bytes / 4096);
}

static void without_verification_the_rest_is_the_same(void **state)
{
	struct pair *p = *state;

	p->src.opts.verify = false;
	pair_run(p);
	assert_moved(p);
	assert_false(p->src.result.verified);
}

/* Behind every tracker's back: through the file. */
static void write_unseen(struct guest *g, const struct spoor_event *event)
{
	if (event->type == SPOOR_EVENT_ROUND && event->round == 1)
		assert_int_equal(pwrite(g->fds[1], "lost", 4, 0x42000), 4);
}

static void verification_names_the_page_that_was_lost(void **state)
{
	struct pair *p = *state;

	p->src.on_event = write_unseen;
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_LOST);
	assert_int_equal(p->dst.result.outcome, SPOOR_LOST);
	assert_int_equal(p->src.result.nr_lost, 1);
	assert_int_equal(p->src.result.lost[0].range.iova, 0x100042000);
	assert_int_equal(p->src.result.lost[0].range.len, 4096);
	assert_string_equal(p->src.result.lost[0].writer, "unknown");
	assert_int_equal(p->dst.result.nr_lost, 1);
	assert_int_equal(p->src.nr_resume, 1);
}

static void write_much_unseen(struct guest *g, const struct spoor_event *event)
{
	if (event->type != SPOOR_EVENT_ROUND || event->round != 1)
		return;
	/* In every chunk its last page; in the last region all of it. */
	for (off_t off = 0xf000; off < (off_t)g->len[0]; off += 0x10000)
		assert_int_equal(pwrite(g->fds[0], "lost", 4, off), 4);
	for (off_t off = 0; off < (off_t)g->len[1]; off += 4096)
		assert_int_equal(pwrite(g->fds[1], "lost", 4, off), 4);
}

static void verification_names_all_of_many_lost_pages(void **state)
{
	struct pair *p = *state;
	const struct spoor_lost *l;

	p->src.on_event = write_much_unseen;
	p->src.opts.no_cpu = true;
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_LOST);
	assert_int_equal(p->src.result.nr_lost, p->src.len[0] / 0x10000 + 1);
	for (size_t i = 0; i + 1 < p->src.result.nr_lost; i++) {
		l = &p->src.result.lost[i];
		assert_int_equal(l->range.iova, i * 0x10000 + 0xf000);
		assert_int_equal(l->range.len, 4096);
	}
	l = &p->src.result.lost[p->src.result.nr_lost - 1];
	assert_int_equal(l->range.iova, 0x100000000);
	assert_int_equal(l->range.len, p->src.len[1]);
}

static void lost_page_has_the_writer_that_the_hook_names(void **state)
{
	struct pair *p = *state;

	p->src.on_event = write_unseen;
	p->dst.names.range = (struct spoor_range){ 0x100042000, 4096 };
	strcpy(p->dst.names.writer, "nic0");
	pair_run(p);
	assert_int_equal(p->src.result.outcome, SPOOR_LOST);
	assert_int_equal(p->src.result.nr_lost, 1);
	assert_string_equal(p->src.result.lost[0].writer, "nic0");
}

static void hook_verifies_even_without_digests(void **state)
{
	struct pair *p = *state;

	p->src.opts.verify = false;
	p->dst.names.range = (struct spoor_range){ 0x3000, 4096 };
	strcpy(p->dst.names.writer, "dsa0");
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_LOST);
	assert_string_equal(p->src.result.lost[0].writer, "dsa0");
}

static void cancel_at_round(struct guest *g, const struct spoor_event *event)
{
	if (event->type == SPOOR_EVENT_ROUND && event->round == 1)
		spoor_machine_cancel(g->machine);
}

static void cancel_leaves_it_running_at_the_source(void **state)
{
	struct pair *p = *state;

	p->src.on_event = cancel_at_round;
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_CANCELLED);
	assert_int_equal(p->dst.result.outcome, SPOOR_FAILED);
	assert_non_null(strstr(p->dst.result.error, "cancelled"));
	/* And it was for that run only. */
	p->src.on_event = NULL;
	spoor_result_clear(&p->src.result);
	spoor_result_clear(&p->dst.result);
	pair_run(p);
	assert_moved(p);
}

static void cancel_while_paused(struct guest *g,
				const struct spoor_event *event)
{
	if (event->type == SPOOR_EVENT_VERIFY_END &&
	    g->nr_events[event->type] == 2)
		spoor_machine_cancel(g->machine);
}

static void cancel_before_commit_resumes_the_source(void **state)
{
	struct pair *p = *state;

	p->src.on_event = cancel_while_paused;
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_CANCELLED);
	assert_int_equal(p->dst.result.outcome, SPOOR_FAILED);
	assert_int_equal(p->src.nr_resume, 1);
}

/* Between sending and the next read, however late the CPU has its turn. */
static void let_cpu_store(struct guest *g, const struct spoor_event *event)
{
	const unsigned int before = atomic_load(&g->turns);

	/* One may have begun already. */
	while (event->type == SPOOR_EVENT_ROUND && guest_runs(g) &&
	       atomic_load(&g->turns) - before < 2)
		usleep(200);
}

static void strict_downtime_aborts_instead(void **state)
{
	struct pair *p = *state;

	p->src.on_event = let_cpu_store;
	p->src.opts.strict_downtime = true;
	p->src.opts.downtime_ns = 1;
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_FAILED);
	assert_int_equal(p->src.nr_pause, 0);
	assert_non_null(strstr(p->src.result.error, "cpu.process"));
}

static void what_does_not_converge_moves_and_says_so(void **state)
{
	struct pair *p = *state;

	p->src.on_event = let_cpu_store;
	p->src.opts.downtime_ns = 1;
	pair_run(p);
	assert_moved(p);
	assert_false(p->src.result.converged);
	assert_non_null(strstr(p->src.note, "cpu.process"));
}

static void failing_hook_aborts(struct pair *p, int *which)
{
	*which = -EXDEV;
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_FAILED);
	assert_int_equal(p->dst.result.outcome, SPOOR_FAILED);
	assert_int_equal(p->src.nr_pause, p->src.nr_resume);
}

static void failing_pause_aborts(void **state)
{
	struct pair *p = *state;

	failing_hook_aborts(p, &p->src.fail_pause);
}

static void failing_save_aborts(void **state)
{
	struct pair *p = *state;

	failing_hook_aborts(p, &p->src.fail_save);
}

static void failing_load_aborts(void **state)
{
	struct pair *p = *state;

	failing_hook_aborts(p, &p->dst.fail_load);
	assert_non_null(strstr(p->src.result.error, "load"));
}

static void failing_check_aborts(void **state)
{
	struct pair *p = *state;

	failing_hook_aborts(p, &p->dst.fail_verify);
}

static void what_does_not_start_there_is_told(void **state)
{
	struct pair *p = *state;

	p->dst.fail_resume = -EXDEV;
	pair_run(p);
	assert_int_equal(p->src.rc, 0);
	assert_int_equal(p->src.result.outcome, SPOOR_MOVED_BROKEN);
	assert_int_equal(p->dst.result.outcome, SPOOR_MOVED_BROKEN);
	assert_string_equal(p->src.result.running, "destination");
	assert_int_not_equal(p->src.result.error[0], 0);
	assert_false(guest_runs(&p->src));
}

static void plan_with_a_gap_is_refused(void **state)
{
	struct pair *p = *state;
	char *why[] = { (char *)(uintptr_t) "nothing tracks it" };

	p->src.plan.blockers = why;
	p->src.plan.nr_blockers = 1;
	pair_run(p);
	assert_runs_on(p);
	assert_int_equal(p->src.result.outcome, SPOOR_REFUSED);
	assert_int_equal(p->src.result.bytes_sent,
			 p->src.result.bytes_sent); /* told why, no HELLO */
	assert_int_equal(p->dst.result.bytes_sent, 0);
}

static void what_nobody_wrote_takes_no_memory_on_either_side(void **state)
{
	const struct guest *sides[2];
	struct pair *p = *state;

	sides[0] = &p->src;
	sides[1] = &p->dst;
	pair_run(p);
	assert_int_equal(p->src.rc, 0);
	for (size_t i = 0; i < 2; i++) {
		struct stat st;

		/* Data at its beginning is sent with the piece around it. */
		assert_int_equal(fstat(sides[i]->fds[1], &st), 0);
		assert_in_range(st.st_blocks * 512, 65536, 576 << 10);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(machine_arrives_whole_while_its_cpu_stores),
		T(map_of_a_round_counts_its_pages_by_address),
		T(stop_copy_sends_every_page_once),
		T(without_verification_the_rest_is_the_same),
		T(verification_names_the_page_that_was_lost),
		T(verification_names_all_of_many_lost_pages),
		T(lost_page_has_the_writer_that_the_hook_names),
		T(hook_verifies_even_without_digests),
		T(cancel_leaves_it_running_at_the_source),
		T(cancel_before_commit_resumes_the_source),
		T(strict_downtime_aborts_instead),
		T(what_does_not_converge_moves_and_says_so),
		T(failing_pause_aborts),
		T(failing_save_aborts),
		T(failing_load_aborts),
		T(failing_check_aborts),
		T(what_does_not_start_there_is_told),
		T(plan_with_a_gap_is_refused),
		T(what_nobody_wrote_takes_no_memory_on_either_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
