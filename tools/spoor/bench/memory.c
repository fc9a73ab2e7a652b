/* SPDX-License-Identifier: MIT */
/*
 * How fast memory is sent where no link holds it up: a piece of memory is
 * migrated to another piece of memory, by the library, through a socket.  Where
 * the machine's file has a link, its emulation is in between and limits
 * nothing: it takes its share of the CPUs as it will then.
 *
 * Pieces are new for each run, with their pages made, as a machine's are before
 * a migration: neither side has looked at them through its alias yet.
 *
 * After the bulk copy half of it is stored to, which lies together: the round
 * after it says how fast memory is sent again.  Then every fourth page is: what
 * that round takes longer is the price of a run.  When they are sent nothing is
 * left, and the downtime is the hand-over's own.
 *
 * Threads: source and destination run in one each, and end with it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spoor/error.h>
#include <spoor/migration.h>

#include "bench.h"
#include "tools/spoor/link.h"

#define PIECE_MAX (256ull << 20)
#define PIECE_MIN (16ull << 20)
#define NR_RUNS	  4u
#define NR_QUICK  2u
#define NR_ROUNDS 3u /* bulk, together, sparse */
#define SPARSE	  4u /* one page of so many is stored to */

struct piece {
	uint64_t len;
	char *hva;
	int fd;
	struct spoor_memory *memory;
	struct spoor_machine *machine;
};

struct sending {
	struct bench *b;
	struct piece from, to;
	struct bench_samples bulk, zero, again, run, handover;
	bool zeroes; /* the run under way is of those */
	int sockets[2];
	struct {
		uint64_t ns, bytes;
	} rounds[NR_ROUNDS];
};

static int open_piece(struct piece *p, uint64_t len)
{
	struct spoor_region region = { .range = { .len = len } };
	const struct spoor_hooks none = { .size = sizeof(none) };
	int r;

	p->len = len;
	p->fd = memfd_create("bench", MFD_CLOEXEC);
	if (p->fd < 0 || ftruncate(p->fd, (off_t)len))
		return -errno;
	p->hva = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, p->fd, 0);
	if (p->hva == MAP_FAILED)
		return -errno;
	region.hva = p->hva;
	region.fd = p->fd;
	r = spoor_memory_new(&p->memory);
	if (!r)
		r = spoor_memory_add(p->memory, &region);
	if (!r)
		r = spoor_machine_new(&p->machine, p->memory, &none, NULL);
	return r;
}

static void close_piece(struct piece *p)
{
	spoor_machine_free(p->machine);
	spoor_memory_free(p->memory);
	if (p->hva && p->hva != MAP_FAILED)
		munmap(p->hva, p->len);
	if (p->fd > 0)
		close(p->fd);
	*p = (struct piece){ .len = 0 };
}

/* Real bytes: zeroes would not be sent. */
static void fill(struct piece *p)
{
	uint64_t *words = (uint64_t *)(void *)p->hva, x = 0x9e3779b97f4a7c15ull;

	for (uint64_t i = 0; i < p->len / sizeof(*words); i++)
		words[i] = guest_random(&x);
}

static void store(struct piece *p, uint64_t end, uint64_t step)
{
	for (uint64_t at = 0; at < end; at += step * MF_PAGE)
		guest_store((uint64_t *)(void *)(p->hva + at), guest_now());
}

static void heard(void *opaque, const struct spoor_event *e)
{
	struct sending *s = opaque;

	if (e->type != SPOOR_EVENT_ROUND || e->round > NR_ROUNDS)
		return;
	s->rounds[e->round - 1].ns = e->duration_ns;
	s->rounds[e->round - 1].bytes = e->bytes;
	if (e->round == 1 && !s->zeroes)
		store(&s->from, s->from.len / 2, 1);
	else if (e->round == 2 && !s->zeroes)
		store(&s->from, s->from.len, SPARSE);
}

static void *receive(void *arg)
{
	struct sending *s = arg;
	struct spoor_run_opts opts = { .size = sizeof(opts),
				       .fd = s->sockets[1] };
	struct spoor_result result;

	memset(&result, 0, sizeof(result));
	spoor_destination_run(s->to.machine, &opts, &result);
	spoor_result_clear(&result);
	/* The source must not wait for one that has failed. */
	shutdown(s->sockets[1], SHUT_RDWR);
	return NULL;
}

