/* SPDX-License-Identifier: MIT */
/*
 * The parent's loop: lines from children, signals, orders from people.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "session.h"

/* softvfio's own clean-up, and two gigabytes given back. */
#define PATIENCE_MS 15000u

uint64_t session_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

int session_open(struct session *s, const struct opts *o,
		 struct machine_file *mf)
{
	sigset_t mask;

	*s = (struct session){ .o = o,
			       .mf = mf,
			       .signals = -1,
			       .control_listen = -1,
			       .control = { .fd = -1 },
			       .input = { .fd = -1 },
			       .stamps_fd = -1,
			       .connection = -1 };
	s->source.in.fd = s->destination.in.fd = -1;
	output_init(&s->out, o);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	s->stamps_fd = stamps_create(2 * mf->nr_devices);
	if (s->stamps_fd >= 0)
		s->stamps = stamps_map(s->stamps_fd, 2 * mf->nr_devices);
	s->clients = calloc(mf->nr_devices + 1, sizeof(struct udp_client *));
	s->counts = calloc(mf->nr_devices + 1, sizeof(*s->counts));
	if (s->signals < 0 || !s->stamps || !s->clients || !s->counts) {
		output_complain("out of memory or descriptors");
		return EXIT_FAILED;
	}
	return o->control ? session_control_open(s) : 0;
}

void session_stop(struct session *s)
{
	for (size_t i = 0; s->clients && i < s->mf->nr_devices; i++) {
		if (!s->clients[i])
			continue;
		udp_client_counts(s->clients[i], &s->counts[i]);
		s->clients[i] = udp_client_stop(s->clients[i]);
	}
	side_order(&s->source, "quit");
	side_order(&s->destination, "quit");
}

void session_end_source(struct session *s)
{
	session_stop(s);
	side_end(&s->source, PATIENCE_MS);
}

void session_close(struct session *s)
{
	session_stop(s);
	side_end(&s->source, PATIENCE_MS);
	side_end(&s->destination, PATIENCE_MS);
	link_stop(s->link);
	session_control_close(s);
	if (s->connection >= 0)
		close(s->connection);
	stamps_unmap(s->stamps, 2 * s->mf->nr_devices);
	if (s->stamps_fd >= 0)
		close(s->stamps_fd);
	if (s->signals >= 0)
		close(s->signals);
	json_decref(s->plan);
	json_decref(s->warnings);
	free(s->clients);
	free(s->counts);
}

/* The source's nic has said where it listens: its client begins. */
static void start_client(struct session *s, const json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "device"));
	json_int_t port = json_integer_value(json_object_get(line, "port"));

	for (size_t i = 0; i < s->mf->nr_devices; i++) {
		const struct mf_device *d = &s->mf->devices[i];
		char address[64];
		int r;

		if (!name || strcmp(d->name, name) != 0 || !d->clients ||
		    s->clients[i])
			continue;
		snprintf(address, sizeof(address), "%s", d->udp);
		*strrchr(address, ':') = 0;
		r = udp_client_start(&s->clients[i], address, (uint16_t)port,
				     d->clients_rate, d->clients_timeout_ms,
				     &s->stamps[i]);
		if (r)
			output_note(&s->out, "warning",
				    "%s: no client for %s port %d: %s", name,
				    address, (int)port, strerror(-r));
	}
}

static void take_mark(struct session *s, const struct side *side,
		      const json_t *line)
{
	const char *what = json_string_value(json_object_get(line, "what"));
	uint64_t ns = (uint64_t)json_integer_value(json_object_get(line, "ns"));
	struct gaps_interval *verify;

	verify = &s->window.verify[side == &s->destination];
	if (!what)
		return;
	if (!strcmp(what, "verify-begin"))
		verify->begin = ns;
	else if (!strcmp(what, "verify-end"))
		verify->end = ns;
	else if (!strcmp(what, "paused") && side == &s->source)
		s->paused_ns = ns;
	else if (!strcmp(what, "running") && ns > s->window.migration.end)
		s->window.migration.end = s->running_ns = ns;
}

static void keep(json_t **at, json_t *line)
{
	json_decref(*at);
	*at = json_incref(line);
}

static void keep_warning(struct session *s, const json_t *note)
{
	const char *level = json_string_value(json_object_get(note, "level"));

	if (!level || strcmp(level, "warning") != 0)
		return;
	if (!s->warnings)
		s->warnings = json_array();
	json_array_append(s->warnings, json_object_get(note, "text"));
}

