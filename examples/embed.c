/* SPDX-License-Identifier: MIT */
/*
 * A VMM author's first hour: memory, two devices, an own stream, a migration.
 *
 *   build/softvfio run examples/embed.json -- build/examples/embed
 *
 * The program forks: the parent runs a machine and migrates it away, the
 * child receives it.  The machine is 64 MiB, one CPU that stores to memory,
 * and two accelerators; dsa0 logs its own DMA, dsa1 is tracked by the IOMMU.
 * On hardware, name your own devices: embed 0000:03:00.1 0000:03:00.2.
 */
#define _GNU_SOURCE 1 /* memfd_create() */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <spoor/error.h>
#include <spoor/migration.h>

#define MEMORY_LEN (64ull << 20)

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, spoor_errmsg());
	exit(1);
}

/* The VMM: one CPU thread that writes a page now and then. */
struct vmm {
	uint64_t *ram;
	pthread_mutex_t lock; /* held over each store */
	pthread_cond_t changed;
	bool paused, quit;
	struct spoor_memory *memory;
	struct spoor_space *space;
	struct spoor_device *dev[2];
	struct spoor_machine *machine;
};

static void *cpu(void *arg)
{
	struct vmm *vmm = arg;
	const uint64_t nr_words = MEMORY_LEN / sizeof(uint64_t);

	pthread_mutex_lock(&vmm->lock);
	for (uint64_t n = 1; !vmm->quit; n++) {
		uint64_t at = n * 7919 * 512 % nr_words;

		if (vmm->paused) {
			pthread_cond_wait(&vmm->changed, &vmm->lock);
			continue;
		}
		atomic_store((_Atomic uint64_t *)&vmm->ram[at], n);
		pthread_mutex_unlock(&vmm->lock);
		usleep(100);
		pthread_mutex_lock(&vmm->lock);
	}
	pthread_mutex_unlock(&vmm->lock);
	return NULL;
}

static int set_paused(struct vmm *vmm, bool paused)
{
	pthread_mutex_lock(&vmm->lock);
	vmm->paused = paused;
	pthread_cond_signal(&vmm->changed);
	pthread_mutex_unlock(&vmm->lock);
	return 0;
}

static int pause_cpus(void *opaque)
{
	return set_paused(opaque, true);
}

static int resume_cpus(void *opaque)
{
	return set_paused(opaque, false);
}

static void end_cpus(struct vmm *vmm, pthread_t thread)
{
	pthread_mutex_lock(&vmm->lock);
	vmm->quit = true;
	pthread_cond_signal(&vmm->changed);
	pthread_mutex_unlock(&vmm->lock);
	pthread_join(thread, NULL);
}

/* The VMM's own state travels too: here, a greeting. */
static int save(void *opaque, void **ret_data, size_t *ret_len)
{
	(void)opaque;
	*ret_data = strdup("vmm state");
	*ret_len = *ret_data ? strlen(*ret_data) + 1 : 0;
	return *ret_data ? 0 : -ENOMEM;
}

static int load(void *opaque, const void *data, size_t len)
{
	(void)opaque;
	return len == 10 && !memcmp(data, "vmm state", len) ? 0 : -EINVAL;
}

static void on_event(void *opaque, const struct spoor_event *e)
{
	(void)opaque;
	if (e->type == SPOOR_EVENT_STATE)
		printf("%s: %s: %s -> %s\n", e->side, e->device,
		       spoor_device_state_name(e->from),
		       spoor_device_state_name(e->to));
	else if (e->type == SPOOR_EVENT_ROUND)
		printf("%s: round %u: %llu KiB\n", e->side, e->round,
		       (unsigned long long)e->bytes >> 10);
	else if (e->type == SPOOR_EVENT_NOTE)
		printf("%s: %s\n", e->side, e->text);
	fflush(stdout);
}

