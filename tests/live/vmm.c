/* SPDX-License-Identifier: MIT */
/*
 * The tests' VMM; see vmm.h.  Threads: the writers are two threads of their
 * own; hooks run in the migrating thread.
 */
#include "tests/live/vmm.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softvfio/softvfio.h"
#include "tests/threads.h"

static int hook_pause(void *opaque)
{
	struct vmm *vmm = opaque;

	pthread_mutex_lock(&vmm->cpu_lock);
	atomic_store(&vmm->paused, true);
	pthread_mutex_unlock(&vmm->cpu_lock);
	atomic_fetch_add(&vmm->nr_pause, 1);
	return 0;
}

static int hook_resume(void *opaque)
{
	struct vmm *vmm = opaque;

	atomic_store(&vmm->paused, false);
	atomic_fetch_add(&vmm->nr_resume, 1);
	return 0;
}

static int hook_block(void *opaque, struct spoor_device *dev, bool blocked)
{
	struct vmm *vmm = opaque;

	for (int i = 0; i < VMM_MAX_DEVICES; i++) {
		if (vmm->devices[i] == dev)
			atomic_store(&vmm->blocked[i], blocked);
	}
	return 0;
}

static int hook_save(void *opaque, void **ret_data, size_t *ret_len)
{
	(void)opaque;
	*ret_data = strdup("vmm");
	*ret_len = 4;
	return *ret_data ? 0 : -ENOMEM;
}

static int hook_load(void *opaque, const void *data, size_t len)
{
	(void)opaque;
	return len == 4 && !memcmp(data, "vmm", 4) ? 0 : -EINVAL;
}

static int hook_verify(void *opaque, struct spoor_lost **ret_lost,
		       size_t *ret_nr)
{
	struct softvfio_lost found[64];
	long nr = softvfio_truth_check(found, 64);
	struct spoor_lost *lost;

	(void)opaque;
	if (nr <= 0)
		return (int)nr;
	if (nr > 64)
		nr = 64;
	lost = calloc((size_t)nr, sizeof(*lost));
	if (!lost)
		return -ENOMEM;
	for (long i = 0; i < nr; i++) {
		lost[i].range =
			(struct spoor_range){ found[i].iova, found[i].len };
		memcpy(lost[i].writer, found[i].writer, sizeof(lost[i].writer));
	}
	*ret_lost = lost;
	*ret_nr = (size_t)nr;
	return 0;
}

const struct spoor_hooks vmm_hooks = {
	.size = sizeof(vmm_hooks),
	.pause = hook_pause,
	.resume = hook_resume,
	.block = hook_block,
	.save = hook_save,
	.load = hook_load,
	.verify = hook_verify,
};

static int open_region(struct vmm *vmm, int i)
{
	const struct vmm_region *c = &vmm->config->regions[i];
	struct spoor_region *r = &vmm->regions[i];
	int err;

	*r = (struct spoor_region){ .range = { c->iova, c->len } };
	r->fd = memfd_create("ram", MFD_CLOEXEC);
	if (r->fd < 0 || ftruncate(r->fd, (off_t)c->len))
		return -errno;
	r->hva = mmap(NULL, c->len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      0);
	if (r->hva == MAP_FAILED) {
		err = -errno;
		r->hva = NULL;
		return err;
	}
	return spoor_memory_add(vmm->memory, r);
}

static int open_space(struct vmm *vmm, enum spoor_space_backend backend)
{
	const struct spoor_space_opts opts = {
		.size = sizeof(opts),
		.backend = backend,
		.dirty_tracking = true,
		.iommu_page = 4096,
	};
	const char *name = backend == SPOOR_SPACE_TYPE1 ? "type1" : "main";
	int ret;

	if (vmm->spaces[backend])
		return 0;
	ret = spoor_space_open(&vmm->spaces[backend], name, &opts);
	if (ret)
		return ret;
	return spoor_machine_add_space(vmm->machine, vmm->spaces[backend]);
}

static int enable_bus_master(struct spoor_device *dev)
{
	const uint16_t command = 6;

	return spoor_device_region_write(dev, 7, 4, &command, sizeof(command));
}

static int open_device(struct vmm *vmm, int i)
{
	enum spoor_space_backend backend = vmm->config->devices[i].backend;
	const struct spoor_device_opts opts = {
		.size = sizeof(opts),
		.name = vmm->config->devices[i].name,
		.p2p_stops_all = vmm->config->devices[i].p2p_stops_all,
	};
	char spec[32];
	int ret;

	snprintf(spec, sizeof(spec), "0000:%02x:00.0", i + 1);
	ret = open_space(vmm, backend);
	if (ret)
		return ret;
	ret = spoor_device_open(&vmm->devices[i], spec, &opts);
	if (ret)
		return ret;
	ret = spoor_space_attach(vmm->spaces[backend], vmm->devices[i]);
	if (ret)
		return ret;
	ret = enable_bus_master(vmm->devices[i]);
	if (ret)
		return ret;
	return spoor_machine_add_device(vmm->machine, vmm->devices[i],
					vmm->spaces[backend]);
}

