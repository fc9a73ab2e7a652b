/* SPDX-License-Identifier: MIT */
/* Resets of edu's variant driver, and steps that fail on demand. */
#include "edu.h"

#include <fcntl.h>
#include <pthread.h>

#include <linux/vfio.h>

static void reset_in_every_state_leads_to_running(void)
{
	unsigned int state;
	struct edu e;
	char byte;
	int fd;

	edu_open(&e, places.resettable);
	for (state = STOP; state < NR_STATES; state++) {
		set4(&e, REG_ADDR4, 5);
		if (edu_go(&e, (enum state)state, &fd))
			continue;
		CHECK(!edu_reset(&e));
		CHECK(edu_state(&e) == RUNNING);
		CHECK(get4(&e, REG_ADDR4) == 0);
		if (fd >= 0) {
			errno = 0;
			CHECK((state == RESUMING ? write(fd, "", 1)
						 : read(fd, &byte, 1)) < 0);
			CHECK(errno == ENODEV);
			close(fd);
		}
		/* And it works. */
		e.memory[0] = 1;
		edu_dma(&e, false, IOVA, 0, 8);
		edu_dma(&e, true, IOVA + PAGE, 0, 8);
		CHECK(e.memory[PAGE] == 1);
		e.memory[PAGE] = 0;
	}
	edu_close(&e);
}

/* edu goes on writing across a reset of its bus: the driver waits for it. */
static void reset_waits_for_dma_and_keeps_the_log(void)
{
	struct edu e;

	edu_open(&e, places.resettable);
	CHECK(!log_start_all(&e, PAGE));
	memset(e.memory, 0x66, PAGE);
	edu_dma(&e, false, IOVA, 0, PAGE);
	edu_dma(&e, true, IOVA + 2 * PAGE, 0, 8);
	edu_ring(&e, true, IOVA + 3 * PAGE, 0, 8, 0);
	CHECK(!edu_reset(&e));
	CHECK(e.memory[3 * PAGE] == 0x66);
	CHECK(!edu_busy(&e));
	CHECK(edu_get(&e, REG_SRC, 8) == 0);
	CHECK(log_is(&e, "2-3"));
	FAILS(log_start_all(&e, PAGE), EINVAL);
	edu_dma(&e, true, IOVA + 4 * PAGE, 0, 8);
	CHECK(log_is(&e, "4"));
	edu_close(&e);
}

static void reset_drops_what_was_held_back(void)
{
	struct edu e;

	edu_open(&e, places.resettable);
	if (!(e.flags & VFIO_MIGRATION_P2P)) {
		edu_close(&e);
		return;
	}
	memset(e.memory, 0x77, PAGE);
	edu_dma(&e, false, IOVA, 0, PAGE);
	edu_param("p2p_all", "1");
	CHECK(!edu_go(&e, RUNNING_P2P, NULL));
	edu_ring(&e, true, IOVA + PAGE, 0, 8, 0);
	CHECK(!edu_reset(&e));
	CHECK(!edu_busy(&e));
	usleep(300000);
	CHECK(e.memory[PAGE] == 0);
	edu_param("p2p_all", "0");
	edu_close(&e);
}

struct storm {
	struct edu *e;
	volatile bool end;
	unsigned int done;
};

static void *resets(void *arg)
{
	struct storm *s = arg;

	while (!s->end) {
		CHECK(!edu_reset(s->e));
		s->done++;
		usleep(30000 + s->done % 7 * 20000);
	}
	return NULL;
}

static void *reports(void *arg)
{
	struct storm *s = arg;
	uint8_t bitmap[NR_PAGES / 8] = { 0 };

	while (!s->end) {
		CHECK(!log_report(s->e, IOVA, NR_PAGES * PAGE, PAGE, bitmap));
		(void)get4(s->e, REG_CMD);
		edu_ring(s->e, true, IOVA + 9 * PAGE, 0, 8, 0);
		usleep(20000);
	}
	return NULL;
}

/*
 * Whatever the states are when they come: each call succeeds, or fails with an
 * error that says that the device was reset under it. After the last one the
 * device runs, and works.
 */