static void take_line(struct session *s, struct side *side, json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "event"));

	if (!name)
		return;
	if (!strcmp(name, "_ready"))
		side->ready = true;
	else if (!strcmp(name, "_refused"))
		side->refused = true;
	else if (!strcmp(name, "_failed"))
		keep(&side->failed, line);
	else if (!strcmp(name, "_result") || !strcmp(name, "_checked") ||
		 !strcmp(name, "_profile"))
		keep(&side->result, line);
	else if (!strcmp(name, "_resumed") || !strcmp(name, "_discarded"))
		keep(&side->held_end, line);
	else if (!strcmp(name, "_udp") && side == &s->source)
		start_client(s, line);
	else if (!strcmp(name, "_mark"))
		take_mark(s, side, line);
	else if (!strcmp(name, "_probed") || !strcmp(name, "_tracked") ||
		 !strcmp(name, "_benched") || !strcmp(name, "_planned"))
		side->done = true;
	else if (!strcmp(name, "plan"))
		keep(&s->plan, line);
	else if (!strcmp(name, "note"))
		keep_warning(s, line);
	if (!strcmp(name, "device") && s->only) {
		const char *device =
			json_string_value(json_object_get(line, "name"));

		if (!device || strcmp(device, s->only) != 0)
			return;
	}
	output_event(&s->out, line);
}

static void hear_side(struct session *s, struct side *side)
{
	json_t *line;
	int fd = -1, r = lines_fill(&side->in);

	while ((line = lines_next(&side->in, &fd))) {
		take_line(s, side, line);
		json_decref(line);
	}
	if (r <= 0 && r != -EAGAIN)
		side->open = false;
}

static void hear_signals(struct session *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info))
		s->interrupts++;
}

/* Orders in plain lines, from a terminal or the control socket. */
static void hear_text(struct session *s, struct lines_text *t)
{
	ssize_t n = read(t->fd, t->buf + t->len, sizeof(t->buf) - 1 - t->len);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		t->eof = true;
		return;
	}
	t->len += (size_t)n;
	t->buf[t->len] = 0;
	while ((end = strchr(t->buf, '\n'))) {
		*end = 0;
		if (!strcmp(t->buf, "resume"))
			s->order = "resume";
		else if (!strcmp(t->buf, "discard"))
			s->order = "discard";
		else if (!strcmp(t->buf, "cancel") && s->held)
			output_note(&s->out, "warning",
				    "cancel: it is too late, the machine is "
				    "held; say resume or discard");
		else if (!strcmp(t->buf, "cancel"))
			s->interrupts++;
		else if (t->buf[0])
			output_note(&s->out, "warning",
				    "%s: not understood; say resume, discard "
				    "or cancel",
				    t->buf);
		t->len -= (size_t)(end + 1 - t->buf);
		memmove(t->buf, end + 1, t->len + 1);
	}
	/* A line that long is no order. */
	if (t->len == sizeof(t->buf) - 1)
		t->len = 0;
}

static void accept_control(struct session *s)
{
	int fd = accept4(s->control_listen, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	/* The last one to come is who is listened to. */
	if (s->control.fd >= 0)
		close(s->control.fd);
	s->control = (struct lines_text){ .fd = fd };
}

static void serve(struct session *s, int wait_ms)
{
	struct pollfd fds[] = {
		{ .fd = s->source.open ? s->source.in.fd : -1,
		  .events = POLLIN },
		{ .fd = s->destination.open ? s->destination.in.fd : -1,
		  .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->control_listen, .events = POLLIN },
		{ .fd = s->control.eof ? -1 : s->control.fd, .events = POLLIN },
		{ .fd = s->input.eof ? -1 : s->input.fd, .events = POLLIN },
	};

	if (poll(fds, sizeof(fds) / sizeof(fds[0]), wait_ms) <= 0)
		return;
	if (fds[0].revents)
		hear_side(s, &s->source);
	if (fds[1].revents)
		hear_side(s, &s->destination);
	if (fds[2].revents)
		hear_signals(s);
	if (fds[3].revents)
		accept_control(s);
	if (fds[4].revents)
		hear_text(s, &s->control);
	if (fds[5].revents)
		hear_text(s, &s->input);
}

bool session_wait(struct session *s, session_until until, uint64_t until_ns,
		  bool interruptible)
{
	unsigned int interrupts = s->interrupts;

	for (;;) {
		uint64_t now = session_now();
		uint64_t left_ms;

		if (until && until(s))
			return true;
		if (now >= until_ns)
			return false;
		if (s->interrupts > (interruptible ? interrupts : 1))
			return false;
		left_ms = (until_ns - now) / 1000000 + 1;
		serve(s, left_ms < 1000 ? (int)left_ms : 1000);
	}
}
