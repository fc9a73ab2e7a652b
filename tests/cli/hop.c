/* SPDX-License-Identifier: MIT */
/*
 * A VMM of one hop, over the kernel's interface and nothing else: the machine
 * comes from one file, works, and goes to another.  It has two accelerators,
 * "a" and "b", at /dev/vfio/devices/vfio0 and 1, which fill each a half of
 * memory and are busy while it goes.
 *
 * usage: hop [-i FILE] [-o FILE] [-l] [-c] [-r]
 *   -i  where it comes from; -o where it goes
 *   -l  a bug: the last REPORT, after the stop, is left out
 *   -c  a bug: half of each state is cut off
 *   -r  after all is saved, it runs on here
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/uapi_iommufd.h"
#include "base/uapi_vfio.h"
#include "models/dsa_regs.h"

#define NR	 2u
#define PAGE	 4096ull
#define SIZE	 (16ull << 20)
#define CHUNK	 (2ull << 20) /* of a REPORT */
#define HALF	 (SIZE / NR)
/*
 * The first pages of a half are the driver's, and always sent: descriptors, how
 * many there were, and the last one's completion.
 */
#define DRIVER	 (4 * PAGE)
#define BAR(n)	 ((off_t)(n) << 40)
#define CONFIG	 BAR(VFIO_PCI_CONFIG_REGION_INDEX)
#define DO(call) ((call) < 0 ? err(1, "%s", #call) : (void)0)

struct record {
	uint64_t device; /* NR: a page */
	uint64_t iova, len;
};

static int dev[NR];
static uint8_t *memory;
static uint64_t dirty[SIZE / PAGE / 64];

static void feature(int fd, uint32_t flags, void *payload, size_t len)
{
	struct {
		struct vfio_device_feature head;
		uint8_t payload[64];
	} f = { .head = { .argsz = (uint32_t)(sizeof(f.head) + len),
			  .flags = flags } };

	memcpy(f.payload, payload, len);
	if (ioctl(fd, VFIO_DEVICE_FEATURE, &f))
		err(1, "VFIO_DEVICE_FEATURE 0x%x", flags);
	memcpy(payload, f.payload, len);
}

/* Its data file, if there is one. */
static int set_state(unsigned int i, uint32_t state)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state };

	feature(dev[i],
		VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		&mig, sizeof(mig));
	return mig.data_fd;
}

static void all(uint32_t state)
{
	for (unsigned int i = 0; i < NR; i++)
		set_state(i, state);
}

static void open_machine(void)
{
	int mem = memfd_create("memory", 0), iommu = open("/dev/iommu", O_RDWR);
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = 7,
				      .length = SIZE };
	const uint16_t master = 6;

	DO(iommu);
	DO(ftruncate(mem, SIZE));
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	DO(ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc));
	map.ioas_id = alloc.out_ioas_id;
	map.user_va = (uintptr_t)memory;
	DO(ioctl(iommu, IOMMU_IOAS_MAP, &map));
	for (unsigned int i = 0; i < NR; i++) {
		struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind),
							 .iommufd = iommu };
		struct vfio_device_attach_iommufd_pt attach = {
			.argsz = sizeof(attach), .pt_id = alloc.out_ioas_id
		};
		char path[64];

		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", i);
		DO(dev[i] = open(path, O_RDWR));
		DO(ioctl(dev[i], VFIO_DEVICE_BIND_IOMMUFD, &bind));
		DO(ioctl(dev[i], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
		DO(pwrite(dev[i], &master, 2, CONFIG + 4));
	}
}

/* The driver's own memory, of which it knows no other copy. */
static uint64_t *submitted(unsigned int i)
{
	return (void *)(memory + i * HALF + PAGE);
}

static uint64_t completed(unsigned int i)
{
	const void *at = memory + i * HALF + DRIVER - PAGE +
			 offsetof(struct dsa_completion, id);

	return __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
}

/* One more request, of the whole half. */
static void submit(unsigned int i)
{
	uint64_t base = i * HALF, id = ++*submitted(i);
	uint64_t at = base + id % DSA_QUEUE * sizeof(struct dsa_descriptor);
	const struct dsa_descriptor d = {
		.op = DSA_OP_FILL,
		.dst = base + DRIVER,
		.len = HALF - DRIVER,
		.completion = base + DRIVER - PAGE,
		.id = id,
	};

	memcpy(memory + at, &d, sizeof(d));
	DO(pwrite(dev[i], &at, sizeof(at), BAR(0) + DSA_REG_DOORBELL));
}

/* Each device fills its half once more, from its beginning to its end, and has
 * more to do than it can do before anybody stops it. */
static void work(void)
{
	uint64_t until[NR];

	for (unsigned int i = 0; i < NR; i++)
		until[i] = completed(i) + 2;
	for (unsigned int i = 0; i < NR;) {
		for (unsigned int j = 0; j < NR; j++)
			while (*submitted(j) < completed(j) + 40)
				submit(j);
		if (completed(i) >= until[i])
			i++;
		else
			usleep(100);
	}
}

