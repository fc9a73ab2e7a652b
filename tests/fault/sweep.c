/* SPDX-License-Identifier: MIT */
/*
 * Everything that can fail, fails once: what is done to which machine.  After
 * each case both sides must have ended as the one cell of the table of
 * docs/hand-over.md says that fits how far they came; nothing hangs, and no
 * descriptor, thread, mapping or piece of heap is left.
 *
 * usage: sweep MACHINE WHAT[/STRIDE[+OFFSET]]... [THIN]
 *
 * A stride takes every so manieth case; THIN takes every so manieth of those.
 * SWEEP_VERBOSE=1 in the environment shows the good ones as well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softvfio/softvfio.h"
#include "tests/fault/fault.h"

static const char *const side_names[] = { "source", "destination" };
static const char *const phase_names[] = { "before READY", "READY sent",
					   "COMMIT sent", "DONE seen" };

static struct {
	const struct machine *machine;
	unsigned int stride, offset, thin;
	unsigned int at; /* cases that were asked for */
	unsigned int nr, nr_fired, nr_bad;
	unsigned int phases[NR_PHASES]; /* of those that happened */
} sweep;

static void show(const struct trial *t, const char *name, const char *why)
{
	printf("%s %s, %s: %s\n", why ? "BAD" : "ok ", t->machine->name, name,
	       why ? why : phase_names[judge_phase(t)]);
	for (int i = 0; i < 2; i++) {
		const struct report *r = &t->reports[i];

		printf("  %s: %s, outcome %d, runs at \"%s\"%s%s, %s\n   ",
		       side_names[i], r->done ? "done" : "not done",
		       (int)r->outcome, r->running,
		       r->watch.what[0] ? ", at " : "", r->watch.what,
		       r->error[0] ? r->error : "no error");
		for (int d = 0; d < VMM_MAX_DEVICES; d++) {
			if (t->machine->config.devices[d].name)
				printf(" %s=%s%s%s%s",
				       t->machine->config.devices[d].name,
				       spoor_device_state_name(
					       (enum spoor_device_state)r
						       ->devices[d]
						       .state),
				       r->devices[d].named ? ",named" : "",
				       r->watch.reset[d] ? ",reset" : "",
				       r->watch.error[d] ? ",error" : "");
		}
		putchar('\n');
	}
}

/* False: it is passed over.  Every case asks, in a fixed order. */
static bool wanted(void)
{
	const unsigned int n = sweep.at++;

	return n % (sweep.stride * sweep.thin) == sweep.offset % sweep.stride;
}

/* Did the fault happen? */
static bool try(const struct fault *f, const char *name)
{
	struct trial t = { .machine = sweep.machine, .fault = *f };
	const char *why;
	bool fired;

	trial_run(&t);
	why = judge(&t);
	if (why || getenv("SWEEP_VERBOSE"))
		show(&t, name, why);
	fflush(stdout);
	sweep.nr++;
	sweep.nr_bad += !!why;
	sweep.nr_fired += t.fired;
	if (t.fired)
		sweep.phases[judge_phase(&t)]++;
	fired = t.fired;
	relay_clear(&t.relay);
	return fired;
}

/*
 * Calls are counted from the beginning, and again from each of these frames
 * on, so that none near the hand-over is missed.
 */
static const unsigned int marks[2][4] = {
	{ 0, FRAME_COMPLETE, FRAME_DIGESTS, FRAME_COMMIT },
	{ 0, FRAME_LOADED, FRAME_READY, FRAME_DONE },
};

static void sweep_from(struct fault f, const char *doing)
{
	/* Near the hand-over there are fewer, and they matter more. */
	const unsigned int stride =
		f.after ? (sweep.stride + 4) / 5 : sweep.stride;
	const unsigned int step = stride * sweep.thin;
	const bool vary = !f.err;
	unsigned int idle = 0;

	/* The number of calls varies a little. */
	for (f.nth = 1 + sweep.offset % step; idle < 2; f.nth += step) {
		char name[128];

		if (vary)
			f.err = f.nth % 2 ? EIO : ENOMEM;
		snprintf(name, sizeof(name),
			 "%s at call %u of the %s after frame type %u", doing,
			 f.nth, side_names[f.side], f.after);
		idle = try(&f, name) ? 0 : idle + 1;
	}
}

