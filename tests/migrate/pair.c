/* SPDX-License-Identifier: MIT */
/*
 * Two machines and the link between them; see the header.
 *
 * The CPU stores through the region's own mapping with atomic stores, as a
 * guest would; migration reads through the alias.
 */
#include "pair.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/frame.h"

static const uint64_t iovas[PAIR_REGIONS] = { 0, 0x100000000 };
static const size_t lens[PAIR_REGIONS] = { 3u << 20, (1u << 20) + 4096 };

static void die(const char *what)
{
	perror(what);
	abort();
}

static void *run_cpu(void *opaque)
{
	struct guest *g = opaque;
	uint64_t n = 0;

	pthread_mutex_lock(&g->lock);
	while (!g->quit) {
		if (g->paused) {
			g->idle = true;
			pthread_cond_broadcast(&g->changed);
			pthread_cond_wait(&g->changed, &g->lock);
			continue;
		}
		g->idle = false;
		pthread_mutex_unlock(&g->lock);
		for (unsigned int i = 0; i < 64; i++) {
			const size_t at = (n++ * 4096 + i * 8) % g->working_set;

			__atomic_store_n(
				(uint64_t *)(void *)(g->hva[0] + at / 8 * 8), n,
				__ATOMIC_RELAXED);
		}
		atomic_fetch_add(&g->turns, 1);
		usleep(200);
		pthread_mutex_lock(&g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static int hook_pause(void *opaque)
{
	struct guest *g = opaque;

	g->nr_pause++;
	if (g->fail_pause)
		return g->fail_pause;
	pthread_mutex_lock(&g->lock);
	g->paused = true;
	while (g->has_cpu && !g->idle)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return 0;
}

static int hook_resume(void *opaque)
{
	struct guest *g = opaque;

	g->nr_resume++;
	if (g->fail_resume)
		return g->fail_resume;
	pthread_mutex_lock(&g->lock);
	g->paused = false;
	g->idle = false;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	return 0;
}

static int hook_save(void *opaque, void **ret_data, size_t *ret_len)
{
	struct guest *g = opaque;

	if (g->fail_save)
		return g->fail_save;
	*ret_data = strdup("registers");
	*ret_len = sizeof("registers");
	return 0;
}

static int hook_load(void *opaque, const void *data, size_t len)
{
	struct guest *g = opaque;

	if (g->fail_load)
		return g->fail_load;
	g->section_len = len;
	memcpy(g->section, data, len < sizeof(g->section) ? len : 0);
	return 0;
}

static int hook_verify(void *opaque, struct spoor_lost **ret_lost,
		       size_t *ret_nr)
{
	struct guest *g = opaque;

	if (g->fail_verify)
		return g->fail_verify;
	if (!g->names.range.len)
		return 0;
	*ret_lost = malloc(sizeof(**ret_lost));
	**ret_lost = g->names;
	*ret_nr = 1;
	return 0;
}

static void on_event(void *opaque, const struct spoor_event *event)
{
	struct guest *g = opaque;

	g->nr_events[event->type]++;
	if (event->type == SPOOR_EVENT_NOTE)
		snprintf(g->note, sizeof(g->note), "%s", event->text);
	if (g->on_event)
		g->on_event(g, event);
}

static void guest_init(struct guest *g, struct pair *p)
{
	const struct spoor_hooks hooks = { .size = sizeof(hooks),
					   .pause = hook_pause,
					   .resume = hook_resume,
					   .save = hook_save,
					   .load = hook_load,
					   .verify = hook_verify };

	memset(g, 0, sizeof(*g));
	g->pair = p;
	g->working_set = 256u << 10;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	if (spoor_memory_new(&g->memory))
		die("memory");
	for (size_t i = 0; i < PAIR_REGIONS; i++) {
		struct spoor_region r = { .range = { iovas[i], lens[i] } };

		g->len[i] = lens[i];
		g->fds[i] = memfd_create("guest", MFD_CLOEXEC);
		if (g->fds[i] < 0 || ftruncate(g->fds[i], (off_t)lens[i]))
			die("memfd");
		g->hva[i] = mmap(NULL, lens[i], PROT_READ | PROT_WRITE,
				 MAP_SHARED, g->fds[i], 0);
		if (g->hva[i] == MAP_FAILED)
			die("mmap");
		r.hva = g->hva[i];
		r.fd = g->fds[i];
		if (spoor_memory_add(g->memory, &r))
			die("add");
	}
	if (spoor_machine_new(&g->machine, g->memory, &hooks, g))
		die("machine");
	snprintf(g->plan.policy, sizeof(g->plan.policy), "auto");
	g->opts = (struct spoor_run_opts){ .size = sizeof(g->opts),
					   .fd = -1,
					   .verify = true,
					   .silence_ns = 5000000000ull,
					   .event = on_event,
					   .event_opaque = g };
}

static void guest_fini(struct guest *g)
{
	if (g->has_cpu) {
		pthread_mutex_lock(&g->lock);
		g->quit = true;
		pthread_cond_broadcast(&g->changed);
		pthread_mutex_unlock(&g->lock);
		pthread_join(g->cpu, NULL);
	}
	spoor_result_clear(&g->result);
	spoor_machine_free(g->machine);
	spoor_memory_free(g->memory);
	for (size_t i = 0; i < PAIR_REGIONS; i++) {
		munmap(g->hva[i], g->len[i]);
		close(g->fds[i]);
	}
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
}

void pair_init(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	guest_init(&p->src, p);
	guest_init(&p->dst, p);
	p->dst.paused = true;
	/* Some data, some zeroes; and at the destination what must go. */
	for (size_t i = 0; i < p->src.len[0]; i += 4096) {
		if (i / 4096 % 3)
			memset(p->src.hva[0] + i, (int)(i / 4096), 4096);
	}
	memset(p->src.hva[1] + 4096, 0x5a, 65536);
	memset(p->dst.hva[1] + 512000, 0xee, 8192);
}

void pair_fini(struct pair *p)
{
	guest_fini(&p->src);
	guest_fini(&p->dst);
}

bool pair_same_memory(const struct pair *p)
{
	for (size_t i = 0; i < PAIR_REGIONS; i++) {
		if (memcmp(p->src.hva[i], p->dst.hva[i], p->src.len[i]))
			return false;
	}
	return true;
}

bool guest_runs(struct guest *g)
{
	bool runs;

	pthread_mutex_lock(&g->lock);
	runs = !g->paused;
	pthread_mutex_unlock(&g->lock);
	return runs;
}

static void *run_source(void *opaque)
{
	struct guest *g = opaque;

	g->rc = spoor_source_run(g->machine, &g->plan, &g->opts, &g->result);
	shutdown(g->opts.fd, SHUT_RDWR);
	return NULL;
}

static void *run_destination(void *opaque)
{
	struct guest *g = opaque;

	g->rc = spoor_destination_run(g->machine, &g->opts, &g->result);
	shutdown(g->opts.fd, SHUT_RDWR);
	return NULL;
}

/* One direction of the link. */
struct pipe {
	int in, out;
	struct fault_plan fault;
	unsigned int *frames, *types;
};

static bool all(int fd, uint8_t *buf, size_t len, bool out)
{
	while (len) {
		const ssize_t n = out ? send(fd, buf, len, MSG_NOSIGNAL)
				      : recv(fd, buf, len, 0);

		if (n <= 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

/* Forward one frame; false ends this direction. */
static bool forward(struct pipe *p, uint8_t *buf)
{
	struct spoor_frame f;
	size_t len;
	bool here;

	if (!all(p->in, buf, SPOOR_FRAME_HEADER, false) ||
	    spoor_frame_decode(&f, buf))
		return false;
	len = SPOOR_FRAME_HEADER + (size_t)f.len;
	if (!all(p->in, buf + SPOOR_FRAME_HEADER, (size_t)f.len, false))
		return false;
	/* They come when a side is slow: frames are counted without them. */
	if (f.type == SPOOR_FRAME_PING)
		return all(p->out, buf, len, true);
	here = p->fault.fault != FAULT_NONE && *p->frames == p->fault.frame;
	if (p->types && f.type < 32)
		p->types[f.type]++;
	++*p->frames;
	if (here && p->fault.fault == FAULT_STALL) {
		/* Takes all and gives nothing, until the other side ends. */
		while (all(p->in, buf, 1, false))
			;
		return false;
	}
	if (here && p->fault.fault == FAULT_FLIP)
		buf[p->fault.offset % len] ^= 0x40;
	if (here && p->fault.fault == FAULT_CUT) {
		len = p->fault.offset < len ? p->fault.offset : len;
		(void)all(p->out, buf, len, true);
		return false;
	}
	return all(p->out, buf, len, true);
}

static void *run_pipe(void *opaque)
{
	struct pipe *p = opaque;
	uint8_t *buf = malloc(SPOOR_FRAME_HEADER + SPOOR_PAYLOAD_MAX);

	while (forward(p, buf))
		;
	/* A cut takes both directions down, the end of one only itself. */
	if (p->fault.fault == FAULT_CUT && *p->frames > p->fault.frame) {
		shutdown(p->out, SHUT_RDWR);
		shutdown(p->in, SHUT_RDWR);
	} else {
		shutdown(p->out, SHUT_WR);
	}
	free(buf);
	return NULL;
}

void pair_run(struct pair *p)
{
	int a[2], b[2];
	pthread_t src, dst, up, down;
	struct pipe to_dst, to_src;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b))
		die("socketpair");
	p->src.opts.fd = a[0];
	p->dst.opts.fd = p->link ? b[1] : a[1];
	if (!p->src.opts.no_cpu && !p->src.has_cpu) {
		p->src.has_cpu = true;
		pthread_create(&p->src.cpu, NULL, run_cpu, &p->src);
	}
	to_dst = (struct pipe){ a[1], b[0], p->to_dst, &p->frames_to_dst,
				p->types_to_dst };
	to_src =
		(struct pipe){ b[0], a[1], p->to_src, &p->frames_to_src, NULL };
	pthread_create(&dst, NULL, run_destination, &p->dst);
	pthread_create(&src, NULL, run_source, &p->src);
	if (p->link) {
		pthread_create(&up, NULL, run_pipe, &to_dst);
		pthread_create(&down, NULL, run_pipe, &to_src);
	}
	pthread_join(src, NULL);
	pthread_join(dst, NULL);
	if (p->link) {
		pthread_join(up, NULL);
		pthread_join(down, NULL);
	}
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
}
