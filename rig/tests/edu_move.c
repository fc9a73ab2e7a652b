/* SPDX-License-Identifier: MIT */
/* From one edu to another: images, pre-copy, and streams that are not right. */
#include "edu.h"

#include <linux/vfio.h>

static void noise(uint8_t *bytes, unsigned int seed)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		bytes[i] = (uint8_t)rand_r(&seed);
}

static void all_of_the_device_arrives(size_t piece)
{
	uint8_t sent[PAGE], got[PAGE];
	struct edu a, b;
	int irq;

	edu_open(&a, places.a);
	edu_open(&b, places.b);
	irq = edu_irq(&b);
	noise(sent, (unsigned int)piece);
	edu_fill(&a, sent);
	set4(&a, REG_ADDR4, 0xcafe0123);
	set4(&a, REG_FACT, 10);
	while (get4(&a, REG_STATUS) & 1)
		;
	set4(&a, REG_STATUS, 0x80);
	set4(&a, REG_RAISE, 0x40);
	set8(&a, REG_SRC, 0x1122334455667788);
	set8(&a, REG_DST, 0x8877665544332211);
	set8(&a, REG_CNT, 0x0102030405060708);

	edu_move(&a, &b, piece);
	/* Raised when it runs, not while it is stopped. */
	CHECK(!irq_seen(irq, 100));
	CHECK(!edu_go(&b, RUNNING, NULL));
	CHECK(irq_seen(irq, 1000));
	CHECK(get4(&b, REG_IRQ) == 0x40);
	CHECK(get4(&b, REG_ADDR4) == ~0xcafe0123u);
	CHECK(get4(&b, REG_FACT) == 3628800);
	CHECK(get4(&b, REG_STATUS) == 0x80);
	CHECK(edu_get(&b, REG_SRC, 8) == 0x1122334455667788);
	CHECK(edu_get(&b, REG_DST, 8) == 0x8877665544332211);
	CHECK(edu_get(&b, REG_CNT, 8) == 0x0102030405060708);
	CHECK(!edu_busy(&b));
	edu_dump(&b, got);
	CHECK(!memcmp(sent, got, PAGE));

	/* The source is called back, and has lost nothing by it. */
	CHECK(!edu_go(&a, RUNNING, NULL));
	CHECK(get4(&a, REG_FACT) == 3628800);
	CHECK(get4(&a, REG_STATUS) == 0x80);
	CHECK(edu_get(&a, REG_SRC, 8) == 0x1122334455667788);
	edu_dump(&a, got);
	CHECK(!memcmp(sent, got, PAGE));
	edu_close(&a);
	edu_close(&b);
	close(irq);
}

static void a_factorial_is_computed_at_the_destination(void)
{
	struct edu a, b;
	double end = now() + 100;
	int irq;

	edu_open(&a, places.a);
	edu_open(&b, places.b);
	irq = edu_irq(&b);
	set4(&a, REG_STATUS, 0x80);
	/* Longer than it takes, on any host, until the image is taken: 100 ms. */
	set4(&a, REG_FACT, 500000000);
	edu_move(&a, &b, 1000);
	CHECK(!edu_go(&b, RUNNING, NULL));
	CHECK(get4(&b, REG_STATUS) & 0x80);
	while (get4(&b, REG_STATUS) & 1) {
		CHECK(now() < end);
		usleep(10000);
	}
	CHECK(get4(&b, REG_FACT) == 0);
	CHECK(irq_seen(irq, 1000));
	CHECK(get4(&b, REG_IRQ) == 1);
	edu_close(&a);
	edu_close(&b);
	close(irq);
}