static void set_up(struct vmm *vmm, char *const address[2])
{
	static const struct spoor_hooks hooks = {
		.size = sizeof(hooks),
		.pause = pause_cpus,
		.resume = resume_cpus,
		.save = save,
		.load = load,
	};
	const struct spoor_space_opts space_opts = {
		.size = sizeof(space_opts),
		.backend = SPOOR_SPACE_IOMMUFD,
		.dirty_tracking = true,
		.iommu_page = 4096,
	};
	struct spoor_region ram = {
		.range = { .iova = 0, .len = MEMORY_LEN },
		.fd = memfd_create("ram", MFD_CLOEXEC),
	};

	if (ram.fd < 0 || ftruncate(ram.fd, MEMORY_LEN))
		die("memfd");
	ram.hva = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
		       ram.fd, 0);
	if (ram.hva == MAP_FAILED)
		die("mmap");
	vmm->ram = ram.hva;
	pthread_mutex_init(&vmm->lock, NULL);
	pthread_cond_init(&vmm->changed, NULL);

	if (spoor_memory_new(&vmm->memory) ||
	    spoor_memory_add(vmm->memory, &ram))
		die("memory");
	close(ram.fd);
	if (spoor_space_open(&vmm->space, "main", &space_opts))
		die("space");
	if (spoor_machine_new(&vmm->machine, vmm->memory, &hooks, vmm) ||
	    spoor_machine_add_space(vmm->machine, vmm->space))
		die("machine");
	for (int i = 0; i < 2; i++) {
		if (spoor_device_open(&vmm->dev[i], address[i], NULL) ||
		    spoor_space_attach(vmm->space, vmm->dev[i]) ||
		    spoor_machine_add_device(vmm->machine, vmm->dev[i],
					     vmm->space))
			die(address[i]);
	}
	if (spoor_space_map_memory(vmm->space, vmm->memory))
		die("map");
}

static void tear_down(struct vmm *vmm)
{
	spoor_machine_free(vmm->machine);
	for (int i = 0; i < 2; i++)
		spoor_device_free(vmm->dev[i]);
	spoor_space_free(vmm->space);
	spoor_memory_free(vmm->memory);
	munmap(vmm->ram, MEMORY_LEN);
}

/* Where does it run?  Nobody may guess: two sides would write one disk. */
static void conclude(const char *side, const struct spoor_result *result)
{
	printf("%s: %s; runs at %s, %s, downtime %.1f ms\n", side,
	       result->error[0] ? result->error : "moved", result->running,
	       result->verified ? "verified" : "not verified",
	       (double)result->downtime_ns / 1e6);
	if (result->outcome == SPOOR_UNKNOWN)
		printf("%s: held, stopped: ask the other side, then "
		       "spoor_machine_resume() it here, or discard it\n",
		       side);
}

/* Run, decide, migrate away. */
static int source(struct vmm *vmm, const struct spoor_run_opts *opts)
{
	struct spoor_result result;
	struct spoor_plan *plan;
	pthread_t thread;
	int ret;

	pthread_create(&thread, NULL, cpu, vmm);
	if (spoor_machine_plan(vmm->machine, NULL, &plan))
		die("plan");
	for (size_t i = 0; i < plan->nr_lines; i++)
		printf("plan: %s: %s (%s)\n", plan->lines[i].name,
		       plan->lines[i].covered_by, plan->lines[i].reason);

	ret = spoor_source_run(vmm->machine, plan, opts, &result);
	conclude("source", &result);
	end_cpus(vmm, thread);
	spoor_result_clear(&result);
	spoor_plan_free(plan);
	return ret;
}

/* Receive; its CPU runs only after the hand-over. */
static int destination(struct vmm *vmm, const struct spoor_run_opts *opts)
{
	struct spoor_result result;
	pthread_t thread;
	int ret;

	pause_cpus(vmm);
	pthread_create(&thread, NULL, cpu, vmm);
	ret = spoor_destination_run(vmm->machine, opts, &result);
	if (!ret)
		usleep(100000); /* it lives here now */
	conclude("destination", &result);
	end_cpus(vmm, thread);
	spoor_result_clear(&result);
	return ret;
}

int main(int argc, char **argv)
{
	static char first[] = "0000:01:00.0", second[] = "0000:02:00.0";
	char *const soft[2] = { first, second };
	struct spoor_run_opts opts = { .size = sizeof(opts),
				       .verify = true,
				       .event = on_event };
	struct vmm vmm = { .paused = false };
	int pair[2], status = 0;
	pid_t child;
	int ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	child = fork();
	if (child < 0)
		die("fork");
	opts.fd = pair[child ? 0 : 1];
	close(pair[child ? 1 : 0]);
	set_up(&vmm, argc == 3 ? argv + 1 : soft);
	ret = child ? source(&vmm, &opts) : destination(&vmm, &opts);
	tear_down(&vmm);
	close(opts.fd);
	if (child && waitpid(child, &status, 0) != child)
		die("waitpid");
	return ret || status ? 1 : 0;
}
