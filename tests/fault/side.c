/* SPDX-License-Identifier: MIT */
/*
 * One side of one trial: a process of its own, with a softvfio of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <spoor/error.h>

#include "device/device_priv.h"
#include "softvfio/softvfio.h"
#include "tests/fault/fault.h"

#define SILENCE_NS 20000000000ull
/* Where a frame is dropped both wait for it in vain. */
#ifdef __SANITIZE_THREAD__
#define SHORT_SILENCE_NS 2000000000ull
#else
#define SHORT_SILENCE_NS 500000000ull
#endif

struct counts {
	unsigned int fds, threads, mappings;
	long heap;
};

struct run {
	enum side side;
	int fd;
	const struct machine *m;
	const struct fault *f;
	struct report *r;
	struct vmm vmm;
};

static struct counts count(void)
{
	return (struct counts){ .fds = vmm_count_fds(),
				.threads = vmm_count_threads(),
				.mappings = vmm_count_mappings(),
				.heap = failnth_heap() };
}

static void note_left(struct report *r, int when, const struct counts *before)
{
	const struct counts now = count();

	r->fds[when] = (int)now.fds - (int)before->fds;
	r->threads[when] = (int)now.threads - (int)before->threads;
	r->mappings[when] = (int)now.mappings - (int)before->mappings;
}

static void fail(struct report *r)
{
	snprintf(r->error, sizeof(r->error), "%s", spoor_errmsg());
}

/* FAILNTH_CALL: a device breaks, or somebody cancels. */
static void happen(void *opaque)
{
	struct run *run = opaque;
	struct watch *w = &run->r->watch;
	const int d = run->f->device;

	if (d == NO_DEVICE) {
		spoor_machine_cancel(run->vmm.machine);
		return;
	}
	if (run->side == DESTINATION && atomic_load(&w->ran[d]))
		atomic_store(&w->late[d], true);
	softvfio_fail_state(run->m->config.devices[d].name, 0, EIO, 1);
	atomic_store(&w->error[d], true);
}

static void arm(struct run *run)
{
	const struct fault *f = run->f;
	struct failnth nth = { .act = FAILNTH_COUNT };

	run->r->watch.stream_fd = run->fd;
	for (int i = 0; i < VMM_MAX_DEVICES; i++)
		run->r->watch.device_fds[i] =
			run->vmm.devices[i] ? run->vmm.devices[i]->fd : -1;
	if (f->side == run->side && f->kind == FAULT_STATE)
		softvfio_fail_state(run->m->config.devices[f->device].name,
				    f->nth, EIO, f->to_error);
	if (f->side == run->side && f->kind == FAULT_NTH)
		nth = (struct failnth){ .act = f->act,
					.kinds = f->kinds,
					.nth = f->nth,
					.after = f->after,
					.err = f->err,
					.call = happen,
					.opaque = run };
	failnth_arm(&nth, &run->r->watch);
}

/* A page that got lost on the way, once there is nothing more to come. */
static void on_event(void *opaque, const struct spoor_event *event)
{
	struct run *run = opaque;
	uint8_t *page = run->vmm.regions[1].hva;

	if (event->type == SPOOR_EVENT_VERIFY_BEGIN && run->m->spoil &&
	    run->side == DESTINATION)
		page[4096 + 17] ^= 1;
}

static void look(struct run *run)
{
	struct report *r = run->r;

	r->paused = atomic_load(&run->vmm.paused);
	for (int i = 0; i < VMM_MAX_DEVICES; i++) {
		if (!run->vmm.devices[i])
			continue;
		r->devices[i].state = watch_state(r->watch.device_fds[i]);
		r->devices[i].blocked = atomic_load(&run->vmm.blocked[i]);
	}
	/* Through dsa0, if that can reach anything. */
	r->reaches = !run->m->p2p ||
		     r->devices[1].state != SPOOR_STATE_RUNNING ||
		     machine_reaches_peer();
}

