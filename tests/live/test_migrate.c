/* SPDX-License-Identifier: MIT */
/*
 * Whole migrations between two processes, with DMA and a CPU that go on until
 * the last moment: the reads, suspensions, failures and maps in which a page
 * could be lost.  Each must move, digests and every device's truth agreeing.
 *
 * Threads: those of vmm.h, and one that maps and unmaps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spoor/error.h>

#include "softvfio/softvfio.h"
#include "tests/live/vmm.h"

#define LIMIT_S 60

struct scenario {
	struct vmm_config config;
	const char *policy;
	struct spoor_plan_override overrides[4];
	size_t nr_overrides;
	unsigned int fail_report[2]; /* the nth of nic0, the nth after that */
	bool remap; /* region 1 comes and goes meanwhile */
	unsigned int unmap_at; /* round: region 1 goes, and never comes back */
	uint64_t strict_ns; /* a downtime that must be met */
	bool remap_when_told; /* of a tracker's failure, from the event */
	const char *moved_to; /* a space, by the plan's first line */
};

/* What a side found; shared memory. */
struct report {
	int done, ret, outcome, verified;
	unsigned int rounds, maps;
	int map_error;
	uint64_t violations, pages_sent;
	char error[512];
	char states[2048], notes[4096];
};

static void add(char *text, size_t size, const char *more, const char *end)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s", more, end);
}

struct side {
	const struct scenario *s;
	struct vmm vmm;
	struct report *r;
	pthread_t mapper;
	atomic_bool quit;
	bool source;
	bool mapped; /* region 1 is */
	atomic_bool mapping; /* the mapper goes on; not after an error */
	atomic_uint map_turns;
	int failures; /* reports that were made to fail */
};

/*
 * As a guest's CPU would ask for it, so not while they are paused: a page that
 * is taken from a device that stands still cannot be held against its truth.
 */
static void map_or_unmap(struct side *side, bool map)
{
	const struct spoor_range range = side->vmm.regions[1].range;
	struct spoor_space *space = side->vmm.spaces[SPOOR_SPACE_IOMMUFD];
	int err;

	pthread_mutex_lock(&side->vmm.cpu_lock);
	if (atomic_load(&side->vmm.paused)) {
		pthread_mutex_unlock(&side->vmm.cpu_lock);
		return;
	}
	err = map ? spoor_machine_map(side->vmm.machine, space, &range)
		  : spoor_machine_unmap(side->vmm.machine, space, &range);
	side->mapped = map;
	pthread_mutex_unlock(&side->vmm.cpu_lock);
	if (err) {
		side->r->map_error = err;
		add(side->r->error, sizeof(side->r->error), spoor_errmsg(),
		    "\n");
	}
	side->r->maps++;
}

/* Between sending and the next read: something to read, whoever is busy. */
static void let_others_go_on(struct side *side)
{
	const unsigned int before = atomic_load(&side->map_turns);

	vmm_let_writers_write(&side->vmm);
	while (atomic_load(&side->mapping) &&
	       atomic_load(&side->map_turns) - before < 2)
		usleep(500);
}

static void on_event(void *opaque, const struct spoor_event *event)
{
	struct side *side = opaque;
	struct report *r = side->r;

	if (event->type == SPOOR_EVENT_NOTE)
		add(r->notes, sizeof(r->notes), event->text, "\n");
	if (event->type == SPOOR_EVENT_NOTE && side->s->remap_when_told &&
	    strstr(event->text, "nic0.device")) {
		map_or_unmap(side, false);
		map_or_unmap(side, true);
	}
	if (event->type == SPOOR_EVENT_STATE) {
		add(r->states, sizeof(r->states), event->device, ":");
		add(r->states, sizeof(r->states),
		    spoor_device_state_name(event->to), " ");
	}
	if (event->type == SPOOR_EVENT_ROUND && side->source)
		let_others_go_on(side);
	if (event->type == SPOOR_EVENT_ROUND && event->round &&
	    event->round == side->s->unmap_at)
		map_or_unmap(side, false);
	if (event->type == SPOOR_EVENT_ROUND && side->failures < 2 &&
	    side->s->fail_report[side->failures]) {
		softvfio_fail_report("nic0",
				     side->s->fail_report[side->failures]);
		side->failures++;
	}
}

