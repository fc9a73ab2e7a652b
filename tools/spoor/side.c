/* SPDX-License-Identifier: MIT */
/*
 * Starting a machine's process, talking to it, ending it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "output.h"
#include "side.h"
#include "softvfio_door.h"
#include "softvfio_env.h"

/* Where the child finds its ends. */
#define CONTROL_FD 3
#define STAMPS_FD  4
#define NR_ARGS	   32

extern char **environ;

struct child_env {
	char **list;
	char *config, *preload;
};

static void free_env(struct child_env *e)
{
	free(e->config);
	free(e->preload);
	free(e->list);
}

static bool names(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(entry, name, len) && entry[len] == '=';
}

static int preload_of(struct child_env *e)
{
	char library[4096];
	const char *have = getenv("LD_PRELOAD");

	/* A sanitizer's build has it linked in, in the right order. */
	if (door_is_there())
		return 0;
	if (!door_can_open()) {
		output_complain("a statically linked command has no software "
				"devices: this machine file names models");
		return EXIT_MISSING;
	}
	if (softvfio_find_library(library, sizeof(library))) {
		output_complain("libsoftvfio.so is neither beside the "
				"command nor in ../lib");
		return EXIT_FAILED;
	}
	if (!softvfio_can_preload(library)) {
		output_complain("%s: the loader cannot be given a path with a "
				"blank, a colon or a dollar sign",
				library);
		return EXIT_FAILED;
	}
	/* What is there stays first: it may be a sanitizer's runtime. */
	if (asprintf(&e->preload, "LD_PRELOAD=%s%s%s", have ? have : "",
		     have && *have ? ":" : "", library) < 0)
		e->preload = NULL;
	return e->preload ? 0 : EXIT_FAILED;
}

/*
 * Ours, with softvfio and its machine in it.  Hardware is what there is, and
 * under `softvfio run` that is softvfio's.
 */
static int make_env(struct child_env *e, const struct machine_file *mf)
{
	bool soft = mf && machine_has_models(mf);
	size_t nr = 0, n = 0;
	char *text = NULL;
	int r;

	while (environ[nr])
		nr++;
	e->list = calloc(nr + 4, sizeof(*e->list));
	if (!e->list)
		return EXIT_FAILED;
	for (size_t i = 0; i < nr; i++)
		if (!(soft && names(environ[i], "SOFTVFIO_CONFIG")) &&
		    !(soft && !door_is_there() &&
		      names(environ[i], "LD_PRELOAD")))
			e->list[n++] = environ[i];
	if (!soft)
		return 0;
	text = softvfio_config_text(mf);
	if (!text || asprintf(&e->config, "SOFTVFIO_CONFIG=%s", text) < 0)
		e->config = NULL;
	free(text);
	r = e->config ? preload_of(e) : EXIT_FAILED;
	if (r)
		return r;
	e->list[n++] = e->config;
	if (e->preload)
		e->list[n] = e->preload;
	return 0;
}

struct child_args {
	char *argv[NR_ARGS];
	size_t nr;
	char numbers[5][24];
};

static void arg(struct child_args *a, const char *text)
{
	if (a->nr + 1 < NR_ARGS)
		a->argv[a->nr++] = (char *)text;
}

static void number_arg(struct child_args *a, unsigned int slot,
		       const char *name, uint64_t v)
{
	snprintf(a->numbers[slot], sizeof(a->numbers[slot]), "%" PRIu64, v);
	arg(a, name);
	arg(a, a->numbers[slot]);
}

static void make_args(struct child_args *a, const char *verb,
		      const struct opts *o, char *sets, const char *machine,
		      int stamps_fd, unsigned int side)
{
	arg(a, "spoor");
	arg(a, verb);
	number_arg(a, 0, "--control-fd", CONTROL_FD);
	number_arg(a, 1, "--parent", (uint64_t)getpid());
	if (stamps_fd >= 0)
		number_arg(a, 2, "--stamps-fd", STAMPS_FD);
	number_arg(a, 3, "--side", side);
	if (o->policy) {
		arg(a, "--policy");
		arg(a, o->policy);
	}
	if (sets[0]) {
		arg(a, "--set");
		arg(a, sets);
	}
	/* The destination's, that is. */
	if (o->own_spaces || (o->dest_machine && side))
		arg(a, "--own-spaces");
	if (o->no_verify) {
		arg(a, "--verify");
		arg(a, "off");
	}
	if (o->cpu_tracker) {
		arg(a, "--cpu-tracker");
		arg(a, o->cpu_tracker);
	}
	if (o->peer) {
		arg(a, "--peer");
		arg(a, o->peer);
	}
	if (o->backend) {
		arg(a, "--backend");
		arg(a, o->backend);
	}
	if (o->output) {
		arg(a, "--output");
		arg(a, o->output);
	}
	if (o->quick)
		arg(a, "--quick");
	if (o->profile) {
		arg(a, "--profile");
		arg(a, o->profile);
	}
	arg(a, "--");
	arg(a, machine);
}

/* track's two times, before the "--". */
static void make_times(struct child_args *a, const struct opts *o,
		       char (*buf)[32])
{
	if (o->for_ms) {
		snprintf(buf[0], 32, "%.3f", (double)o->for_ms / 1000);
		arg(a, "--seconds");
		arg(a, buf[0]);
	}
	snprintf(buf[1], 32, "%.3f", (double)o->interval_ms / 1000);
	arg(a, "--interval");
	arg(a, buf[1]);
}

