/* SPDX-License-Identifier: MIT */
/*
 * Profiles: what is saved is loaded again, and what is no profile is refused
 * with the place and what is allowed there.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile_file.h"

static char dir[] = "/tmp/spoor-profile-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/p.json", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

#define F(v)                                                                   \
	{                                                                      \
		(v), (v) / 2, (v)*2, 7, SPOOR_MEASURED_SW                      \
	}

static struct spoor_dirty_point points[] = {
	{ 10000000, F(4096), F(3), F(0.25) },
	{ 30000000, F(8192.5), F(4), F(0.5) },
};

static struct spoor_profile_page pages[] = {
	{ .page_size = 4096,
	  .start_ns = F(1),
	  .stop_ns = F(2),
	  .read_clean_ns = F(3),
	  .read_page_ns = F(4),
	  .read_run_ns = F(5),
	  .still_bytes = F(8192),
	  .digest_ns = F(6),
	  .slowdown = F(0.07),
	  .delay = F(0.5),
	  .dirty = points,
	  .nr_dirty = 2 },
	{ .page_size = 1ull << 40,
	  .start_ns = { 9, 9, 9, 1, SPOOR_ASSUMED },
	  .stop_ns = { 9, 9, 9, 1, SPOOR_MEASURED_HW } },
};

static char attached[][64] = { "nic0", "dsa0" };

static struct spoor_profile_tracker trackers[] = {
	{ .name = "nic0.device",
	  .kind = SPOOR_TRACKER_DEVICE,
	  .set_bytes = 16u << 20,
	  .pages = pages,
	  .nr_pages = 2 },
	{ .name = "cpu.process", .kind = SPOOR_TRACKER_PROCESS },
	{ .name = "main.iommu", .kind = SPOOR_TRACKER_IOMMU },
	{ .name = "main.iommu",
	  .kind = SPOOR_TRACKER_IOMMU,
	  .attached = attached,
	  .nr_attached = 2 },
};

static struct spoor_profile_device devices[] = {
	{ .name = "nic0",
	  .reach_bytes = 1ull << 41,
	  .state_bytes = F(1e9),
	  .stop_ns = F(1.25),
	  .save_ns = F(2.25),
	  .load_ns = F(3.25),
	  .run_ns = F(4.25),
	  .period_ns = F(5.25) },
};

static struct spoor_zero_point zeroes[] = {
	{ 1000000000, F(0.25) },
	{ 3000000000, F(0.125) },
};

static const struct spoor_profile whole = {
	.host = "h",
	.kernel = "Linux 6.12",
	.cpu = "\"A\" CPU",
	.machine = "m.json",
	.machine_hash = 0xfedcba9876543210,
	.taken_s = 1795687200,
	.memory_bytes = 1ull << 31,
	.zero_share = F(0.5),
	.zero_later = zeroes,
	.nr_zero_later = 2,
	.send_bytes_per_s = F(1e10),
	.zero_bytes_per_s = F(2e10),
	.resend_bytes_per_s = F(3e10),
	.send_run_ns = F(1500),
	.handover_ns = F(1e6),
	.pause_ns = F(10),
	.resume_ns = F(20),
	.trackers = trackers,
	.nr_trackers = 4,
	.devices = devices,
	.nr_devices = 1,
};

static void same_figure(const struct spoor_figure *a,
			const struct spoor_figure *b)
{
	assert_true(a->median == b->median && a->min == b->min &&
		    a->max == b->max);
	assert_int_equal(a->samples, b->samples);
	assert_int_equal(a->origin, b->origin);
}

static void same_page(const struct spoor_profile_page *a,
		      const struct spoor_profile_page *b)
{
	assert_int_equal(a->page_size, b->page_size);
	same_figure(&a->start_ns, &b->start_ns);
	same_figure(&a->stop_ns, &b->stop_ns);
	same_figure(&a->read_clean_ns, &b->read_clean_ns);
	same_figure(&a->read_page_ns, &b->read_page_ns);
	same_figure(&a->read_run_ns, &b->read_run_ns);
	same_figure(&a->still_bytes, &b->still_bytes);
	same_figure(&a->digest_ns, &b->digest_ns);
	same_figure(&a->slowdown, &b->slowdown);
	same_figure(&a->delay, &b->delay);
	assert_int_equal(a->nr_dirty, b->nr_dirty);
	for (size_t i = 0; i < a->nr_dirty; i++) {
		assert_int_equal(a->dirty[i].interval_ns,
				 b->dirty[i].interval_ns);
		same_figure(&a->dirty[i].bytes, &b->dirty[i].bytes);
		same_figure(&a->dirty[i].runs, &b->dirty[i].runs);
		same_figure(&a->dirty[i].zero_share, &b->dirty[i].zero_share);
	}
}

static void same(const struct spoor_profile *a, const struct spoor_profile *b)
{
	assert_string_equal(a->host, b->host);
	assert_string_equal(a->kernel, b->kernel);
	assert_string_equal(a->cpu, b->cpu);
	assert_string_equal(a->machine, b->machine);
	assert_true(a->machine_hash == b->machine_hash);
	assert_int_equal(a->taken_s, b->taken_s);
	assert_int_equal(a->memory_bytes, b->memory_bytes);
	same_figure(&a->zero_share, &b->zero_share);
	assert_int_equal(a->nr_zero_later, b->nr_zero_later);
	for (size_t i = 0; i < a->nr_zero_later; i++) {
		assert_int_equal(a->zero_later[i].after_ns,
				 b->zero_later[i].after_ns);
		same_figure(&a->zero_later[i].share, &b->zero_later[i].share);
	}
	same_figure(&a->send_bytes_per_s, &b->send_bytes_per_s);
	same_figure(&a->zero_bytes_per_s, &b->zero_bytes_per_s);
	same_figure(&a->resend_bytes_per_s, &b->resend_bytes_per_s);
	same_figure(&a->send_run_ns, &b->send_run_ns);
	same_figure(&a->handover_ns, &b->handover_ns);
	same_figure(&a->pause_ns, &b->pause_ns);
	same_figure(&a->resume_ns, &b->resume_ns);
	assert_int_equal(a->nr_trackers, b->nr_trackers);
	for (size_t i = 0; i < a->nr_trackers; i++) {
		const struct spoor_profile_tracker *s = &a->trackers[i];
		const struct spoor_profile_tracker *t = &b->trackers[i];

		assert_string_equal(s->name, t->name);
		assert_int_equal(s->kind, t->kind);
		assert_int_equal(s->set_bytes, t->set_bytes);
		assert_int_equal(s->nr_attached, t->nr_attached);
		for (size_t k = 0; k < s->nr_attached; k++)
			assert_string_equal(s->attached[k], t->attached[k]);
		assert_int_equal(s->nr_pages, t->nr_pages);
		for (size_t k = 0; k < s->nr_pages; k++)
			same_page(&s->pages[k], &t->pages[k]);
	}
	assert_int_equal(a->nr_devices, b->nr_devices);
	for (size_t i = 0; i < a->nr_devices; i++) {
		const struct spoor_profile_device *d = &a->devices[i];
		const struct spoor_profile_device *e = &b->devices[i];

		assert_string_equal(d->name, e->name);
		assert_int_equal(d->reach_bytes, e->reach_bytes);
		same_figure(&d->state_bytes, &e->state_bytes);
		same_figure(&d->stop_ns, &e->stop_ns);
		same_figure(&d->save_ns, &e->save_ns);
		same_figure(&d->load_ns, &e->load_ns);
		same_figure(&d->run_ns, &e->run_ns);
		same_figure(&d->period_ns, &e->period_ns);
	}
}

static void what_is_saved_is_loaded_again(void **state)
{
	struct spoor_profile *p = NULL;
	struct jp_error error = { "" };

	(void)state;
	assert_int_equal(profile_file_save(&whole, path), 0);
	assert_int_equal(profile_file_load(&p, path, &error), 0);
	same(&whole, p);
	profile_file_free(p);
	assert_null(profile_file_free(NULL));
}

static void an_empty_profile_is_one(void **state)
{
	struct spoor_profile none = { .host = "" }, *p = NULL;
	struct jp_error error = { "" };

	(void)state;
	assert_int_equal(profile_file_save(&none, path), 0);
	assert_int_equal(profile_file_load(&p, path, &error), 0);
	same(&none, p);
	profile_file_free(p);
}

static void what_cannot_be_written_leaves_the_old_file(void **state)
{
	struct spoor_profile bad = whole, *p = NULL;
	struct jp_error error = { "" };

	(void)state;
	assert_int_equal(profile_file_save(&whole, path), 0);
	bad.pause_ns.median = NAN;
	assert_int_equal(profile_file_save(&bad, path), -EINVAL);
	assert_int_equal(profile_file_load(&p, path, &error), 0);
	same(&whole, p);
	profile_file_free(p);
	assert_int_equal(profile_file_save(&whole, "/nonexistent/p"), -ENOENT);
}

/* Renamed over, it would be gone for everybody. */
static void a_file_that_is_none_stays_what_it_is(void **state)
{
	struct stat st;

	(void)state;
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(profile_file_save(&whole, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(path);
}

#define GOOD	"{\"median\":1,\"origin\":\"assumed\"}"
#define P(rest) "{\"spoor_profile\":1," rest "}"
#define T(rest)                                                                \
	P("\"trackers\":[{\"name\":\"a\",\"kind\":\"iommu\"},"                 \
	  "{\"name\":\"b\",\"kind\":\"device\"," rest "}]")
#define PAGE(rest) T("\"pages\":[{\"page_size\":4096," rest "}]")
#define START(f)   PAGE("\"start_ns\":" f)
#define DIRTY(l)   PAGE("\"dirty\":[" l "]")
#define AT	   "trackers[1].pages[0]"

static const struct {
	const char *text, *error;
} bad[] = {
	/* syntax, by the line */
	{ "", ":1:0: " },
	{ "{\n\"spoor_profile\": 1,\n\"host\" \"h\"}", ":3:10: " },
	{ "{\"spoor_profile\":1,\"spoor_profile\":1}", "duplicate" },
	{ P("\"pause_ns\":{\"median\":NaN}"), ":1:" },
	{ P("\"pause_ns\":{\"median\":1e999}"), "overflow" },
	{ P("\"host\":\"h\"") "{}", ":1:" },
	/* what it is */
	{ "[]", "document: must be an object" },
	{ "{}", "document: \"spoor_profile\" is missing: it is no profile" },
	{ "{\"memory\":[]}", "\"spoor_profile\" is missing" },
	{ "{\"news\":1,\"spoor_profile\":2}",
	  "spoor_profile: 2: must be 1, the version" },
	{ "{\"spoor_profile\":\"1\"}", "spoor_profile: \"1\": must be 1" },
	/* unknown keys, at every depth */
	{ P("\"hosts\":1"), "hosts: unknown key; known are spoor_profile" },
	{ T("\"page\":1"), "trackers[1].page: unknown key" },
	{ PAGE("\"start\":1"), AT ".start: unknown key" },
	{ START("{\"mean\":1}"), AT ".start_ns.mean: unknown key" },
	{ DIRTY("{\"ms\":1}"), AT ".dirty[0].ms: unknown key" },
	{ P("\"devices\":[{\"nam\":\"\"}]"), "devices[0].nam: unknown key" },
	/* figures */
	{ START("1"), AT ".start_ns: 1: must be an object" },
	{ START("{\"origin\":\"assumed\"}"), AT ".start_ns: \"median\" is" },
	{ START("{\"median\":1}"), AT ".start_ns: \"origin\" is missing" },
	{ START("{\"median\":-1,\"origin\":\"assumed\"}"),
	  AT ".start_ns.median: -1: must be a number, 0 to 1e18" },
	{ START("{\"median\":\"1\",\"origin\":\"assumed\"}"),
	  AT ".start_ns.median: \"1\": must be a number" },
	{ START("{\"median\":2e18,\"origin\":\"assumed\"}"),
	  AT ".start_ns.median: 2e18: must be a number" },
	{ START("{\"median\":1,\"origin\":\"guessed\"}"),
	  AT ".start_ns.origin: \"guessed\": must be \"assumed\", "
	     "\"measured-sw\" or \"measured-hw\"" },
	{ START("{\"median\":1,\"min\":2,\"origin\":\"assumed\"}"),
	  AT ".start_ns.min: 2: must not be above \"median\"" },
	{ START("{\"median\":1,\"max\":0,\"origin\":\"assumed\"}"),
	  AT ".start_ns.max: 0: must not be below \"median\"" },
	{ START("{\"median\":1,\"samples\":0,\"origin\":\"assumed\"}"),
	  AT ".start_ns.samples: 0: must be 1 to" },
	{ START("{\"median\":1,\"samples\":1.5,\"origin\":\"assumed\"}"),
	  AT ".start_ns.samples: 1.5: must be a whole number" },
	{ START("null"), AT ".start_ns: null: must be an object" },
	/* pages and intervals */
	{ T("\"pages\":{}"), "trackers[1].pages: must be an array" },
	{ T("\"pages\":[{}]"), AT ": \"page_size\" is missing" },
	{ T("\"pages\":[{\"page_size\":2048}]"),
	  AT ".page_size: 2048: must be 4K to" },
	{ T("\"pages\":[{\"page_size\":\"12K\"}]"),
	  AT ".page_size: \"12K\": must be a power of two" },
	{ T("\"pages\":[{\"page_size\":8192},{\"page_size\":4096}]"),
	  "trackers[1].pages[1].page_size: 4096: must be above that of" },
	{ T("\"pages\":[{\"page_size\":4096},{\"page_size\":\"4K\"}]"),
	  "trackers[1].pages[1].page_size: \"4K\": must be above" },
	{ DIRTY("{\"bytes\":" GOOD "}"), "\"interval_ns\" is missing" },
	{ DIRTY("{\"interval_ns\":5}"), AT ".dirty[0]: \"bytes\" is missing" },
	{ DIRTY("{\"interval_ns\":0,\"bytes\":" GOOD "}"),
	  AT ".dirty[0].interval_ns: 0: must be 1 to" },
	{ DIRTY("{\"interval_ns\":5,\"bytes\":" GOOD "},"
		"{\"interval_ns\":5,\"bytes\":" GOOD "}"),
	  AT ".dirty[1].interval_ns: 5: must be above that of" },
	/* trackers and devices */
	{ P("\"trackers\":[{\"kind\":\"iommu\"}]"), "[0]: \"name\" is miss" },
	{ P("\"trackers\":[{\"name\":\"a\"}]"), "[0]: \"kind\" is missing" },
	{ P("\"trackers\":[{\"name\":\"a\",\"kind\":\"all\"}]"),
	  "trackers[0].kind: \"all\": must be \"device\", \"iommu\"" },
	{ P("\"trackers\":[{\"name\":\"\",\"kind\":\"iommu\"}]"),
	  "trackers[0].name: \"\": must not be empty" },
	{ P("\"trackers\":[{\"name\":\"a\",\"kind\":\"iommu\"},"
	    "{\"name\":\"a\",\"kind\":\"iommu\"}]"),
	  "trackers[1].name: \"a\": is there twice" },
	{ P("\"trackers\":["
	    "{\"name\":\"a\",\"kind\":\"iommu\",\"attached\":[\"x\",\"y\"]},"
	    "{\"name\":\"a\",\"kind\":\"iommu\",\"attached\":[\"x\"]},"
	    "{\"name\":\"a\",\"kind\":\"iommu\"},"
	    "{\"name\":\"a\",\"kind\":\"iommu\",\"attached\":[\"y\",\"x\"]}]"),
	  "trackers[3].name: \"a\": is there twice" },
	{ P("\"trackers\":[{\"name\":\"a\",\"attached\":[\"x\",\"x\"]}]"),
	  "trackers[0].attached[1]: \"x\": is there twice" },
	{ P("\"trackers\":[{\"name\":\"a\",\"attached\":\"x\"}]"),
	  "trackers[0].attached: \"x\": must be an array" },
	{ P("\"zero_later\":[{\"after_ns\":5}]"),
	  "zero_later[0]: \"share\" is missing" },
	{ P("\"zero_later\":["
	    "{\"after_ns\":5,\"share\":{\"median\":0,\"origin\":\"assumed\"}},"
	    "{\"after_ns\":5,\"share\":{\"median\":0,\"origin\":\"assumed\"}}"
	    "]"),
	  "zero_later[1].after_ns: 5: must be above that of the entry before" },
	{ P("\"devices\":[{}]"), "devices[0]: \"name\" is missing" },
	{ P("\"devices\":[{\"name\":\"a\"},{\"name\":\"a\"}]"),
	  "devices[1].name: \"a\": is there twice" },
	{ P("\"devices\":[{\"name\":\"a\",\"reach_bytes\":-1}]"),
	  "devices[0].reach_bytes: -1: must be a size" },
	{ P("\"devices\":[{\"name\":\"a\",\"period_ns\":[]}]"),
	  "devices[0].period_ns: must be an object" },
	/* the rest */
	{ P("\"host\":3"), "host: 3: must be a string" },
	{ P("\"host\":\"\\u001b[2J\""), "host: must not hold control" },
	{ P("\"taken\":\"yesterday\""),
	  "taken: \"yesterday\": must be a time" },
	{ P("\"taken\":\"2026-11-26T10:00:00Zz\""), "must be a time" },
	{ P("\"machine_hash\":\"12\""), "machine_hash: \"12\": must be an" },
	{ P("\"memory_bytes\":\"much\""), "memory_bytes: \"much\": must be" },
};

static void what_is_no_profile_is_refused_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct spoor_profile *p = NULL;
		struct jp_error error = { "" };

		write_file(bad[i].text, strlen(bad[i].text));
		assert_int_equal(profile_file_load(&p, path, &error), -EINVAL);
		assert_null(p);
		assert_int_equal(strncmp(error.text, path, strlen(path)), 0);
		if (!strstr(error.text, bad[i].error))
			fail_msg("%s\nsays: %s\nnot: %s", bad[i].text,
				 error.text, bad[i].error);
	}
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct spoor_profile *p = NULL;
	struct jp_error error = { "" };

	(void)state;
	assert_int_equal(profile_file_load(&p, "/nonexistent/p", &error),
			 -EINVAL);
	assert_non_null(strstr(error.text, "/nonexistent/p: No such file"));
	assert_int_equal(profile_file_load(&p, "/tmp", &error), -EINVAL);
	assert_non_null(strstr(error.text, "/tmp: Is a directory"));
}