static void resets_race_with_everything(void)
{
	struct storm s = { 0 };
	pthread_t threads[2];
	struct edu e;
	char buf[3000];
	double end;
	int fd, ret;

	edu_open(&e, places.resettable);
	s.e = &e;
	CHECK(!log_start_all(&e, PAGE));
	CHECK(!pthread_create(&threads[0], NULL, resets, &s));
	CHECK(!pthread_create(&threads[1], NULL, reports, &s));
	end = now() + 3;
	while (now() < end) {
		enum state state = (enum state)(1 + (int)(now() * 1000) % 7);

		ret = edu_go(&e, state, &fd);
		CHECK(!ret || ret == -ENODEV || ret == -EINVAL);
		if (fd < 0)
			continue;
		if (state == RESUMING)
			(void)!write(fd, buf, sizeof(buf));
		else
			while (read(fd, buf, sizeof(buf)) > 0)
				;
		close(fd);
	}
	s.end = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	CHECK(s.done > 5);
	CHECK(!edu_reset(&e));
	CHECK(edu_state(&e) == RUNNING);
	log_dirty(&e);
	edu_dma(&e, true, IOVA + 4 * PAGE, 0, 8);
	CHECK(log_is(&e, "4"));
	edu_close(&e);
}

static void error_is_left_by_reset(void)
{
	unsigned int state;
	struct edu e;

	edu_open(&e, places.resettable);
	edu_param("force_error", "1");
	CHECK(edu_state(&e) == ERROR);
	for (state = STOP; state < NR_STATES; state++)
		FAILS(edu_go(&e, (enum state)state, NULL), EINVAL);
	CHECK(!edu_reset(&e));
	CHECK(edu_state(&e) == RUNNING);
	CHECK(!edu_go(&e, STOP, NULL));
	edu_close(&e);
}

void reset_tests(void)
{
	if (!places.resettable) {
		printf("resets: left out\n");
		return;
	}
	reset_in_every_state_leads_to_running();
	reset_waits_for_dma_and_keeps_the_log();
	reset_drops_what_was_held_back();
	error_is_left_by_reset();
	resets_race_with_everything();
	printf("resets: ok\n");
}

static void starts_and_reports_fail_on_demand(void)
{
	uint8_t bitmap[NR_PAGES / 8] = { 0 };
	struct edu e;

	edu_open(&e, places.a);
	edu_param("fail_start", "2");
	CHECK(!log_start_all(&e, PAGE));
	CHECK(!log_stop(&e));
	FAILS(log_start_all(&e, PAGE), EIO);
	CHECK(!log_start_all(&e, PAGE));
	edu_dma(&e, true, IOVA + 3 * PAGE, 0, 8);
	edu_param("fail_report", "1");
	FAILS(log_report(&e, IOVA, NR_PAGES * PAGE, PAGE, bitmap), EIO);
	CHECK(bitmap[0] == 0);
	/* As the interface warns: the log is not what it was. */
	CHECK(log_is(&e, ""));
	edu_dma(&e, true, IOVA + 4 * PAGE, 0, 8);
	CHECK(log_is(&e, "4"));
	edu_close(&e);
}

static void saving_fails_on_demand_and_can_be_tried_again(void)
{
	struct edu e;
	int fd;

	edu_open(&e, places.a);
	edu_param("fail_save", "1");
	FAILS(edu_go(&e, STOP_COPY, &fd), EIO);
	CHECK(edu_state(&e) == STOP);
	CHECK(!edu_go(&e, STOP_COPY, &fd));
	close(fd);
	CHECK(!edu_go(&e, RUNNING, NULL));
	if (e.flags & 4) {
		edu_param("fail_save", "1");
		FAILS(edu_go(&e, PRE_COPY, &fd), EIO);
		CHECK(edu_state(&e) == RUNNING);
		CHECK(!edu_go(&e, PRE_COPY, &fd));
		edu_param("fail_save", "1");
		FAILS(edu_go(&e, STOP_COPY, NULL), EIO);
		/* PRE_COPY, or on the way from it; and there it goes on. */
		CHECK(edu_state(&e) == PRE_COPY ||
		      edu_state(&e) == PRE_COPY_P2P);
		edu_dma(&e, true, IOVA, 0, 8);
		CHECK(!edu_go(&e, STOP_COPY, NULL));
		close(fd);
	}
	edu_close(&e);
}

static void loading_fails_on_demand(void)
{
	struct edu_image image = { .magic = EDU_IMAGE_MAGIC,
				   .flags = EDU_IMAGE_FINAL };
	struct edu e;
	int fd;

	image_seal(&image);
	edu_open(&e, places.a);
	edu_param("fail_load", "1");
	CHECK(!edu_go(&e, RESUMING, &fd));
	CHECK(!stream_write(fd, &image, sizeof(image), sizeof(image)));
	FAILS(edu_go(&e, RUNNING, NULL), EIO);
	CHECK(edu_state(&e) == RESUMING);
	close(fd);
	edu_close(&e);
}

