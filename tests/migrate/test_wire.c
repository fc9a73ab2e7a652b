/* SPDX-License-Identifier: MIT */
/*
 * The codecs: what is encoded comes back, what is cut, oversized or corrupt is
 * refused, and no input makes them read past its end (ASan watches: inputs are
 * exactly as long as they are said to be).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/device.h>
#include <spoor/error.h>

#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/message.h"

static uint64_t seed = 88172645463325252u;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

typedef int (*decode_fn)(const void *data, size_t len);

static int try_hello(const void *data, size_t len)
{
	struct spoor_hello h;
	int err = spoor_hello_decode(&h, data, len);

	if (!err)
		spoor_hello_clear(&h);
	return err;
}

static int try_welcome(const void *data, size_t len)
{
	struct spoor_welcome w;

	return spoor_welcome_decode(&w, data, len);
}

static int try_round(const void *data, size_t len)
{
	struct spoor_round r;

	return spoor_round_decode(&r, data, len);
}

static int try_device_end(const void *data, size_t len)
{
	struct spoor_device_end e;

	return spoor_device_end_decode(&e, data, len);
}

static int try_complete(const void *data, size_t len)
{
	struct spoor_complete c;

	return spoor_complete_decode(&c, data, len);
}

static int try_reason(const void *data, size_t len)
{
	struct spoor_reason r;

	return spoor_reason_decode(&r, data, len);
}

static int try_words(const void *data, size_t len)
{
	struct spoor_words w;
	int err = spoor_words_decode(&w, data, len);

	if (!err)
		free(w.words);
	return err;
}

static int try_lost(const void *data, size_t len)
{
	struct spoor_lost_list l;
	int err = spoor_lost_decode(&l, data, len);

	if (!err)
		free(l.entries);
	return err;
}

static int try_done(const void *data, size_t len)
{
	struct spoor_done d;
	int err = spoor_done_decode(&d, data, len);

	if (!err)
		free(d.failures);
	return err;
}

/* Whole it is taken; every shorter piece is refused, and so is one more. */
static void whole_only(decode_fn decode, const struct spoor_wbuf *b,
		       bool may_grow)
{
	assert_false(b->failed);
	for (size_t len = 0; len <= b->len + 1; len++) {
		/* Of its own, so that a read past it is seen. */
		uint8_t *copy = calloc(1, len ? len : 1);

		memcpy(copy, b->data, len < b->len ? len : b->len);
		if (len == b->len || (len > b->len && may_grow))
			assert_int_equal(decode(copy, len), 0);
		else
			assert_int_equal(decode(copy, len), -EPROTO);
		free(copy);
	}
}

static struct spoor_hello_range ranges[] = {
	{ { 0, 1u << 30 }, 0 },
	{ { 0x100000000, 4096 }, 1 },
	{ { UINT64_MAX - 4095, 4096 }, 0 },
};
static struct spoor_hello_device devices[] = { { "nic0", 7 }, { "dsa0", 1 } };

static struct spoor_hello hello(void)
{
	return (struct spoor_hello){ .version_min = 1,
				     .version_max = 3,
				     .page_size = 4096,
				     .silence_ms = 10000,
				     .flags = SPOOR_HELLO_VERIFY,
				     .channels = 1,
				     .ranges = ranges,
				     .nr_ranges = 3,
				     .devices = devices,
				     .nr_devices = 2 };
}

static void hello_comes_back_as_it_was(void **state)
{
	const struct spoor_hello h = hello();
	SPOOR_AUTO_WBUF b = { 0 };
	SPOOR_AUTO_WBUF again = { 0 };
	struct spoor_hello got;

	(void)state;
	spoor_hello_encode(&h, &b);
	assert_int_equal(spoor_hello_decode(&got, b.data, b.len), 0);
	assert_int_equal(got.version_max, 3);
	assert_int_equal(got.ranges[2].range.iova, UINT64_MAX - 4095);
	assert_int_equal(got.ranges[1].flags, 1);
	assert_string_equal(got.devices[0].name, "nic0");
	assert_int_equal(got.devices[0].migration, 7);
	spoor_hello_encode(&got, &again);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(again.data, b.data, b.len);
	spoor_hello_clear(&got);
	whole_only(try_hello, &b, true);
}

