/* SPDX-License-Identifier: MIT */
/* Double of the shim: the machine, injected failures, stats and notes. */
#include "../harness.h"

#include <stdio.h>
#include <unistd.h>

#define LOG                                                                    \
	{                                                                      \
		.present = true, .min_page = 4096, .max_page = 1 << 30         \
	}
#define DEVICE(i, addr, caps, ...)                                             \
	[i] = { .model = { .name = "dev" #i,                                   \
			   .model = "nic",                                     \
			   .index = i,                                         \
			   .log = LOG },                                       \
		.index = i,                                                    \
		.group = i,                                                    \
		.address = addr,                                               \
		.migration = caps,                                             \
		__VA_ARGS__ }

static struct sv_config_device devices[NR_DEVICES] = {
	DEVICE(0, "0000:01:00.0", 7, ),
	DEVICE(1, "0000:02:00.0", 1, ),
	DEVICE(2, "0000:03:00.0", 3, ),
	DEVICE(3, "0000:04:00.0", 5, ),
	[4] = { .model = { .name = "dev4", .model = "plain", .index = 4 },
		.index = 4,
		.group = 4,
		.address = "0000:05:00.0" },
	DEVICE(5, "0000:06:00.0", 7, ),
	DEVICE(6, "0000:07:00.0", 7, .emulated = true),
	DEVICE(7, "0000:08:00.0", 7, .noiommu = true),
};

struct sv_config machine = {
	.kernel = SV_KERNEL_6_12,
	.devices = devices,
	.nr_devices = NR_DEVICES,
};

int inject_state_err;
bool inject_state_to_error, inject_call[SV_NR_CALLS];
unsigned int nr_state_asks, nr_stats_writes;
enum model_level level_at_stats;
char last_note[256];

const struct sv_config *sv_config(void)
{
	return &machine;
}

int sv_inject_state(struct sv_device *dev, bool *to_error)
{
	int err = inject_state_err;

	(void)dev;
	nr_state_asks++;
	*to_error = err && inject_state_to_error;
	inject_state_err = 0;
	return err;
}

bool sv_inject_call(struct sv_device *dev, enum sv_call call)
{
	bool fail = inject_call[call];

	(void)dev;
	inject_call[call] = false;
	return fail;
}

int sv_fd_keep(int fd)
{
	return fd;
}

void sv_fd_end(int fd)
{
	close(fd);
}

void sv_note_push(const char *text)
{
	snprintf(last_note, sizeof(last_note), "%s", text);
}

void sv_stats_write(void)
{
	struct model *m = sv_model(sv_device_by_index(DEV_ALL));
	struct sv_state_seen states[16];

	/* As the real one does, while the change of state is under way. */
	sv_device_states(sv_device_by_index(DEV_ALL), states, 16);
	__atomic_add_fetch(&nr_stats_writes, 1, __ATOMIC_RELAXED);
	if (m)
		level_at_stats = model_level(m);
}
