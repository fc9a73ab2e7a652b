/* SPDX-License-Identifier: MIT */
/* Migration states on a device: sessions, their files, failures, reset. */
#include "harness.h"

enum { E, STOP, RUN, SC, RES, RP, PC, PP, NR };

static const char *const names[] = { "ERROR",	  "STOP",	 "RUNNING",
				     "STOP_COPY", "RESUMING",	 "RUNNING_P2P",
				     "PRE_COPY",  "PRE_COPY_P2P" };
static const enum model_level levels[NR] = {
	[E] = MODEL_STOPPED,  [STOP] = MODEL_STOPPED, [RUN] = MODEL_RUNNING,
	[SC] = MODEL_STOPPED, [RES] = MODEL_STOPPED,  [RP] = MODEL_P2P,
	[PC] = MODEL_RUNNING, [PP] = MODEL_P2P,
};

static uint8_t stream[4096];
static size_t stream_len;

static enum model_level level(unsigned int index)
{
	return model_level(sv_model(sv_device_by_index(index)));
}

static size_t drain(int fd, uint8_t *buf, size_t room, ssize_t *ret_end)
{
	size_t len = 0;

	while ((*ret_end = dev_read(fd, buf + len, room - len)) > 0)
		len += (size_t)*ret_end;
	return len;
}

static void capture(void)
{
	uint32_t reg = 0x12345678;
	int dev, fd;
	ssize_t end;

	if (stream_len)
		return;
	dev = open_device(DEV_ALL);
	assert_int_equal(dev_pwrite(dev, &reg, 4, 4), 4);
	assert_int_equal(set_state(dev, SC, &fd), 0);
	stream_len = drain(fd, stream, sizeof(stream), &end);
	assert_int_equal(end, 0);
	assert_true(stream_len > 64);
	close(fd);
	close(dev);
}

/* Straight to a state; its data file or -1.  RESUMING comes loaded. */
static int go(int dev, unsigned int s)
{
	int fd = -1;

	if (s == RUN)
		return -1;
	assert_int_equal(set_state(dev, s, &fd), 0);
	if (s == RES)
		assert_int_equal(dev_write(fd, stream, stream_len), stream_len);
	return fd;
}

static bool saving(unsigned int s)
{
	return s == PC || s == PP || s == SC;
}

/* Which transitions return a file: those that begin a session. */
static bool begins(unsigned int from, unsigned int to)
{
	if (from == to)
		return false;
	if (to == RES)
		return true;
	if (to == SC)
		return from != PC && from != PP;
	return (to == PC || to == PP) && !saving(from);
}

static bool keeps(unsigned int from, unsigned int to)
{
	return from == to || (saving(from) && from != SC && saving(to));
}

static void check_one(unsigned int index, unsigned int caps, unsigned int from,
		      unsigned int to)
{
	int dev = open_device(index), old, fd = -2, r;
	bool legal = sv_fsm_has_state(caps, to) &&
		     !(from == SC && (to == PC || to == PP));
	uint8_t b;

	old = go(dev, from);
	r = set_state(dev, to, &fd);
	if (!legal)
		assert_int_equal(r, -EINVAL);
	else
		assert_int_equal(r, 0);
	assert_int_equal(get_state(dev), legal ? to : from);
	if ((fd >= 0) != (legal && begins(from, to)))
		fail_msg("%s to %s: data_fd %d", names[from], names[to], fd);
	if (legal)
		assert_int_equal(level(index), levels[to]);
	if (old >= 0 && from == RES) {
		assert_int_equal(dev_write(old, "", 0),
				 !legal || to == RES ? 0 : -ENODEV);
	} else if (old >= 0) {
		bool alive = !legal || keeps(from, to);

		assert_int_equal(dev_read(old, &b, 1), alive ? 1 : -ENODEV);
	}
	if (fd >= 0)
		assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE,
				 to == RES ? O_WRONLY : O_RDONLY);
	if (fd >= 0)
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	if (fd >= 0)
		close(fd);
	if (old >= 0)
		close(old);
	close(dev);
}

