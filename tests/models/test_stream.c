/* SPDX-License-Identifier: MIT */
/* The state stream: what is saved arrives, whole or not at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_host.h"
#include "models/dsa_regs.h"
#include "models/stream_priv.h"

#define SPACE (64 * (uint64_t)PAGE)
#define DESC  (60 * (uint64_t)PAGE)

static struct fake_host *h, *h2;
static struct model *m, *m2;

static void make(const struct model_config *c)
{
	m = model_destroy(m);
	m2 = model_destroy(m2);
	m = fake_model(h, c);
	m2 = fake_model(h2, c);
}

static int setup(void **state)
{
	struct model_config c = fake_config("dsa");

	(void)state;
	h = fake_host_new(SPACE);
	h2 = fake_host_new(SPACE);
	make(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	m = model_destroy(m);
	m2 = model_destroy(m2);
	h = fake_host_free(h);
	h2 = fake_host_free(h2);
	return 0;
}

static void ring(void)
{
	struct dsa_descriptor d = { .op = DSA_OP_FILL,
				    .len = 32,
				    .dst = PAGE,
				    .completion = 3 * PAGE };

	fake_put(h, DESC, &d, sizeof(d));
	set64(m, DSA_REG_DOORBELL, DESC);
}

/* One operation of the device, done. */
static void operate(void)
{
	ring();
	wait_until(get32(m, DSA_REG_FREE) == DSA_QUEUE);
}

static void stop_both(void)
{
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(model_set_level(m2, MODEL_STOPPED), 0);
}

/* Small, with registers, a pending descriptor, truth. */
static uint8_t *small_stream(size_t *ret_len)
{
	struct model_config c = fake_config("dsa");

	c.state_size = 40;
	c.p2p_stops_all = true;
	make(&c);
	operate();
	/* Parked, it takes a doorbell and leaves it pending. */
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	ring();
	stop_both();
	return save_all(m, ret_len);
}

static void state_goes_round_unchanged(void **state)
{
	static const char *const models[] = { "nic", "dsa", "mdev" };
	static const uint64_t sizes[] = { 0, 1, 4096, 10000, 65536 };

	(void)state;
	for (size_t i = 0; i < 15; i++) {
		struct model_config c = fake_config(models[i % 3]);
		uint8_t *a, *b;
		size_t len, len2;

		c.state_size = sizes[i / 3];
		make(&c);
		for (uint64_t page = 0; page < 5; page++)
			assert_int_equal(model_poke_dma(m, page * PAGE, "x", 1),
					 0);
		if (i % 3 == 1)
			operate();
		if (i % 3 == 0)
			assert_int_equal(
				model_peer_write(m, 2, 65000, "peer", 4), 0);
		stop_both();
		a = save_all(m, &len);
		memcpy(h2->mem, h->mem, SPACE);
		assert_int_equal(load_all(m2, a, len, 0), 0);
		b = save_all(m2, &len2);
		assert_int_equal(len, len2);
		assert_memory_equal(a, b, len);
		free(a);
		free(b);
	}
}

static void stream_arrives_in_any_segmentation(void **state)
{
	static const size_t pieces[] = { 1, 7, 8, 9, 4095, 4096, 4113 };
	uint8_t *bytes;
	size_t len;

	(void)state;
	operate();
	stop_both();
	bytes = save_all(m, &len);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		assert_int_equal(load_all(m2, bytes, len, pieces[i]), 0);
	free(bytes);
}

static void stream_can_be_read_in_any_pieces(void **state)
{
	struct model_stream *s;
	uint8_t *bytes, *again;
	size_t len, at = 0;
	ssize_t n;

	(void)state;
	operate();
	stop_both();
	bytes = save_all(m, &len);
	again = malloc(len + 1);
	assert_non_null(again);
	assert_int_equal(model_stream_save(m, false, &s), 0);
	while ((n = model_stream_read(s, again + at, at % 13 + 1)) > 0) {
		at += (size_t)n;
		assert_true(at <= len);
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, len);
	assert_memory_equal(bytes, again, len);
	model_stream_free(s);
	free(bytes);
	free(again);
}

static void every_truncation_is_refused(void **state)
{
	size_t len;
	uint8_t *bytes = small_stream(&len);

	(void)state;
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(load_all(m2, bytes, cut, 0), -EINVAL);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
}