/* Each difference is refused, and its name is in the text. */
static void each_difference_is_refused_by_name(void **state)
{
	struct spoor_hello ours = hello();
	uint32_t version;

	(void)state;
	assert_int_equal(spoor_hello_match(&ours, &ours, &version), 0);
	assert_int_equal(version, 3);
#define REFUSED(change, word)                                                  \
	do {                                                                   \
		struct spoor_hello t = hello();                                \
		struct spoor_hello_range r[3];                                 \
		struct spoor_hello_device d[2];                                \
		memcpy(r, ranges, sizeof(r));                                  \
		memcpy(d, devices, sizeof(d));                                 \
		t.ranges = r;                                                  \
		t.devices = d;                                                 \
		change;                                                        \
		assert_int_equal(spoor_hello_match(&t, &ours, &version),       \
				 -EPERM);                                      \
		assert_non_null(strstr(spoor_errmsg(), word));                 \
	} while (0)
	REFUSED((t.version_min = 4, t.version_max = 9), "version");
	REFUSED((t.version_min = 0, t.version_max = 0), "version");
	REFUSED(t.page_size = 65536, "page size");
	REFUSED(t.flags = 0x80, "options");
	REFUSED(t.channels = 2, "channels");
	REFUSED(t.nr_ranges = 2, "memory");
	REFUSED(r[0].range.len *= 2, "memory");
	REFUSED(r[1].range.iova += 4096, "memory");
	REFUSED(r[1].flags = 0, "flags");
	REFUSED(t.nr_devices = 1, "devices");
	REFUSED(strcpy(d[1].name, "nic1"), "nic1");
	REFUSED(d[1].migration |= SPOOR_MIGRATION_PRE_COPY, "dsa0");
#undef REFUSED
}

static void payloads_are_taken_whole_or_not_at_all(void **state)
{
	const struct spoor_lost_entry lost[] = {
		{ { 0x1000, 4096 }, "nic0" }, { { 0x5000, 8192 }, "unknown" }
	};
	const struct spoor_done_failure failed[] = { { 3, "mdev0" },
						     { UINT32_MAX, "CPUs" } };
	const uint64_t words[] = { 1, UINT64_MAX, 3 };
	struct spoor_reason reason = { 5, "nic0: EIO" };

	(void)state;
#define CASE(decode, encode, ...)                                              \
	do {                                                                   \
		SPOOR_AUTO_WBUF b = { 0 };                                     \
		encode(__VA_ARGS__, &b);                                       \
		whole_only(decode, &b, false);                                 \
	} while (0)
	CASE(try_welcome, spoor_welcome_encode,
	     (&(struct spoor_welcome){ 1, 2 }));
	CASE(try_round, spoor_round_encode, (&(struct spoor_round){ 7, 1 }));
	CASE(try_device_end, spoor_device_end_encode,
	     (&(struct spoor_device_end){ 1, 1u << 20 }));
	CASE(try_complete, spoor_complete_encode,
	     (&(struct spoor_complete){ 1, 2, 3 }));
	CASE(try_reason, spoor_reason_encode, &reason);
	CASE(try_words, spoor_words_encode, 9, words, 3);
	CASE(try_words, spoor_words_encode, 9, words, 0);
	CASE(try_lost, spoor_lost_encode, 3, lost, 2);
	CASE(try_done, spoor_done_encode, failed, 2);
	CASE(try_done, spoor_done_encode, failed, 0);
#undef CASE
}

static void counts_over_a_limit_are_refused(void **state)
{
	(void)state;
	for (unsigned int field = 0; field < 2; field++) {
		struct spoor_hello h = hello();
		SPOOR_AUTO_WBUF b = { 0 };
		const uint32_t many = UINT32_MAX;

		spoor_hello_encode(&h, &b);
		memcpy(b.data + 24 + field * 4, &many, 4);
		assert_int_equal(try_hello(b.data, b.len), -EPROTO);
	}
	for (uint32_t nr = SPOOR_WORDS_MAX + 1; nr > 8; nr /= 2) {
		SPOOR_AUTO_WBUF b = { 0 };

		spoor_wbuf_u64(&b, 0);
		spoor_wbuf_u32(&b, nr);
		spoor_wbuf_u32(&b, 0);
		spoor_wbuf_u64(&b, 0);
		assert_int_equal(try_words(b.data, b.len), -EPROTO);
		assert_int_equal(try_lost(b.data, b.len), -EPROTO);
		assert_int_equal(try_done(b.data + 8, b.len - 8), -EPROTO);
	}
}

static void text_for_people_has_no_control_characters(void **state)
{
	const struct spoor_reason bad = { 1, "a\033[2Jb\n" };
	struct spoor_reason got;
	SPOOR_AUTO_WBUF b = { 0 };

	(void)state;
	spoor_reason_encode(&bad, &b);
	assert_int_equal(spoor_reason_decode(&got, b.data, b.len), 0);
	assert_string_equal(got.text, "a?[2Jb?");
	b.data[7] = 0x1b;
	assert_int_equal(spoor_reason_decode(&got, b.data, b.len), -EPROTO);
}