static void every_transition_answers_as_the_uapi_says(void **state)
{
	static const unsigned int index[] = { DEV_STOP, DEV_P2P, DEV_PRE,
					      DEV_ALL };
	unsigned int i, from, to;

	(void)state;
	for (i = 0; i < 4; i++) {
		unsigned int caps =
			sv_device_caps(sv_device_by_index(index[i]));

		for (from = 1; from < NR; from++) {
			if (!sv_fsm_has_state(caps, from))
				continue;
			for (to = 0; to < NR + 2; to++)
				check_one(index[i], caps, from,
					  to < NR ? to : 7 + to * to);
		}
	}
	assert_int_equal(fake_nr_streams(), 0);
}

static void saved_state_loads_into_another_device(void **state)
{
	int dev = open_device(DEV_PEER), fd;
	uint32_t reg = 0;

	(void)state;
	fd = go(dev, RES);
	assert_int_equal(set_state(dev, RUN, NULL), 0);
	assert_int_equal(dev_pread(dev, &reg, 4, 4), 4);
	assert_int_equal(reg, 0x12345678);
	assert_int_equal(dev_write(fd, stream, 1), -ENODEV);
	close(fd);
	close(dev);
}

static void broken_streams_leave_the_device_in_error(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		int dev = open_device(DEV_ALL), fd;
		uint8_t bad[8192];
		size_t len = stream_len;

		memcpy(bad, stream, len);
		memcpy(bad + len, stream, len);
		if (i == 0)
			len--;
		if (i == 1)
			len *= 2;
		if (i == 2)
			bad[0] ^= 0x40;
		if (i == 3)
			len++;
		assert_int_equal(set_state(dev, RES, &fd), 0);
		assert_int_equal(dev_write(fd, bad, len), len);
		assert_int_equal(set_state(dev, RUN, NULL), -EINVAL);
		assert_int_equal(get_state(dev), E);
		assert_int_equal(level(DEV_ALL), MODEL_STOPPED);
		assert_int_equal(dev_write(fd, bad, 1), -ENODEV);
		assert_int_equal(set_state(dev, STOP, NULL), -EINVAL);
		assert_int_equal(set_state(dev, E, NULL), 0);
		assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_RESET, NULL), 0);
		assert_int_equal(get_state(dev), RUN);
		assert_int_equal(level(DEV_ALL), MODEL_RUNNING);
		close(fd);
		close(dev);
	}
}

static void nothing_written_leaves_the_device_resuming(void **state)
{
	int dev = open_device(DEV_ALL), fd;

	(void)state;
	assert_int_equal(set_state(dev, RES, &fd), 0);
	assert_int_equal(dev_write(fd, stream, 0), 0);
	assert_int_equal(set_state(dev, RUN, NULL), -EINVAL);
	assert_int_equal(get_state(dev), RES);
	/* And it still takes one. */
	assert_int_equal(dev_write(fd, stream, stream_len), stream_len);
	assert_int_equal(set_state(dev, RUN, NULL), 0);
	assert_int_equal(get_state(dev), RUN);
	close(fd);
	close(dev);
}

static void pre_copy_session_goes_on_in_stop_copy(void **state)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info), .flags = 9 };
	int dev = open_device(DEV_ALL), dst = open_device(DEV_PEER), fd, in;
	uint32_t reg = 0xabcd;
	uint8_t buf[8192];
	size_t len;
	ssize_t end;

	(void)state;
	assert_int_equal(set_state(dev, PC, &fd), 0);
	assert_int_equal(dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), 0);
	assert_int_equal(info.initial_bytes, 108);
	assert_int_equal(info.dirty_bytes, 0);
	assert_int_equal(info.flags, 9);
	len = drain(fd, buf, sizeof(buf), &end);
	assert_int_equal(len, 108);
	assert_int_equal(end, -ENOMSG);
	assert_int_equal(dev_read(fd, buf, 0), -ENOMSG);
	assert_int_equal(dev_pwrite(dev, &reg, 4, 8), 4);
	assert_int_equal(dev_read(fd, NULL, 0), 0);
	assert_int_equal(dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), 0);
	assert_int_equal(info.initial_bytes, 0);
	assert_int_equal(info.dirty_bytes, 108);
	assert_int_equal(set_state(dev, SC, NULL), 0);
	assert_int_equal(dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info),
			 -EINVAL);
	len += drain(fd, buf + len, sizeof(buf) - len, &end);
	assert_int_equal(end, 0);
	assert_int_equal(dev_read(fd, buf, 0), 0);
	assert_int_equal(set_state(dst, RES, &in), 0);
	assert_int_equal(dev_write(in, buf, len), len);
	assert_int_equal(set_state(dst, STOP, NULL), 0);
	assert_int_equal(dev_pread(dst, &reg, 4, 8), 4);
	assert_int_equal(reg, 0xabcd);
	close(in);
	close(fd);
	close(dev);
	close(dst);
}

