/* SPDX-License-Identifier: MIT */
/* Migration states of edu's variant driver, and what DMA does in them. */
#include "edu.h"

#include <sys/mman.h>

#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

static bool supported(struct edu *e, enum state state)
{
	switch (state) {
	case RUNNING_P2P:
		return e->flags & VFIO_MIGRATION_P2P;
	case PRE_COPY:
		return e->flags & 4;
	case PRE_COPY_P2P:
		return e->flags & 4 && e->flags & VFIO_MIGRATION_P2P;
	case ERROR:
		return false;
	default:
		return true;
	}
}

static bool pre_copy(enum state state)
{
	return state == PRE_COPY || state == PRE_COPY_P2P;
}

/* A state that hands out a file when entered from one that has none. */
static bool has_file(enum state state)
{
	return pre_copy(state) || state == STOP_COPY || state == RESUMING;
}

static void load_an_image(int fd)
{
	static struct edu_image image = { .magic = EDU_IMAGE_MAGIC,
					  .flags = EDU_IMAGE_FINAL };

	/* In the device's language, whoever made it: 0 is 34!. */
	image_seal(&image);
	CHECK(!stream_write(fd, &image, EDU_IMAGE_SIZE, EDU_IMAGE_SIZE));
}

static void arc(struct edu *e, enum state from, enum state to)
{
	bool keeps = from == to || (pre_copy(from) && pre_copy(to)) ||
		     (pre_copy(from) && to == STOP_COPY);
	bool possible =
		supported(e, to) && !(from == STOP_COPY && pre_copy(to));
	int fd = -1, next = -1, ret;
	char byte;

	CHECK(!edu_go(e, RUNNING, NULL));
	CHECK(!edu_go(e, from, &fd));
	CHECK(has_file(from) == (fd >= 0));
	CHECK(edu_state(e) == from);
	if (from == RESUMING && to != RESUMING && possible)
		load_an_image(fd);

	ret = edu_go(e, to, &next);
	CHECK(ret == (possible ? 0 : -EINVAL));
	CHECK(edu_state(e) == (possible ? to : from));
	CHECK((next >= 0) == (possible && !keeps && has_file(to)));
	/* The old file goes on, or has ended. */
	if (fd >= 0) {
		errno = 0;
		ret = from == RESUMING ? (int)write(fd, "", 1)
				       : (int)read(fd, &byte, 1);
		if (!possible || keeps)
			CHECK(ret == 1);
		else
			CHECK(ret < 0 && errno == ENODEV);
		close(fd);
	}
	if (next >= 0)
		close(next);
	if (edu_state(e) == RESUMING) {
		/* Its stream is spoilt: only a new life leaves it. */
		edu_close(e);
		edu_open(e, places.a);
	}
}

static void every_arc_leads_where_it_should(void)
{
	unsigned int from, to;
	struct edu e;

	edu_open(&e, places.a);
	for (from = STOP; from < NR_STATES; from++)
		for (to = ERROR; to < NR_STATES; to++)
			if (supported(&e, (enum state)from))
				arc(&e, (enum state)from, (enum state)to);
	edu_close(&e);
}

static void stop_waits_for_dma_and_logs_it(void)
{
	struct edu e;
	uint8_t seen;

	edu_open(&e, places.a);
	CHECK(!log_start_all(&e, PAGE));
	memset(e.memory, 0x11, PAGE);
	edu_dma(&e, false, IOVA, 0, PAGE);
	edu_ring(&e, true, IOVA + 4 * PAGE, 0, 8, 0);
	CHECK(!edu_go(&e, STOP, NULL));
	seen = e.memory[4 * PAGE];
	CHECK(seen == 0x11);
	CHECK(!edu_busy(&e));
	CHECK(log_is(&e, "4"));
	edu_close(&e);
}

static void a_stopped_device_does_nothing(void)
{
	static const enum state states[] = { STOP, STOP_COPY, RESUMING };
	uint64_t strays;
	unsigned int i;
	struct edu e;
	int irq, fd;

	edu_open(&e, places.a);
	irq = edu_irq(&e);
	memset(e.memory, 0x22, PAGE);
	edu_dma(&e, false, IOVA, 0, PAGE);
	for (i = 0; i < 3; i++) {
		CHECK(!edu_go(&e, states[i], &fd));
		strays = edu_stat(&e, "strays");
		edu_ring(&e, true, IOVA + PAGE, 0, 8, CMD_IRQ);
		CHECK(!edu_busy(&e));
		set4(&e, REG_RAISE, 2);
		set4(&e, REG_FACT, 5);
		CHECK(!irq_seen(irq, 300));
		CHECK(e.memory[PAGE] == 0);
		CHECK(edu_stat(&e, "strays") == strays + 3);
		if (fd >= 0)
			close(fd);
	}
	edu_close(&e);
	close(irq);
}

