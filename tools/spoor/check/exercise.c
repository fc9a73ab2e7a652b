/* SPDX-License-Identifier: MIT */
/*
 * Making a device do DMA: who knows which, and what all exercisers share.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "check.h"

#define DMA_TIMEOUT_NS 5000000000ull
#define LINGER_MS      30u

static const struct exerciser *const exercisers[] = {
	&exercise_edu, &exercise_dsa,	&exercise_mdev,
	&exercise_nic, &exercise_plain,
};

uint64_t check_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000ull),
			      .tv_nsec = (long)(ns % 1000000000ull) };

	nanosleep(&t, NULL);
}

void check_sleep_ms(unsigned int ms)
{
	sleep_ns(ms * 1000000ull);
}

void check_linger(struct check *c)
{
	sleep_ns(LINGER_MS * 1000000ull + 2 * c->dma_ns);
}

void *check_at(struct check *c, uint64_t iova)
{
	if (iova >= CHECK_PEER && c->peer_bar)
		return (uint8_t *)(uintptr_t)c->peer_bar + (iova - CHECK_PEER);
	if (iova >= CHECK_DATA)
		return c->data + (iova - CHECK_DATA);
	return c->control + (iova - CHECK_CONTROL);
}

int check_reg_write(struct check *c, uint64_t reg, uint64_t v, size_t len)
{
	uint64_t le = htole64(v);

	return spoor_device_region_write(c->dev, 0, reg, &le, len);
}

int check_reg_read(struct check *c, uint64_t reg, uint64_t *ret, size_t len)
{
	uint64_t le = 0;
	int r = spoor_device_region_read(c->dev, 0, reg, &le, len);

	if (!r)
		*ret = le64toh(le);
	return r;
}

int check_dma_wait(struct check *c)
{
	uint64_t until = check_now() + DMA_TIMEOUT_NS + 100 * c->dma_ns;
	uint64_t nap = c->dma_ns / 8;
	int r;

	if (nap < 20000)
		nap = 20000;
	if (nap > 5000000)
		nap = 5000000;
	for (;;) {
		r = c->ex->done(c);
		if (r)
			return r < 0 ? r : 0;
		if (check_now() > until)
			return -ETIMEDOUT;
		sleep_ns(nap);
	}
}

int check_dma(struct check *c, uint64_t iova, uint64_t len)
{
	int r = c->ex->start(c, iova, len);

	if (!r)
		r = check_dma_wait(c);
	check_note(c, "the device writes 0x%llx+0x%llx: %s",
		   (unsigned long long)iova, (unsigned long long)len,
		   r ? strerrorname_np(-r) : "done");
	return r;
}

int check_dma_pages(struct check *c, const uint64_t *pages, size_t nr)
{
	int r = 0;

	for (size_t i = 0; i < nr && !r; i++)
		r = check_dma(c, CHECK_DATA + pages[i] * CHECK_PAGE,
			      CHECK_PAGE);
	return r;
}

void check_find_exerciser(struct check *c)
{
	uint16_t ids[2] = { 0 };
	uint64_t begin;

	c->ex = NULL;
	if (spoor_device_region_read(c->dev, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				     ids, sizeof(ids)))
		return;
	for (size_t i = 0; i < sizeof(exercisers) / sizeof(exercisers[0]); i++)
		if (exercisers[i]->vendor == le16toh(ids[0]) &&
		    exercisers[i]->device == le16toh(ids[1]))
			c->ex = exercisers[i];
	if (!c->ex || c->ex->setup(c))
		return;
	begin = check_now();
	if (!check_dma(c, CHECK_DATA, CHECK_PAGE))
		c->dma_ns = check_now() - begin;
}