static int give(struct sending *s, uint64_t *ret_downtime_ns)
{
	struct spoor_run_opts opts;
	struct spoor_result result;
	struct spoor_plan *plan = NULL;
	int r = spoor_machine_plan(s->from.machine, NULL, &plan);

	child_run_opts(s->b->c, &opts);
	/* Its CPU is this thread. */
	opts.no_cpu = false;
	opts.fd = s->sockets[0];
	opts.verify = false;
	opts.strict_downtime = false;
	opts.downtime_ns = 1;
	opts.max_rounds = NR_ROUNDS;
	opts.event = heard;
	opts.event_opaque = s;
	memset(&result, 0, sizeof(result));
	if (!r) {
		r = spoor_source_run(s->from.machine, plan, &opts, &result);
		*ret_downtime_ns = result.downtime_ns;
		if (r)
			bench_fail(s->b, r, "memory: %s", result.error);
		spoor_result_clear(&result);
	} else {
		bench_fail(s->b, r, "memory: %s", spoor_errmsg());
	}
	spoor_plan_free(plan);
	return r;
}

/* Bytes a nanosecond of a round; 0: it was not. */
static double rate(const struct sending *s, size_t round)
{
	if (!s->rounds[round].ns)
		return 0;
	return (double)s->rounds[round].bytes / (double)s->rounds[round].ns;
}

static void add(struct sending *s, uint64_t downtime_ns)
{
	const uint64_t nr = s->from.len / MF_PAGE / SPARSE;
	double runs = (double)nr, more;

	/* The destination looks at them meanwhile. */
	if (s->zeroes) {
		bench_add(&s->zero,
			  (double)s->from.len * 1e9 / (double)s->rounds[0].ns);
		return;
	}
	bench_add(&s->bulk, rate(s, 0) * 1e9);
	if (rate(s, 1) <= 0 || rate(s, 2) <= 0)
		return;
	bench_add(&s->again, rate(s, 1) * 1e9);
	bench_add(&s->handover, (double)downtime_ns);
	more = (double)s->rounds[2].ns -
	       (double)s->rounds[2].bytes / rate(s, 1);
	bench_add(&s->run, more > 0 ? more / runs : 0);
}

static int exchange(struct sending *s)
{
	const struct machine_file *mf = s->b->c->mf;
	const bool relayed = mf->link_rate || mf->link_latency_us;
	struct link *link = NULL;
	uint64_t downtime = 0;
	pthread_t t;
	int r;

	memset(s->rounds, 0, sizeof(s->rounds));
	/* The least latency there is. */
	r = link_pair(&link, s->sockets, 0, relayed);
	if (r)
		return bench_fail(s->b, r, "socket: %s", strerror(-r));
	r = -pthread_create(&t, NULL, receive, s);
	if (!r) {
		r = give(s, &downtime);
		shutdown(s->sockets[0], SHUT_RDWR);
		pthread_join(t, NULL);
	}
	link_stop(link);
	close(s->sockets[0]);
	close(s->sockets[1]);
	if (!r && s->rounds[0].ns)
		add(s, downtime);
	return r;
}

static int send_once(struct sending *s, uint64_t len, bool zeroes)
{
	int r = open_piece(&s->from, len);

	if (!r)
		r = open_piece(&s->to, len);
	if (r)
		bench_fail(s->b, r, "memory: %s", strerror(-r));
	s->zeroes = zeroes;
	if (!r && !zeroes)
		fill(&s->from);
	if (!r)
		r = exchange(s);
	close_piece(&s->from);
	close_piece(&s->to);
	return r;
}

static int measure(struct sending *s)
{
	uint64_t len = s->b->p->memory_bytes / 4 / MF_PAGE * MF_PAGE;
	unsigned int nr = s->b->quick ? NR_QUICK : NR_RUNS;
	int r = 0;

	if (len > PIECE_MAX)
		len = PIECE_MAX;
	if (len < PIECE_MIN)
		len = PIECE_MIN;
	for (unsigned int i = 0; i < 2 * nr && !r; i++) {
		r = send_once(s, len, i % 2);
		if (!r && !bench_wait(s->b, BENCH_MS))
			r = -ECANCELED;
	}
	return r;
}

int bench_memory(struct bench *b)
{
	struct sending s = { .b = b };
	struct spoor_profile *p = b->p;
	int r;

	r = measure(&s);
	if (!r) {
		p->send_bytes_per_s = bench_figure(&s.bulk, SPOOR_MEASURED_SW);
		p->zero_bytes_per_s = bench_figure(&s.zero, SPOOR_MEASURED_SW);
		p->resend_bytes_per_s =
			bench_figure(&s.again, SPOOR_MEASURED_SW);
		p->send_run_ns = bench_figure(&s.run, SPOOR_MEASURED_SW);
		p->handover_ns = bench_figure(&s.handover, SPOOR_MEASURED_SW);
	}
	bench_samples_clear(&s.bulk);
	bench_samples_clear(&s.zero);
	bench_samples_clear(&s.again);
	bench_samples_clear(&s.run);
	bench_samples_clear(&s.handover);
	return r;
}