/* Interrupts that fall due while it is stopped come when it runs again. */
static void a_factorial_that_ends_in_stop_interrupts_afterwards(void)
{
	struct edu e;
	double end;
	int irq;

	edu_open(&e, places.a);
	irq = edu_irq(&e);
	set4(&e, REG_STATUS, 0x80);
	set4(&e, REG_FACT, 200000000);
	CHECK(!edu_go(&e, STOP, NULL));
	/* Either way of it: done before the stop, or still at it. */
	end = now() + 60;
	while (get4(&e, REG_STATUS) & 1)
		CHECK(now() < end);
	(void)irq_seen(irq, 0);
	CHECK(!irq_seen(irq, 200));
	CHECK(!edu_go(&e, RUNNING, NULL));
	CHECK(irq_seen(irq, 1000));
	CHECK(get4(&e, REG_IRQ) == 1);
	CHECK(get4(&e, REG_STATUS) == 0x80);
	CHECK(get4(&e, REG_FACT) == 0);
	edu_close(&e);
	close(irq);
}

static void p2p_lets_memory_through_and_holds_peers_back(void)
{
	uint64_t held, bar_iova = 0x8000000;
	struct edu e, peer;
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 2 };
	void *bar;

	edu_open(&e, places.a);
	if (!(e.flags & VFIO_MIGRATION_P2P) || !places.peer || places.iommufd) {
		printf("peers: left out\n");
		edu_close(&e);
		return;
	}
	edu_open(&peer, places.peer);
	CHECK(!ioctl(peer.fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, peer.fd,
		   (off_t)info.offset);
	CHECK(bar != MAP_FAILED);
	CHECK(!edu_map(&e, bar_iova, bar, PAGE));

	CHECK(!log_start_all(&e, PAGE));
	CHECK(!edu_go(&e, RUNNING_P2P, NULL));
	edu_dma(&e, true, IOVA + PAGE, 0, 8);
	CHECK(log_is(&e, "1"));
	held = edu_stat(&e, "held");
	edu_ring(&e, true, bar_iova, 0, 8, 0);
	usleep(400000);
	CHECK(edu_busy(&e));
	CHECK(edu_stat(&e, "held") == held + 1);
	CHECK(!edu_go(&e, RUNNING, NULL));
	edu_wait(&e);
	munmap(bar, info.size);
	edu_close(&peer);
	edu_close(&e);
}

static void p2p_all_holds_everything_back(void)
{
	struct edu e;

	edu_open(&e, places.a);
	if (!(e.flags & VFIO_MIGRATION_P2P)) {
		edu_close(&e);
		return;
	}
	memset(e.memory, 0x33, PAGE);
	edu_dma(&e, false, IOVA, 0, PAGE);
	edu_param("p2p_all", "1");
	CHECK(!log_start_all(&e, PAGE));
	/* One under way is waited for. */
	edu_ring(&e, true, IOVA + 2 * PAGE, 0, 8, 0);
	CHECK(!edu_go(&e, RUNNING_P2P, NULL));
	CHECK(!edu_busy(&e));
	CHECK(log_is(&e, "2"));
	edu_ring(&e, true, IOVA + 3 * PAGE, 0, 8, 0);
	usleep(400000);
	CHECK(edu_busy(&e) && e.memory[3 * PAGE] == 0);
	/* Held through a stop that is called off, and done after it. */
	CHECK(!edu_go(&e, STOP_COPY, NULL));
	CHECK(edu_busy(&e) && e.memory[3 * PAGE] == 0);
	CHECK(log_is(&e, ""));
	CHECK(!edu_go(&e, RUNNING, NULL));
	edu_wait(&e);
	CHECK(e.memory[3 * PAGE] == 0x33);
	CHECK(log_is(&e, "3"));
	edu_param("p2p_all", "0");
	edu_close(&e);
}

/* Memory is given back when close() returns. */
static void close_waits_for_dma(void)
{
	uint8_t *memory;
	struct edu e;

	edu_open(&e, places.a);
	memset(e.memory, 0x44, PAGE);
	edu_dma(&e, false, IOVA, 0, PAGE);
	edu_ring(&e, true, IOVA + PAGE, 0, 8, 0);
	memory = e.memory;
	close(e.fd);
	CHECK(memory[PAGE] == 0x44);
	close(e.group < 0 ? e.space : e.group);
	if (e.group >= 0)
		close(e.space);
	munmap(memory, NR_PAGES * PAGE);
}

void state_tests(void)
{
	every_arc_leads_where_it_should();
	stop_waits_for_dma_and_logs_it();
	a_stopped_device_does_nothing();
	a_factorial_that_ends_in_stop_interrupts_afterwards();
	p2p_lets_memory_through_and_holds_peers_back();
	p2p_all_holds_everything_back();
	close_waits_for_dma();
	printf("states: ok\n");
}