static void precopy_info_checks_in_order(void **state)
{
	struct vfio_precopy_info info = { 0 };
	int dev = open_device(DEV_ALL), fd;
	uint32_t a;

	(void)state;
	assert_int_equal(set_state(dev, PC, &fd), 0);
	for (a = 0; a <= 40; a += 8) {
		info.argsz = a;
		assert_int_equal(
			dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info),
			a < sizeof(info) ? -EINVAL : 0);
	}
	assert_int_equal(dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, NULL),
			 -EFAULT);
	info.argsz = sizeof(info);
	assert_int_equal(dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO,
				   read_only(&info, sizeof(info))),
			 -EFAULT);
	assert_int_equal(dev_ioctl(fd, VFIO_DEVICE_GET_INFO, &info), -ENOTTY);
	assert_int_equal(set_state(dev, RUN, NULL), 0);
	assert_int_equal(dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info),
			 -ENODEV);
	close(fd);
	assert_int_equal(set_state(dev, RES, &fd), 0);
	assert_int_equal(dev_ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info),
			 -ENOTTY);
	close(fd);
	close(dev);
}

static void data_files_refuse_what_streams_cannot(void **state)
{
	int dev = open_device(DEV_ALL), fd;
	uint8_t b[4] = { 0 };

	(void)state;
	assert_int_equal(set_state(dev, SC, &fd), 0);
	assert_int_equal(dev_write(fd, b, 4), -EBADF);
	assert_int_equal(dev_pread(fd, b, 4, 0), -ESPIPE);
	close(fd);
	assert_int_equal(set_state(dev, RES, &fd), 0);
	assert_int_equal(dev_read(fd, b, 4), -EBADF);
	assert_int_equal(dev_pwrite(fd, b, 4, 0), -ESPIPE);
	assert_int_equal(dev_write(fd, guard_page() + PAGE, 4), -EFAULT);
	close(fd);
	close(dev);
}

static void bad_read_buffer_loses_no_byte(void **state)
{
	int dev = open_device(DEV_ALL), fd;
	uint8_t *g = guard_page(), buf[4096];
	uint32_t reg = 0x12345678;
	size_t len;
	ssize_t end;

	(void)state;
	assert_int_equal(dev_pwrite(dev, &reg, 4, 4), 4);
	assert_int_equal(set_state(dev, SC, &fd), 0);
	assert_int_equal(dev_read(fd, g + PAGE, 16), -EFAULT);
	assert_int_equal(dev_read(fd, g + PAGE - 8, 16), -EFAULT);
	assert_int_equal(dev_read(fd, buf, 3), 3);
	len = 3 + drain(fd, buf + 3, sizeof(buf) - 3, &end);
	assert_int_equal(len, stream_len);
	assert_memory_equal(buf, stream, len);
	close(fd);
	close(dev);
}

static void session_outlives_its_file_and_dies_with_the_device(void **state)
{
	int dev = open_device(DEV_ALL), fd;
	uint8_t b;

	(void)state;
	assert_int_equal(set_state(dev, PC, &fd), 0);
	close(fd);
	assert_int_equal(set_state(dev, PP, NULL), 0);
	assert_int_equal(set_state(dev, SC, NULL), 0);
	assert_int_equal(set_state(dev, STOP, NULL), 0);
	assert_int_equal(set_state(dev, SC, &fd), 0);
	close(dev);
	assert_int_equal(dev_read(fd, &b, 1), -ENODEV);
	close(fd);
	assert_int_equal(fake_nr_streams(), 0);
	dev = open_device(DEV_ALL);
	assert_int_equal(get_state(dev), RUN);
	close(dev);
}

