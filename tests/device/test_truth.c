/* SPDX-License-Identifier: MIT */
/* The truth of loaded devices is held against memory before any of them runs,
 * once, whoever migrated them; and what the stats say of a migration. */
#include "harness.h"

#define STOP	 VFIO_DEVICE_STATE_STOP
#define RUNNING	 VFIO_DEVICE_STATE_RUNNING
#define RUN_P2P	 VFIO_DEVICE_STATE_RUNNING_P2P
#define SAVE	 VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING VFIO_DEVICE_STATE_RESUMING

static int a, b;

static struct sv_figures figures(unsigned int index)
{
	static struct sv_figures f;

	sv_device_figures(sv_device_by_index(index), &f);
	return f;
}

/* Its own state, as if it came from elsewhere; its length. */
static size_t load(int dev)
{
	uint8_t state[4096];
	ssize_t n;
	size_t len = 0;
	int fd;

	assert_int_equal(set_state(dev, SAVE, &fd), 0);
	while ((n = dev_read(fd, state + len, sizeof(state) - len)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	close(fd);
	assert_int_equal(set_state(dev, RESUMING, &fd), 0);
	assert_int_equal(dev_write(fd, state, len), len);
	assert_int_equal(set_state(dev, STOP, NULL), 0);
	close(fd);
	return len;
}

static int setup(void **state)
{
	(void)state;
	a = open_device(DEV_ALL);
	b = open_device(DEV_PEER);
	fake_truth(DEV_ALL, 0, 0);
	fake_truth(DEV_PEER, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(a);
	close(b);
	return open_files() || fake_nr_streams();
}

static void all_that_are_loaded_are_checked_before_the_first_runs(void **state)
{
	(void)state;
	fake_truth(DEV_ALL, 3, 0);
	load(a);
	load(b);
	assert_int_equal(figures(DEV_ALL).checks, 0);
	assert_int_equal(set_state(b, RUNNING, NULL), 0);
	assert_int_equal(fake_level_at_check(DEV_ALL), MODEL_STOPPED);
	assert_int_equal(fake_level_at_check(DEV_PEER), MODEL_STOPPED);
	assert_int_equal(figures(DEV_ALL).checks, 1);
	assert_int_equal(figures(DEV_ALL).checked, 1000);
	assert_int_equal(figures(DEV_ALL).lost, 3);
	assert_true(figures(DEV_ALL).check_ns > 0);
	assert_int_equal(figures(DEV_ALL).nr_named, 3);
	assert_int_equal(figures(DEV_ALL).lost_at[0], PAGE);
	assert_int_equal(figures(DEV_ALL).lost_at[2], 3 * PAGE);
	assert_int_equal(figures(DEV_PEER).lost, 0);
	/* And not again. */
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(set_state(a, STOP, NULL), 0);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(figures(DEV_ALL).checks, 1);
}

static void count(void *ctx, uint64_t iova)
{
	*(uint64_t *)ctx += iova / PAGE;
}

static void who_checked_before_is_not_kept_waiting(void **state)
{
	uint64_t sum = 0;

	(void)state;
	fake_truth(DEV_ALL, 2, 0);
	load(a);
	assert_int_equal(
		sv_truth_check(sv_device_by_index(DEV_ALL), count, &sum), 2);
	assert_int_equal(sum, 3);
	assert_int_equal(figures(DEV_ALL).checks, 1);
	assert_int_equal(figures(DEV_ALL).lost, 2);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(figures(DEV_ALL).checks, 1);
}

static void what_another_wrote_here_since_is_not_lost(void **state)
{
	(void)state;
	load(b);
	assert_int_equal(set_state(b, RUNNING, NULL), 0);
	fake_truth(DEV_ALL, 3, 0);
	fake_truth(DEV_PEER, 0, 2 * PAGE);
	load(a);
	assert_int_equal(set_state(a, RUN_P2P, NULL), 0);
	assert_int_equal(figures(DEV_ALL).lost, 2);
	assert_int_equal(figures(DEV_ALL).overwritten, 1);
	assert_int_equal(figures(DEV_ALL).lost_at[1], 3 * PAGE);
}

static void
device_that_reaches_no_memory_is_checked_by_its_own_start(void **state)
{
	(void)state;
	sv_device_set_attachment(sv_device_by_index(DEV_ALL), NULL);
	load(a);
	load(b);
	assert_int_equal(set_state(b, RUNNING, NULL), 0);
	assert_int_equal(figures(DEV_ALL).checks, 0);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(figures(DEV_ALL).checks, 1);
}

static void state_that_was_reset_is_not_checked(void **state)
{
	uint64_t loaded = figures(DEV_ALL).loaded;

	(void)state;
	load(a);
	assert_int_equal(figures(DEV_ALL).loaded, loaded + 1);
	assert_int_equal(dev_ioctl(a, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(set_state(a, STOP, NULL), 0);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(figures(DEV_ALL).checks, 0);
}

static void only_as_many_as_are_named_are_named(void **state)
{
	(void)state;
	fake_truth(DEV_ALL, SV_LOST_MAX + 5, 0);
	load(a);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(figures(DEV_ALL).lost, SV_LOST_MAX + 5);
	assert_int_equal(figures(DEV_ALL).nr_named, SV_LOST_MAX);
	assert_int_equal(figures(DEV_ALL).lost_at[0], PAGE);
}

static void stats_show_that_it_runs(void **state)
{
	unsigned int before;

	(void)state;
	load(a);
	before = nr_stats_writes;
	assert_int_equal(set_state(a, RUN_P2P, NULL), 0);
	assert_int_equal(nr_stats_writes, before + 1);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(nr_stats_writes, before + 2);
	assert_int_equal(set_state(a, RUN_P2P, NULL), 0);
	assert_int_equal(nr_stats_writes, before + 2);
}

static void stats_show_at_once_that_a_source_runs_on(void **state)
{
	unsigned int before;
	int fd;

	(void)state;
	assert_int_equal(set_state(a, SAVE, &fd), 0);
	close(fd);
	assert_int_equal(set_state(a, STOP, NULL), 0);
	before = nr_stats_writes;
	assert_int_equal(set_state(a, RUN_P2P, NULL), 0);
	assert_int_equal(nr_stats_writes, before + 1);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(nr_stats_writes, before + 1);
}

static void it_is_told_whose_the_device_is(void **state)
{
	int fd;

	(void)state;
	load(a);
	assert_false(figures(DEV_ALL).ran);
	assert_int_equal(set_state(a, RUN_P2P, NULL), 0);
	assert_true(figures(DEV_ALL).ran);
	assert_false(figures(DEV_ALL).ran_on);
	assert_int_equal(set_state(a, SAVE, &fd), 0);
	close(fd);
	assert_false(figures(DEV_ALL).ran_on);
	assert_int_equal(set_state(a, STOP, NULL), 0);
	assert_int_equal(set_state(a, RUN_P2P, NULL), 0);
	assert_true(figures(DEV_ALL).ran_on);
	assert_int_equal(set_state(a, SAVE, &fd), 0);
	close(fd);
	/* As at its last close: that is not to run on. */
	assert_int_equal(dev_ioctl(a, VFIO_DEVICE_RESET, NULL), 0);
	assert_false(figures(DEV_ALL).ran_on);
}

static void who_refuses_its_state_does_so_until_it_is_reset(void **state)
{
	(void)state;
	inject_call[SV_CALL_RUN] = true;
	assert_int_equal(set_state(a, STOP, NULL), 0);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	load(a);
	assert_int_equal(set_state(a, RUNNING, NULL), -EIO);
	assert_int_equal(get_state(a), STOP);
	assert_int_equal(set_state(a, RUNNING, NULL), -EIO);
	assert_false(figures(DEV_ALL).ran);
	assert_int_equal(dev_ioctl(a, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(get_state(a), RUNNING);
	load(a);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
}

static void calls_fail_that_are_to_fail(void **state)
{
	const uint64_t range[2] = { BASE, PAGES * PAGE };
	char bytes[16];
	ssize_t n;
	int fd;

	(void)state;
	inject_call[SV_CALL_LOG_START] = true;
	assert_int_equal(log_start(a, PAGE, 1, range), -EIO);
	assert_int_equal(log_start(a, PAGE, 1, range), 0);
	assert_int_equal(log_stop(a), 0);
	assert_int_equal(set_state(a, SAVE, &fd), 0);
	inject_call[SV_CALL_STATE_READ] = true;
	assert_int_equal(dev_read(fd, bytes, sizeof(bytes)), -EIO);
	n = dev_read(fd, bytes, sizeof(bytes));
	assert_true(n > 0);
	close(fd);
	assert_int_equal(set_state(a, RESUMING, &fd), 0);
	inject_call[SV_CALL_STATE_WRITE] = true;
	assert_int_equal(dev_write(fd, bytes, (size_t)n), -EIO);
	/* Nothing of it was taken. */
	assert_int_equal(set_state(a, STOP, NULL), -EINVAL);
	assert_int_equal(get_state(a), RESUMING);
	close(fd);
}

static void figures_are_of_the_last_migration(void **state)
{
	size_t len;
	uint64_t stopped = figures(DEV_ALL).stopped.nr;

	(void)state;
	load(a);
	len = load(a);
	assert_int_equal(figures(DEV_ALL).state_saved, len);
	assert_int_equal(figures(DEV_ALL).state_loaded, len);
	assert_int_equal(set_state(a, RUNNING, NULL), 0);
	assert_int_equal(dma_write(DEV_ALL, BASE, 64), 0);
	assert_int_equal(set_state(a, STOP, NULL), 0);
	assert_int_equal(figures(DEV_ALL).stopped.nr, stopped + 2);
	assert_true(figures(DEV_ALL).stopped.at.dma_writes > 0);
}

static void only_reports_cost_report_time(void **state)
{
	const uint64_t range[2] = { BASE, PAGES * PAGE };
	uint64_t bits = 0, before, after;

	(void)state;
	assert_int_equal(log_start(a, PAGE, 1, range), 0);
	before = figures(DEV_ALL).report_ns;
	assert_int_equal(log_report(a, BASE, PAGE, PAGE, &bits), 0);
	after = figures(DEV_ALL).report_ns;
	assert_true(after > before);
	assert_int_equal(log_stop(a), 0);
	assert_int_equal(figures(DEV_ALL).report_ns, after);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_that_are_loaded_are_checked_before_the_first_runs),
		T(who_checked_before_is_not_kept_waiting),
		T(what_another_wrote_here_since_is_not_lost),
		T(device_that_reaches_no_memory_is_checked_by_its_own_start),
		T(state_that_was_reset_is_not_checked),
		T(only_as_many_as_are_named_are_named),
		T(stats_show_that_it_runs),
		T(stats_show_at_once_that_a_source_runs_on),
		T(it_is_told_whose_the_device_is),
		T(who_refuses_its_state_does_so_until_it_is_reset),
		T(calls_fail_that_are_to_fail),
		T(figures_are_of_the_last_migration),
		T(only_reports_cost_report_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