/* All of --set as one option: the child parses commas too. */
static char *join_sets(const struct opts *o)
{
	size_t len = 1;
	char *text, *at;

	for (size_t i = 0; i < o->nr_sets; i++)
		len += strlen(o->sets[i]) + 1;
	text = at = calloc(1, len);
	for (size_t i = 0; text && i < o->nr_sets; i++) {
		if (i)
			*at++ = ',';
		at = stpcpy(at, o->sets[i]);
	}
	return text;
}

static int spawn(struct side *s, char **argv, char **env, int control,
		 int stamps_fd)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, 2, 1);
	/* dup2 onto itself keeps close-on-exec; numbers are kept apart. */
	posix_spawn_file_actions_adddup2(&fa, control, CONTROL_FD);
	if (stamps_fd >= 0)
		posix_spawn_file_actions_adddup2(&fa, stamps_fd, STAMPS_FD);
	r = posix_spawn(&s->pid, "/proc/self/exe", &fa, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

/* Above the numbers that the child's ends are put on. */
static int move_up(int fd)
{
	int up = fcntl(fd, F_DUPFD_CLOEXEC, 10);

	close(fd);
	return up;
}

/* The command starts itself from there, and finds what lies beside it. */
static bool has_proc(void)
{
	if (!access("/proc/self/exe", F_OK))
		return true;
	output_complain("/proc is needed, and it is not mounted here");
	return false;
}

int side_spawn(struct side *s, const char *name, const char *verb,
	       const struct opts *o, const char *machine,
	       const struct machine_file *mf, int stamps_fd, unsigned int nr)
{
	struct child_env env = { 0 };
	struct child_args *a = calloc(1, sizeof(*a));
	char *sets = join_sets(o);
	char times[2][32];
	int pair[2] = { -1, -1 }, up = -1, r = EXIT_FAILED;

	*s = (struct side){ .name = name, .in = { .fd = -1 } };
	if (!has_proc()) {
		r = EXIT_MISSING;
		goto end;
	}
	if (!a || !sets)
		goto end;
	r = make_env(&env, mf);
	if (r)
		goto end;
	r = EXIT_FAILED;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		goto end;
	pair[0] = move_up(pair[0]);
	pair[1] = move_up(pair[1]);
	up = stamps_fd >= 0 ? fcntl(stamps_fd, F_DUPFD_CLOEXEC, 10) : -1;
	if (pair[0] < 0 || pair[1] < 0 || (stamps_fd >= 0 && up < 0))
		goto end;
	make_args(a, verb, o, sets, machine, stamps_fd, nr);
	if (!strcmp(verb, "machine-track")) {
		/* Options go before what ends them. */
		a->nr -= 2;
		make_times(a, o, times);
		arg(a, "--");
		arg(a, machine);
	}
	r = spawn(s, a->argv, env.list, pair[1], up);
	if (r) {
		output_complain("cannot start the %s's process: %s", name,
				strerror(r));
		r = EXIT_FAILED;
		goto end;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	s->in.fd = pair[0];
	s->open = true;
	pair[0] = -1;
end:
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	if (up >= 0)
		close(up);
	free(sets);
	free(a);
	free_env(&env);
	return r;
}

static int send_order(struct side *s, json_t *line, int fd)
{
	int r;

	if (!line)
		return -ENOMEM;
	r = s->open ? lines_send(s->in.fd, line, fd) : -EPIPE;
	json_decref(line);
	return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

int side_order(struct side *s, const char *order)
{
	return send_order(s, json_pack("{s:s}", "order", order), -1);
}

int side_go(struct side *s, int connection, uint64_t t0)
{
	return send_order(
		s, json_pack("{s:s, s:I}", "order", "go", "t0", (json_int_t)t0),
		connection);
}

void side_end(struct side *s, unsigned int patience_ms)
{
	int pidfd;

	if (!s->pid)
		goto release;
	side_order(s, "quit");
	if (s->in.fd >= 0)
		shutdown(s->in.fd, SHUT_WR);
	pidfd = pidfd_open(s->pid, 0);
	if (pidfd >= 0) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };

		if (!poll(&p, 1, (int)patience_ms))
			kill(s->pid, SIGKILL);
		close(pidfd);
	}
	if (waitpid(s->pid, &s->status, 0) < 0)
		s->status = 0;
	s->pid = 0;
release:
	if (s->in.fd >= 0)
		close(s->in.fd);
	lines_clear(&s->in);
	s->open = false;
	json_decref(s->failed);
	json_decref(s->result);
	json_decref(s->held_end);
	s->failed = s->result = s->held_end = NULL;
}

/* Its descriptors close a moment before it can be seen to have ended. */
static void await_end(const struct side *s)
{
	int pidfd = pidfd_open(s->pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return;
	poll(&p, 1, 1000);
	close(pidfd);
}

char *side_how_it_ended(const struct side *s, char *buf, size_t len)
{
	siginfo_t info = { .si_pid = 0 };

	if (s->pid && !s->open)
		await_end(s);
	/* Seen, not reaped: the process stays ours until side_end(). */
	if (s->pid &&
	    !waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	    info.si_pid) {
		if (info.si_code == CLD_EXITED)
			snprintf(buf, len, "its process ended with %d",
				 info.si_status);
		else
			snprintf(buf, len,
				 "its process was killed by signal "
				 "%d",
				 info.si_status);
	} else {
		snprintf(buf, len, "its process is gone");
	}
	return buf;
}
