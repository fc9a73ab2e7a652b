/* SPDX-License-Identifier: MIT */
/*
 * Making and unmaking a device: configuration, memory, locks, the worker.
 *
 * Invariant: a device that was created is complete and RUNNING, and has done
 * nothing; what it holds in the host (pins, sockets) it lets go when destroyed.
 * Threads: create and destroy are the owner's; nobody else uses the device
 * then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "models/model_priv.h"

static const struct model_ops *const kinds[] = { &model_nic, &model_dsa,
						 &model_mdev, &model_plain,
						 &model_edu };

static const struct model_ops *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i]->name, name))
			return kinds[i];
	return NULL;
}

static bool is_power_of_2(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* What was not said: no limit. */
static void fill_log_config(struct model_log_config *c)
{
	if (!c->min_page)
		c->min_page = MODEL_PAGE;
	if (!c->max_page)
		c->max_page = UINT64_C(1) << 63;
	if (!c->address_bits_max)
		c->address_bits_max = 64;
}

static int check_config(const struct model_config *c,
			const struct model_ops *ops)
{
	const struct model_log_config *log = &c->log;

	if (c->index > MODEL_INDEX_MAX)
		return model_fail(EINVAL, "%s: index %u, at most %u", c->name,
				  c->index, MODEL_INDEX_MAX);
	if (log->present && !ops->migrates)
		return model_fail(EINVAL, "%s: a %s device has no log", c->name,
				  ops->name);
	if (log->present &&
	    (!is_power_of_2(log->min_page) || !is_power_of_2(log->max_page) ||
	     log->min_page < MODEL_PAGE || log->min_page > log->max_page))
		return model_fail(
			EINVAL,
			"%s: log: pages of %llu to %llu: powers of two from %u",
			c->name, (unsigned long long)log->min_page,
			(unsigned long long)log->max_page, MODEL_PAGE);
	return ops->check ? ops->check(c) : 0;
}

static int make_mem_bar(struct model *m)
{
	size_t len = m->ops->mem_bar_len;
	void *mem;

	if (!len)
		return 0;
	m->frozen_mem = calloc(1, len);
	m->shadow_mem = calloc(1, len);
	if (m->ops->mem_private) {
		/* Nobody maps it; a mapping might land in a program's holes. */
		m->mem = calloc(1, len);
		if (!m->frozen_mem || !m->shadow_mem || !m->mem)
			return model_fail(ENOMEM, "%s: no memory",
					  m->config.name);
		return 0;
	}
	m->mem_fd = model_keep_fd(m, memfd_create(m->config.name, MFD_CLOEXEC));
	if (!m->frozen_mem || !m->shadow_mem || m->mem_fd < 0 ||
	    ftruncate(m->mem_fd, (off_t)len) < 0)
		return model_fail(errno, "%s: BAR memory: %m", m->config.name);
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, m->mem_fd, 0);
	if (mem == MAP_FAILED)
		return model_fail(errno, "%s: BAR memory: %m", m->config.name);
	m->mem = mem;
	return 0;
}

static void init_locks(struct model *m)
{
	pthread_mutex_init(&m->control, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->cond, NULL);
	pthread_mutex_init(&m->dma_lock, NULL);
	pthread_mutex_init(&m->stall_lock, NULL);
	pthread_cond_init(&m->stall_cond, NULL);
	pthread_mutex_init(&m->bar_lock, NULL);
	pthread_mutex_init(&m->state.lock, NULL);
}

static void destroy_locks(struct model *m)
{
	pthread_mutex_destroy(&m->control);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->cond);
	pthread_mutex_destroy(&m->dma_lock);
	pthread_mutex_destroy(&m->stall_lock);
	pthread_cond_destroy(&m->stall_cond);
	pthread_mutex_destroy(&m->bar_lock);
	pthread_mutex_destroy(&m->state.lock);
}

