/* SPDX-License-Identifier: MIT */
/*
 * Everything that can fail, fails once: each system call that libspoor makes,
 * each byte range of the stream in both directions, each change of state of
 * each device (with and without ERROR), each side killed at each call.  After
 * every one the outcome must be one of semantics: never both run; without a
 * death or a held side somebody runs; who says FAILED really runs; nothing
 * hangs; no descriptor, thread or shared mapping is left.
 *
 * usage: sweep calls|cuts|states|kills [STRIDE [CASE]]
 *
 * Two processes a case, each with a softvfio of its own; the parent relays
 * the stream between them and judges.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <spoor/error.h>

#include "softvfio/softvfio.h"
#include "tests/fault/failnth.h"
#include "tests/live/vmm.h"

#define CASE_LIMIT_MS 30000

enum side { SOURCE, DESTINATION };

/* What is done to one side. */
struct fault {
	enum failnth_act act;
	unsigned int nth; /* call; 0: none */
	int err;
	const char *device; /* state changes; NULL: none */
	unsigned int nth_state;
	int to_error;
	enum side side;
	long cut_after; /* bytes from the source, or back; -1: none */
	enum side cut_from;
};

/* What one side says when it is done; shared memory. */
struct report {
	int done; /* it came to its end */
	int set_up; /* it came as far as running a migration */
	int ret, outcome;
	unsigned int calls;
	int runs; /* every device in a running state and the CPU not paused */
	int stopped; /* no device in a running state */
	int held; /* the machine is here, stopped */
	int fds, threads, mappings; /* left behind */
	char what[32];
	char error[512];
	char states[128];
};

static const struct vmm_config config = {
	.regions = { { 0x100000, 2u << 20 }, { 0x100000000, 256u << 10 } },
	.devices = {
		{ .name = "nic0", .backend = SPOOR_SPACE_IOMMUFD,
		  .writes = true },
		{ .name = "dsa0", .backend = SPOOR_SPACE_IOMMUFD,
		  .writes = true },
		{ .name = "dsa1", .backend = SPOOR_SPACE_IOMMUFD },
		{ .name = "mdev0", .backend = SPOOR_SPACE_TYPE1 },
	},
	.cpu_writes = true,
};

static void look(struct vmm *vmm, struct report *r)
{
	r->runs = !atomic_load(&vmm->paused);
	r->stopped = 1;
	for (int i = 0; i < VMM_MAX_DEVICES; i++) {
		enum spoor_device_state s = SPOOR_STATE_ERROR;
		size_t len = strlen(r->states);

		if (!vmm->devices[i] ||
		    spoor_device_get_state(vmm->devices[i], &s))
			continue;
		snprintf(r->states + len, sizeof(r->states) - len, " %s=%s",
			 config.devices[i].name, spoor_device_state_name(s));
		if (s != SPOOR_STATE_RUNNING)
			r->runs = 0;
		if (s != SPOOR_STATE_STOP && s != SPOOR_STATE_STOP_COPY &&
		    s != SPOOR_STATE_RESUMING && s != SPOOR_STATE_ERROR)
			r->stopped = 0;
		if (atomic_load(&vmm->blocked[i]))
			r->runs = 0;
	}
}

static void arm(const struct fault *f, enum side side)
{
	if (f->device && f->side == side)
		softvfio_fail_state(f->device, f->nth_state, EIO, f->to_error);
	failnth_arm(f->nth && f->side == side ? f->act : FAILNTH_COUNT, f->nth,
		    f->err);
}

static void run_side(enum side side, int fd, const struct fault *f,
		     struct report *r)
{
	struct spoor_run_opts opts = { .size = sizeof(opts),
				       .fd = fd,
				       .verify = true,
				       .silence_ns = 5000000000ull };
	struct spoor_result result = { .outcome = SPOOR_FAILED };
	struct spoor_plan *plan = NULL;
	unsigned int fds, threads, mappings;
	struct vmm vmm;
	int ret;

	/* Let softvfio and libc make what they keep for the process's life. */
	ret = vmm_open(&vmm, &config);
	vmm_close(&vmm);
	if (ret) {
		snprintf(r->error, sizeof(r->error), "%s", spoor_errmsg());
		return;
	}
	fds = vmm_count_fds();
	threads = vmm_count_threads();
	mappings = vmm_count_mappings();

