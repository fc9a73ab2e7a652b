/* SPDX-License-Identifier: MIT */
/*
 * What a guest's users notice, outside of QEMU: a nic's client asks by UDP, and
 * the guest's count of what its devices have done is looked at in the files of
 * its RAM.  Gaps are judged as the command judges its own machines'.
 *
 * Lines on stdin:
 *   ram PATH                          another side's RAM file
 *   work NAME INDEX                   of the status page
 *   nic NAME HOST PORT RATE TIMEOUT   requests a second, ms
 *   end BEGIN END BEGIN END           CLOCK_MONOTONIC, ns: of the migration,
 *                                     and of a check in it, which is no gap
 * and after "end" one line of JSON: for each NAME its gap in ms, and how often
 * it succeeded after the end.
 *
 * Threads: this one looks, each client has its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench/qemu/guest/status.h"
#include "tools/spoor/gaps.h"
#include "tools/spoor/udp_client.h"

#define MAX_RAMS     8
#define MAX_SERVICES 16
#define LOOK_NS	     200000

struct service {
	char name[64];
	unsigned int work; /* index, where client is NULL */
	struct udp_client *client;
	struct stamps *stamps;
	uint64_t seen[MAX_RAMS];
};

struct watch {
	const struct guest_status *rams[MAX_RAMS];
	unsigned int nr_rams, nr_services;
	struct service services[MAX_SERVICES];
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "watch: %s: %s\n", what, why);
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_ram(struct watch *w, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at;

	if (fd < 0)
		die(path, strerror(errno));
	at = mmap(NULL, sizeof(struct guest_status), PROT_READ, MAP_SHARED, fd,
		  GUEST_STATUS_AT);
	close(fd);
	if (at == MAP_FAILED)
		die(path, strerror(errno));
	if (w->nr_rams == MAX_RAMS)
		die(path, "too many sides");
	w->rams[w->nr_rams++] = at;
}

static struct service *add_service(struct watch *w, const char *name)
{
	struct service *s = &w->services[w->nr_services];

	if (w->nr_services == MAX_SERVICES)
		die(name, "too many services");
	w->nr_services++;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->stamps = calloc(1, sizeof(*s->stamps));
	if (!s->stamps)
		die(name, strerror(ENOMEM));
	return s;
}

static void look(struct watch *w)
{
	for (unsigned int i = 0; i < w->nr_services; i++) {
		struct service *s = &w->services[i];

		for (unsigned int k = 0; !s->client && k < w->nr_rams; k++) {
			const uint64_t *at = &w->rams[k]->work[s->work].done;
			uint64_t done = __atomic_load_n(at, __ATOMIC_RELAXED);

			if (done == s->seen[k])
				continue;
			/* What a destination holds at first was copied. */
			if (done > s->seen[0] || !k)
				stamps_add(s->stamps, now_ns(), 0);
			s->seen[k] = done;
		}
	}
}

static void finish(struct watch *w, struct gaps_window window)
{
	window.observed_until = now_ns();

	putchar('{');
	for (unsigned int i = 0; i < w->nr_services; i++) {
		struct service *s = &w->services[i];
		const struct stamps *stamps = s->stamps;
		struct gap gap = { 0 };

		s->client = udp_client_stop(s->client);
		printf("%s\"%s\": ", i ? ", " : "", s->name);
		if (gaps_service_gap(&stamps, 1, &window, &gap))
			printf("{\"gap_ms\": %.3f, \"after\": %" PRIu64 "}",
			       gap.ms, gap.after);
		else
			printf("null");
	}
	puts("}");
	exit(0);
}

/* The next word of a line as a number of at most @max; the line is bad. */
static uint64_t number(char **rest, uint64_t max)
{
	const char *word = strsep(rest, " ");
	char *end;
	uint64_t v;

	errno = 0;
	v = word && *word != '-' ? strtoull(word, &end, 10) : 0;
	if (!word || !*word || *word == '-' || *end || errno || v > max)
		die(word ? word : "the line ends", "a number is wanted");
	return v;
}

static void add_nic(struct watch *w, const char *name, char *rest)
{
	struct service *s = add_service(w, name);
	const char *host = strsep(&rest, " ");
	uint16_t port = (uint16_t)number(&rest, UINT16_MAX);
	uint64_t rate = number(&rest, 1000000);
	uint64_t timeout = number(&rest, UINT32_MAX);
	int r = rate ? udp_client_start(&s->client, host, port, rate, timeout,
					s->stamps)
		     : -EINVAL;

	if (r)
		die(name, strerror(-r));
}

static void obey(struct watch *w, char *line)
{
	const char *verb, *name;

	line[strcspn(line, "\n")] = 0;
	verb = strsep(&line, " ");
	if (line && !strcmp(verb, "ram")) {
		add_ram(w, line);
	} else if (line && !strcmp(verb, "work")) {
		name = strsep(&line, " ");
		add_service(w, name)->work =
			(unsigned int)number(&line, GUEST_WORKS_MAX - 1);
	} else if (line && !strcmp(verb, "nic")) {
		name = strsep(&line, " ");
		add_nic(w, name, line);
	} else if (line && !strcmp(verb, "end")) {
		struct gaps_window window = { 0 };

		window.migration.begin = number(&line, UINT64_MAX);
		window.migration.end = number(&line, UINT64_MAX);
		window.verify[0].begin = number(&line, UINT64_MAX);
		window.verify[0].end = number(&line, UINT64_MAX);
		finish(w, window);
	} else {
		die(verb, "not understood");
	}
}

int main(void)
{
	static struct watch w;
	char line[4200];

	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
		struct timespec until = { .tv_nsec = LOOK_NS };

		if (ppoll(&in, 1, &until, NULL) > 0) {
			if (!fgets(line, sizeof(line), stdin))
				die("stdin", "ended without a word");
			obey(&w, line);
		}
		look(&w);
	}
}
