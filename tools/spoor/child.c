/* SPDX-License-Identifier: MIT */
/*
 * The machine's process: orders, notes, beginning and end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "lines.h"
#include "softvfio_door.h"

/* How long an orderly end may take once the parent is gone. */
#define LAST_WORDS_S 5u
#define NOTES_MS     50

void child_tell(struct child *c, json_t *line)
{
	if (!line)
		return;
	pthread_mutex_lock(&c->lock);
	lines_send(c->control, line, -1);
	pthread_mutex_unlock(&c->lock);
	json_decref(line);
}

void child_tell_failed(struct child *c, int exit_code, const char *error)
{
	child_tell(c, json_pack("{s:s, s:i, s:s}", "event", "_failed", "exit",
				exit_code, "error", error));
}

/* What devices say, e.g. a port that the kernel chose. */
static void pass_on_notes(struct child *c)
{
	char *text;

	while ((text = door_next_note())) {
		child_tell(c, json_pack("{s:s, s:s, s:s, s:s}", "event", "note",
					"level", "info", "text", text, "side",
					c->side));
		free(text);
	}
}

static void give_order(struct child *c, enum child_order order, int fd)
{
	pthread_mutex_lock(&c->lock);
	if (order == ORDER_QUIT)
		c->quit = true;
	else
		c->order = order;
	if (fd >= 0 && c->connection < 0) {
		c->connection = fd;
		fd = -1;
	}
	pthread_cond_broadcast(&c->ordered);
	pthread_mutex_unlock(&c->lock);
	if (fd >= 0)
		close(fd);
}

static void cancel(struct child *c)
{
	pthread_mutex_lock(&c->lock);
	c->cancelled = true;
	pthread_mutex_unlock(&c->lock);
	if (c->m.machine)
		spoor_machine_cancel(c->m.machine);
}

static bool quitting(struct child *c)
{
	bool quit;

	pthread_mutex_lock(&c->lock);
	quit = c->quit;
	pthread_mutex_unlock(&c->lock);
	return quit;
}

static void take_line(struct child *c, const json_t *line, int fd)
{
	const char *order = json_string_value(json_object_get(line, "order"));

	if (!order)
		order = "";
	if (!strcmp(order, "go")) {
		json_t *t0 = json_object_get(line, "t0");

		pthread_mutex_lock(&c->lock);
		c->t0 = (uint64_t)json_integer_value(t0);
		pthread_mutex_unlock(&c->lock);
		give_order(c, ORDER_GO, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (!strcmp(order, "resume"))
		give_order(c, ORDER_RESUME, -1);
	else if (!strcmp(order, "discard"))
		give_order(c, ORDER_DISCARD, -1);
	else if (!strcmp(order, "cancel"))
		cancel(c);
	else if (!strcmp(order, "quit"))
		give_order(c, ORDER_QUIT, -1);
}

static void *read_orders(void *arg)
{
	struct child *c = arg;
	struct lines in = { .fd = c->control };
	bool open = true;

	while (open) {
		struct pollfd p = { .fd = c->control, .events = POLLIN };
		json_t *line;
		int fd = -1;

		pass_on_notes(c);
		if (poll(&p, 1, NOTES_MS) <= 0)
			continue;
		open = lines_fill(&in) > 0;
		while ((line = lines_next(&in, &fd))) {
			take_line(c, line, fd);
			json_decref(line);
			fd = -1;
		}
	}
	lines_clear(&in);
	/* Nobody is left to hear a result: stop, and be quick about it. */
	if (!quitting(c)) {
		alarm(LAST_WORDS_S);
		cancel(c);
		give_order(c, ORDER_QUIT, -1);
	}
	return NULL;
}

enum child_order child_wait(struct child *c, uint64_t timeout_ns)
{
	uint64_t until = guest_now() + timeout_ns;
	struct timespec t = { .tv_sec = (time_t)(until / 1000000000u),
			      .tv_nsec = (long)(until % 1000000000u) };
	enum child_order order;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	while (!c->quit && c->order == ORDER_NONE && !r)
		r = timeout_ns
			    ? pthread_cond_timedwait(&c->ordered, &c->lock, &t)
			    : pthread_cond_wait(&c->ordered, &c->lock);
	order = c->quit ? ORDER_QUIT : c->order;
	c->order = ORDER_NONE;
	pthread_mutex_unlock(&c->lock);
	return order;
}

/* Die with the parent, but in order: softvfio has files to remove. */
static void last_words(int sig)
{
	(void)sig;
	alarm(LAST_WORDS_S);
}

static bool tie_to_parent(const struct opts *o)
{
	struct sigaction sa = { .sa_handler = last_words };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGTERM, &sa, NULL);
	/* The terminal's ^C is the parent's business. */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &sa.sa_mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	return (uint64_t)getppid() == o->parent;
}

static void init_sync(struct child *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->ordered, &attr);
	pthread_condattr_destroy(&attr);
}