static void runs_outside_the_address_space_are_refused(void **state)
{
	static const struct {
		uint64_t iova, len;
		bool good;
	} cases[] = {
		{ 0, 4096, true },
		{ UINT64_MAX - 4095, 4096, true },
		{ UINT64_MAX - 4095, 8192, false },
		{ 0, 0, false },
		{ 1, 4096, false },
		{ 4096, 4095, false },
		{ 0x8000000000000000, 0x8000000000000000, true },
		{ 0x8000000000001000, 0x8000000000000000, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct spoor_range run = { cases[i].iova, cases[i].len };
		uint8_t raw[SPOOR_RUN_HEADER];
		struct spoor_range got = { 1, 2 };

		spoor_run_encode(&run, raw);
		assert_int_equal(spoor_run_decode(&got, raw),
				 cases[i].good ? 0 : -EPROTO);
		assert_int_equal(got.iova, cases[i].good ? run.iova : 1);
	}
}

static void each_type_has_its_length(void **state)
{
	uint8_t raw[SPOOR_FRAME_HEADER];
	struct spoor_frame f, got;

	(void)state;
	for (uint16_t type = 0; type <= SPOOR_FRAME_TYPE_LAST + 2; type++) {
		const bool known = type && type <= SPOOR_FRAME_TYPE_LAST;

		/* Longer than anything may be. */
		f = (struct spoor_frame){ .type = type,
					  .len = SPOOR_PAYLOAD_MAX + 1 };
		spoor_frame_encode(&f, raw);
		assert_int_equal(spoor_frame_decode(&got, raw), -EPROTO);
		f.len = UINT64_MAX;
		spoor_frame_encode(&f, raw);
		assert_int_equal(spoor_frame_decode(&got, raw), -EPROTO);
		/* A flag of no use here; unknown and optional is fine. */
		f.len = 16;
		f.flags = SPOOR_FRAME_OPTIONAL;
		spoor_frame_encode(&f, raw);
		assert_int_equal(spoor_frame_decode(&got, raw),
				 known ? -EPROTO : 0);
		assert_int_equal(strcmp(spoor_frame_name(type), "?") != 0,
				 known);
	}
}

static void every_bit_of_a_frame_is_under_its_check(void **state)
{
	uint8_t frame[SPOOR_FRAME_HEADER + 100];
	struct iovec iov = { frame + SPOOR_FRAME_HEADER, 100 };
	struct spoor_frame f = { .type = SPOOR_FRAME_SECTION, .len = 100 };

	(void)state;
	for (size_t i = 0; i < 100; i++)
		frame[SPOOR_FRAME_HEADER + i] = (uint8_t)rnd();
	spoor_frame_encode(&f, frame);
	f.check = spoor_frame_check(frame, &iov, 1);
	spoor_frame_encode(&f, frame);
	for (size_t bit = 0; bit < sizeof(frame) * 8; bit++) {
		struct spoor_frame got;
		bool taken;

		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		taken = !spoor_frame_decode(&got, frame) && got.len == 100 &&
			spoor_frame_check(frame, &iov, 1) == got.check;
		assert_false(taken);
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(spoor_frame_check(frame, &iov, 1), f.check);
	/* In pieces it is the same. */
	struct iovec pieces[2] = { { iov.iov_base, 33 },
				   { frame + SPOOR_FRAME_HEADER + 33, 67 } };
	assert_int_equal(spoor_frame_check(frame, pieces, 2), f.check);
}

static void noise_is_refused_or_comes_back(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		static const decode_fn all[] = {
			try_hello,	try_welcome,  try_round,
			try_device_end, try_complete, try_reason,
			try_words,	try_lost,     try_done,
		};
		const size_t len = rnd() % 200;
		uint8_t *noise = malloc(len + 1);
		uint8_t raw[SPOOR_FRAME_HEADER], back[SPOOR_FRAME_HEADER];
		struct spoor_frame f = { .type = (uint16_t)(rnd() % 24),
					 .flags = (uint16_t)(rnd() & 0x8001),
					 .channel = (uint32_t)rnd(),
					 .seq = (uint32_t)rnd(),
					 .len = rnd() % 64,
					 .check = rnd() };

		/* Small numbers get further in than plain noise. */
		for (size_t j = 0; j < len; j++)
			noise[j] = rnd() % 3 ? 0 : (uint8_t)(rnd() % 9);
		for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++)
			(void)all[j](noise, len);
		free(noise);
		spoor_frame_encode(&f, raw);
		if (!spoor_frame_decode(&f, raw)) {
			spoor_frame_encode(&f, back);
			assert_memory_equal(raw, back, sizeof(raw));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_comes_back_as_it_was),
		cmocka_unit_test(each_difference_is_refused_by_name),
		cmocka_unit_test(payloads_are_taken_whole_or_not_at_all),
		cmocka_unit_test(counts_over_a_limit_are_refused),
		cmocka_unit_test(text_for_people_has_no_control_characters),
		cmocka_unit_test(runs_outside_the_address_space_are_refused),
		cmocka_unit_test(each_type_has_its_length),
		cmocka_unit_test(every_bit_of_a_frame_is_under_its_check),
		cmocka_unit_test(noise_is_refused_or_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