	ret = vmm_open(&vmm, &config);
	if (!ret && side == DESTINATION)
		vmm.config->cpu_writes ? atomic_store(&vmm.paused, true)
				       : (void)0;
	if (!ret)
		ret = vmm_start_writers(&vmm);
	if (ret) {
		snprintf(r->error, sizeof(r->error), "%s", spoor_errmsg());
		vmm_close(&vmm);
		return;
	}
	if (side == SOURCE)
		usleep(2000);
	arm(f, side);
	if (side == DESTINATION) {
		ret = spoor_destination_run(vmm.machine, &opts, &result);
	} else {
		ret = spoor_machine_plan(vmm.machine, NULL, &plan);
		if (ret)
			snprintf(result.error, sizeof(result.error), "plan: %s",
				 spoor_errmsg());
		else
			ret = spoor_source_run(vmm.machine, plan, &opts,
					       &result);
	}
	r->calls = failnth_disarm();
	snprintf(r->what, sizeof(r->what), "%s", failnth_what());
	r->set_up = 1;
	r->ret = ret;
	r->outcome = result.outcome;
	snprintf(r->error, sizeof(r->error), "%s", result.error);
	look(&vmm, r);
	r->held = result.outcome == SPOOR_UNKNOWN;
	spoor_plan_free(plan);
	spoor_result_clear(&result);
	vmm_close(&vmm);
	r->fds = (int)vmm_count_fds() - (int)fds;
	r->threads = (int)vmm_count_threads() - (int)threads;
	r->mappings = (int)vmm_count_mappings() - (int)mappings;
	r->done = 1;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Move bytes one way; cut after so many.  False: this way has ended. */
static bool relay(int from, int to, long *left)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));
	ssize_t at = 0;

	if (n <= 0)
		return false;
	if (*left >= 0 && n > *left)
		n = *left;
	while (at < n) {
		ssize_t m = send(to, buf + at, (size_t)(n - at), MSG_NOSIGNAL);

		if (m <= 0)
			return false;
		at += m;
	}
	if (*left >= 0)
		*left -= n;
	return *left != 0;
}

static void relay_all(int source, int dest, const struct fault *f)
{
	long left[2] = { -1, -1 };
	long end = now_ms() + CASE_LIMIT_MS;
	struct pollfd p[2] = { { .fd = source, .events = POLLIN },
			       { .fd = dest, .events = POLLIN } };

	if (f->cut_after >= 0)
		left[f->cut_from] = f->cut_after;
	while (now_ms() < end && left[0] && left[1]) {
		if (poll(p, 2, 1000) <= 0)
			continue;
		if (p[0].revents && !relay(source, dest, &left[0]))
			break;
		if (p[1].revents && !relay(dest, source, &left[1]))
			break;
	}
}

static pid_t spawn(enum side side, int fd, int other[3], const struct fault *f,
		   struct report *r)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (int i = 0; i < 3; i++)
		close(other[i]);
	signal(SIGALRM, SIG_DFL);
	alarm(CASE_LIMIT_MS / 1000);
	run_side(side, fd, f, r);
	exit(0);
}

static int run_case(const struct fault *f, struct report r[2], int status[2])
{
	int a[2], b[2];
	pid_t pid[2];

	memset(r, 0, 2 * sizeof(*r));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, b))
		return -errno;
	pid[SOURCE] =
		spawn(SOURCE, a[1], (int[]){ a[0], b[0], b[1] }, f, &r[0]);
	pid[DESTINATION] =
		spawn(DESTINATION, b[1], (int[]){ a[0], a[1], b[0] }, f, &r[1]);
	close(a[1]);
	close(b[1]);
	relay_all(a[0], b[0], f);
	close(a[0]);
	close(b[0]);
	for (int i = 0; i < 2; i++)
		waitpid(pid[i], &status[i], 0);
	return 0;
}

static bool killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static const char *judge_side(enum side side, const struct report *r)
{
	if (!r->done)
		return r->error[0] ? r->error : "did not come to its end";
	if (r->fds || r->threads || r->mappings)
		return "left something behind";
	switch (r->outcome) {
	case SPOOR_MOVED:
	case SPOOR_MOVED_BROKEN:
		if (side == SOURCE && (r->runs || !r->stopped))
			return "moved, yet it runs at the source";
		if (side == DESTINATION && r->outcome == SPOOR_MOVED &&
		    !r->runs)
			return "moved, yet it does not run here";
		return NULL;
	case SPOOR_UNKNOWN:
		return r->stopped && !r->runs ? NULL : "holds, yet it runs";
	case SPOOR_FAILED:
	case SPOOR_REFUSED:
	case SPOOR_CANCELLED:
		if (side == SOURCE && !r->runs)
			return "failed, yet it does not run on";
		return NULL;
	default:
		return "an outcome that no fault explains";
	}
}

/* NULL, or what is wrong with how both ended. */
static const char *judge(const struct report r[2], const int status[2])
{
	const char *why;
	bool dead[2], moved[2];

	for (int i = 0; i < 2; i++) {
		dead[i] = killed(status[i]);
		if (!dead[i] &&
		    (!WIFEXITED(status[i]) || WEXITSTATUS(status[i])))
			return WIFSIGNALED(status[i]) &&
					       WTERMSIG(status[i]) == SIGALRM
				       ? "hangs"
				       : "died by itself";
		why = dead[i] ? NULL : judge_side((enum side)i, &r[i]);
		if (why)
			return why;
		moved[i] = !dead[i] && (r[i].outcome == SPOOR_MOVED ||
					r[i].outcome == SPOOR_MOVED_BROKEN);
	}
	if (!dead[0] && r[0].runs && moved[1])
		return "both run";
	if (!dead[0] && !dead[1] && moved[0] && !moved[1])
		return "the source says moved, the destination does not run";
	if (!dead[0] && !dead[1] && !r[0].runs && !moved[1] && !r[0].held &&
	    !r[1].held)
		return "nobody runs and nobody holds";
	return NULL;
}