static void every_corrupted_byte_is_refused_and_changes_nothing(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	size_t len, len2, nr = 0;
	uint8_t *bytes = small_stream(&len), *before, *after;

	(void)state;
	before = save_all(m2, &nr);
	for (size_t at = 0; at < len; at++) {
		for (size_t f = 0; f < sizeof(flips); f++) {
			bytes[at] ^= flips[f];
			assert_int_equal(load_all(m2, bytes, len, 0), -EINVAL);
			bytes[at] ^= flips[f];
		}
	}
	after = save_all(m2, &len2);
	assert_int_equal(nr, len2);
	assert_memory_equal(before, after, nr);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
	free(before);
	free(after);
}

static void bytes_after_the_end_are_refused(void **state)
{
	size_t len;
	uint8_t *bytes = small_stream(&len);

	(void)state;
	bytes = realloc(bytes, 2 * len);
	assert_non_null(bytes);
	memcpy(bytes + len, bytes, len);
	assert_int_equal(load_all(m2, bytes, len + 1, 0), -EINVAL);
	assert_int_equal(load_all(m2, bytes, 2 * len, 0), -EINVAL);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
}

static void bytes_after_the_end_do_not_spoil_what_is_whole(void **state)
{
	struct model_stream *s;
	size_t len;
	uint8_t *bytes = small_stream(&len);

	(void)state;
	assert_int_equal(model_stream_load(m2, &s), 0);
	assert_int_equal(model_stream_write(s, bytes, len), len);
	assert_int_equal(model_stream_write(s, bytes, 1), -EINVAL);
	assert_int_equal(model_stream_write(s, bytes, len), -EINVAL);
	assert_int_equal(model_stream_write(s, bytes, 0), 0);
	assert_int_equal(model_stream_commit(s), 0);
	model_stream_free(s);
	free(bytes);
}

static void state_of_another_device_is_refused(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model *other;
	size_t len;
	uint8_t *bytes;

	(void)state;
	stop_both();
	bytes = save_all(m, &len);
	c.state_size += 1;
	other = fake_model(h2, &c);
	assert_int_equal(model_set_level(other, MODEL_STOPPED), 0);
	assert_int_equal(load_all(other, bytes, len, 0), -EINVAL);
	assert_non_null(strstr(model_errmsg(), "16384 bytes, it has 16385"));
	model_destroy(other);
	c = fake_config("mdev");
	other = fake_model(h2, &c);
	assert_int_equal(model_set_level(other, MODEL_STOPPED), 0);
	assert_int_equal(load_all(other, bytes, len, 0), -EINVAL);
	assert_non_null(strstr(model_errmsg(), "of a \"dsa\", not of a mdev"));
	model_destroy(other);
	free(bytes);
}

/* Where each record begins; returns their number. */
static size_t records(const uint8_t *bytes, size_t len, size_t *ret, size_t max)
{
	size_t nr = 0, at = 0;
	uint32_t payload;

	while (at < len && nr < max) {
		ret[nr++] = at;
		memcpy(&payload, bytes + at + 4, 4);
		at += record_size(le32toh(payload));
	}
	assert_int_equal(at, len);
	return nr;
}

static void reseal(uint8_t *bytes, size_t len)
{
	uint64_t sum = htole64(stream_sum(STREAM_SUM, bytes, len - 8));

	memcpy(bytes + len - 8, &sum, 8);
}

static void missing_and_repeated_records_are_refused(void **state)
{
	size_t len, at[64], nr;
	struct model_config c = fake_config("nic");
	uint8_t *bytes, *forged;

	(void)state;
	make(&c);
	assert_int_equal(model_poke_dma(m, 0, "x", 1), 0);
	stop_both();
	bytes = save_all(m, &len);
	forged = malloc(2 * len);
	assert_non_null(forged);
	nr = records(bytes, len, at, 64);
	assert_int_equal(nr, 1 + 4 + 1 + 16 + 1 + 1);
	for (size_t i = 0; i + 1 < nr; i++) {
		size_t size = at[i + 1] - at[i];
		bool is_truth = i + 2 == nr, is_block = i >= 1 && i <= 4;

		/* Left out, with a checksum that fits. */
		memcpy(forged, bytes, at[i]);
		memcpy(forged + at[i], bytes + at[i + 1], len - at[i + 1]);
		reseal(forged, len - size);
		assert_int_equal(load_all(m2, forged, len - size, 0),
				 is_truth ? 0 : -EINVAL);
		/* Twice: only what pre-copy sends may come again. */
		memcpy(forged, bytes, at[i + 1]);
		memcpy(forged + at[i + 1], bytes + at[i], len - at[i]);
		reseal(forged, len + size);
		assert_int_equal(load_all(m2, forged, len + size, 0),
				 is_truth || is_block ? 0 : -EINVAL);
		assert_int_equal(load_all(m2, bytes, len, 0), 0);
	}
	free(bytes);
	free(forged);
}