/* Under way: waited for. Held back: carried along, and done there. */
static void dma_in_flight_arrives(void)
{
	struct edu a, b;
	int irq;

	edu_open(&a, places.a);
	edu_open(&b, places.b);
	irq = edu_irq(&b);
	memset(a.memory, 0x55, PAGE);
	edu_dma(&a, false, IOVA, 0, PAGE);
	edu_ring(&a, true, IOVA + 2 * PAGE, 0, 8, 0);
	edu_move(&a, &b, 4096);
	CHECK(a.memory[2 * PAGE] == 0x55);
	CHECK(!edu_busy(&b));
	CHECK(!edu_go(&a, RUNNING, NULL));
	CHECK(!edu_go(&b, RUNNING, NULL));

	if (a.flags & VFIO_MIGRATION_P2P) {
		edu_param("p2p_all", "1");
		CHECK(!edu_go(&a, RUNNING_P2P, NULL));
		edu_ring(&a, true, IOVA + 3 * PAGE, 0, 8, CMD_IRQ);
		edu_move(&a, &b, 4096);
		CHECK(!log_start_all(&b, PAGE));
		CHECK(edu_busy(&b));
		CHECK(!edu_go(&b, RUNNING_P2P, NULL));
		usleep(300000);
		CHECK(edu_busy(&b) && b.memory[3 * PAGE] == 0);
		CHECK(!irq_seen(irq, 0));
		CHECK(!edu_go(&b, RUNNING, NULL));
		edu_wait(&b);
		CHECK(b.memory[3 * PAGE] == 0x55);
		CHECK(a.memory[3 * PAGE] == 0);
		CHECK(irq_seen(irq, 1000));
		CHECK(log_is(&b, "3"));
		edu_param("p2p_all", "0");
	}
	edu_close(&a);
	edu_close(&b);
	close(irq);
}

static void info_is(int fd, uint64_t initial, uint64_t dirty)
{
	uint64_t got_initial, got_dirty;

	CHECK(!edu_info(fd, &got_initial, &got_dirty));
	CHECK(got_initial == initial);
	CHECK(got_dirty == dirty);
}

static void read_is(int fd, void *into, size_t len, ssize_t expected)
{
	ssize_t got;

	errno = 0;
	got = read(fd, into, len);
	CHECK(expected < 0 ? got < 0 && errno == -expected : got == expected);
}

static void pre_copy_counts_what_is_left(void)
{
	const ssize_t size = EDU_IMAGE_SIZE;
	uint8_t stream[8 * EDU_IMAGE_SIZE], bytes[PAGE], got[PAGE];
	uint64_t initial, dirty;
	struct edu a, b;
	int fd, in;

	edu_open(&a, places.a);
	if (!(a.flags & 4)) {
		printf("pre-copy: left out\n");
		edu_close(&a);
		return;
	}
	edu_open(&b, places.b);
	noise(bytes, 1);
	edu_fill(&a, bytes);
	CHECK(!edu_go(&a, PRE_COPY, &fd));
	info_is(fd, EDU_IMAGE_SIZE, 0);
	read_is(fd, stream, 100, 100);
	info_is(fd, EDU_IMAGE_SIZE - 100, 0);
	read_is(fd, stream + 100, EDU_IMAGE_SIZE, size - 100);
	info_is(fd, 0, 0);
	read_is(fd, stream, 1, -ENOMSG);

	/* Registers are in the last image; only the buffer makes another. */
	set4(&a, REG_ADDR4, 77);
	info_is(fd, 0, 0);
	read_is(fd, stream, 1, -ENOMSG);
	noise(bytes, 2);
	edu_fill(&a, bytes);
	info_is(fd, 0, EDU_IMAGE_SIZE);
	read_is(fd, stream + size, 1000, 1000);
	info_is(fd, 0, EDU_IMAGE_SIZE - 1000);
	/* Changed again half-way: what is being sent is sent, then once more. */
	noise(bytes, 3);
	edu_fill(&a, bytes);
	info_is(fd, 0, 2 * EDU_IMAGE_SIZE - 1000);
	read_is(fd, stream + size + 1000, size - 1000, size - 1000);
	read_is(fd, stream + 2 * size, size, size);
	read_is(fd, stream, 1, -ENOMSG);

	if (a.flags & VFIO_MIGRATION_P2P) {
		CHECK(!edu_go(&a, PRE_COPY_P2P, &in));
		CHECK(in < 0);
		info_is(fd, 0, 0);
		CHECK(!edu_go(&a, PRE_COPY, &in));
		CHECK(in < 0);
	}
	/* Left unread, the last one of pre-copy is not skipped. */
	noise(bytes, 4);
	edu_fill(&a, bytes);
	info_is(fd, 0, EDU_IMAGE_SIZE);
	read_is(fd, stream + 3 * size, 10, 10);
	noise(bytes, 5);
	edu_fill(&a, bytes);
	CHECK(!edu_go(&a, STOP_COPY, &in));
	CHECK(in < 0);
	FAILS(edu_info(fd, &initial, &dirty), EINVAL);
	read_is(fd, stream + 3 * size + 10, 3 * EDU_IMAGE_SIZE, 2 * size - 10);
	read_is(fd, stream, 1, 0);

	CHECK(!edu_go(&b, RESUMING, &in));
	CHECK(!stream_write(in, stream, 5 * EDU_IMAGE_SIZE, 999));
	CHECK(!edu_go(&b, RUNNING, NULL));
	CHECK(get4(&b, REG_ADDR4) == ~77u);
	edu_dump(&b, got);
	CHECK(!memcmp(bytes, got, PAGE));
	close(in);
	close(fd);
	edu_close(&a);
	edu_close(&b);
}

