/* SPDX-License-Identifier: MIT */
/*
 * A CPU's way to a device's registers, and closing it.
 *
 * A blocked device must not be touched.  An access waits at the gate, as a
 * virtual CPU waits in its exit, and goes through when the device runs again:
 * nothing is lost or reordered, as each driver has one thread.  Closing takes
 * the access lock, so no access is under way once guest_block() returns.
 *
 * When the guest is paused meanwhile, the access has not happened: -EAGAIN,
 * and the task, which remembers in its memory what it still has to do, does
 * it again after the pause, here or at the destination.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include <spoor/device.h>

#include "guest.h"

int guest_gates_init(struct guest *g)
{
	g->gates = calloc(g->m->mf->nr_devices + 1, sizeof(*g->gates));
	if (!g->gates)
		return -ENOMEM;
	for (size_t i = 0; i < g->m->mf->nr_devices; i++) {
		pthread_mutex_init(&g->gates[i].access, NULL);
		pthread_cond_init(&g->gates[i].open, NULL);
	}
	return 0;
}

void guest_gates_free(struct guest *g)
{
	for (size_t i = 0; g->gates && i < g->m->mf->nr_devices; i++) {
		pthread_cond_destroy(&g->gates[i].open);
		pthread_mutex_destroy(&g->gates[i].access);
	}
	free(g->gates);
	g->gates = NULL;
}

void guest_gates_wake(struct guest *g)
{
	for (size_t i = 0; i < g->m->mf->nr_devices; i++) {
		pthread_mutex_lock(&g->gates[i].access);
		pthread_cond_broadcast(&g->gates[i].open);
		pthread_mutex_unlock(&g->gates[i].access);
	}
}

void guest_block(struct guest *g, size_t device, bool blocked)
{
	struct guest_gate *gate = &g->gates[device];

	pthread_mutex_lock(&gate->access);
	gate->blocked = blocked;
	pthread_cond_broadcast(&gate->open);
	pthread_mutex_unlock(&gate->access);
}

int guest_mmio(struct guest *g, size_t device, unsigned int region,
	       uint64_t offset, void *buf, size_t len, bool write)
{
	struct guest_gate *gate = &g->gates[device];
	struct spoor_device *dev = g->m->devices[device];
	int r = 0;

	pthread_mutex_lock(&gate->access);
	while (gate->blocked && !atomic_load(&g->paused) &&
	       !atomic_load(&g->quit))
		pthread_cond_wait(&gate->open, &gate->access);
	/* Paused: the device may be stopped already. */
	if (gate->blocked || atomic_load(&g->paused) || atomic_load(&g->quit))
		r = -EAGAIN;
	else if (write)
		r = spoor_device_region_write(dev, region, offset, buf, len);
	else
		r = spoor_device_region_read(dev, region, offset, buf, len);
	pthread_mutex_unlock(&gate->access);
	return r;
}

int guest_write32(struct guest *g, size_t device, uint64_t reg, uint32_t v)
{
	uint32_t le = htole32(v);

	return guest_mmio(g, device, 0, reg, &le, sizeof(le), true);
}

int guest_write64(struct guest *g, size_t device, uint64_t reg, uint64_t v)
{
	uint64_t le = htole64(v);

	return guest_mmio(g, device, 0, reg, &le, sizeof(le), true);
}

int guest_read32(struct guest *g, size_t device, uint64_t reg, uint32_t *ret)
{
	uint32_t le;
	int r = guest_mmio(g, device, 0, reg, &le, sizeof(le), false);

	if (!r)
		*ret = le32toh(le);
	return r;
}

int guest_read64(struct guest *g, size_t device, uint64_t reg, uint64_t *ret)
{
	uint64_t le;
	int r = guest_mmio(g, device, 0, reg, &le, sizeof(le), false);

	if (!r)
		*ret = le64toh(le);
	return r;
}

int guest_enable_device(struct guest *g, size_t device)
{
	uint16_t le = htole16(CONFIG_CMD_MEMORY | CONFIG_CMD_MASTER);

	return guest_mmio(g, device, CONFIG_REGION, CONFIG_COMMAND, &le,
			  sizeof(le), true);
}
