/* SPDX-License-Identifier: MIT */
/*
 * One migration from its two processes' start to its verdict.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spoor/error.h>
#include <spoor/transport.h>

#include "cmd.h"
#include "migrate.h"

/* Two sockets for the two sides, through the link where it limits. */
static int connect_sides(struct session *s, int *ret_source,
			 int *ret_destination)
{
	const struct machine_file *mf = s->mf;
	int ends[2];
	int r = link_pair(&s->link, ends, mf->link_rate,
			  mf->link_latency_us * 1000);

	*ret_source = ends[0];
	*ret_destination = ends[1];
	return r;
}

/* Over a link, the connection to the other host is its far end. */
static int through_link(struct session *s, int *fd)
{
	const struct machine_file *mf = s->mf;
	int pair[2];
	int r;

	if (!mf->link_rate && !mf->link_latency_us)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	r = link_start(&s->link, pair[1], *fd, mf->link_rate,
		       mf->link_latency_us * 1000);
	*fd = pair[0];
	return r;
}

static int spawn_sides(struct session *s, const struct machine_file *dest)
{
	const struct opts *o = s->o;
	const char *path = o->dest_machine ? o->dest_machine : o->args[0];
	int r = side_spawn(&s->source, "source", "machine-source", o,
			   o->args[0], s->mf, s->stamps_fd, 0);

	s->has_source = true;
	if (r || o->to)
		return r;
	s->has_destination = true;
	return side_spawn(&s->destination, "destination", "machine-destination",
			  o, path, dest ? dest : s->mf, s->stamps_fd, 1);
}

static bool give_connections(struct session *s)
{
	int source = -1, destination = -1, r;

	if (s->o->to) {
		source = s->connection;
		s->connection = -1;
		r = through_link(s, &source);
	} else {
		r = connect_sides(s, &source, &destination);
	}
	s->window.migration.begin = session_now();
	if (!r)
		r = side_go(&s->source, source, s->window.migration.begin);
	if (!r && s->has_destination)
		r = side_go(&s->destination, destination,
			    s->window.migration.begin);
	if (source >= 0)
		close(source);
	if (destination >= 0)
		close(destination);
	return !r;
}

static int connect_out(struct session *s)
{
	if (!s->o->to)
		return 0;
	s->connection = spoor_transport_connect(s->o->to);
	if (s->connection >= 0)
		return 0;
	output_complain("--to %s: %s", s->o->to,
			spoor_errmsg()[0] ? spoor_errmsg()
					  : strerror(-s->connection));
	return s->connection == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

int migrate_run(struct session *s, const struct machine_file *dest,
		struct verdict *v)
{
	int r;

	*v = (struct verdict){ .exit = EXIT_FAILED, .running = "none" };
	r = connect_out(s);

	if (!r)
		r = spawn_sides(s, dest);
	if (r)
		return r;
	if (!migrate_begin(s, v))
		return 0;
	if (!session_wait(s, migrate_someone_gone,
			  session_now() + s->mf->before_ms * 1000000, true) &&
	    s->interrupts) {
		snprintf(v->error, sizeof(v->error),
			 "interrupted before it began");
		v->exit = EXIT_INTERRUPTED;
		v->running = "source";
		return 0;
	}
	if (!give_connections(s)) {
		snprintf(v->error, sizeof(v->error),
			 "cannot connect the sides");
		v->running = "source";
		return 0;
	}
	migrate_watch(s, v);
	return 0;
}
