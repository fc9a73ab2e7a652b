/* SPDX-License-Identifier: MIT */
/* nic: real packets through a loopback socket, before and after it moves. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "fake_host.h"
#include "models/model_priv.h"
#include "models/nic_regs.h"

#define SPACE (64 * (uint64_t)PAGE)
#define RX    (8 * (uint64_t)PAGE)
#define TX    (16 * (uint64_t)PAGE)
#define SLOTS 8u

static struct fake_host *h;
static struct model *m;
static int client;

static int setup(void **state)
{
	struct model_config c = fake_config("nic");

	(void)state;
	strcpy(c.udp, "127.0.0.1:0");
	h = fake_host_new(SPACE);
	m = fake_model(h, &c);
	client = socket(AF_INET, SOCK_DGRAM, 0);
	assert_true(client >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(client);
	m = model_destroy(m);
	assert_int_equal(h->nr_pins, 0);
	h = fake_host_free(h);
	return 0;
}

static struct sockaddr_in at(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				     .sin_port = htons(port) };
}

/* Returns the UDP port. */
static uint16_t turn_on(struct model *nic)
{
	assert_int_equal(
		model_bar_write(nic, 0, NIC_REG_RX_BASE, &(uint64_t){ RX }, 8),
		8);
	assert_int_equal(model_bar_write(nic, 0, NIC_REG_RX_SLOTS,
					 &(uint32_t){ SLOTS }, 4),
			 4);
	assert_int_equal(
		model_bar_write(nic, 0, NIC_REG_TX_BASE, &(uint64_t){ TX }, 8),
		8);
	assert_int_equal(model_bar_write(nic, 0, NIC_REG_TX_SLOTS,
					 &(uint32_t){ SLOTS }, 4),
			 4);
	assert_int_equal(
		model_bar_write(nic, 0, NIC_REG_ENABLE, &(uint32_t){ 1 }, 4),
		4);
	return (uint16_t)get32(nic, NIC_REG_UDP_PORT);
}

static void send_to(uint16_t port, const void *buf, size_t len)
{
	struct sockaddr_in sin = at(port);

	assert_int_equal(sendto(client, buf, len, 0, (struct sockaddr *)&sin,
				sizeof(sin)),
			 len);
}

/* The next packet; -1: none, in what is for ever. */
static ssize_t hear(void *buf, size_t cap)
{
	struct pollfd fd = { .fd = client, .events = POLLIN };

	if (poll(&fd, 1, 20000) != 1)
		return -1;
	return recv(client, buf, cap, 0);
}

static struct nic_slot slot(uint64_t base, uint64_t nr)
{
	struct nic_slot s;

	fake_get(h, base + NIC_SLOT_INDEX(nr, SLOTS) * NIC_SLOT_LEN, &s,
		 sizeof(s));
	return s;
}

/* What a driver does: take packet @nr, send it back. */
static void answer(struct model *nic, struct fake_host *host, uint64_t nr)
{
	struct nic_slot s;
	uint64_t offset = NIC_SLOT_INDEX(nr, SLOTS) * NIC_SLOT_LEN;

	fake_get(host, RX + offset, &s, sizeof(s));
	assert_int_equal(s.count, nr);
	fake_put(host, TX + offset, &s, sizeof(s));
	model_bar_write(nic, 0, NIC_REG_RX_CONSUMED, &nr, 8);
	model_bar_write(nic, 0, NIC_REG_TX_PRODUCED, &nr, 8);
}