static void *map_main(void *arg)
{
	struct side *side = arg;

	while (!atomic_load(&side->quit) && !side->r->map_error) {
		map_or_unmap(side, !side->mapped);
		atomic_fetch_add(&side->map_turns, 1);
		usleep(side->mapped ? 700 : 300);
	}
	atomic_store(&side->mapping, false);
	return NULL;
}

static int run_source(struct side *side, const struct spoor_run_opts *opts,
		      struct spoor_result *result)
{
	const struct scenario *s = side->s;
	const struct spoor_plan_input wishes = { .size = sizeof(wishes),
						 .policy = s->policy,
						 .overrides = s->overrides,
						 .nr_overrides =
							 s->nr_overrides };
	struct spoor_plan *plan = NULL;
	int ret = spoor_machine_plan(side->vmm.machine, &wishes, &plan);

	if (ret) {
		snprintf(result->error, sizeof(result->error), "plan: %s",
			 spoor_errmsg());
		spoor_plan_free(plan);
		return ret;
	}
	for (size_t i = 0; i < plan->nr_lines; i++)
		add(side->r->notes, sizeof(side->r->notes),
		    plan->lines[i].covered_by, "\n");
	if (s->moved_to)
		snprintf(plan->lines[0].space, sizeof(plan->lines[0].space),
			 "%s", s->moved_to);
	atomic_store(&side->mapping, s->remap);
	if (s->remap)
		pthread_create(&side->mapper, NULL, map_main, side);
	ret = spoor_source_run(side->vmm.machine, plan, opts, result);
	atomic_store(&side->quit, true);
	if (s->remap)
		pthread_join(side->mapper, NULL);
	spoor_plan_free(plan);
	return ret;
}

static void run_side(bool source, int fd, const struct scenario *s,
		     struct report *r)
{
	struct side side = { .s = s, .r = r, .source = source, .mapped = true };
	const struct spoor_run_opts opts = {
		.size = sizeof(opts),
		.fd = fd,
		.verify = true,
		.downtime_ns = s->strict_ns ? s->strict_ns : 1,
		.strict_downtime = s->strict_ns,
		.no_cpu = !s->config.cpu_writes,
		.max_rounds = 6,
		.event = on_event,
		.event_opaque = &side
	};
	struct spoor_result result = { .outcome = SPOOR_FAILED };
	struct softvfio_counters c;

	r->ret = vmm_open(&side.vmm, &s->config);
	atomic_store(&side.vmm.paused, !source);
	if (!r->ret && source)
		r->ret = vmm_start_writers(&side.vmm);
	if (r->ret) {
		snprintf(r->error, sizeof(r->error), "%s", spoor_errmsg());
		vmm_close(&side.vmm);
		return;
	}
	r->ret = source ? run_source(&side, &opts, &result)
			: spoor_destination_run(side.vmm.machine, &opts,
						&result);
	r->outcome = (int)result.outcome;
	r->verified = result.verified;
	r->rounds = result.rounds;
	r->pages_sent = result.pages_sent;
	add(r->error, sizeof(r->error), result.error, "");
	for (size_t i = 0; i < result.nr_lost && i < 4; i++) {
		char text[128];

		snprintf(text, sizeof(text), " %#llx+%#llx by %s",
			 (unsigned long long)result.lost[i].range.iova,
			 (unsigned long long)result.lost[i].range.len,
			 result.lost[i].writer);
		add(r->error, sizeof(r->error), text, "");
	}
	for (int i = 0; i < VMM_MAX_DEVICES; i++) {
		const char *name = s->config.devices[i].name;

		if (name && !softvfio_device_counters(name, &c))
			r->violations += c.violations;
	}
	spoor_result_clear(&result);
	vmm_close(&side.vmm);
	r->done = 1;
}