static bool all_run(const struct run *run)
{
	for (int i = 0; i < VMM_MAX_DEVICES; i++) {
		if (run->vmm.devices[i] &&
		    watch_state(run->r->watch.device_fds[i]) !=
			    SPOOR_STATE_RUNNING)
			return false;
	}
	return !atomic_load(&run->vmm.paused);
}

static void take_result(struct run *run, const struct spoor_result *result)
{
	struct report *r = run->r;

	r->outcome = result->outcome;
	snprintf(r->running, sizeof(r->running), "%s",
		 result->running ? result->running : "");
	snprintf(r->error, sizeof(r->error), "%s", result->error);
	for (size_t i = 0; i < result->nr_devices; i++) {
		for (int d = 0; d < VMM_MAX_DEVICES; d++) {
			const char *name = run->m->config.devices[d].name;

			if (name && !strcmp(name, result->devices[i].name))
				r->devices[d].named = result->devices[i].failed;
		}
	}
}

static int migrate(struct run *run, const struct spoor_run_opts *opts,
		   struct spoor_result *result)
{
	const struct spoor_plan_input wishes = {
		.size = sizeof(wishes),
		.overrides = run->m->overrides,
		.nr_overrides = run->m->nr_overrides,
	};
	struct spoor_plan *plan = NULL;
	int ret = spoor_machine_plan(run->vmm.machine, &wishes, &plan);

	run->r->planned = !ret;
	if (ret) {
		snprintf(result->error, sizeof(result->error), "plan: %s",
			 spoor_errmsg());
		result->running = "source";
	} else {
		ret = spoor_source_run(run->vmm.machine, plan, opts, result);
	}
	spoor_plan_free(plan);
	return ret;
}

/* Between arming and disarming everything may fail. */
static void run_armed(struct run *run)
{
	const struct fault *f = run->f;
	const bool waits = f->kind == FAULT_FRAME && f->frame.act == FRAME_DROP;
	const struct spoor_run_opts opts = {
		.size = sizeof(opts),
		.fd = run->fd,
		.verify = true,
		/* So that there are rounds, and the same number each time. */
		.downtime_ns = 1,
		.max_rounds = 3,
		.cpu_tracker = run->m->cpu_tracker,
		.silence_ns = waits ? SHORT_SILENCE_NS : SILENCE_NS,
		.event = on_event,
		.event_opaque = run,
	};
	struct spoor_result result = { .outcome = SPOOR_FAILED };
	const struct counts before = count();

	arm(run);
	run->r->ret = run->side == SOURCE
			      ? migrate(run, &opts, &result)
			      : spoor_destination_run(run->vmm.machine, &opts,
						      &result);
	failnth_disarm();
	take_result(run, &result);
	spoor_result_clear(&result);
	note_left(run->r, 0, &before);
	look(run);
	if (run->r->outcome == SPOOR_UNKNOWN)
		run->r->resumed =
			!spoor_machine_resume(run->vmm.machine, NULL) &&
			all_run(run);
}

static int open_all(struct run *run)
{
	int ret = vmm_open(&run->vmm, &run->m->config);

	if (!ret)
		ret = machine_map_peer(run->m, &run->vmm);
	if (ret)
		fail(run->r);
	return ret;
}

void side_run(enum side side, int fd, const struct machine *m,
	      const struct fault *f, struct report *r)
{
	struct run run = { .side = side, .fd = fd, .m = m, .f = f, .r = r };
	struct counts before;
	const long heap = failnth_heap();
	int ret;

	/* Let softvfio and libc make what they keep for the process's life. */
	ret = open_all(&run);
	vmm_close(&run.vmm);
	if (ret)
		return;
	before = count();
	ret = open_all(&run);
	atomic_store(&run.vmm.paused, side == DESTINATION);
	if (!ret && side == SOURCE) {
		ret = vmm_start_writers(&run.vmm);
		usleep(1000);
	}
	if (!ret)
		run_armed(&run);
	vmm_close(&run.vmm);
	note_left(r, 1, &before);
	/* What the first round of opening took and kept, this one did too. */
	r->heap = failnth_heap() - before.heap - (before.heap - heap);
	r->done = !ret;
}