/* Cut anywhere, or with any byte another: loaded or refused, never more. */
static void damage_is_refused_or_harmless(void **state)
{
	char text[16384];
	FILE *file;
	size_t len;

	(void)state;
	assert_int_equal(profile_file_save(&whole, path), 0);
	file = fopen(path, "r");
	assert_non_null(file);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_in_range(len, 1000, sizeof(text) - 1);
	for (size_t i = 0; i < len - 2; i += 7) {
		struct spoor_profile *p = NULL;
		struct jp_error error = { "" };
		char was = text[i];

		write_file(text, i);
		assert_int_equal(profile_file_load(&p, path, &error), -EINVAL);
		text[i] = (char)(was ^ (1 << i % 7));
		write_file(text, len);
		if (profile_file_load(&p, path, &error))
			assert_true(error.text[0] && !p);
		profile_file_free(p);
		text[i] = was;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_saved_is_loaded_again),
		cmocka_unit_test(an_empty_profile_is_one),
		cmocka_unit_test(what_cannot_be_written_leaves_the_old_file),
		cmocka_unit_test(a_file_that_is_none_stays_what_it_is),
		cmocka_unit_test(what_is_no_profile_is_refused_with_its_place),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
		cmocka_unit_test(damage_is_refused_or_harmless),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
