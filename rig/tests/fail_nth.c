/* SPDX-License-Identifier: MIT */
/*
 * Every allocation and user copy that the kernel makes for a call of libspoor's
 * fails in turn (/proc/thread-self/fail-nth).  Whatever the call then says:
 * no page that the device wrote is lost, nothing stays pinned, locked or open,
 * and the same call made again works.  With a backend's name and "space", only
 * the calls whose answer is the backend's: the others, made of a device, are
 * the same in the kernel whichever it is attached through.
 *
 * usage: fail_nth type1|iommufd [space]
 */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <spoor/bitmap.h>
#include <spoor/tracker.h>

#define NR    9u
#define LEN   ((uint64_t)NR * PAGE)
#define IOVA  0x10000000ull
#define DEBUG "/sys/kernel/debug/"

/* A machine of one device, grown step by step. */
struct state {
	enum spoor_space_backend backend;
	struct spoor_space *space;
	struct spoor_device *dev;
	struct spoor_tracker *t;
	struct spoor_bitmap b;
	uint64_t words[NR / 64 + 1];
	void *mem;
	char saved[1 << 16];
	size_t nr_saved;
};

/* What a call may answer while a fault is injected is its own affair. */
struct step {
	const char *name;
	int (*run)(struct state *s);
	bool migrates; /* needs a driver that does; not of the backend's */
};

static char doing[64]; /* what to say if it fails */
static const struct spoor_range all = { .iova = IOVA, .len = LEN };

/* By default the allocations that may sleep, nearly all, are spared. */
static void spare_nothing(void)
{
	rig_put(DEBUG "failslab/ignore-gfp-wait", "N");
	rig_put(DEBUG "fail_page_alloc/ignore-gfp-wait", "N");
	rig_put(DEBUG "fail_page_alloc/ignore-gfp-highmem", "N");
	rig_put(DEBUG "fail_page_alloc/min-order", "0");
	rig_put(DEBUG "failslab/verbose", "0");
	rig_put(DEBUG "fail_page_alloc/verbose", "0");
	rig_put(DEBUG "fail_usercopy/verbose", "0");
}

static int fail_nth_fd;

static void arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	CHECK(pwrite(fail_nth_fd, text, (size_t)n, 0) == n);
}

/*
 * Did the fault happen?  Else the call made fewer than so many, and asking may
 * be what it hits: that is no fault of the call.
 */
static bool disarm(void)
{
	char text[16] = "";
	ssize_t n = pread(fail_nth_fd, text, sizeof(text) - 1, 0);
	bool fired = n > 0 && atoi(text) == 0;

	CHECK(n > 0 || errno == EFAULT);
	while (pwrite(fail_nth_fd, "0", 1, 0) != 1)
		CHECK(errno == EFAULT);
	return fired;
}