/* From the first call to the last that is made. */
static void sweep_nth(struct fault f, const char *doing)
{
	f.kind = FAULT_NTH;
	for (int side = 0; side < 2; side++) {
		f.side = (enum side)side;
		for (size_t i = 0; i < 4; i++) {
			f.after = marks[side][i];
			sweep_from(f, doing);
		}
	}
}

static void sweep_calls(void)
{
	sweep_nth((struct fault){ .act = FAILNTH_FAIL,
				  .kinds = FAILNTH_SYSCALLS },
		  "failure");
}

static void sweep_allocs(void)
{
	sweep_nth(
		(struct fault){ .act = FAILNTH_FAIL, .kinds = FAILNTH_ALLOCS },
		"no memory");
}

static void sweep_nothing(void)
{
	const struct fault f = { .kind = FAULT_NONE };

	try(&f, "no fault");
}

static void sweep_kills(void)
{
	sweep_nth((struct fault){ .act = FAILNTH_KILL,
				  .kinds = FAILNTH_SYSCALLS },
		  "killed");
	/* The next softvfio sweeps up after one that was killed. */
	sweep_nothing();
}

static void sweep_shorts(void)
{
	sweep_nth(
		(struct fault){ .act = FAILNTH_SHORT, .kinds = FAILNTH_SENDS },
		"half a frame");
}

static void sweep_signals(void)
{
	sweep_nth((struct fault){ .act = FAILNTH_FAIL,
				  .kinds = FAILNTH_WAITS,
				  .err = EINTR },
		  "a signal");
}

static void sweep_cancels(void)
{
	sweep_nth((struct fault){ .act = FAILNTH_CALL,
				  .kinds = FAILNTH_SYSCALLS,
				  .device = NO_DEVICE },
		  "cancelled");
}

/* A device breaks by itself. */
static void sweep_errors(void)
{
	for (int d = 0; d < VMM_MAX_DEVICES; d++) {
		const char *device = sweep.machine->config.devices[d].name;
		char doing[64];

		if (!device)
			continue;
		snprintf(doing, sizeof(doing), "%s in ERROR", device);
		sweep_nth((struct fault){ .act = FAILNTH_CALL,
					  .kinds = FAILNTH_SYSCALLS,
					  .device = d },
			  doing);
		sweep.offset += 5; /* not the same calls for each */
	}
}

static void sweep_state(int d, enum side side, bool to_error)
{
	struct fault f = { .kind = FAULT_STATE,
			   .side = side,
			   .device = d,
			   .to_error = to_error };
	char name[128];

	for (bool fired = true; fired;) {
		f.nth++;
		if (!wanted() && f.nth < 16)
			continue;
		snprintf(name, sizeof(name),
			 "change of state %u of %s at the %s fails%s", f.nth,
			 sweep.machine->config.devices[d].name,
			 side_names[side], to_error ? ", to ERROR" : "");
		fired = try(&f, name);
	}
}

static void sweep_states(void)
{
	for (int d = 0; d < VMM_MAX_DEVICES; d++) {
		for (int n = 0; n < 4; n++) {
			if (sweep.machine->config.devices[d].name)
				sweep_state(d, (enum side)(n & 1), n & 2);
		}
	}
}

static void try_frame(const struct frame_fault *ff)
{
	static const char *const acts[] = { "passed", "cut", "dropped",
					    "spoiled", "repeated" };
	const struct fault f = { .kind = FAULT_FRAME,
				 .side = ff->from,
				 .frame = *ff };
	char name[128];

	if (!wanted())
		return;
	snprintf(name, sizeof(name),
		 "frame %u of type %u from the %s %s at byte %zu", ff->nth,
		 ff->type, side_names[ff->from], acts[ff->act], ff->at);
	try(&f, name);
}