/* However busy the device: between two ENOMSG there is one image. */
static void a_busy_device_does_not_hold_the_reader(void)
{
	uint8_t bytes[PAGE], image[EDU_IMAGE_SIZE];
	unsigned int i;
	struct edu a;
	int fd;

	edu_open(&a, places.a);
	if (!(a.flags & 4)) {
		edu_close(&a);
		return;
	}
	CHECK(!edu_go(&a, PRE_COPY, &fd));
	for (i = 0; i < 3; i++) {
		noise(bytes, i);
		edu_fill(&a, bytes);
		read_is(fd, image, sizeof(image), EDU_IMAGE_SIZE);
		noise(bytes, 100 + i);
		edu_fill(&a, bytes);
		read_is(fd, image, sizeof(image), -ENOMSG);
	}
	close(fd);
	edu_close(&a);
}

/* Who still holds a stream, holds neither the device nor its driver. */
static void a_data_file_outlives_its_device(void)
{
	char byte;
	struct edu e;
	int fd;

	edu_open(&e, places.a);
	CHECK(!edu_go(&e, STOP_COPY, &fd));
	edu_close(&e);
	errno = 0;
	CHECK(read(fd, &byte, 1) < 0 && errno == ENODEV);
	edu_bind(places.a, false);
	errno = 0;
	CHECK(read(fd, &byte, 1) < 0 && errno == ENODEV);
	edu_bind(places.a, true);
	edu_open(&e, places.a);
	CHECK(edu_state(&e) == RUNNING);
	CHECK(read(fd, &byte, 1) < 0 && errno == ENODEV);
	close(fd);
	edu_close(&e);
}

void move_tests(void)
{
	a_data_file_outlives_its_device();
	all_of_the_device_arrives(1);
	all_of_the_device_arrives(4096);
	all_of_the_device_arrives(100000);
	dma_in_flight_arrives();
	a_factorial_is_computed_at_the_destination();
	pre_copy_counts_what_is_left();
	a_busy_device_does_not_hold_the_reader();
	printf("moves: ok\n");
}

