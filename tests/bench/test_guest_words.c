/* SPDX-License-Identifier: MIT */
/*
 * The guest that QEMU boots: it understands its words or says which it does
 * not, and divides as the host does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bench/qemu/guest/div64.h"
#include "bench/qemu/guest/words.h"
#include "models/dsa_regs.h"
#include "tools/spoor/pace.h"

#define DSA                                                                    \
	"dsa@16,set_base=0x4000000,set=0x4000000,rate=64000000,"               \
	"request=65536,depth=8,pattern=hot,ctl=0x1000000"
#define NIC   "nic@0x11,ring_base=0x1100000,ring=0x80000,ctl=0x1010000"
#define PLAIN "plain@18,set_base=0x2000000,set=65536,rate=0"
#define CPU                                                                    \
	"cpu,set_base=0x8000000,set=4096,rate=18446744073709551615,"           \
	"pattern=sequential,ctl=0x1020000"

static struct words words;
static char error[GUEST_ERROR_MAX];

static bool read_line(const char *line)
{
	struct text t = { error, sizeof(error) };

	error[0] = '\0';
	return words_read(line, &words, &t);
}

static void reads_every_kind_of_word(void **state)
{
	const struct word *w = words.word;

	(void)state;
	assert_true(
		read_line("  " DSA " " NIC "  seed=0x1F " PLAIN " " CPU " "));
	assert_string_equal(error, "");
	assert_int_equal(words.nr, 4);
	assert_int_equal(words.seed, 31);
	assert_int_equal(w[0].kind, GUEST_DSA);
	assert_int_equal(w[0].slot, 16);
	assert_int_equal(w[0].set_base, 0x4000000);
	assert_int_equal(w[0].set, 0x4000000);
	assert_int_equal(w[0].rate, 64000000);
	assert_int_equal(w[0].request, 65536);
	assert_int_equal(w[0].depth, 8);
	assert_int_equal(w[0].pattern, PACE_HOT);
	assert_int_equal(w[0].ctl, 0x1000000);
	assert_int_equal(w[1].kind, GUEST_NIC);
	assert_int_equal(w[1].slot, 17);
	assert_int_equal(w[1].ring_base, 0x1100000);
	assert_int_equal(w[1].ring, 0x80000);
	assert_int_equal(w[1].set, 0);
	assert_int_equal(w[2].kind, GUEST_PLAIN);
	assert_int_equal(w[2].pattern, PACE_UNIFORM);
	assert_int_equal(w[2].rate, 0);
	assert_int_equal(w[3].kind, GUEST_CPU);
	assert_true(w[3].rate == UINT64_MAX);
	assert_int_equal(w[3].pattern, PACE_SEQUENTIAL);
}

static void does_nothing_when_nothing_is_said(void **state)
{
	(void)state;
	assert_true(read_line(""));
	assert_int_equal(words.nr, 0);
	assert_int_equal(words.seed, 1);
}

static void refuses_what_it_does_not_understand(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{ "dsb@16", "\"dsb@16\": no such word" },
		{ "ds@16", "no such word" },
		{ "dsa16", "no such word" },
		{ "ro", "no such word" },
		{ "dsa,set=4096", "\"dsa\": needs @SLOT" },
		{ "cpu@3,set=4096", "\"cpu@3\": has no slot" },
		{ "nic@32,ring=4096", "no such slot" },
		{ "nic@,ring=4096", "no such slot" },
		{ "nic@x,ring=4096", "no such slot" },
		{ "seed=", "\"seed=\": not a number" },
		{ "seed", "not a number" },
		{ "seed=0x", "not a number" },
		{ "seed=1k", "not a number" },
		{ "seed=-1", "not a number" },
		{ "seed=18446744073709551616", "not a number" },
		{ "seed=0x10000000000000000", "not a number" },
		{ "nic@17,set=4096", "\"set=4096\": no such key" },
		{ "nic@17,rings=4096", "no such key" },
		{ "nic@17,,ring=4096", "\"\": no such key" },
		{ "nic@17,ring=8192,ring=4096", "\"ring=4096\": said twice" },
		{ "nic@17,ring", "\"ring\": not a number" },
		{ "nic@17,ring=4097", "not whole pages" },
		{ "nic@17,ring=0", "too small" },
		{ "nic@17,ctl=0x3ff000", "too small" },
		{ "dsa@16,depth=65", "too large" },
		{ "dsa@16,depth=0", "too small" },
		{ "dsa@16,pattern=random", "\"pattern=random\": no such" },
		{ "dsa@16,pattern=", "no such pattern" },
		{ "nic@17,ring=4096,ctl=0x1000000", "lacks ring_base" },
		{ DSA " " CPU ",p=1", "no such key" },
		{ DSA " dsa@16", "lacks set_base" },
		{ "plain@18,set_base=0x2000000,set=4096,rate=0",
		  "set is smaller than a fill" },
		{ "dsa@1,set_base=0x4000000,set=4096,rate=0,request=8192,"
		  "depth=1,pattern=hot,ctl=0x1000000",
		  "request is larger than set" },
		{ "cpu,set_base=0x400000,set=4096,rate=0,ctl=0x401000",
		  "lacks pattern" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_line(cases[i].line) || !strstr(error, cases[i].why))
			fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].line,
				 error, cases[i].why);
	}
}

static void refuses_areas_that_meet(void **state)
{
	(void)state;
	/* Side by side is well. */
	assert_true(read_line("nic@1,ring_base=0x400000,ring=4096,ctl=0x401000 "
			      "nic@2,ring_base=0x405000,ring=4096,"
			      "ctl=0x406000"));
	assert_false(read_line("nic@1,ring_base=0x400000,ring=8192,"
			       "ctl=0x401000"));
	assert_non_null(strstr(error, "its areas overlap"));
	assert_false(read_line("nic@1,ring_base=0x400000,ring=4096,"
			       "ctl=0x401000 nic@2,ring_base=0x404000,"
			       "ring=4096,ctl=0x406000"));
	assert_non_null(strstr(error, "overlaps another"));
	assert_false(read_line(NIC " " PLAIN " plain@18,set_base=0x5000000,"
				   "set=65536,rate=0"));
	assert_non_null(strstr(error, "its slot is taken"));
}