static void packet_arrives_with_its_header_and_is_answered(void **state)
{
	uint16_t port = turn_on(m);
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	struct nic_slot s;
	char buf[64], want[64];

	(void)state;
	assert_true(port != 0);
	snprintf(want, sizeof(want), "nic0: UDP port %u", port);
	assert_string_equal(h->note, want);
	send_to(port, "hello", 6);
	wait_until(get64(m, NIC_REG_RX_PRODUCED) == 1);
	s = slot(RX, 1);
	assert_int_equal(s.stamp >> 48, 5);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.len, 6);
	assert_int_equal(s.zero, 0);
	assert_string_equal((const char *)s.payload, "hello");
	assert_int_equal(getsockname(client, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(s.addr, htonl(INADDR_LOOPBACK));
	assert_int_equal(s.port, sin.sin_port);
	wait_until(h->irqs >= 1);
	/* One DMA write of header and payload, no more. */
	assert_int_equal(counters(m).dma_writes, 1);
	assert_int_equal(counters(m).dma_bytes, 38);
	answer(m, h, 1);
	assert_int_equal(hear(buf, sizeof(buf)), 6);
	assert_string_equal(buf, "hello");
	wait_until(get64(m, NIC_REG_TX_CONSUMED) == 1);
}

static void ring_goes_round_and_is_full_when_nothing_is_consumed(void **state)
{
	uint16_t port = turn_on(m);
	uint32_t i;
	char buf[8];

	(void)state;
	for (i = 1; i <= SLOTS + 3; i++)
		send_to(port, &i, sizeof(i));
	wait_until(get64(m, NIC_REG_RX_DROPPED) == 3);
	assert_int_equal(get64(m, NIC_REG_RX_PRODUCED), SLOTS);
	for (i = 1; i <= SLOTS; i++) {
		assert_int_equal(slot(RX, i).count, i);
		assert_memory_equal(slot(RX, i).payload, &i, 4);
		answer(m, h, i);
		assert_int_equal(hear(buf, sizeof(buf)), 4);
	}
	for (; i <= 3 * SLOTS; i++) {
		send_to(port, &i, sizeof(i));
		wait_until(get64(m, NIC_REG_RX_PRODUCED) == i);
		answer(m, h, i);
		assert_int_equal(hear(buf, sizeof(buf)), 4);
		assert_memory_equal(buf, &i, 4);
	}
	assert_int_equal(get64(m, NIC_REG_RX_DROPPED), 3);
}

static void packets_too_long_or_to_nowhere_are_dropped(void **state)
{
	uint16_t port = turn_on(m);
	static const uint8_t big[NIC_PAYLOAD_MAX + 1];

	(void)state;
	send_to(port, big, NIC_PAYLOAD_MAX + 1);
	wait_until(get64(m, NIC_REG_RX_DROPPED) == 1);
	send_to(port, big, NIC_PAYLOAD_MAX);
	wait_until(get64(m, NIC_REG_RX_PRODUCED) == 1);
	assert_int_equal(slot(RX, 1).len, NIC_PAYLOAD_MAX);
	send_to(port, big, 0);
	wait_until(get64(m, NIC_REG_RX_PRODUCED) == 2);
	assert_int_equal(slot(RX, 2).len, 0);
	h->hole = RX + PAGE;
	send_to(port, "x", 1);
	wait_until(get64(m, NIC_REG_RX_DROPPED) == 2);
	assert_int_equal(counters(m).faults, 1);
	assert_int_equal(get64(m, NIC_REG_RX_PRODUCED), 2);
}

static void doorbell_beyond_the_ring_is_ignored(void **state)
{
	(void)state;
	turn_on(m);
	set64(m, NIC_REG_TX_PRODUCED, SLOTS + 1);
	assert_int_equal(get64(m, NIC_REG_TX_PRODUCED), 0);
	set64(m, NIC_REG_TX_PRODUCED, SLOTS);
	wait_until(get64(m, NIC_REG_TX_CONSUMED) == SLOTS);
}

static bool port_is_free(uint16_t port)
{
	struct sockaddr_in sin = at(port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool is_free = !bind(fd, (struct sockaddr *)&sin, sizeof(sin));

	close(fd);
	return is_free;
}

static void stop_lets_go_of_the_port_and_counts_the_backlog(void **state)
{
	struct model_config c = fake_config("nic");
	uint16_t port;

	(void)state;
	m = model_destroy(m);
	strcpy(c.udp, "127.0.0.1:0");
	c.p2p_stops_all = true;
	m = fake_model(h, &c);
	port = turn_on(m);
	assert_false(port_is_free(port));
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	for (int i = 0; i < 5; i++)
		send_to(port, "wait", 4);
	sleep_us(2000);
	assert_int_equal(counters(m).dma_writes, 0);
	/* In P2P it still holds the port, and gets what waited. */
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	wait_until(get64(m, NIC_REG_RX_PRODUCED) == 5);
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	for (int i = 0; i < 3; i++)
		send_to(port, "late", 4);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(counters(m).backlog_dropped, 3);
	assert_true(port_is_free(port));
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	/* The same port again. */
	assert_int_equal(get32(m, NIC_REG_UDP_PORT), port);
	send_to(port, "back", 4);
	wait_until(get64(m, NIC_REG_RX_PRODUCED) == 6);
}

static void taken_port_keeps_it_stopped_with_a_reason(void **state)
{
	uint16_t port = turn_on(m);
	struct sockaddr_in sin = at(port);
	int fd;

	(void)state;
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(model_set_level(m, MODEL_P2P), -EADDRINUSE);
	assert_non_null(strstr(model_errmsg(), "cannot bind UDP port"));
	assert_int_equal(model_level(m), MODEL_STOPPED);
	close(fd);
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
}

static void moved_nic_answers_on_the_same_port(void **state)
{
	struct model_config c = fake_config("nic");
	struct fake_host *h2 = fake_host_new(SPACE);
	struct model *m2;
	uint16_t port = turn_on(m);
	uint8_t *bytes;
	char buf[8];
	size_t len;

	(void)state;
	strcpy(c.udp, "127.0.0.1:0");
	m2 = fake_model(h2, &c);
	send_to(port, "one", 4);
	wait_until(get64(m, NIC_REG_RX_PRODUCED) == 1);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	bytes = save_all(m, &len);
	memcpy(h2->mem, h->mem, SPACE);
	assert_int_equal(model_set_level(m2, MODEL_STOPPED), 0);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
	/* Not bound before it runs. */
	assert_true(port_is_free(port));
	assert_int_equal(model_set_level(m2, MODEL_P2P), 0);
	assert_false(port_is_free(port));
	assert_int_equal(model_set_level(m2, MODEL_RUNNING), 0);
	assert_int_equal(get32(m2, NIC_REG_UDP_PORT), port);
	assert_non_null(strstr(h2->note, "UDP port"));
	/* The packet that had arrived is answered there, the next ones too. */
	answer(m2, h2, 1);
	assert_int_equal(hear(buf, sizeof(buf)), 4);
	assert_string_equal(buf, "one");
	send_to(port, "two", 4);
	wait_until(get64(m2, NIC_REG_RX_PRODUCED) == 2);
	answer(m2, h2, 2);
	assert_int_equal(hear(buf, sizeof(buf)), 4);
	assert_string_equal(buf, "two");
	/* The source, if it has to run again, cannot have the port now. */
	assert_int_equal(model_set_level(m, MODEL_RUNNING), -EADDRINUSE);
	model_destroy(m2);
	fake_host_free(h2);
}

static void new_nic_takes_no_port_before_it_is_enabled(void **state)
{
	struct model_config c = fake_config("nic");
	uint16_t port = turn_on(m);
	struct model *m2;
	uint32_t on = 1;

	(void)state;
	/* As a destination on the same host, while the source still runs. */
	snprintf(c.udp, sizeof(c.udp), "127.0.0.1:%u", port);
	m2 = fake_model(h, &c);
	assert_int_equal(model_set_level(m2, MODEL_STOPPED), 0);
	assert_int_equal(model_set_level(m2, MODEL_RUNNING), 0);
	assert_int_equal(model_bar_write(m2, 0, NIC_REG_ENABLE, &on, 4),
			 -EADDRINUSE);
	assert_int_equal(get32(m2, NIC_REG_ENABLE), 0);
	set32(m, NIC_REG_ENABLE, 0);
	assert_int_equal(turn_on(m2), port);
	assert_int_equal(model_reset(m2), 0);
	assert_true(port_is_free(port));
	model_destroy(m2);
}

static void gratuitous_pins_hold_the_receive_ring(void **state)
{
	struct model_config c = fake_config("nic");

	(void)state;
	turn_on(m);
	assert_int_equal(h->nr_pins, 0);
	m = model_destroy(m);
	c.pins_gratuitous = true;
	m = fake_model(h, &c);
	turn_on(m);
	assert_int_equal(h->nr_pins, 1);
	assert_int_equal(h->pins[0].iova, RX);
	assert_int_equal(h->pins[0].nr_pages, SLOTS / 2);
	assert_true(h->pins[0].write);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(h->nr_pins, 1);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	assert_int_equal(h->nr_pins, 1);
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(h->nr_pins, 0);
	h->pin_error = -ENOMEM;
	assert_int_equal(get32(m, NIC_REG_ENABLE), 0);
	h->pin_error = 0;
	turn_on(m);
}

static void rings_in_a_peer_wait_for_running(void **state)
{
	struct timespec a, b;
	clockid_t clock;
	uint16_t port;

	(void)state;
	port = turn_on(m);
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	set64(m, NIC_REG_RX_BASE, PEER_BASE);
	send_to(port, "held", 4);
	sleep_us(3000);
	assert_int_equal(h->peer_writes, 0);
	/* The packet waits, and does not wake the device again and again. */
	assert_int_equal(pthread_getcpuclockid(m->worker, &clock), 0);
	clock_gettime(clock, &a);
	sleep_us(50000);
	clock_gettime(clock, &b);
	assert_int_equal(b.tv_sec, a.tv_sec);
	assert_true(b.tv_nsec - a.tv_nsec < 2000000);
	/* Sending from memory goes on. */
	set64(m, NIC_REG_TX_PRODUCED, 1);
	wait_until(get64(m, NIC_REG_TX_CONSUMED) == 1);
	assert_int_equal(h->peer_writes, 0);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	wait_until(get64(m, NIC_REG_RX_PRODUCED) == 1);
	assert_int_equal(h->peer_writes, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(packet_arrives_with_its_header_and_is_answered),
		T(ring_goes_round_and_is_full_when_nothing_is_consumed),
		T(packets_too_long_or_to_nowhere_are_dropped),
		T(doorbell_beyond_the_ring_is_ignored),
		T(stop_lets_go_of_the_port_and_counts_the_backlog),
		T(taken_port_keeps_it_stopped_with_a_reason),
		T(moved_nic_answers_on_the_same_port),
		T(new_nic_takes_no_port_before_it_is_enabled),
		T(gratuitous_pins_hold_the_receive_ring),
		T(rings_in_a_peer_wait_for_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