static unsigned int nr_cases, nr_bad;

static struct report *try_case(const struct fault *f, const char *name)
{
	static struct report *r;
	int status[2];
	const char *why;

	if (!r)
		r = mmap(NULL, 2 * sizeof(*r), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED || run_case(f, r, status)) {
		perror("sweep");
		exit(1);
	}
	nr_cases++;
	why = judge(r, status);
	if (why || getenv("SWEEP_VERBOSE"))
		printf("%s%s: %s\n  source: outcome %d runs %d held %d left "
		       "%d/%d/%d failed %s (%s)%s\n  destination: outcome %d "
		       "runs %d held %d left %d/%d/%d failed %s (%s)%s\n",
		       why ? "BAD " : "ok ", name, why ? why : "", r[0].outcome,
		       r[0].runs, r[0].held, r[0].fds, r[0].threads,
		       r[0].mappings, r[0].what, r[0].error, r[0].states,
		       r[1].outcome, r[1].runs, r[1].held, r[1].fds,
		       r[1].threads, r[1].mappings, r[1].what, r[1].error,
		       r[1].states);
	fflush(stdout);
	nr_bad += !!why;
	return r;
}

static const char *const side_names[] = { "source", "destination" };

static void sweep_calls(enum failnth_act act, unsigned int stride,
			unsigned int only)
{
	struct fault f = { .cut_after = -1 };
	struct report *r = try_case(&f, "no fault");
	unsigned int calls[2] = { r[0].calls, r[1].calls };
	char name[96];

	for (int side = 0; side < 2; side++) {
		for (unsigned int n = 1; n <= calls[side]; n += stride) {
			if (only && n != only)
				continue;
			f = (struct fault){ .act = act,
					    .nth = n,
					    .err = n % 2 ? EIO : ENOMEM,
					    .side = (enum side)side,
					    .cut_after = -1 };
			snprintf(name, sizeof(name),
				 "%s call %u of %u at the %s",
				 act == FAILNTH_KILL ? "killed at" : "failed",
				 n, calls[side], side_names[side]);
			try_case(&f, name);
		}
	}
}

static void sweep_states(void)
{
	char name[96];

	for (int side = 0; side < 2; side++) {
		for (int d = 0; d < VMM_MAX_DEVICES; d++) {
			for (unsigned int n = 1; n <= 7; n++) {
				for (int e = 0; e < 2; e++) {
					struct fault f = {
						.device =
							config.devices[d].name,
						.nth_state = n,
						.to_error = e,
						.side = (enum side)side,
						.cut_after = -1,
					};

					snprintf(name, sizeof(name),
						 "state change %u of %s at the "
						 "%s%s",
						 n, f.device, side_names[side],
						 e ? ", to ERROR" : "");
					try_case(&f, name);
				}
			}
		}
	}
}

/* Cut each direction at growing positions: every byte of the first and of the
 * small messages, then in larger steps. */
static void sweep_cuts(unsigned int stride)
{
	char name[96];

	for (int from = 0; from < 2; from++) {
		long limit = from == SOURCE ? 6 << 20 : 1 << 20;
		long step = (long)stride * (from == SOURCE ? 7 : 5);

		for (long at = 0; at < limit; at += step) {
			struct fault f = { .cut_after = at,
					   .cut_from = (enum side)from };
			struct report *r;

			snprintf(name, sizeof(name),
				 "cut after %ld bytes of "
				 "the %s",
				 at, side_names[from]);
			r = try_case(&f, name);
			if (r[0].outcome == SPOOR_MOVED &&
			    r[1].outcome == SPOOR_MOVED)
				break; /* past the end */
			if (at > 64 * step)
				step += step / 2;
		}
	}
}

int main(int argc, char **argv)
{
	unsigned int stride = argc > 2 ? (unsigned int)atoi(argv[2]) : 1;
	unsigned int only = argc > 3 ? (unsigned int)atoi(argv[3]) : 0;

	if (argc < 2 || !stride)
		return 2;
	if (!softvfio_nr_devices()) {
		puts("SOFTVFIO_CONFIG is not set");
		return 77;
	}
	if (!strcmp(argv[1], "calls"))
		sweep_calls(FAILNTH_FAIL, stride, only);
	else if (!strcmp(argv[1], "kills"))
		sweep_calls(FAILNTH_KILL, stride, only);
	else if (!strcmp(argv[1], "states"))
		sweep_states();
	else if (!strcmp(argv[1], "cuts"))
		sweep_cuts(stride);
	else
		return 2;
	printf("%u cases, %u bad\n", nr_cases, nr_bad);
	return nr_bad ? 1 : 0;
}
