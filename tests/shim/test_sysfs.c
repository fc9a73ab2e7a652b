/* SPDX-License-Identifier: MIT */
/*
 * What programs read of sysfs before they open a device: its driver, whether
 * VFIO is loaded, its BARs and its configuration space.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define PCI	    "/sys/bus/pci/devices/"
#define NR_DEVICES  5u
#define NR_LINES    13u
#define MEM	    0x200u
#define PREFETCH    0x2000u
#define SIZE_ALIGN  0x40000u
#define MEM_64	    0x100000u
#define BAR_AT(bar) (0x10 + 4 * (bar))

/* The double's BARs. */
#define LEN0	0x1000ull
#define LEN2	0x100000000ull
#define LEN4	0x10000ull
#define NR_BARS 3u

struct resource {
	unsigned long long first, last, flags;
};

static const char *entry(unsigned int device, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), PCI "0000:%02x:00.0/%s", device + 1, name);
	return path;
}

static size_t content(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = '\0';
	return n;
}

static const char *driver_of(unsigned int device)
{
	static char target[256];
	ssize_t n =
		readlink(entry(device, "driver"), target, sizeof(target) - 1);

	assert_true(n > 0);
	target[n] = '\0';
	return strrchr(target, '/') + 1;
}

static void only_plain_devices_have_the_plain_driver(void **state)
{
	struct stat st;

	(void)state;
	assert_string_equal(driver_of(0), "vfio-pci");
	assert_string_equal(driver_of(1), "vfio-soft"); /* it logs */
	assert_string_equal(driver_of(2), "vfio-soft"); /* it migrates */
	assert_string_equal(driver_of(3), "vfio-soft"); /* it pins */
	assert_string_equal(driver_of(4), "vfio-pci");
	assert_int_equal(
		stat("/sys/bus/pci/drivers/vfio-pci/0000:01:00.0", &st), 0);
	assert_int_equal(
		stat("/sys/bus/pci/drivers/vfio-pci/0000:02:00.0", &st), -1);
}

static unsigned int resources(unsigned int device, struct resource *ret)
{
	char text[1024], *save = NULL, *line;
	unsigned int nr = 0, at;

	/* Programs read it by the line. */
	assert_int_equal(content(entry(device, "resource"), text, sizeof(text)),
			 NR_LINES * 57);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		assert_true(nr < NR_LINES);
		/* NOLINTNEXTLINE(cert-err34-c): a test */
		at = (unsigned int)sscanf(line, "0x%llx 0x%llx 0x%llx",
					  &ret[nr].first, &ret[nr].last,
					  &ret[nr].flags);
		assert_int_equal(at, 3);
		nr++;
	}
	return nr;
}

static void check_bar(const struct resource *r, unsigned long long len,
		      unsigned long long flags)
{
	assert_int_equal(r->flags, flags);
	assert_int_equal(r->last - r->first + 1, len);
	assert_int_equal(r->first % len, 0);
	assert_int_equal(r->last >> 32 != 0, (flags & MEM_64) != 0);
}

static void bars_are_where_no_other_is(void **state)
{
	struct resource r[NR_LINES] = { { 0 } }, seen[NR_BARS * NR_DEVICES];
	unsigned int nr = 0;

	(void)state;
	for (unsigned int i = 0; i < NR_DEVICES; i++) {
		assert_int_equal(resources(i, r), NR_LINES);
		check_bar(&r[0], LEN0, MEM | SIZE_ALIGN);
		check_bar(&r[4], LEN4, MEM | SIZE_ALIGN);
		/* 0xc: 64 bits and prefetchable, as the BAR itself says. */
		check_bar(&r[2], LEN2,
			  MEM | SIZE_ALIGN | PREFETCH | MEM_64 | 0xc);
		for (unsigned int j = 0; j < NR_LINES; j++)
			if (j != 0 && j != 2 && j != 4)
				assert_int_equal(
					r[j].first | r[j].last | r[j].flags, 0);
		seen[nr++] = r[0];
		seen[nr++] = r[2];
		seen[nr++] = r[4];
	}
	for (unsigned int i = 0; i < nr; i++)
		for (unsigned int j = 0; j < i; j++)
			assert_true(seen[i].first > seen[j].last ||
				    seen[i].last < seen[j].first);
}

static uint32_t config32(const char *bytes, unsigned int at)
{
	uint32_t v;

	memcpy(&v, bytes + at, sizeof(v));
	return v;
}

static void configuration_space_is_what_the_other_entries_say(void **state)
{
	struct resource r[NR_LINES] = { { 0 } };
	char bytes[4097], text[128];

	(void)state;
	for (unsigned int i = 0; i < NR_DEVICES; i++) {
		assert_int_equal(
			content(entry(i, "config"), bytes, sizeof(bytes)), 256);
		resources(i, r);
		assert_int_equal(config32(bytes, 0), 0x50011d55);
		assert_int_equal(config32(bytes, BAR_AT(0)), r[0].first);
		assert_int_equal(config32(bytes, BAR_AT(2)),
				 (uint32_t)r[2].first | 0xc);
		assert_int_equal(config32(bytes, BAR_AT(3)), r[2].first >> 32);
	}
	content(entry(0, "subsystem_device"), text, sizeof(text));
	assert_string_equal(text, "0x5002\n");
	content(entry(0, "revision"), text, sizeof(text));
	assert_string_equal(text, "0x07\n");
	content(entry(0, "modalias"), text, sizeof(text));
	assert_string_equal(text, "pci:v00001D55d00005001sv00001D55sd00005002"
				  "bc02sc00i00\n");
}

static void vfio_is_loaded(void **state)
{
	static const char *const modules[] = { "vfio", "vfio_pci",
					       "vfio_pci_core",
					       "vfio_iommu_type1", "iommufd" };
	char path[64], text[8];
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s", modules[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_true(S_ISDIR(st.st_mode));
	}
	content("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", text,
		sizeof(text));
	assert_string_equal(text, "Y\n");
	/* The machine's are there, too. */
	assert_int_equal(access("/sys/module/kernel", F_OK), 0);
	assert_int_equal(access("/sys/module/no_such", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_plain_devices_have_the_plain_driver),
		cmocka_unit_test(bars_are_where_no_other_is),
		cmocka_unit_test(
			configuration_space_is_what_the_other_entries_say),
		cmocka_unit_test(vfio_is_loaded),
	};

	setenv("SOFTVFIO_CONFIG",
	       "device name=a model=dsa\n"
	       "device name=b model=nic log=1\n"
	       "device name=c model=nic migration=stop-copy\n"
	       "device name=d model=nic pins_gratuitous=1\n"
	       "device name=e model=plain noiommu=1",
	       1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