/* Boundaries are cut on both sides: before the next frame comes, and after. */
static void sweep_frame(enum side from, const struct frame *f)
{
	const size_t middle = f->len > 32 ? 32 + (f->len - 32) / 2 : 16;
	const size_t cuts[] = { 0, 1, 31, middle, f->len - 1, f->len };
	/* magic, type, flags, seq, payload's length, check, payload */
	const size_t spoils[] = { 1, 4, 6, 12, 23, 24, middle };
	struct frame_fault ff = { .from = from,
				  .type = f->type,
				  .nth = f->nth };

	ff.act = FRAME_CUT;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		ff.at = cuts[i];
		try_frame(&ff);
	}
	ff.act = FRAME_SPOIL;
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		ff.at = spoils[i];
		try_frame(&ff);
	}
	ff.at = 0;
	ff.act = FRAME_DROP;
	try_frame(&ff);
	ff.act = FRAME_REPEAT;
	try_frame(&ff);
}

static bool is_memory(const struct frame *f)
{
	return f->type == FRAME_PAGES || f->type == FRAME_ZERO;
}

/* The frames of a migration that succeeds, of memory or all others. */
static void sweep_some_frames(bool memory)
{
	struct trial t = { .machine = sweep.machine };

	trial_run(&t);
	for (int from = 0; from < 2; from++) {
		const struct way *w = &t.relay.ways[from];

		for (size_t i = 0; i < w->nr; i++) {
			if (is_memory(&w->frames[i]) == memory)
				sweep_frame((enum side)from, &w->frames[i]);
		}
	}
	relay_clear(&t.relay);
}

static void sweep_frames(void)
{
	sweep_some_frames(false);
}

static void sweep_memory(void)
{
	sweep_some_frames(true);
}

static const struct {
	const char *name;
	void (*fn)(void);
	bool everywhere; /* it reaches every column of the table */
} sweeps[] = {
	{ "nothing", sweep_nothing, false },
	{ "calls", sweep_calls, true },
	{ "allocs", sweep_allocs, false },
	{ "kills", sweep_kills, true },
	{ "shorts", sweep_shorts, false },
	{ "signals", sweep_signals, false },
	{ "cancels", sweep_cancels, false },
	{ "errors", sweep_errors, false },
	{ "states", sweep_states, false },
	{ "frames", sweep_frames, true },
	{ "memory", sweep_memory, false },
};

static void tell(const char *name, unsigned int offset, bool everywhere)
{
	printf("%s, %s: %u cases, one of %u from %u on; it happened in %u:",
	       sweep.machine->name, name, sweep.nr, sweep.stride * sweep.thin,
	       offset, sweep.nr_fired);
	for (int p = 0; p < NR_PHASES; p++) {
		printf(" %s %u%s", phase_names[p], sweep.phases[p],
		       p < NR_PHASES - 1 ? "," : "\n");
		if (sweep.phases[p] || !everywhere || sweep.machine->spoil ||
		    sweep.stride * sweep.thin > 1)
			continue;
		printf("BAD: \"%s\" was never reached\n", phase_names[p]);
		sweep.nr_bad++;
	}
}

/* WHAT[/STRIDE[+OFFSET]]; false: there is no such sweep. */
static bool run(const char *what)
{
	const size_t len = strcspn(what, "/");
	unsigned int stride = 1, offset = 0;

	if (what[len])
		sscanf(what + len, "/%u+%u", &stride, &offset);
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		if (strncmp(sweeps[i].name, what, len) || sweeps[i].name[len])
			continue;
		sweep.stride = stride ? stride : 1;
		sweep.offset = offset;
		sweep.at = sweep.nr = sweep.nr_fired = 0;
		memset(sweep.phases, 0, sizeof(sweep.phases));
		sweeps[i].fn();
		tell(sweeps[i].name, offset, sweeps[i].everywhere);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	int nr = argc;

	if (argc < 3)
		return 2;
	if (!softvfio_nr_devices()) {
		puts("SOFTVFIO_CONFIG is not set");
		return 77;
	}
	sweep.machine = machine_find(argv[1]);
	sweep.thin = (unsigned int)atoi(argv[argc - 1]);
	if (sweep.thin)
		nr--;
	else
		sweep.thin = 1;
	if (!sweep.machine)
		return 2;
	for (int i = 2; i < nr; i++) {
		if (!run(argv[i]))
			return 2;
	}
	printf("%u bad\n", sweep.nr_bad);
	return sweep.nr_bad ? 1 : 0;
}