static struct report *migrate(const struct scenario *s)
{
	struct report *r = mmap(NULL, 2 * sizeof(*r), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[2];
	int fds[2];

	assert_ptr_not_equal(r, MAP_FAILED);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i])
			continue;
		close(fds[!i]);
		alarm(LIMIT_S);
		run_side(i == 0, fds[i], s, &r[i]);
		_exit(0);
	}
	close(fds[0]);
	close(fds[1]);
	for (int i = 0; i < 2; i++)
		waitpid(pid[i], NULL, 0);
	return r;
}

static void done(struct report *r)
{
	munmap(r, 2 * sizeof(*r));
}

static void assert_moved(const struct report *r)
{
	for (int i = 0; i < 2; i++) {
		if (!r[i].done || r[i].ret || r[i].outcome != SPOOR_MOVED ||
		    !r[i].verified || r[i].violations || r[i].map_error)
			fail_msg("%s: done %d ret %d outcome %d violations "
				 "%llu: %s\n%s%s",
				 i ? "destination" : "source", r[i].done,
				 r[i].ret, r[i].outcome,
				 (unsigned long long)r[i].violations,
				 r[i].error, r[i].states, r[i].notes);
	}
}

static void assert_says(const char *text, const char *word)
{
	if (!strstr(text, word))
		fail_msg("no \"%s\" in:\n%s", word, text);
}

#define REGIONS                                                                \
	{                                                                      \
		{ 0x100000, 16u << 20 },                                       \
		{                                                              \
			0x100000000, 512u << 10                                \
		}                                                              \
	}
#define NO_DEVICE                                                              \
	{                                                                      \
		.name = NULL                                                   \
	}

static void quiet_reads_lose_nothing_where_p2p_stops_all(void **state)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { { .name = "nic0",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .p2p_stops_all = true,
					   .writes_on = true } },
			    .cpu_writes = true,
			    .apart = true },
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_moved(r);
	assert_says(r[0].states, "nic0:PRE_COPY_P2P nic0:PRE_COPY ");
	assert_true(r[0].rounds > 2);
	done(r);
}

static void quiet_read_waits_for_the_stop_where_p2p_stops_peers(void **state)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { NO_DEVICE,
					 { .name = "nic1",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .writes_on = true } },
			    .cpu_writes = true,
			    .apart = true },
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_moved(r);
	/* On the way to the stop only. */
	assert_null(strstr(r[0].states, "nic1:PRE_COPY_P2P nic1:PRE_COPY "));
	done(r);
}

static void what_is_read_at_the_stop_only_meets_no_strict_downtime(void **state)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { NO_DEVICE,
					 { .name = "nic1",
					   .backend = SPOOR_SPACE_IOMMUFD } } },
		.strict_ns = 20000,
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_int_equal(r[0].outcome, SPOOR_FAILED);
	assert_says(r[0].error, "nic1.device is too fast");
	done(r);
}

static void suspend_dsa(const char *when, const char *how)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { { .name = "nic0",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .p2p_stops_all = true,
					   .writes_on = true },
					 NO_DEVICE,
					 { .name = "dsa0",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .p2p_stops_all = true,
					   .writes_on = true } },
			    .cpu_writes = true,
			    .apart = true },
		.overrides = { { .key = "dsa0.suspend", .value = when },
			       { .key = "dsa0.how", .value = how } },
		.nr_overrides = 2,
	};
	struct report *r = migrate(&s);

	assert_moved(r);
	assert_says(r[0].notes, "dsa0: suspended early");
	assert_says(r[0].states,
		    *how == 'q' ? "dsa0:RUNNING_P2P" : "dsa0:STOP");
	done(r);
}

static void early_suspension_loses_nothing(void **state)
{
	(void)state;
	suspend_dsa("before-bulk", "stop");
	suspend_dsa("after-bulk", "stop");
	suspend_dsa("before-bulk", "quiet");
	suspend_dsa("after-bulk", "quiet");
}

