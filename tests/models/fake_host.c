/* SPDX-License-Identifier: MIT */
/* A host for models under test: see fake_host.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "fake_host.h"

#define RELAXED __ATOMIC_RELAXED

void sleep_us(unsigned int us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000L }, NULL);
}

void fake_put(struct fake_host *h, uint64_t iova, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	uint64_t word;
	size_t i = 0;

	while (i < len) {
		uint8_t *at = h->mem + iova + i;

		if ((iova + i) % 8 == 0 && len - i >= 8) {
			memcpy(&word, from + i, 8);
			__atomic_store_n((uint64_t *)(void *)at, word, RELAXED);
			i += 8;
		} else {
			__atomic_store_n(at, from[i++], RELAXED);
		}
	}
}

void fake_get(struct fake_host *h, uint64_t iova, void *buf, size_t len)
{
	uint8_t *to = buf;
	uint64_t word;
	size_t i = 0;

	while (i < len) {
		const uint8_t *at = h->mem + iova + i;

		if ((iova + i) % 8 == 0 && len - i >= 8) {
			word = __atomic_load_n(
				(const uint64_t *)(const void *)at, RELAXED);
			memcpy(to + i, &word, 8);
			i += 8;
		} else {
			to[i++] = __atomic_load_n(at, RELAXED);
		}
	}
}

uint64_t fake_get64(struct fake_host *h, uint64_t iova)
{
	uint64_t word;

	fake_get(h, iova, &word, sizeof(word));
	return word;
}

static bool in_peer(uint64_t iova)
{
	return iova >= PEER_BASE && iova < PEER_BASE + PEER_LEN;
}

static bool allowed(struct fake_host *h, uint64_t iova, size_t len)
{
	if (h->forbid)
		h->forbidden++;
	/* The contract: never empty, never across a 4 KiB boundary. */
	if (!len || iova / PAGE != (iova + (len - 1)) / PAGE)
		h->forbidden++;
	if (h->hole != NO_PAGE && iova / PAGE == h->hole / PAGE)
		return false;
	return in_peer(iova) || (h->top && iova >= UINT64_MAX - PAGE) ||
	       (iova < h->size && len <= h->size - iova);
}

static int fake_peek(void *host, uint64_t iova, void *buf, size_t len)
{
	struct fake_host *h = host;

	if (in_peer(iova))
		return h->peer ? model_bar_peek(h->peer, 2, iova - PEER_BASE,
						buf, len)
			       : -EFAULT;
	if (iova >= h->size || len > h->size - iova)
		return -EFAULT;
	fake_get(h, iova, buf, len);
	return 0;
}

static int fake_read(void *host, uint64_t iova, void *buf, size_t len)
{
	struct fake_host *h = host;

	h->reads++;
	return allowed(h, iova, len) ? fake_peek(h, iova, buf, len) : -EFAULT;
}

static int fake_write(void *host, uint64_t iova, const void *buf, size_t len)
{
	struct fake_host *h = host;

	if (!allowed(h, iova, len))
		return -EFAULT;
	if (h->before_write)
		h->before_write(h, iova, len);
	if (h->top && iova >= UINT64_MAX - PAGE) {
		/* vanishes */
	} else if (in_peer(iova)) {
		h->peer_writes++;
		if (h->peer &&
		    model_peer_write(h->peer, 2, iova - PEER_BASE, buf, len))
			return -EFAULT;
	} else {
		fake_put(h, iova, buf, len);
	}
	h->writes++;
	if (h->after_write)
		h->after_write(h, iova, len);
	return 0;
}

static bool fake_is_peer(void *host, uint64_t iova)
{
	(void)host;
	return in_peer(iova);
}

static int fake_pin_pages(void *host, uint64_t iova, uint64_t nr_pages,
			  bool write)
{
	struct fake_host *h = host;

	if (h->pin_error)
		return h->pin_error;
	pthread_mutex_lock(&h->lock);
	if (h->nr_pins < MAX_PINS)
		h->pins[h->nr_pins++] =
			(struct fake_pin){ iova, nr_pages, write };
	pthread_mutex_unlock(&h->lock);
	return 0;
}

static int fake_unpin_pages(void *host, uint64_t iova, uint64_t nr_pages)
{
	struct fake_host *h = host;
	int rc = -EINVAL;

	pthread_mutex_lock(&h->lock);
	for (unsigned int i = 0; i < h->nr_pins; i++) {
		if (h->pins[i].iova != iova || h->pins[i].nr_pages != nr_pages)
			continue;
		h->pins[i] = h->pins[--h->nr_pins];
		rc = 0;
		break;
	}
	pthread_mutex_unlock(&h->lock);
	return rc;
}

