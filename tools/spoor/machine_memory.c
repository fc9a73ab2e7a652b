/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory: one memfd a region, filled as its contents say.
 *
 * Threads: before anything else runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <spoor/error.h>

#include "machine.h"
#include "units.h"

#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

#define LARGEST_ENTRY (1ull << 30) /* of an I/O page table */

/* Memory and swap of this machine, bytes; 0: it does not say. */
static uint64_t host_bytes(void)
{
	struct sysinfo host;

	if (sysinfo(&host))
		return 0;
	return ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
}

bool machine_memory_fits(const struct machine_file *mf, unsigned int sides,
			 char *why, size_t len)
{
	uint64_t host = host_bytes(), need = 0;
	char a[24], b[24];

	for (size_t i = 0; i < mf->nr_memory; i++)
		need += mf->memory[i].size * sides;
	if (!host || need <= host)
		return true;
	snprintf(why, len,
		 "%s: memory: all of it is there before the machine runs, as "
		 "VFIO pins it: %s%s, and this machine has %s with its swap",
		 mf->path, units_format_bytes(a, sizeof(a), need),
		 sides > 1 ? " for source and destination" : "",
		 units_format_bytes(b, sizeof(b), host));
	return false;
}

static int read_file(struct machine *m, const struct mf_region *r, char *hva)
{
	int fd = open(r->file, O_RDONLY | O_CLOEXEC);
	uint64_t done = 0;

	if (fd < 0)
		return machine_fail(m, 2, -errno, "%s: %s", r->file,
				    strerror(errno));
	while (done < r->size) {
		size_t want =
			r->size - done < 1u << 24 ? r->size - done : 1u << 24;
		ssize_t n = read(fd, hva + done, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int saved = errno;

			close(fd);
			return machine_fail(m, 1, -saved, "%s: %s", r->file,
					    strerror(saved));
		}
		if (!n)
			break;
		done += (uint64_t)n;
	}
	close(fd);
	return 0;
}

/* Reproducible, and incompressible enough to pass for data. */
static void fill_random(uint64_t *words, uint64_t nr, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;

	for (uint64_t i = 0; i < nr; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): mmap's */
		words[i] = x;
	}
}

static int fill(struct machine *m, const struct mf_region *r, void *hva)
{
	if (r->contents == MF_CONTENTS_FILE)
		return read_file(m, r, hva);
	if (r->contents == MF_CONTENTS_PATTERN && r->pattern == MF_FILL_RANDOM)
		fill_random(hva, r->size / sizeof(uint64_t), r->seed);
	return 0;
}

/*
 * Where the guest address and ours agree in their low bits, I/O page tables can
 * have large entries: up to 1 GiB, as far as the region goes.
 */
static void *map_aligned(const struct mf_region *r, int fd)
{
	uint64_t align = MF_PAGE;
	char *room, *at;

	while (align < LARGEST_ENTRY && align * 2 <= r->size)
		align *= 2;
	room = mmap(NULL, r->size + align, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return MAP_FAILED;
	at = room + ((r->iova - (uintptr_t)room) & (align - 1));
	if (at > room)
		munmap(room, (size_t)(at - room));
	munmap(at + r->size, (size_t)(room + align - at));
	return mmap(at, r->size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
}

static int open_region(struct machine *m, const struct mf_region *r,
		       struct machine_region *ret)
{
	int fd = memfd_create("guest-memory", MFD_CLOEXEC);
	void *hva;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)r->size)) {
		int saved = errno;

		close(fd);
		return -saved;
	}
	hva = map_aligned(r, fd);
	if (hva == MAP_FAILED) {
		int saved = errno;

		close(fd);
		return -saved;
	}
	*ret = (struct machine_region){ r->iova, r->size, hva, fd };
	m->nr_regions++;
	/*
	 * VFIO pins what a device can reach, so a real machine's memory is
	 * there before it runs; without this the host would make the
	 * destination's pages during the downtime.
	 */
	if (madvise(hva, r->size, MADV_POPULATE_WRITE) && errno == ENOMEM)
		return -ENOMEM;
	return 0;
}

static int add_region(struct machine *m, size_t i, bool contents)
{
	const struct mf_region *r = &m->mf->memory[i];
	struct machine_region *mr = &m->regions[i];
	struct spoor_region region = {
		.range = { .iova = r->iova, .len = r->size },
		.flags = r->readonly ? SPOOR_REGION_READONLY : 0,
	};
	int err = open_region(m, r, mr);

	if (err)
		return machine_fail(m, 1, err,
				    "memory[%zu]: %" PRIu64 " bytes: %s", i,
				    r->size, strerror(-err));
	region.hva = mr->hva;
	region.fd = mr->fd;
	err = spoor_memory_add(m->memory, &region);
	if (err)
		return machine_fail(m, 1, err, "memory[%zu]: %s", i,
				    spoor_errmsg());
	return contents ? fill(m, r, mr->hva) : 0;
}

int machine_memory_open(struct machine *m, bool contents)
{
	int r = spoor_memory_new(&m->memory);

	m->regions = calloc(m->mf->nr_memory + 1, sizeof(*m->regions));
	if (r || !m->regions)
		return machine_fail(m, 1, -ENOMEM, "out of memory");
	for (size_t i = 0; i < m->mf->nr_memory && !r; i++)
		r = add_region(m, i, contents);
	return r;
}

void machine_memory_close(struct machine *m)
{
	m->memory = spoor_memory_free(m->memory);
	for (size_t i = 0; i < m->nr_regions; i++) {
		munmap(m->regions[i].hva, m->regions[i].len);
		close(m->regions[i].fd);
	}
	free(m->regions);
	m->regions = NULL;
	m->nr_regions = 0;
}
