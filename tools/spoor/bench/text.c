/* SPDX-License-Identifier: MIT */
/*
 * A profile for people: what each tracker costs and how much it makes a
 * migration send again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "tools/spoor/profile_file.h"
#include "tools/spoor/units.h"

static const char *time_text(char buf[16], const struct spoor_figure *f)
{
	double ns = f->median;

	if (!f->origin)
		snprintf(buf, 16, "-");
	else if (ns < 1e3)
		snprintf(buf, 16, "%.0f ns", ns);
	else if (ns < 1e6)
		snprintf(buf, 16, "%.1f us", ns / 1e3);
	else
		snprintf(buf, 16, "%.1f ms", ns / 1e6);
	return buf;
}

static const char *bytes_text(char buf[24], const struct spoor_figure *f)
{
	if (!f->origin)
		snprintf(buf, 24, "-");
	else
		units_format_bytes(buf, 24, (uint64_t)f->median);
	return buf;
}

static const char *share_text(char buf[16], const struct spoor_figure *f)
{
	if (f->origin)
		snprintf(buf, 16, "%.1f %%%s", f->median * 100,
			 f->origin == SPOOR_ASSUMED ? "*" : "");
	else
		snprintf(buf, 16, "-");
	return buf;
}

/* A space's tracker, more than its devices by the file attached: by number. */
static const char *label(char buf[32], const struct spoor_profile *p, size_t i)
{
	size_t nr = 0;

	for (size_t k = 0; k <= i; k++)
		nr += p->trackers[k].nr_attached > 0;
	if (p->trackers[i].nr_attached)
		snprintf(buf, 32, "%.24s [%zu]", p->trackers[i].name, nr);
	else
		snprintf(buf, 32, "%.31s", p->trackers[i].name);
	return buf;
}

static void show_attached(const struct spoor_profile *p)
{
	size_t nr = 0;

	for (size_t i = 0; i < p->nr_trackers; i++) {
		const struct spoor_profile_tracker *t = &p->trackers[i];
		char who[400];

		if (!t->nr_attached)
			continue;
		profile_tracker_say(who, sizeof(who), t->name, t->attached,
				    t->nr_attached);
		printf("  [%zu]: %s, as they could be moved\n", ++nr, who);
	}
}

static void show_costs(const struct spoor_profile *p)
{
	printf("\n%-18s %6s %9s %9s %9s %9s %9s %9s %8s %8s  %s\n", "tracker",
	       "page", "start", "stop", "read", "+/page", "+/page*", "digest",
	       "slower", "later", "origin");
	for (size_t i = 0; i < p->nr_trackers; i++)
		for (size_t k = 0; k < p->trackers[i].nr_pages; k++) {
			const struct spoor_profile_page *g =
				&p->trackers[i].pages[k];
			char t[6][16], s[2][16], size[16], name[32];

			printf("%-18s %6s %9s %9s %9s %9s %9s %9s %8s %8s  "
			       "%s\n",
			       k ? "" : label(name, p, i),
			       units_format_page(size, sizeof(size),
						 g->page_size),
			       time_text(t[0], &g->start_ns),
			       time_text(t[1], &g->stop_ns),
			       time_text(t[2], &g->read_clean_ns),
			       time_text(t[3], &g->read_page_ns),
			       time_text(t[4], &g->read_run_ns),
			       time_text(t[5], &g->digest_ns),
			       share_text(s[0], &g->slowdown),
			       share_text(s[1], &g->delay),
			       profile_origin_name(g->start_ns.origin));
		}
	puts("  read: nothing dirty; +/page: more for each dirty page where "
	     "they lie scattered, *: together\n"
	     "  slower, later: work a second and time of a request, tracked "
	     "against not, of the device that suffers most");
	show_attached(p);
}

static void show_curves(const struct spoor_profile *p)
{
	const struct spoor_profile_page *widest = NULL;

	for (size_t i = 0; i < p->nr_trackers; i++)
		for (size_t k = 0; k < p->trackers[i].nr_pages; k++)
			if (!widest ||
			    p->trackers[i].pages[k].nr_dirty > widest->nr_dirty)
				widest = &p->trackers[i].pages[k];
	if (!widest)
		return;
	printf("\n%-18s %6s", "dirty after", "page");
	for (size_t n = 0; n < widest->nr_dirty; n++)
		printf(" %8.0f ms", (double)widest->dirty[n].interval_ns / 1e6);
	putchar('\n');
	for (size_t i = 0; i < p->nr_trackers; i++)
		for (size_t k = 0; k < p->trackers[i].nr_pages; k++) {
			const struct spoor_profile_page *g =
				&p->trackers[i].pages[k];
			char size[16], bytes[24], name[32];

			printf("%-18s %6s", k ? "" : label(name, p, i),
			       units_format_page(size, sizeof(size),
						 g->page_size));
			for (size_t n = 0; n < g->nr_dirty; n++)
				printf(" %11s",
				       bytes_text(bytes, &g->dirty[n].bytes));
			putchar('\n');
		}
}

static void show_devices(const struct spoor_profile *p)
{
	printf("\n%-18s %10s %9s %9s %9s %9s %9s\n", "device", "state", "stop",
	       "save", "load", "run", "period");
	for (size_t i = 0; i < p->nr_devices; i++) {
		const struct spoor_profile_device *d = &p->devices[i];
		char bytes[24], t[5][16];

		printf("%-18s %10s %9s %9s %9s %9s %9s\n", d->name,
		       bytes_text(bytes, &d->state_bytes),
		       time_text(t[0], &d->stop_ns),
		       time_text(t[1], &d->save_ns),
		       time_text(t[2], &d->load_ns),
		       time_text(t[3], &d->run_ns),
		       time_text(t[4], &d->period_ns));
	}
}

void bench_text(const struct spoor_profile *p)
{
	char bytes[24], rate[3][24], zero[16], t[4][16];

	printf("Profile of %s on %s, %s, %s\n", p->machine, p->host, p->kernel,
	       p->cpu);
	printf("  memory %s, of it zero %s; sent %s/s, zero %s/s, again "
	       "%s/s and %s for each run\n  hand-over %s; CPUs paused in %s, "
	       "resumed in %s\n",
	       units_format_bytes(bytes, sizeof(bytes), p->memory_bytes),
	       share_text(zero, &p->zero_share),
	       bytes_text(rate[0], &p->send_bytes_per_s),
	       bytes_text(rate[1], &p->zero_bytes_per_s),
	       bytes_text(rate[2], &p->resend_bytes_per_s),
	       time_text(t[0], &p->send_run_ns),
	       time_text(t[1], &p->handover_ns), time_text(t[2], &p->pause_ns),
	       time_text(t[3], &p->resume_ns));
	if (p->nr_trackers) {
		show_costs(p);
		show_curves(p);
	}
	if (p->nr_devices)
		show_devices(p);
}