int vmm_open(struct vmm *vmm, const struct vmm_config *config)
{
	int ret;

	*vmm = (struct vmm){ .config = config };
	for (int i = 0; i < VMM_NR_REGIONS; i++)
		vmm->regions[i].fd = -1;
	pthread_mutex_init(&vmm->cpu_lock, NULL);
	ret = spoor_memory_new(&vmm->memory);
	if (ret)
		return ret;
	for (int i = 0; i < VMM_NR_REGIONS && !ret; i++) {
		if (config->regions[i].len)
			ret = open_region(vmm, i);
	}
	if (!ret)
		ret = spoor_machine_new(&vmm->machine, vmm->memory, &vmm_hooks,
					vmm);
	for (int i = 0; i < VMM_MAX_DEVICES && !ret; i++) {
		if (config->devices[i].name)
			ret = open_device(vmm, i);
	}
	for (int b = 0; b < 3 && !ret; b++) {
		if (vmm->spaces[b])
			ret = spoor_space_map_memory(vmm->spaces[b],
						     vmm->memory);
	}
	return ret;
}

/* The page that a writer takes for its nth write. */
static uint64_t nth_page(const struct vmm_config *c, uint64_t nr_pages,
			 uint64_t n, unsigned int writer)
{
	const uint64_t writers = VMM_MAX_DEVICES + 1;

	if (!c->apart)
		return n % nr_pages;
	return n % (nr_pages / writers) * writers + writer;
}

static void *cpu_main(void *arg)
{
	struct vmm *vmm = arg;
	const struct spoor_region *r = &vmm->regions[0];
	uint64_t nr_pages = r->range.len / 4096;

	for (uint64_t n = 1; !atomic_load(&vmm->quit); n++) {
		pthread_mutex_lock(&vmm->cpu_lock);
		if (!atomic_load(&vmm->paused)) {
			_Atomic uint64_t *words = r->hva;

			atomic_store(&words[nth_page(vmm->config, nr_pages,
						     n * 7, VMM_MAX_DEVICES) *
						    512 +
					    8],
				     n);
		}
		pthread_mutex_unlock(&vmm->cpu_lock);
		atomic_fetch_add(&vmm->cpu_turns, 1);
		usleep(50);
	}
	return NULL;
}

static void *dma_main(void *arg)
{
	struct vmm *vmm = arg;
	const struct vmm_config *c = vmm->config;
	char buf[256];

	memset(buf, 0x5a, sizeof(buf));
	for (uint64_t n = 1; !atomic_load(&vmm->quit); n++) {
		const struct vmm_region *r =
			&c->regions[c->all_regions ? n % VMM_NR_REGIONS : 0];
		uint64_t nr_pages = r->len / 4096;

		for (int i = 0; i < VMM_MAX_DEVICES; i++) {
			bool asked = c->devices[i].writes &&
				     !atomic_load(&vmm->blocked[i]);

			if (!asked && !c->devices[i].writes_on)
				continue;
			softvfio_dma_write(c->devices[i].name,
					   r->iova +
						   nth_page(c, nr_pages, n * 13,
							    (unsigned int)i) *
							   4096 +
						   512u * ((unsigned int)i + 1),
					   buf, sizeof(buf));
		}
		atomic_fetch_add(&vmm->dma_turns, 1);
		usleep(50);
	}
	return NULL;
}

int vmm_start_writers(struct vmm *vmm)
{
	int err;

	atomic_store(&vmm->quit, false);
	if (vmm->config->cpu_writes) {
		err = pthread_create(&vmm->cpu, NULL, cpu_main, vmm);
		if (err)
			return -err;
		vmm->have_cpu = true;
	}
	err = pthread_create(&vmm->dma, NULL, dma_main, vmm);
	if (err)
		return -err;
	vmm->have_dma = true;
	return 0;
}

static void wait_for_turns(atomic_uint *turns)
{
	const unsigned int before = atomic_load(turns);

	/* One may have begun already. */
	while (atomic_load(turns) - before < 2)
		usleep(500);
}

void vmm_let_writers_write(struct vmm *vmm)
{
	if (vmm->have_cpu)
		wait_for_turns(&vmm->cpu_turns);
	if (vmm->have_dma)
		wait_for_turns(&vmm->dma_turns);
}

void vmm_stop_writers(struct vmm *vmm)
{
	atomic_store(&vmm->quit, true);
	if (vmm->have_cpu)
		pthread_join(vmm->cpu, NULL);
	if (vmm->have_dma)
		pthread_join(vmm->dma, NULL);
	vmm->have_cpu = vmm->have_dma = false;
}

void vmm_close(struct vmm *vmm)
{
	vmm_stop_writers(vmm);
	spoor_machine_free(vmm->machine);
	for (int i = 0; i < VMM_MAX_DEVICES; i++)
		spoor_device_free(vmm->devices[i]);
	for (int b = 0; b < 3; b++)
		spoor_space_free(vmm->spaces[b]);
	spoor_memory_free(vmm->memory);
	for (int i = 0; i < VMM_NR_REGIONS; i++) {
		if (vmm->regions[i].hva)
			munmap(vmm->regions[i].hva, vmm->regions[i].range.len);
		if (vmm->regions[i].fd >= 0)
			close(vmm->regions[i].fd);
	}
	pthread_mutex_destroy(&vmm->cpu_lock);
}

static unsigned int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	if (!dir)
		return 0;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

unsigned int vmm_count_fds(void)
{
	return count_entries("/proc/self/fd");
}

unsigned int vmm_count_threads(void)
{
	return threads_alive();
}

/* Shared mappings: memory, its aliases, BARs.  Heap and stacks come and go. */
unsigned int vmm_count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned int n = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		const char *perms = strchr(line, ' ');

		n += perms && perms[4] == 's';
	}
	fclose(f);
	return n;
}