void model_renew(struct model *m)
{
	memset(m->regs, 0, sizeof(m->regs));
	memset(m->priv, 0, m->ops->priv_size);
	model_set_reg32(m, 0, m->ops->magic);
	if (m->ops->init)
		m->ops->init(m);
}

static int build(struct model *m)
{
	int rc;

	m->priv = calloc(1, m->ops->priv_size);
	if (!m->priv)
		return model_fail(ENOMEM, "%s: out of memory", m->config.name);
	rc = state_init(&m->state, &m->config);
	if (!rc)
		rc = make_mem_bar(m);
	if (rc)
		return rc;
	model_renew(m);
	return model_worker_start(m);
}

int model_create(struct model **ret, const struct model_config *config,
		 const struct model_host_ops *host_ops, void *host)
{
	const struct model_ops *ops = find_kind(config->model);
	struct model *m;
	int rc;

	if (!ops)
		return model_fail(EINVAL, "%s: no model \"%s\"", config->name,
				  config->model);
	m = calloc(1, sizeof(*m));
	if (!m)
		return model_fail(ENOMEM, "%s: out of memory", config->name);
	m->config = *config;
	fill_log_config(&m->config.log);
	m->ops = ops;
	m->host_ops = host_ops;
	m->host = host;
	m->level = MODEL_RUNNING;
	m->wake_fd = -1;
	m->wait_fd = -1;
	m->mem_fd = -1;
	init_locks(m);
	rc = check_config(&m->config, ops);
	if (!rc)
		rc = build(m);
	if (rc) {
		model_destroy(m);
		return rc;
	}
	*ret = m;
	return 0;
}

struct model *model_destroy(struct model *m)
{
	if (!m)
		return NULL;
	if (m->wake_fd >= 0) {
		model_worker_stop(m);
		if (m->ops->release)
			m->ops->release(m);
	}
	log_drop(m);
	truth_clear(&m->truth);
	truth_clear(&m->late);
	deaf_clear(m);
	state_free(&m->state);
	if (m->ops->mem_private)
		free(m->mem);
	else if (m->mem)
		munmap(m->mem, m->ops->mem_bar_len);
	if (m->mem_fd >= 0)
		model_end_fd(m, m->mem_fd);
	free(m->frozen_mem);
	free(m->shadow_mem);
	free(m->priv);
	destroy_locks(m);
	free(m);
	return NULL;
}

const struct model_config *model_config(const struct model *m)
{
	return &m->config;
}

bool model_shape(const char *kind, struct model_shape *ret)
{
	const struct model_ops *ops = find_kind(kind);

	*ret = (struct model_shape){ 0 };
	if (!ops)
		return false;
	ret->vendor_id = ops->vendor_id ? ops->vendor_id : MODEL_VENDOR;
	ret->device_id = ops->device_id;
	ret->nr_vectors = ops->nr_vectors;
	ret->msi = ops->msi;
	for (unsigned int i = 0; i < MODEL_NR_BARS; i++)
		model_ops_bar(ops, i, &ret->bars[i]);
	return true;
}

static uint64_t count_of(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void model_counters(struct model *m, struct model_counters *ret)
{
	model_check_bars(m);
	*ret = (struct model_counters){
		.dma_writes = count_of(&m->counters.dma_writes),
		.dma_bytes = count_of(&m->counters.dma_bytes),
		.marks = count_of(&m->counters.marks),
		.reports = count_of(&m->counters.reports),
		.pages_reported = count_of(&m->counters.pages_reported),
		.discarded = count_of(&m->counters.discarded),
		.dropped = count_of(&m->counters.dropped),
		.backlog_dropped = count_of(&m->counters.backlog_dropped),
		.faults = count_of(&m->counters.faults),
		.violations = count_of(&m->counters.violations),
		.peer_writes = count_of(&m->counters.peer_writes),
		.late_writes = count_of(&m->counters.late_writes),
		.pages_saved = count_of(&m->counters.pages_saved),
	};
}