static void reset_leads_every_state_to_running(void **state)
{
	const struct vfio_device_feature_dma_logging_range all = { BASE, PAGE };
	unsigned int s;
	uint64_t bits;

	(void)state;
	for (s = 1; s < NR; s++) {
		int dev = open_device(DEV_ALL), fd;
		uint16_t command = 0;
		uint32_t reg = 7;
		uint8_t b;

		assert_int_equal(dev_pwrite(dev, &reg, 4, 0), 4);
		assert_int_equal(log_start(dev, PAGE, 1, &all), 0);
		fd = go(dev, s);
		assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_RESET, NULL), 0);
		assert_int_equal(get_state(dev), RUN);
		assert_int_equal(level(DEV_ALL), MODEL_RUNNING);
		if (fd >= 0 && s == RES)
			assert_int_equal(dev_write(fd, &b, 1), -ENODEV);
		else if (fd >= 0)
			assert_int_equal(dev_read(fd, &b, 1), -ENODEV);
		assert_int_equal(log_report(dev, BASE, PAGE, PAGE, &bits),
				 -EINVAL);
		assert_int_equal(dev_pread(dev, &reg, 4, 0), 4);
		assert_int_equal(reg, 0);
		/* Linux puts the configuration space back. */
		assert_int_equal(dev_pread(dev, &command, 2, CONFIG + 4), 2);
		assert_int_equal(command, 6);
		if (fd >= 0)
			close(fd);
		assert_int_equal(set_state(dev, SC, &fd), 0);
		close(fd);
		close(dev);
	}
}

static void injected_failures_stop_where_asked(void **state)
{
	int dev = open_device(DEV_ALL), fd;
	unsigned int asks;

	(void)state;
	asks = nr_state_asks;
	inject_state_err = -EPROTO;
	assert_int_equal(set_state(dev, RUN, NULL), 0);
	assert_int_equal(set_state(dev, 9, NULL), -EINVAL);
	assert_int_equal(nr_state_asks, asks);
	assert_int_equal(set_state(dev, PC, NULL), -EPROTO);
	assert_int_equal(nr_state_asks, asks + 1);
	assert_int_equal(get_state(dev), RUN);
	assert_int_equal(set_state(dev, PC, &fd), 0);
	inject_state_err = -EIO;
	inject_state_to_error = true;
	assert_int_equal(set_state(dev, SC, NULL), -EIO);
	inject_state_to_error = false;
	assert_int_equal(get_state(dev), E);
	assert_int_equal(level(DEV_ALL), MODEL_STOPPED);
	assert_int_equal(dev_read(fd, &asks, 1), -ENODEV);
	close(fd);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_RESET, NULL), 0);
	sv_device_force_error(sv_device_by_index(DEV_ALL));
	assert_int_equal(get_state(dev), E);
	close(dev);
}

static void failed_arcs_leave_the_state_that_was_reached(void **state)
{
	int dev = open_device(DEV_ALL), fd;

	(void)state;
	assert_int_equal(set_state(dev, STOP, NULL), 0);
	/* A taken port: it cannot run again. */
	fake_fail_level(DEV_ALL, MODEL_RUNNING, -EADDRINUSE);
	assert_int_equal(set_state(dev, RUN, NULL), -EADDRINUSE);
	assert_int_equal(get_state(dev), RP);
	assert_int_equal(set_state(dev, RUN, NULL), 0);
	assert_int_equal(set_state(dev, PC, &fd), 0);
	fake_fail_final(-ENOMEM);
	assert_int_equal(set_state(dev, SC, NULL), -ENOMEM);
	assert_int_equal(get_state(dev), PP);
	assert_int_equal(level(DEV_ALL), MODEL_P2P);
	fake_fail_final(-ENOMEM);
	fake_fail_level(DEV_ALL, MODEL_P2P, -EADDRINUSE);
	assert_int_equal(set_state(dev, SC, NULL), -ENOMEM);
	assert_int_equal(get_state(dev), E);
	close(fd);
	close(dev);
}