static void start_logging(void)
{
	struct vfio_device_feature_dma_logging_range range = { .length = SIZE };
	struct vfio_device_feature_dma_logging_control c = {
		.page_size = PAGE,
		.num_ranges = 1,
		.ranges = (uintptr_t)&range,
	};

	for (unsigned int i = 0; i < NR; i++)
		feature(dev[i],
			VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			&c, sizeof(c));
}

/* All devices into one bitmap. */
static void report(void)
{
	for (unsigned int i = 0; i < NR; i++) {
		for (uint64_t at = 0; at < SIZE; at += CHUNK) {
			struct vfio_device_feature_dma_logging_report r = {
				.iova = at,
				.length = CHUNK,
				.page_size = PAGE,
				.bitmap = (uintptr_t)(dirty + at / PAGE / 64),
			};

			feature(dev[i],
				VFIO_DEVICE_FEATURE_GET |
					VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
				&r, sizeof(r));
		}
	}
}

static void put(FILE *out, uint64_t device, uint64_t iova, const void *bytes,
		uint64_t len)
{
	const struct record r = { device, iova, len };

	if (fwrite(&r, sizeof(r), 1, out) != 1 ||
	    fwrite(bytes, 1, len, out) != len)
		err(1, "writing");
}

/* The bits go before the pages are read. */
static void send_dirty(FILE *out)
{
	for (uint64_t page = 0; page < SIZE / PAGE; page++) {
		uint64_t bit = 1ull << (page % 64);
		bool set = dirty[page / 64] & bit;

		dirty[page / 64] &= ~bit;
		if (set || page * PAGE % HALF < DRIVER)
			put(out, NR, page * PAGE, memory + page * PAGE, PAGE);
	}
}

static void send_state(FILE *out, unsigned int i, bool cut)
{
	static uint8_t state[8 << 20];
	int fd = set_state(i, VFIO_DEVICE_STATE_STOP_COPY);
	size_t len = 0;
	ssize_t n;

	DO(fd);
	while ((n = read(fd, state + len, sizeof(state) - len)) > 0)
		len += (size_t)n;
	if (n)
		err(1, "reading the state");
	put(out, i, 0, state, cut ? len / 2 : len);
	close(fd);
}

static void save(const char *path, bool forget, bool cut)
{
	FILE *out = fopen(path, "w");
	uint8_t unused = 0;

	if (!out)
		err(1, "%s", path);
	start_logging();
	memset(dirty, 0xff, sizeof(dirty));
	send_dirty(out);
	work();
	report();
	send_dirty(out);
	work();
	all(VFIO_DEVICE_STATE_RUNNING_P2P);
	all(VFIO_DEVICE_STATE_STOP);
	if (!forget)
		report();
	send_dirty(out);
	usleep(50000); /* who does not stand still writes */
	for (unsigned int i = 0; i < NR; i++)
		send_state(out, i, cut);
	for (unsigned int i = 0; i < NR; i++)
		feature(dev[i],
			VFIO_DEVICE_FEATURE_SET |
				VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
			&unused, 0);
	if (fclose(out))
		err(1, "%s", path);
}

static void load(const char *path)
{
	static uint8_t bytes[8 << 20];
	FILE *in = fopen(path, "r");
	struct record r;

	if (!in)
		err(1, "%s", path);
	while (fread(&r, sizeof(r), 1, in) == 1) {
		if (r.len > sizeof(bytes) || r.device > NR ||
		    fread(bytes, 1, r.len, in) != r.len)
			errx(1, "%s: cut short", path);
		if (r.device == NR) {
			memcpy(memory + r.iova, bytes, r.len);
		} else {
			int fd = set_state((unsigned int)r.device,
					   VFIO_DEVICE_STATE_RESUMING);

			if (write(fd, bytes, r.len) != (ssize_t)r.len)
				err(1, "writing the state");
			close(fd);
		}
	}
	fclose(in);
	all(VFIO_DEVICE_STATE_STOP);
	all(VFIO_DEVICE_STATE_RUNNING_P2P);
	all(VFIO_DEVICE_STATE_RUNNING);
}

int main(int argc, char **argv)
{
	const char *in = NULL, *out = NULL;
	bool forget = false, cut = false, again = false;
	int c;

	while ((c = getopt(argc, argv, "i:o:lcr")) != -1) {
		in = c == 'i' ? optarg : in;
		out = c == 'o' ? optarg : out;
		forget |= c == 'l';
		cut |= c == 'c';
		again |= c == 'r';
	}
	open_machine();
	if (in)
		load(in);
	else
		work();
	if (out)
		save(out, forget, cut);
	if (again)
		all(VFIO_DEVICE_STATE_RUNNING);
	return 0;
}