static void refuses_what_a_32_bit_cpu_does_not_reach(void **state)
{
	(void)state;
	/* A device reaches it. */
	assert_true(read_line("plain@1,set_base=0x100000000,set=65536,rate=0"));
	assert_true(read_line("nic@1,ring_base=0xfffff000,ring=4096,"
			      "ctl=0x400000"));
	assert_false(read_line("nic@1,ring_base=0xfffff000,ring=8192,"
			       "ctl=0x400000"));
	assert_non_null(strstr(error, "above 4 GiB"));
	assert_false(read_line("plain@1,set_base=0xfffffffffffff000,set=65536,"
			       "rate=0"));
	assert_non_null(strstr(error, "wraps"));
}

static void refuses_more_words_than_it_has_room_for(void **state)
{
	char line[4096] = "";
	struct text t = { line, sizeof(line) };

	(void)state;
	for (unsigned int i = 0; i <= GUEST_WORKS_MAX; i++) {
		assert_int_equal(words.nr > GUEST_WORKS_MAX, 0);
		if (i)
			assert_true(read_line(line));
		text_put(&t, " plain@");
		text_hex(&t, i);
		text_put(&t, ",set=65536,rate=0,set_base=");
		text_hex(&t, 0x1000000ull + i * 65536ull);
	}
	assert_false(read_line(line));
	assert_non_null(strstr(error, "too many words"));
}

static void says_why_of_long_words_too(void **state)
{
	char line[512];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	assert_false(read_line(line));
	assert_non_null(strstr(error, "xxx...\": no such word"));
	assert_true(read_line(DSA));
	assert_false(read_line(DSA " " DSA));
	assert_string_equal(error, "\"dsa@16\": its slot is taken");
}

static void cuts_text_that_does_not_fit(void **state)
{
	char buf[8] = "EEEEEEE";
	struct text t = { buf, 5 };

	(void)state;
	text_put(&t, "ab");
	text_hex(&t, 0x7ff);
	assert_string_equal(buf, "ab0x");
	assert_memory_equal(buf + 5, "EE", 3);
}

static void divides_as_the_host_does(void **state)
{
	static const uint64_t edges[] = {
		1,
		2,
		3,
		7,
		10,
		255,
		256,
		1000000000,
		INT32_MAX,
		UINT32_MAX,
		1ull << 32,
		(1ull << 32) + 1,
		1ull << 33,
		1ull << 62,
		INT64_MAX,
		1ull << 63,
		~0ull - 1,
		~0ull,
		0x123456789abcdefull,
	};
	uint64_t random = 0, rest;

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		for (size_t k = 0; k < sizeof(edges) / sizeof(edges[0]); k++) {
			uint64_t n = edges[i], d = edges[k];

			assert_true(div64(n, d, &rest) == n / d);
			assert_true(rest == n % d);
		}
	}
	for (unsigned int i = 0; i < 100000; i++) {
		uint64_t n = pace_random(&random);
		uint64_t d = (pace_random(&random) >> (i % 64)) | 1;

		assert_true(div64(n, d, &rest) == n / d);
		assert_true(rest == n % d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_kind_of_word),
		cmocka_unit_test(does_nothing_when_nothing_is_said),
		cmocka_unit_test(refuses_what_it_does_not_understand),
		cmocka_unit_test(refuses_areas_that_meet),
		cmocka_unit_test(refuses_what_a_32_bit_cpu_does_not_reach),
		cmocka_unit_test(refuses_more_words_than_it_has_room_for),
		cmocka_unit_test(says_why_of_long_words_too),
		cmocka_unit_test(cuts_text_that_does_not_fit),
		cmocka_unit_test(divides_as_the_host_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
