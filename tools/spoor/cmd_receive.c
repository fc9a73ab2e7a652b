/* SPDX-License-Identifier: MIT */
/*
 * spoor receive: the destination of one migration from another host.
 *
 * Whoever connects and then goes, or speaks something else, does not end the
 * wait: the migration begins with the first that greets as a source does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spoor/error.h>
#include <spoor/transport.h>

#include "cmd.h"
#include "migrate.h"
#include "session.h"

/* How often a waiting destination looks for its source. */
#define LOOK_NS 50000000ull

/* More than wait at once by accident. */
#define CALLERS_MAX 16u

/* Connections that may be the source's, in the order they came. */
struct callers {
	int fds[CALLERS_MAX];
	size_t nr;
};

struct listener {
	int fd;
	char address[128];
};

static int start_listening(struct listener *l, const char *address)
{
	l->fd = spoor_transport_listen(address, l->address, sizeof(l->address));
	if (l->fd >= 0)
		return 0;
	output_complain("--listen %s: %s", address,
			spoor_errmsg()[0] ? spoor_errmsg() : strerror(-l->fd));
	return l->fd == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static void stop_listening(struct listener *l)
{
	if (l->fd < 0)
		return;
	close(l->fd);
	if (!strncmp(l->address, "unix:", 5))
		unlink(l->address + 5);
	l->fd = -1;
}

enum caller { SOURCE, SILENT, STRANGER };

/*
 * Looks without taking: the bytes are the machine's process's to read.  A
 * source says nothing until its machine has run for a while, so silence says
 * nothing either.
 */
static enum caller look(int fd)
{
	/* A frame's magic, then the type HELLO; docs/stream.md. */
	static const uint8_t hello[] = { 'S', 'P', 'O', 'R', 1, 0 };
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	uint8_t got[sizeof(hello)];
	ssize_t n;

	/* Before the bytes: what comes before an end is seen with it. */
	if (poll(&p, 1, 0) < 0)
		return SILENT;
	n = recv(fd, got, sizeof(got), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return SILENT;
	if (n <= 0 || memcmp(got, hello, (size_t)n) != 0)
		return STRANGER;
	if (n == sizeof(hello))
		return SOURCE;
	/* Cut short: no more will come. */
	return p.revents ? STRANGER : SILENT;
}

static void drop(struct session *s, struct callers *c, size_t i,
		 const char *why)
{
	output_clear_bar(&s->out);
	fprintf(stderr, "spoor: a connection %s: still waiting\n", why);
	close(c->fds[i]);
	memmove(&c->fds[i], &c->fds[i + 1], (--c->nr - i) * sizeof(c->fds[0]));
}

/* The silent one that came first makes room for the next. */
static void take_callers(struct session *s, struct callers *c, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (c->nr == CALLERS_MAX)
			drop(s, c, 0, "says nothing, and others came");
		c->fds[c->nr++] = fd;
	}
}

/* The first that is a source, taken out; -1: none yet. */
static int find_source(struct session *s, struct callers *c)
{
	for (size_t i = 0; i < c->nr;) {
		enum caller who = look(c->fds[i]);

		if (who == SOURCE) {
			int fd = c->fds[i];

			c->fds[i] = c->fds[--c->nr];
			return fd;
		}
		if (who == STRANGER)
			drop(s, c, i, "was no source's");
		else
			i++;
	}
	return -1;
}

/* Until a source speaks; -1: interrupted, or our own machine is gone. */
static int await_source(struct session *s, struct listener *l)
{
	struct callers c = { .nr = 0 };
	int fd = -1;

	fcntl(l->fd, F_SETFL, O_NONBLOCK);
	while (fd < 0 && !s->interrupts && s->destination.open) {
		take_callers(s, &c, l->fd);
		fd = find_source(s, &c);
		if (fd < 0)
			session_wait(s, migrate_someone_gone,
				     session_now() + LOOK_NS, true);
	}
	for (size_t i = 0; i < c.nr; i++)
		close(c.fds[i]);
	return fd;
}

static int run(struct session *s, struct listener *l)
{
	struct verdict v = { .exit = EXIT_FAILED, .running = "none" };
	int fd, r;

	r = side_spawn(&s->destination, "destination", "machine-destination",
		       s->o, s->o->args[0], s->mf, s->stamps_fd, 1);
	s->has_destination = true;
	if (r)
		return r;
	if (!migrate_begin(s, &v))
		return migrate_finish(s, &v);
	output_note(&s->out, "info", "listening on %s", l->address);
	fd = await_source(s, l);
	stop_listening(l);
	if (fd < 0) {
		snprintf(v.error, sizeof(v.error), "%s",
			 s->interrupts ? "interrupted while waiting"
				       : "its process is gone");
		v.exit = s->interrupts ? EXIT_INTERRUPTED : EXIT_FAILED;
		return migrate_finish(s, &v);
	}
	s->window.migration.begin = session_now();
	side_go(&s->destination, fd, s->window.migration.begin);
	close(fd);
	migrate_watch(s, &v);
	return migrate_finish(s, &v);
}

int cmd_receive(const struct opts *o)
{
	struct machine_file *mf = NULL;
	struct listener l = { .fd = -1 };
	struct session s;
	int r;

	if (!o->listen) {
		output_complain("receive: --listen ADDR is needed");
		return EXIT_USAGE;
	}
	r = cmd_load(&mf, o->args[0], o, false);
	if (!r)
		r = cmd_fits(mf, 1);
	if (r) {
		machine_file_free(mf);
		return r;
	}
	r = session_open(&s, o, mf);
	if (!r)
		r = start_listening(&l, o->listen);
	if (!r)
		r = run(&s, &l);
	session_close(&s);
	stop_listening(&l);
	machine_file_free(mf);
	return r;
}
