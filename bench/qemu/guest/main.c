/* SPDX-License-Identifier: MIT */
/*
 * A bare-metal guest for QEMU that keeps softvfio's devices at work while QEMU
 * migrates it: no kernel, no disk, there in a moment.  words.h says what it can
 * be told, status.h how to watch it.
 *
 *   qemu-system-x86_64 -M q35 -kernel guest.elf -append 'nic@16,...'
 *
 * One CPU, one loop: each work has its turn, then the CPU halts until the next
 * one is due or a device sends a message.
 */
#include "bench/qemu/guest/apic.h"
#include "bench/qemu/guest/clock.h"
#include "bench/qemu/guest/fail.h"
#include "bench/qemu/guest/hw.h"
#include "bench/qemu/guest/work.h"
#include "tools/spoor/pace.h"

#define START_MAGIC   0x336ec578u
#define START_MEMORY  1u /* the version that tells it */
#define MEMORY_IS_RAM 1u

/* Xen's hvm_start_info and its memory map. */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, command_line, rsdp;
	uint64_t memory;
	uint32_t nr_memory, zero;
};

struct start_memory {
	uint64_t at, len;
	uint32_t type, zero;
};

void guest_main(const struct start_info *info);

static struct words words;
static struct work works[GUEST_WORKS_MAX];

static const struct {
	void (*start)(struct work *w, uint64_t seed);
	uint64_t (*turn)(struct work *w, uint64_t now);
} kinds[] = {
	[GUEST_DSA] = { dsa_start, dsa_turn },
	[GUEST_NIC] = { nic_start, nic_turn },
	[GUEST_PLAIN] = { plain_start, plain_turn },
	[GUEST_CPU] = { cpu_start, cpu_turn },
};

void pace_set(struct pace *p, uint64_t rate, uint64_t unit)
{
	*p = (struct pace){ .per_s = rate / unit ? rate / unit : 1 };
}

uint64_t pace_next(struct pace *p, uint64_t now, uint64_t catch_up)
{
	uint64_t due = pace_due_ns(p->start, p->done, p->per_s);

	if (now <= due + catch_up)
		return due;
	p->start = now;
	p->done = 0;
	return now;
}

static void read_words(const struct start_info *info)
{
	const char *line = (const char *)(uintptr_t)info->command_line;
	char buf[GUEST_ERROR_MAX] = "";
	struct text error = { buf, sizeof(buf) };

	if (!words_read(info->command_line ? line : "", &words, &error))
		fail(buf);
}

static bool is_ram(const struct start_info *info, const struct word_area *a)
{
	const struct start_memory *m =
		(const struct start_memory *)(uintptr_t)info->memory;

	for (uint32_t i = 0; i < info->nr_memory; i++, m++)
		if (m->type == MEMORY_IS_RAM && a->at >= m->at &&
		    a->at - m->at <= m->len &&
		    a->len <= m->len - (a->at - m->at))
			return true;
	return false;
}

static void check_memory(const struct start_info *info)
{
	struct word_area areas[WORD_AREAS_MAX];

	for (unsigned int i = 0; i < words.nr; i++) {
		unsigned int nr = word_areas(&words.word[i], areas);

		for (unsigned int k = 0; k < nr; k++)
			if (!is_ram(info, &areas[k]))
				fail_hex("not in RAM is the area at ",
					 areas[k].at);
	}
}

static void clear(uint64_t at, uint64_t len)
{
	for (uint64_t i = 0; i < len; i += 4)
		hw_write32((uint32_t)(at + i), 0);
}

static void start_works(void)
{
	uint64_t nr_cpus = 0, nr_devices = 0;

	for (unsigned int i = 0; i < words.nr; i++) {
		const struct word *word = &words.word[i];
		bool cpu = word->kind == GUEST_CPU;
		struct work *w = &works[i];

		w->word = word;
		w->index = i;
		w->status = &guest_status()->work[i];
		w->status->kind = (uint32_t)word->kind;
		w->status->slot = (uint32_t)word->slot;
		if (word->ctl)
			clear(word->ctl, WORD_CTL_LEN);
		kinds[word->kind].start(
			w, words.seed + (cpu ? nr_cpus++ : nr_devices++));
	}
	guest_status()->nr_work = words.nr;
}

static _Noreturn void run(void)
{
	volatile struct guest_status *s = guest_status();

	for (;;) {
		uint64_t next = clock_now() + WORK_IDLE_NS;

		for (unsigned int i = 0; i < words.nr; i++) {
			uint64_t at = kinds[words.word[i].kind].turn(
				&works[i], clock_now());

			next = at < next ? at : next;
		}
		s->ticks++;
		apic_wait_until(next);
	}
}

void guest_main(const struct start_info *info)
{
	clear(GUEST_STATUS_AT, sizeof(struct guest_status));
	guest_status()->version = GUEST_STATUS_VERSION;
	guest_status()->magic = GUEST_STATUS_MAGIC;
	if (info->magic != START_MAGIC || info->version < START_MEMORY)
		fail("not entered by PVH, with a memory map");
	read_words(info);
	check_memory(info);
	clock_init();
	apic_init();
	start_works();
	guest_status()->phase = GUEST_RUNNING;
	say("running");
	run();
}
