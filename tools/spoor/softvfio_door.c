/* SPDX-License-Identifier: MIT */
/* See softvfio_door.h: preloaded or linked in, it is found by name. */
#include <dlfcn.h>

#include "softvfio_door.h"

bool door_is_there(void)
{
	return dlsym(RTLD_DEFAULT, "softvfio_nr_devices") != NULL;
}

bool door_can_open(void)
{
	return true;
}

int door_nr_devices(void)
{
	int (*nr_devices)(void);

	*(void **)&nr_devices = dlsym(RTLD_DEFAULT, "softvfio_nr_devices");
	return nr_devices ? nr_devices() : 0;
}

long door_truth_check(struct softvfio_lost *ret, size_t cap)
{
	long (*check)(struct softvfio_lost * ret, size_t cap);

	*(void **)&check = dlsym(RTLD_DEFAULT, "softvfio_truth_check");
	return check ? check(ret, cap) : 0;
}

char *door_next_note(void)
{
	char *(*next)(void);

	*(void **)&next = dlsym(RTLD_DEFAULT, "softvfio_next_note");
	return next ? next() : NULL;
}