static void stats_are_written_at_each_stop_while_it_holds(void **state)
{
	int dev = open_device(DEV_ALL), fd;
	unsigned int before = nr_stats_writes;

	(void)state;
	level_at_stats = MODEL_RUNNING;
	assert_int_equal(set_state(dev, PC, &fd), 0);
	assert_int_equal(nr_stats_writes, before);
	assert_int_equal(set_state(dev, SC, NULL), 0);
	assert_int_equal(nr_stats_writes, before + 1);
	assert_int_equal(level_at_stats, MODEL_STOPPED);
	close(fd);
	/* On the way it stops, and then it runs on with its state saved. */
	assert_int_equal(set_state(dev, RUN, NULL), 0);
	assert_int_equal(nr_stats_writes, before + 3);
	assert_int_equal(set_state(dev, SC, &fd), 0);
	assert_int_equal(nr_stats_writes, before + 5);
	close(fd);
	close(dev);
}

static void states_are_recorded_with_those_on_the_way(void **state)
{
	static const uint8_t way[] = { RUN, PC, PP, SC, STOP, RP, RUN };
	struct sv_device *d = sv_device_by_index(DEV_MDEV);
	int dev = open_device(DEV_MDEV), fd;
	struct sv_state_seen seen[16];

	(void)state;
	assert_int_equal(set_state(dev, PC, &fd), 0);
	assert_int_equal(set_state(dev, SC, NULL), 0);
	assert_int_equal(set_state(dev, RUN, NULL), 0);
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(sv_device_states(d, seen, 16), sizeof(way));
	for (size_t i = 0; i < sizeof(way); i++) {
		assert_int_equal(seen[i].state, way[i]);
		assert_true(seen[i].ns >= (i ? seen[i - 1].ns : 1));
	}
	memset(seen, 0xee, sizeof(seen));
	assert_int_equal(sv_device_states(d, seen, 2), sizeof(way));
	assert_int_equal(seen[2].state, 0xee);
	close(fd);
	close(dev);
}

static void frame_that_cannot_be_written_still_moved_the_device(void **state)
{
	struct {
		uint32_t head[2];
		struct vfio_device_feature_mig_state m;
	} frame = { { 16, VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE },
		    { SC, 0 } };
	int dev = open_device(DEV_ALL), fd, files = open_files();

	(void)state;
	assert_int_equal(dev_ioctl(dev, VFIO_DEVICE_FEATURE,
				   read_only(&frame, sizeof(frame))),
			 -EFAULT);
	assert_int_equal(get_state(dev), SC);
	assert_int_equal(open_files(), files);
	assert_int_equal(set_state(dev, SC, NULL), 0);
	assert_int_equal(set_state(dev, STOP, NULL), 0);
	assert_int_equal(set_state(dev, SC, &fd), 0);
	close(fd);
	close(dev);
}

static void old_kernel_knows_no_pre_copy(void **state)
{
	int dev, fd;

	(void)state;
	machine.kernel = SV_KERNEL_6_1;
	dev = open_device(DEV_ALL);
	assert_int_equal(set_state(dev, PC, NULL), -EINVAL);
	assert_int_equal(set_state(dev, RP, NULL), 0);
	assert_int_equal(set_state(dev, SC, &fd), 0);
	machine.kernel = SV_KERNEL_6_12;
	close(fd);
	close(dev);
}

static int setup(void **state)
{
	(void)state;
	capture();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return open_files() || fake_nr_streams();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_transition_answers_as_the_uapi_says),
		cmocka_unit_test(saved_state_loads_into_another_device),
		cmocka_unit_test(broken_streams_leave_the_device_in_error),
		cmocka_unit_test(nothing_written_leaves_the_device_resuming),
		cmocka_unit_test(pre_copy_session_goes_on_in_stop_copy),
		cmocka_unit_test(precopy_info_checks_in_order),
		cmocka_unit_test(data_files_refuse_what_streams_cannot),
		cmocka_unit_test(bad_read_buffer_loses_no_byte),
		cmocka_unit_test(
			session_outlives_its_file_and_dies_with_the_device),
		cmocka_unit_test(reset_leads_every_state_to_running),
		cmocka_unit_test(injected_failures_stop_where_asked),
		cmocka_unit_test(failed_arcs_leave_the_state_that_was_reached),
		cmocka_unit_test(stats_are_written_at_each_stop_while_it_holds),
		cmocka_unit_test(states_are_recorded_with_those_on_the_way),
		cmocka_unit_test(
			frame_that_cannot_be_written_still_moved_the_device),
		cmocka_unit_test(old_kernel_knows_no_pre_copy),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