/* A peer who can compute checksums may break nothing but its own machine. */
static void forged_streams_are_survived(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x41, 0x7f, 0xff };
	size_t len;
	uint8_t *bytes = small_stream(&len), old;
	unsigned int refused = 0;

	(void)state;
	for (size_t at = 0; at < len - 8; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			old = bytes[at];
			bytes[at] = values[v];
			reseal(bytes, len);
			refused += load_all(m2, bytes, len, 0) != 0;
			bytes[at] = old;
		}
	}
	assert_true(refused > 100);
	reseal(bytes, len);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
}

static void precopy(struct model_stream *s, uint64_t want_initial,
		    uint64_t want_dirty)
{
	uint64_t initial, dirty;

	assert_int_equal(model_stream_precopy_info(s, &initial, &dirty), 0);
	assert_int_equal(initial, want_initial);
	assert_int_equal(dirty, want_dirty);
}

static size_t drain(struct model_stream *s, uint8_t *to, size_t cap, int end)
{
	size_t len = 0;
	ssize_t n;

	while ((n = model_stream_read(s, to + len, cap - len)) > 0)
		len += (size_t)n;
	assert_int_equal(n, end);
	return len;
}

static void precopy_accounts_for_what_is_unread_and_what_changed(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model_stream *s;
	uint64_t initial, dirty, full;
	size_t len, cap = 1u << 20;
	uint8_t *bytes = malloc(cap);

	(void)state;
	assert_non_null(bytes);
	c.state_size = 5 * PAGE + 100;
	make(&c);
	operate();
	full = model_stop_copy_length(m);
	assert_int_equal(model_stream_save(m, true, &s), 0);
	precopy(s, c.state_size, 0);
	/* The header, the first block and a byte of the second. */
	len = record_size(HEADER_LEN) + record_size(8 + PAGE) + 1;
	assert_int_equal(model_stream_read(s, bytes, len), len);
	precopy(s, 4 * PAGE + 100, 0);
	len += drain(s, bytes + len, cap - len, -ENOMSG);
	precopy(s, 0, 0);
	assert_int_equal(model_stream_read(s, bytes + len, 1), -ENOMSG);
	assert_true(model_stop_copy_length(m) < full - 5 * PAGE);
	/* Each operation changes something, and only that is sent again. */
	for (int round = 0; round < 20; round++) {
		size_t again;

		operate();
		assert_int_equal(model_stream_precopy_info(s, &initial, &dirty),
				 0);
		assert_int_equal(initial, 0);
		assert_true(dirty > 0 && dirty < c.state_size);
		again = drain(s, bytes + len, cap - len, -ENOMSG);
		assert_true(again > dirty && again < dirty + 100);
		len += again;
		precopy(s, 0, 0);
	}
	operate();
	stop_both();
	full = model_stop_copy_length(m);
	assert_int_equal(model_stream_final(s), 0);
	cap = len;
	len += drain(s, bytes + len, (1u << 20) - len, 0);
	assert_true(full >= len - cap);
	assert_true(full <= len - cap + 2048);
	assert_int_equal(model_stream_read(s, bytes + len, 1), 0);
	model_stream_free(s);
	/* All rounds together are the state. */
	memcpy(h2->mem, h->mem, SPACE);
	assert_int_equal(load_all(m2, bytes, len, 100), 0);
	free(bytes);
	bytes = save_all(m, &len);
	{
		size_t len2;
		uint8_t *there = save_all(m2, &len2);

		assert_int_equal(len, len2);
		assert_memory_equal(bytes, there, len);
		free(there);
	}
	free(bytes);
}

static void stop_copy_length_covers_the_stream(void **state)
{
	size_t len;
	uint8_t *bytes;
	uint64_t estimate;

	(void)state;
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(model_poke_dma(m, i * PAGE, "x", 1), 0);
	stop_both();
	estimate = model_stop_copy_length(m);
	bytes = save_all(m, &len);
	assert_true(estimate >= len && estimate <= len + 2048);
	free(bytes);
}