static void a_device_that_will_not_stop_is_in_error(void)
{
	struct edu e;

	edu_open(&e, places.a);
	edu_param("fail_stop", "1");
	FAILS(edu_go(&e, STOP, NULL), EIO);
	CHECK(edu_state(&e) == ERROR);
	FAILS(edu_go(&e, RUNNING, NULL), EINVAL);
	edu_close(&e);
	edu_open(&e, places.a);
	CHECK(edu_state(&e) == RUNNING);
	edu_close(&e);
}

static void no_room_for_the_bounce_page_is_said(void)
{
	struct edu e;
	int fd;

	edu_open(&e, places.a);
	/* Mapped by the user, and so the only place is taken. */
	edu_param("bounce_iova", "0x101000");
	FAILS(edu_go(&e, STOP_COPY, &fd), ENOSPC);
	CHECK(edu_state(&e) == STOP);
	edu_param("bounce_iova", "0x7000000");
	CHECK(!edu_go(&e, STOP_COPY, &fd));
	edu_param("bounce_iova", "0");
	close(fd);
	edu_close(&e);
}

/*
 * Every allocation and copy that a call makes fails in turn, on kernels that
 * can do that. The file is opened once: opening it would count as well.
 */
static int nth_fd = -1;

static void fail_nth(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	CHECK(pwrite(nth_fd, text, (size_t)len, 0) == len);
}

static bool nth_was_reached(void)
{
	char text[16] = "";
	ssize_t len = pread(nth_fd, text, sizeof(text) - 1, 0);

	/* Not reached before: then this read may be what fails. */
	CHECK(len > 0 || errno == EFAULT);
	fail_nth(0);
	return len > 0 && text[0] == '0';
}

static bool injection_is_there(void)
{
	static const char *const waits[] = {
		"/sys/kernel/debug/failslab/ignore-gfp-wait",
		"/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait",
	};
	unsigned int i;
	FILE *f;

	for (i = 0; i < 2; i++) {
		f = fopen(waits[i], "w");
		if (!f)
			return false;
		fprintf(f, "N");
		fclose(f);
	}
	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	return nth_fd >= 0;
}

static void no_allocation_is_trusted(void)
{
	static const enum state ways[] = { STOP_COPY, PRE_COPY, RESUMING };
	uint8_t bitmap[NR_PAGES / 8] = { 0 };
	unsigned int i, nr = 0;
	struct edu e;
	int n, fd, ret;

	if (!injection_is_there()) {
		printf("allocations: left out\n");
		return;
	}
	edu_open(&e, places.a);
	for (i = 0; i < 3; i++) {
		if (ways[i] == PRE_COPY && !(e.flags & 4))
			continue;
		for (n = 1;; n++) {
			fail_nth(n);
			ret = edu_go(&e, ways[i], &fd);
			if (!nth_was_reached())
				break;
			nr++;
			/* The state is what it says, and leads back. */
			if (ret && edu_state(&e) != ways[i])
				CHECK(!edu_go(&e, ways[i], &fd));
			if (fd >= 0)
				close(fd);
			edu_close(&e);
			edu_open(&e, places.a);
		}
		CHECK(!ret);
		close(fd);
		edu_close(&e);
		edu_open(&e, places.a);
	}
	for (n = 1;; n++) {
		fail_nth(n);
		ret = log_start_all(&e, PAGE);
		if (!nth_was_reached())
			break;
		nr++;
		CHECK(!log_stop(&e));
	}
	CHECK(!ret);
	/*
	 * Who fails to tell must not have forgotten. A bitmap that cannot be
	 * pinned is another matter: the kernel keeps that to itself.
	 */
	for (n = 1;; n++) {
		edu_dma(&e, true, IOVA + 3 * PAGE, 0, 8);
		fail_nth(n);
		ret = log_report(&e, IOVA, NR_PAGES * PAGE, PAGE, bitmap);
		if (!nth_was_reached())
			break;
		nr++;
		CHECK(log_is(&e, ret ? "3" : ""));
		bitmap[0] = 0;
	}
	CHECK(!ret && bitmap[0] == 8);
	printf("allocations: %u failed\n", nr);
	close(nth_fd);
	edu_close(&e);
}

void fail_tests(void)
{
	starts_and_reports_fail_on_demand();
	saving_fails_on_demand_and_can_be_tried_again();
	loading_fails_on_demand();
	a_device_that_will_not_stop_is_in_error();
	no_room_for_the_bounce_page_is_said();
	no_allocation_is_trusted();
	printf("failures: ok\n");
}