/* The driver has learnt where packets come in; told once it is at work. */
static void announce_port(void *opaque, size_t device, uint16_t port)
{
	struct child *c = opaque;

	pthread_mutex_lock(&c->lock);
	c->ports[device] = port;
	pthread_mutex_unlock(&c->lock);
}

static bool load(struct child *c)
{
	struct jp_error error = { "out of memory" };
	const char *what = c->o->args[0];
	int r;

	if (!strncmp(what, CHILD_DEVICE, strlen(CHILD_DEVICE)))
		r = machine_file_for_device(&c->mf,
					    what + strlen(CHILD_DEVICE));
	else
		r = machine_file_load(&c->mf, what, &error);
	if (!r)
		r = opts_apply(c->o, c->mf, &error);
	if (!r)
		r = layout_make(&c->layout, c->mf, &error);
	if (r)
		child_tell_failed(c, 2, error.text);
	return !r;
}

static bool open_guest(struct child *c)
{
	size_t nr = c->mf->nr_devices;
	int r;

	if (c->o->stamps_fd)
		c->all_stamps = stamps_map((int)c->o->stamps_fd, 2 * nr);
	if (c->all_stamps)
		c->stamps = c->all_stamps + c->o->side * nr;
	c->m.layout = layout_text(c->layout, c->mf);
	r = c->stamps && c->m.layout
		    ? guest_new(&c->m.guest, &c->m, c->layout, c->stamps)
		    : -ENOMEM;
	if (r) {
		child_tell_failed(c, 1, strerror(-r));
		return false;
	}
	c->m.guest->announce = announce_port;
	c->m.guest->opaque = c;
	return true;
}

/*
 * Whatever kept softvfio from being loaded: this host's own VFIO is not what
 * the devices were meant to be.
 */
static bool models_are_there(struct child *c)
{
	bool meant = getenv("SOFTVFIO_CONFIG") ||
		     (c->mf && machine_has_models(c->mf));

	if (!meant || door_nr_devices() > 0)
		return true;
	child_tell_failed(c, 1,
			  "the machine has software devices, but softvfio was "
			  "not loaded: nothing was opened");
	return false;
}

bool child_begin(struct child *c, const struct opts *o)
{
	*c = (struct child){ .o = o,
			     .control = (int)o->control_fd,
			     .connection = -1 };
	init_sync(c);
	return tie_to_parent(o) &&
	       fcntl(c->control, F_SETFD, FD_CLOEXEC) >= 0 &&
	       models_are_there(c);
}

bool child_start(struct child *c, const struct opts *o, const char *side,
		 bool contents, bool guest)
{
	if (!child_begin(c, o))
		return false;
	c->side = side;
	if (!load(c) || !models_are_there(c))
		return false;
	if (machine_open(&c->m, c->mf, contents)) {
		child_tell_failed(c, c->m.exit_code, c->m.error);
		return false;
	}
	if (guest && !open_guest(c))
		return false;
	if (pthread_create(&c->orders, NULL, read_orders, c)) {
		child_tell_failed(c, 1, "no more threads");
		return false;
	}
	c->orders_started = true;
	return true;
}

void child_end(struct child *c)
{
	/* No order is waited for any more; EOF ends the reader. */
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	pthread_mutex_unlock(&c->lock);
	shutdown(c->control, SHUT_RD);
	if (c->orders_started)
		pthread_join(c->orders, NULL);
	if (c->m.guest)
		c->m.guest = guest_free(c->m.guest);
	if (c->m.mf)
		machine_close(&c->m);
	if (c->mf)
		stamps_unmap(c->all_stamps, 2 * c->mf->nr_devices);
	if (c->connection >= 0)
		close(c->connection);
	layout_free(c->layout);
	machine_file_free(c->mf);
	pthread_cond_destroy(&c->ordered);
	pthread_mutex_destroy(&c->lock);
}