static void fake_irq(void *host, unsigned int vector)
{
	struct fake_host *h = host;

	if (vector == 0)
		h->irqs++;
}

static void fake_note(void *host, const char *text)
{
	struct fake_host *h = host;

	pthread_mutex_lock(&h->lock);
	snprintf(h->note, sizeof(h->note), "%s", text);
	pthread_mutex_unlock(&h->lock);
}

const struct model_host_ops fake_host_ops = {
	.dma_read = fake_read,
	.dma_write = fake_write,
	.peek = fake_peek,
	.is_peer = fake_is_peer,
	.pin = fake_pin_pages,
	.unpin = fake_unpin_pages,
	.irq = fake_irq,
	.note = fake_note,
};

struct fake_host *fake_host_new(uint64_t size)
{
	struct fake_host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->size = size;
	h->mem = aligned_alloc(PAGE, size);
	assert_non_null(h->mem);
	memset(h->mem, 0, size);
	h->hole = NO_PAGE;
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

struct fake_host *fake_host_free(struct fake_host *h)
{
	assert_int_equal(h->forbidden, 0);
	pthread_mutex_destroy(&h->lock);
	free(h->mem);
	free(h);
	return NULL;
}

struct model_config fake_config(const char *model)
{
	struct model_config c = {
		.index = 4,
		.pre_copy = true,
		.state_size = 16384,
		.log = {
			.present = strcmp(model, "plain") != 0,
			.min_page = 4096,
			.max_page = 16u << 20,
			.max_ranges = 8,
			.address_bits_min = 12,
			.address_bits_max = 42,
			.queue = 2048,
			.read_while_running = true,
		},
	};

	snprintf(c.name, sizeof(c.name), "%s0", model);
	snprintf(c.model, sizeof(c.model), "%s", model);
	return c;
}

struct model *fake_model(struct fake_host *h, const struct model_config *c)
{
	struct model *m = NULL;
	int rc = model_create(&m, c, &fake_host_ops, h);

	if (rc)
		print_error("model_create: %s\n", model_errmsg());
	assert_int_equal(rc, 0);
	return m;
}

uint32_t get32(struct model *m, uint64_t offset)
{
	uint32_t value = 0;

	assert_int_equal(model_bar_read(m, 0, offset, &value, 4), 4);
	return value;
}

uint64_t get64(struct model *m, uint64_t offset)
{
	uint64_t value = 0;

	assert_int_equal(model_bar_read(m, 0, offset, &value, 8), 8);
	return value;
}

void set32(struct model *m, uint64_t offset, uint32_t value)
{
	assert_int_equal(model_bar_write(m, 0, offset, &value, 4), 4);
}

void set64(struct model *m, uint64_t offset, uint64_t value)
{
	assert_int_equal(model_bar_write(m, 0, offset, &value, 8), 8);
}

struct model_counters counters(struct model *m)
{
	struct model_counters c;

	model_counters(m, &c);
	return c;
}

uint8_t *save_all(struct model *m, size_t *ret_len)
{
	struct model_stream *s = NULL;
	size_t room = 1u << 20, len = 0;
	uint8_t *state = malloc(room);
	ssize_t n;

	assert_non_null(state);
	assert_int_equal(model_stream_save(m, false, &s), 0);
	while ((n = model_stream_read(s, state + len, room - len)) > 0) {
		len += (size_t)n;
		if (len == room) {
			room *= 2;
			state = realloc(state, room);
			assert_non_null(state);
		}
	}
	assert_int_equal(n, 0);
	model_stream_free(s);
	*ret_len = len;
	return state;
}

int load_all(struct model *m, const uint8_t *state, size_t len, size_t piece)
{
	struct model_stream *s = NULL;
	ssize_t rc = 0;
	size_t n;

	assert_int_equal(model_stream_load(m, &s), 0);
	for (size_t at = 0; at < len && rc >= 0; at += n) {
		n = piece && piece < len - at ? piece : len - at;
		rc = model_stream_write(s, state + at, n);
		if (rc >= 0)
			assert_int_equal(rc, n);
	}
	if (rc >= 0)
		rc = model_stream_commit(s);
	else /* refused for good */
		assert_int_equal(model_stream_commit(s), -EINVAL);
	model_stream_free(s);
	return (int)rc;
}

int page_set_add(void *ctx, uint64_t iova, uint64_t len)
{
	struct page_set *set = ctx;

	set->nr_calls++;
	set->len = len;
	for (uint64_t at = iova; at - iova < len; at += PAGE)
		if (at / PAGE < sizeof(set->pages))
			set->pages[at / PAGE]++;
	return 0;
}

void lost_add(void *ctx, uint64_t iova)
{
	struct lost_set *set = ctx;

	set->nr++;
	set->last = iova;
}