static void quiet_is_refused_where_p2p_stops_peers(void **state)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { NO_DEVICE,
					 { .name = "nic1",
					   .backend = SPOOR_SPACE_IOMMUFD } } },
		.overrides = { { .key = "nic1.suspend", .value = "after-bulk" },
			       { .key = "nic1.how", .value = "quiet" } },
		.nr_overrides = 2,
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_int_equal(r[0].ret, -EPERM);
	done(r);
}

static void a_plan_for_another_space_is_refused(void **state)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { { .name = "nic0",
					   .backend = SPOOR_SPACE_IOMMUFD } } },
		.moved_to = "elsewhere",
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_int_equal(r[0].ret, -EPERM);
	assert_says(r[0].error, "nic0 is to be in space elsewhere, but it is "
				"attached to ");
	done(r);
}

static void log_that_fails_is_restarted_once_and_then_dropped(void **state)
{
	struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { { .name = "nic0",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .p2p_stops_all = true,
					   .writes_on = true } },
			    .cpu_writes = true,
			    .apart = true },
		.fail_report = { 1 },
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_moved(r);
	assert_says(r[0].notes, "it was restarted");
	assert_null(strstr(r[0].notes, "from now on"));
	done(r);
	s.fail_report[1] = 1;
	r = migrate(&s);
	assert_moved(r);
	assert_says(r[0].notes, "it was restarted");
	assert_says(r[0].notes, "counts as dirty from now on");
	done(r);
}

static void memory_comes_and_goes_while_it_migrates(void **state)
{
	struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { NO_DEVICE,
					 NO_DEVICE,
					 NO_DEVICE,
					 { .name = "nic2",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .writes_on = true } },
			    .cpu_writes = true,
			    .apart = true,
			    .all_regions = true },
		.remap = true,
	};
	static const char *const policies[] = { "device", "iommu",
						"all-dirty" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct report *r;

		s.policy = policies[i];
		r = migrate(&s);
		assert_moved(r);
		assert_true(r[0].maps > 1);
		done(r);
	}
}

static void memory_that_went_is_sent_as_it_was_left(void **state)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { NO_DEVICE,
					 NO_DEVICE,
					 NO_DEVICE,
					 { .name = "nic2",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .writes_on = true } },
			    .all_regions = true },
		.policy = "all-dirty",
		.unmap_at = 2,
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_moved(r);
	assert_int_equal(r[0].maps, 1);
	done(r);
}

static void events_may_map_and_unmap(void **state)
{
	const struct scenario s = {
		.config = { .regions = REGIONS,
			    .devices = { { .name = "nic0",
					   .backend = SPOOR_SPACE_IOMMUFD,
					   .p2p_stops_all = true,
					   .writes_on = true } },
			    .all_regions = true,
			    .apart = true },
		.fail_report = { 1, 1 },
		.remap_when_told = true,
	};
	struct report *r = migrate(&s);

	(void)state;
	assert_moved(r);
	assert_true(r[0].maps >= 2);
	done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_reads_lose_nothing_where_p2p_stops_all),
		cmocka_unit_test(
			quiet_read_waits_for_the_stop_where_p2p_stops_peers),
		cmocka_unit_test(
			what_is_read_at_the_stop_only_meets_no_strict_downtime),
		cmocka_unit_test(early_suspension_loses_nothing),
		cmocka_unit_test(quiet_is_refused_where_p2p_stops_peers),
		cmocka_unit_test(a_plan_for_another_space_is_refused),
		cmocka_unit_test(
			log_that_fails_is_restarted_once_and_then_dropped),
		cmocka_unit_test(memory_comes_and_goes_while_it_migrates),
		cmocka_unit_test(memory_that_went_is_sent_as_it_was_left),
		cmocka_unit_test(events_may_map_and_unmap),
	};

	if (!softvfio_nr_devices()) {
		puts("SOFTVFIO_CONFIG is not set");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
