/* SPDX-License-Identifier: MIT */
/*
 * spoor migrate: run a machine and move it to another process, here or at the
 * other end of a connection.
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
#include "session.h"

/* Two sockets for the two sides, through the link where it limits. */
static int connect_sides(struct session *s, int *ret_source,
			 int *ret_destination)
{
	int near[2], far[2];
	const struct machine_file *mf = s->mf;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near))
		return -errno;
	*ret_source = near[0];
	*ret_destination = near[1];
	if (!mf->link_rate && !mf->link_latency_us)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far)) {
		int r = -errno;

		close(near[0]);
		close(near[1]);
		return r;
	}
	*ret_destination = far[1];
	return link_start(&s->link, near[1], far[0], mf->link_rate,
			  mf->link_latency_us * 1000);
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

static int spawn_sides(struct session *s, struct machine_file *dest)
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

static int run(struct session *s, struct machine_file *dest)
{
	struct verdict v = { .exit = EXIT_FAILED, .running = "none" };
	int r = connect_out(s);

	if (!r)
		r = spawn_sides(s, dest);
	if (r)
		return r;
	if (!migrate_begin(s, &v))
		return migrate_finish(s, &v);
	if (!session_wait(s, migrate_someone_gone,
			  session_now() + s->mf->before_ms * 1000000, true) &&
	    s->interrupts) {
		snprintf(v.error, sizeof(v.error),
			 "interrupted before it began");
		v.exit = EXIT_INTERRUPTED;
		v.running = "source";
		return migrate_finish(s, &v);
	}
	if (!give_connections(s)) {
		snprintf(v.error, sizeof(v.error), "cannot connect the sides");
		v.running = "source";
		return migrate_finish(s, &v);
	}
	migrate_watch(s, &v);
	return migrate_finish(s, &v);
}

static int open_report(struct report **ret, const struct opts *o)
{
	int r;

	if (!o->report)
		return 0;
	r = report_open(ret, o->report, "--report");
	if (!r)
		report_input(*ret, o->args[0]);
	return r;
}

int cmd_migrate(const struct opts *o)
{
	struct machine_file *mf = NULL, *dest = NULL;
	struct report *report = NULL;
	struct session s;
	int r = cmd_load(&mf, o->args[0], o, true);

	if (!r && o->to && o->dest_machine) {
		output_complain("--dest-machine: with --to the "
				"destination has a machine file of its own");
		r = EXIT_USAGE;
	}
	if (!r && o->dest_machine)
		r = cmd_load(&dest, o->dest_machine, o, false);
	if (!r)
		r = cmd_fits(mf, o->to ? 1 : 2);
	if (!r)
		r = open_report(&report, o);
	if (!r) {
		r = session_open(&s, o, mf);
		s.out.report = report;
		if (!r)
			r = run(&s, dest);
		session_close(&s);
		/* Where the machine is comes before what is drawn of it. */
		(void)!report_close(report);
	}
	machine_file_free(dest);
	machine_file_free(mf);
	return r;
}
