/* SPDX-License-Identifier: MIT */
/*
 * From the machine file's policy to the library's inputs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/error.h>

#include "child.h"

#define BOOT_NS 5000000000ull

/* With the plan even if it is refused. */
static int make_plan(struct child *c, struct spoor_plan **ret)
{
	const struct mf_policy *p = &c->mf->policy;
	struct spoor_plan_override *lines;
	struct spoor_plan_input wishes = {
		.size = sizeof(wishes),
		.policy = p->name,
		.nr_overrides = p->nr_overrides,
		.memory_bytes = spoor_memory_size(c->m.memory),
		.link_bytes_per_s = c->mf->link_rate,
		.allow_unsafe_p2p = p->allow_unsafe_p2p,
	};
	int r;

	lines = calloc(p->nr_overrides + 1, sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	for (size_t i = 0; i < p->nr_overrides; i++) {
		lines[i].key = p->overrides[i].key;
		lines[i].value = p->overrides[i].value;
		if (p->overrides[i].reason[0])
			lines[i].reason = p->overrides[i].reason;
	}
	wishes.overrides = lines;
	r = spoor_machine_plan(c->m.machine, &wishes, ret);
	free(lines);
	return r;
}

static void tell_ports(struct child *c)
{
	for (size_t i = 0; i < c->mf->nr_devices; i++) {
		int port;

		pthread_mutex_lock(&c->lock);
		port = c->ports[i];
		pthread_mutex_unlock(&c->lock);
		if (port)
			child_tell(c,
				   json_pack("{s:s, s:s, s:i}", "event", "_udp",
					     "device", c->mf->devices[i].name,
					     "port", port));
	}
}

int child_boot(struct child *c)
{
	const struct mf_device *d;
	size_t i = 0;
	char why[200];
	int r = guest_boot(c->m.guest, BOOT_NS, &i);

	if (!r)
		return 0;
	d = &c->mf->devices[i];
	if (d->model == MF_NIC &&
	    (r == -EADDRINUSE || r == -EADDRNOTAVAIL || r == -EACCES))
		snprintf(why, sizeof(why), "devices[%zu].udp: %s: %s", i,
			 d->udp, strerror(-r));
	else
		snprintf(why, sizeof(why),
			 "devices[%zu]: its driver cannot set it up: %s", i,
			 strerror(-r));
	child_tell_failed(c, 1, why);
	return r;
}

int child_boot_and_plan(struct child *c, struct spoor_plan **ret,
			bool blockers_matter)
{
	int r = child_boot(c);

	if (r)
		return r;
	r = make_plan(c, ret);
	if (*ret)
		child_tell(c, child_plan_json(*ret));
	if (r == -EPERM && *ret && !blockers_matter)
		r = 0;
	if (r == -EPERM && *ret)
		child_tell(c, json_pack("{s:s}", "event", "_refused"));
	else if (r)
		child_tell_failed(c, r == -EINVAL ? 2 : 1, spoor_errmsg());
	if (r)
		return r;
	child_work(c);
	return 0;
}

void child_work(struct child *c)
{
	guest_work(c->m.guest);
	tell_ports(c);
}

void child_run_opts(struct child *c, struct spoor_run_opts *ret)
{
	const struct mf_policy *p = &c->mf->policy;
	const char *cpu = c->o->cpu_tracker;

	*ret = (struct spoor_run_opts){
		.size = sizeof(*ret),
		.fd = c->connection,
		.verify = !c->o->no_verify,
		.downtime_ns = p->downtime_ms * 1000000u,
		.strict_downtime = p->strict_downtime,
		.max_rounds = (unsigned int)p->max_rounds,
		/* Drivers store to memory too. */
		.no_cpu = !c->m.guest || !c->m.guest->nr_tasks,
		.event = child_event,
		.event_opaque = c,
	};
	if (cpu && !strcmp(cpu, "async"))
		ret->cpu_tracker = SPOOR_PROCESS_ASYNC;
	else if (cpu && !strcmp(cpu, "sync"))
		ret->cpu_tracker = SPOOR_PROCESS_SYNC;
}