static void sessions_are_refused_where_they_make_no_sense(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model_stream *s = NULL, *t = NULL;
	uint8_t byte = 0;

	(void)state;
	/* Without pre-copy: nothing before it is stopped. */
	assert_int_equal(model_stream_save(m, false, &s), 0);
	assert_int_equal(model_stream_read(s, &byte, 1), -ENOMSG);
	assert_int_equal(model_stream_final(s), -EBUSY);
	assert_int_equal(model_stream_write(s, &byte, 1), -EINVAL);
	assert_int_equal(model_stream_save(m, false, &t), -EBUSY);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(model_stream_load(m, &t), -EBUSY);
	assert_int_equal(model_stream_read(s, &byte, 1), 1);
	s = model_stream_free(s);
	assert_null(model_stream_free(s));
	/* Loading: only what is stopped. */
	assert_int_equal(model_stream_load(m2, &t), -EBUSY);
	assert_int_equal(model_set_level(m2, MODEL_STOPPED), 0);
	assert_int_equal(model_stream_load(m2, &t), 0);
	assert_int_equal(model_stream_read(t, &byte, 1), -EINVAL);
	assert_int_equal(model_stream_commit(t), -EINVAL);
	assert_non_null(strstr(model_errmsg(), "cut short"));
	model_stream_free(t);
	c.pre_copy = false;
	make(&c);
	assert_int_equal(model_stream_save(m, true, &s), -EOPNOTSUPP);
	c = fake_config("plain");
	make(&c);
	assert_int_equal(model_stream_save(m, false, &s), -EOPNOTSUPP);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(model_stream_load(m, &s), -EOPNOTSUPP);
}

static void committed_stream_is_used_up(void **state)
{
	struct model_stream *s;
	uint8_t *bytes;
	size_t len;

	(void)state;
	stop_both();
	bytes = save_all(m, &len);
	assert_int_equal(model_stream_load(m2, &s), 0);
	assert_int_equal(model_stream_write(s, bytes, len), len);
	assert_int_equal(model_stream_commit(s), 0);
	assert_int_equal(model_stream_commit(s), -EINVAL);
	assert_int_equal(model_stream_write(s, bytes, 1), -EINVAL);
	model_stream_free(s);
	free(bytes);
}

static void device_that_runs_again_makes_its_session_stale(void **state)
{
	struct model_stream *s;
	uint64_t a, b;
	uint8_t byte;

	(void)state;
	assert_int_equal(model_stream_save(m, true, &s), 0);
	assert_int_equal(model_stream_read(s, &byte, 1), 1);
	stop_both();
	assert_int_equal(model_stream_final(s), 0);
	assert_int_equal(model_stream_read(s, &byte, 1), 1);
	assert_int_equal(model_set_level(m, MODEL_P2P), 0);
	assert_int_equal(model_stream_read(s, &byte, 1), -ESTALE);
	assert_int_equal(model_stream_precopy_info(s, &a, &b), -ESTALE);
	model_stream_free(s);
	assert_int_equal(model_stream_save(m, true, &s), 0);
	precopy(s, 16384, 0);
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(model_stream_read(s, &byte, 1), -ESTALE);
	model_stream_free(s);
	assert_int_equal(model_stream_load(m2, &s), 0);
	assert_int_equal(model_set_level(m2, MODEL_RUNNING), 0);
	assert_int_equal(model_stream_write(s, &byte, 1), -ESTALE);
	model_stream_free(s);
}

static void stamps_go_on_where_they_were(void **state)
{
	uint8_t *bytes;
	size_t len;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(model_poke_dma(m, 0, "12345678", 8), 0);
	stop_both();
	bytes = save_all(m, &len);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	assert_int_equal(model_set_level(m2, MODEL_RUNNING), 0);
	assert_int_equal(model_poke_dma(m2, PAGE, "12345678", 8), 0);
	assert_int_equal(fake_get64(h2, PAGE), UINT64_C(5) << 48 | 6);
	free(bytes);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(state_goes_round_unchanged),
		T(stream_arrives_in_any_segmentation),
		T(stream_can_be_read_in_any_pieces),
		T(every_truncation_is_refused),
		T(every_corrupted_byte_is_refused_and_changes_nothing),
		T(bytes_after_the_end_are_refused),
		T(bytes_after_the_end_do_not_spoil_what_is_whole),
		T(state_of_another_device_is_refused),
		T(missing_and_repeated_records_are_refused),
		T(forged_streams_are_survived),
		T(precopy_accounts_for_what_is_unread_and_what_changed),
		T(stop_copy_length_covers_the_stream),
		T(sessions_are_refused_where_they_make_no_sense),
		T(committed_stream_is_used_up),
		T(device_that_runs_again_makes_its_session_stale),
		T(stamps_go_on_where_they_were),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