static unsigned int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	CHECK(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static long field(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long value = -1;

	CHECK(f);
	while (value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = atol(line + strlen(key));
	fclose(f);
	return value;
}

static long pages_pinned(void)
{
	rig_put("/proc/sys/vm/stat_refresh", "1");
	return field("/proc/vmstat", "nr_foll_pin_acquired ") -
	       field("/proc/vmstat", "nr_foll_pin_released ");
}

static int space_open(struct state *s)
{
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = s->backend,
					       .dirty_tracking = true,
					       .iommu_page = PAGE };

	return spoor_space_open(&s->space, "space", &opts);
}

static int device_open(struct state *s)
{
	return spoor_device_open(&s->dev, EDU0, NULL);
}

static int attach(struct state *s)
{
	return spoor_space_attach(s->space, s->dev);
}

static int enable(struct state *s)
{
	const uint16_t command = 6;

	return spoor_device_region_write(s->dev, 7, 4, &command, 2);
}

static int map(struct state *s)
{
	return spoor_space_map(s->space, &all, s->mem, 0);
}

static int open_tracker(struct state *s)
{
	return spoor_tracker_open_device(&s->t, s->dev);
}

static int start(struct state *s)
{
	uint64_t page;

	return spoor_tracker_start(s->t, &all, 1, PAGE, &page);
}

static void write_pages(struct state *s)
{
	edu_dma(s->dev, true, IOVA + 7 * PAGE - 8, 0, 16);
	edu_dma(s->dev, true, IOVA + 8 * PAGE, 0, 16);
}

static void new_bitmap(struct state *s)
{
	memset(s->words, 0, sizeof(s->words));
	OK(spoor_bitmap_init(&s->b, s->words, &all, 12));
}

static int collect(struct state *s)
{
	return spoor_tracker_collect(s->t, &all, &s->b, 0, NULL);
}

static int stop(struct state *s)
{
	return spoor_tracker_stop(s->t);
}

static int to_stop_copy(struct state *s)
{
	return spoor_device_set_state(s->dev, SPOOR_STATE_STOP_COPY);
}

/* A failed read is not repeated: the stream is no longer whole. */
static int save(struct state *s)
{
	enum spoor_device_state now;
	long n;

	/* After a failure: from the start. */
	if (s->nr_saved) {
		s->nr_saved = 0;
		if (spoor_device_get_state(s->dev, &now))
			return -EIO;
		if (now == SPOOR_STATE_ERROR && spoor_device_reset(s->dev))
			return -EIO;
		if (spoor_device_set_state(s->dev, SPOOR_STATE_STOP) ||
		    spoor_device_set_state(s->dev, SPOOR_STATE_STOP_COPY))
			return -EIO;
	}
	do {
		n = spoor_device_read_state(s->dev, s->saved + s->nr_saved,
					    sizeof(s->saved) - s->nr_saved);
		if (n > 0)
			s->nr_saved += (size_t)n;
	} while (n > 0);
	if (n < 0)
		s->nr_saved = s->nr_saved ? s->nr_saved : 1;
	return (int)n;
}

static int resume(struct state *s)
{
	int err = spoor_device_set_state(s->dev, SPOOR_STATE_STOP);

	if (!err)
		err = spoor_device_set_state(s->dev, SPOOR_STATE_RESUMING);
	if (!err)
		err = spoor_device_write_state(s->dev, s->saved, s->nr_saved);
	if (!err)
		err = spoor_device_set_state(s->dev, SPOOR_STATE_STOP);
	return err;
}

static int run_on(struct state *s)
{
	return spoor_device_set_state(s->dev, SPOOR_STATE_RUNNING);
}

static int unmap(struct state *s)
{
	return spoor_space_unmap(s->space, &all);
}

static const struct step steps[] = {
	{ "space_open", space_open, false },
	{ "device_open", device_open, false },
	{ "attach", attach, false },
	{ "enable", enable, false },
	{ "map", map, false },
	{ "tracker_open", open_tracker, true },
	{ "start", start, true },
	{ "collect", collect, true },
	{ "stop", stop, true },
	{ "to_stop_copy", to_stop_copy, true },
	{ "save", save, true },
	{ "resume", resume, true },
	{ "run_on", run_on, true },
	{ "unmap", unmap, false },
};

#define NR_STEPS (sizeof(steps) / sizeof(steps[0]))

/*
 * What a VMM would do: a device in ERROR, or with half a state, is reset; one that came to the state
 * asked for, but whose answer did not get out, goes there by way of STOP.
 */
static void recover(struct state *s, const struct step *step)
{
	enum spoor_device_state now;

	if (!s->dev || spoor_device_get_state(s->dev, &now))
		return;
	if (now == SPOOR_STATE_ERROR || now == SPOOR_STATE_RESUMING) {
		OK(spoor_device_reset(s->dev));
		rig_enable(s->dev);
	}
	if (step->run == to_stop_copy && now == SPOOR_STATE_STOP_COPY) {
		FAILS(to_stop_copy(s), EBADF);
		OK(spoor_device_set_state(s->dev, SPOOR_STATE_STOP));
	}
}

/* The call again, with no fault: it works, and nothing was lost between. */
static void repeat(struct state *s, const struct step *step, int first)
{
	const bool done = first == 0;

	if (step->run == collect) {
		/* A log that failed is not trusted again: all is dirty. */
		if (first) {
			CHECK(first == -EIO);
			CHECK(spoor_bitmap_count(&s->b) == NR);
			OK(stop(s));
			OK(start(s));
			write_pages(s);
			new_bitmap(s);
			OK(collect(s));
		}
		for (uint64_t p = 0; p < NR; p++)
			CHECK(spoor_bitmap_test(&s->b, IOVA + p * PAGE) ==
			      (p >= 6));
		return;
	}
	if (done)
		return;
	recover(s, step);
	/* Stopped all the same, its header says. */
	if (step->run != stop)
		OK(step->run(s));
}

static void tear_down(struct state *s)
{
	s->t = spoor_tracker_free(s->t);
	s->dev = spoor_device_free(s->dev);
	s->space = spoor_space_free(s->space);
}

static void run_to(struct state *s, size_t end, bool migrates)
{
	for (size_t i = 0; i < end; i++)
		if (!steps[i].migrates || migrates)
			OK(steps[i].run(s));
}

/* Fault number @nth in step @at; false: the step makes fewer calls. */
static bool sweep_one(struct state *s, size_t at, unsigned int nth,
		      bool migrates)
{
	bool fired;
	int err;

	s->nr_saved = 0;
	new_bitmap(s);
	snprintf(doing, sizeof(doing), "%s, fault %u", steps[at].name, nth);
	run_to(s, at, migrates);
	if (steps[at].run == collect)
		write_pages(s);
	arm(nth);
	err = steps[at].run(s);
	fired = disarm();
	CHECK(fired || !err);
	repeat(s, &steps[at], err);
	/* And what comes after it. */
	if (at + 1 < NR_STEPS && (!steps[at + 1].migrates || migrates))
		OK(steps[at + 1].run(s));
	tear_down(s);
	return fired;
}

static bool device_migrates(enum spoor_space_backend backend)
{
	struct spoor_device_info info;
	struct rig_device r;

	rig_up(&r, backend, EDU0);
	spoor_device_get_info(r.dev, &info);
	rig_down(&r);
	return info.migration;
}

static void say_what(void)
{
	if (doing[0])
		printf("in %s\n", doing);
}

int main(int argc, char **argv)
{
	struct state s = { .backend = rig_backend(argc, argv),
			   .mem = rig_memory(LEN) };
	const bool migrates = device_migrates(s.backend);
	const bool space_only = argc > 2 && !strcmp(argv[2], "space");
	const unsigned int fds = count_fds() + 1;
	const long pinned = pages_pinned();
	unsigned int total = 0;

	memset(s.mem, 0, LEN);
	atexit(say_what);
	spare_nothing();
	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	CHECK(fail_nth_fd >= 0);
	for (size_t at = 0; at < NR_STEPS; at++) {
		unsigned int nth = 1;

		if (steps[at].migrates && (!migrates || space_only))
			continue;
		while (sweep_one(&s, at, nth, migrates)) {
			CHECK(count_fds() == fds);
			CHECK(field("/proc/self/status", "VmPin:") == 0);
			CHECK(field("/proc/self/status", "VmLck:") == 0);
			CHECK(pages_pinned() == pinned);
			CHECK(++nth < 1000);
		}
		printf("%s: %u faults\n", steps[at].name, nth - 1);
		doing[0] = 0;
		total += nth - 1;
	}
	printf("%u faults: nothing lost, nothing leaked\n", total);
	CHECK(total > 50);
	munmap(s.mem, LEN);
	return 0;
}