/* 0 if it was loaded. The device is closed and opened around it. */
static int load(const void *stream, size_t len)
{
	struct edu e;
	int fd, ret, written;

	edu_open(&e, places.b);
	CHECK(!edu_go(&e, RESUMING, &fd));
	written = stream_write(fd, stream, len, 3000);
	CHECK(written == 0 || written == -EINVAL);
	ret = edu_go(&e, STOP, NULL);
	/* Refused as a whole, and said so by the state change at the latest. */
	CHECK(!written || ret);
	CHECK(edu_state(&e) == (ret ? RESUMING : STOP));
	if (ret) {
		CHECK(ret == -EINVAL);
		errno = 0;
		CHECK(write(fd, "", 1) < 0 && errno == ENODEV);
	}
	close(fd);
	edu_close(&e);
	return ret;
}

static struct edu_image good;

static int load_changed(size_t offset, size_t len, uint64_t value)
{
	struct edu_image image = good;

	memcpy((uint8_t *)&image + offset, &value, len);
	image_seal(&image);
	return load(&image, sizeof(image));
}

#define LOAD_WITH(member, value)                                               \
	load_changed(offsetof(struct edu_image, member),                       \
		     sizeof(((struct edu_image *)0)->member), value)

static void cut_streams_are_refused(void)
{
	static const size_t lengths[] = {
		0, 1, 39, 40, 4135, 4136, EDU_IMAGE_SIZE - 1
	};
	uint8_t twice[2 * EDU_IMAGE_SIZE];
	unsigned int i;

	CHECK(!load(&good, sizeof(good)));
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		CHECK(load(&good, lengths[i]));
	memcpy(twice, &good, sizeof(good));
	memcpy(twice + sizeof(good), &good, sizeof(good));
	CHECK(load(twice, sizeof(good) + 1));
	CHECK(load(twice, sizeof(twice)));
	/* One of pre-copy, and then nothing. */
	CHECK(LOAD_WITH(flags, 0));
}

static void corrupt_streams_are_refused(void)
{
	unsigned int bit, bits = EDU_IMAGE_SIZE * 8;
	struct edu_image image;

	/* A stride that is prime to everything here: all fields, all bits. */
	for (bit = 0; bit < bits; bit += 1021) {
		image = good;
		((uint8_t *)&image)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(load(&image, sizeof(image)));
	}
	for (bit = 0; bit < 40 * 8; bit += 37) {
		image = good;
		((uint8_t *)&image)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(load(&image, sizeof(image)));
	}
}

/* Whoever made it knows the checksum: what matters is what it would do. */
static void impossible_devices_are_refused(void)
{
	CHECK(!LOAD_WITH(addr4, 5));
	CHECK(LOAD_WITH(magic, EDU_IMAGE_MAGIC + 1));
	CHECK(LOAD_WITH(flags, EDU_IMAGE_FINAL | 0x10));
	CHECK(LOAD_WITH(flags, EDU_IMAGE_FINAL | EDU_IMAGE_FACT_DUE));
	CHECK(LOAD_WITH(sequence, 1));
	/* 7 is nobody's factorial, but a factorial can be taken of it. */
	CHECK(LOAD_WITH(fact, 7));
	CHECK(!LOAD_WITH(fact, 5040));
	/* A doorbell that would have been refused: its range is no buffer's. */
	CHECK(LOAD_WITH(cmd, CMD_RUN));
	CHECK(!LOAD_WITH(cmd, CMD_TO_MEMORY));
}

void stream_tests(void)
{
	struct edu e;
	int fd;

	edu_open(&e, places.a);
	/* The factorial of a test before may not have ended yet. */
	while (get4(&e, REG_STATUS) & 1)
		usleep(10000);
	set8(&e, REG_CNT, 9999);
	CHECK(!edu_go(&e, STOP_COPY, &fd));
	CHECK(read(fd, &good, sizeof(good)) == (ssize_t)sizeof(good));
	close(fd);
	edu_close(&e);
	cut_streams_are_refused();
	corrupt_streams_are_refused();
	impossible_devices_are_refused();
	printf("streams: ok\n");
}
