/* SPDX-License-Identifier: MIT */
/*
 * Reads SOFTVFIO_CONFIG.  Invariant: what parses is complete and sound (names,
 * indices and addresses are unique, numbers fit their fields).
 * Threads: pure; no state.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softvfio/config_keys.h"

struct parser {
	struct sv_config_device *devs;
	unsigned int nr;
	unsigned int line;
	char *why;
	size_t why_size;
};

static int bad(struct parser *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int bad(struct parser *p, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(p->why, p->why_size, "line %u: ", p->line);

	if (n < 0 || (size_t)n >= p->why_size)
		return -EINVAL;
	va_start(ap, fmt);
	vsnprintf(p->why + n, p->why_size - (size_t)n, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static void store(void *p, size_t size, uint64_t value)
{
	uint8_t u8 = (uint8_t)value;
	uint32_t u32 = (uint32_t)value;

	switch (size) {
	case sizeof(u8):
		memcpy(p, &u8, size);
		break;
	case sizeof(u32):
		memcpy(p, &u32, size);
		break;
	default:
		memcpy(p, &value, sizeof(value));
		break;
	}
}

/* In place: a decoded value is never longer than its text. */
static int decode(char *s)
{
	char *out = s;

	for (; *s; s++) {
		char hex[3], *end;

		if (*s != '%') {
			*out++ = *s;
			continue;
		}
		if (!isxdigit((unsigned char)s[1]) ||
		    !isxdigit((unsigned char)s[2]))
			return -EINVAL;
		memcpy(hex, s + 1, 2);
		hex[2] = '\0';
		*out = (char)strtoul(hex, &end, 16);
		if (!*out++)
			return -EINVAL;
		s += 2;
	}
	*out = '\0';
	return 0;
}

static int parse_number(const char *s, size_t size, uint64_t *ret)
{
	uint64_t max = size == sizeof(uint32_t) ? UINT32_MAX : UINT64_MAX;
	uint64_t value = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (!isdigit((unsigned char)*s) ||
		    __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return -EINVAL;
	}
	if (value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static int index_of(const char *const *names, const char *s, uint64_t *ret)
{
	for (uint64_t i = 0; names[i]; i++) {
		if (!strcmp(names[i], s)) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_flags(const char *const *names, char *s, uint64_t *ret)
{
	uint64_t bits = 0, bit;
	char *rest = s, *one;

	while (*s && (one = strsep(&rest, ","))) {
		if (index_of(names, one, &bit))
			return -EINVAL;
		bits |= UINT64_C(1) << bit;
	}
	*ret = bits;
	return 0;
}

static int set_key(struct parser *p, struct sv_config_device *dev,
		   const struct sv_key *key, char *value)
{
	char *field = (char *)dev + key->offset;
	uint64_t number = 0;
	int r = 0;

	switch (key->kind) {
	case SV_KEY_STRING:
		if (decode(value))
			return bad(p, "%s: bad %%-code in \"%s\"", key->name,
				   value);
		if (strlen(value) >= key->size)
			return bad(p, "%s: longer than %zu bytes: \"%s\"",
				   key->name, key->size - 1, value);
		memset(field, 0, key->size);
		memcpy(field, value, strlen(value) + 1);
		return 0;
	case SV_KEY_NUMBER:
		r = parse_number(value, key->size, &number);
		break;
	case SV_KEY_NAME:
		r = index_of(key->names, value, &number);
		break;
	case SV_KEY_FLAGS:
		r = parse_flags(key->names, value, &number);
		break;
	}
	if (r)
		return bad(p, "%s: bad value \"%s\"", key->name, value);
	store(field, key->size, number);
	return 0;
}

/* What a line that says little means; spoor-machine(5)'s defaults. */
static void set_defaults(struct sv_config_device *dev, unsigned int nr)
{
	*dev = (struct sv_config_device){
		.index = nr,
		.group = UINT32_MAX,
		.iommu_page = 4096,
		.model = {
			.state_size = 65536,
			.dma_us = 1000,
			.dma_bits = 28,
			.log = {
				.min_page = 4096,
				.max_page = 16u << 20,
				.max_ranges = 8,
				.address_bits_min = 12,
				.address_bits_max = 42,
				.queue = 2048,
				.read_while_running = true,
			},
		},
	};
}

/* What goes into file names of the tree must not lead out of it. */
static bool is_file_name(const char *s)
{
	return *s && *s != '.' && !strchr(s, '/');
}

static int finish(struct parser *p, struct sv_config_device *dev)
{
	if (!dev->model.name[0])
		return bad(p, "name: missing");
	if (!dev->model.model[0])
		return bad(p, "model: missing");
	if (dev->index > 999)
		return bad(p, "index: %u is above 999", dev->index);
	if (dev->group == UINT32_MAX)
		dev->group = dev->index;
	if (!dev->address[0])
		snprintf(dev->address, sizeof(dev->address), "%04x:%02x:00.0",
			 (dev->index + 1) >> 8, (dev->index + 1) & 0xff);
	if (!is_file_name(dev->address))
		return bad(p, "address: bad value \"%s\"", dev->address);
	if (dev->iommu_page < 4096 || (dev->iommu_page & (dev->iommu_page - 1)))
		return bad(p, "iommu_page: not a power of two of 4096 or more");
	if (dev->migration && !(dev->migration & SV_MIG_STOP_COPY))
		return bad(p, "migration: not without stop-copy");
	dev->model.index = dev->index;
	dev->model.pre_copy = dev->migration & SV_MIG_PRE_COPY;
	for (unsigned int i = 0; i < p->nr; i++) {
		const struct sv_config_device *other = &p->devs[i];

		if (!strcmp(other->model.name, dev->model.name))
			return bad(p, "name: \"%s\" is taken", dev->model.name);
		if (other->index == dev->index)
			return bad(p, "index: %u is taken", dev->index);
		if (!strcmp(other->address, dev->address))
			return bad(p, "address: %s is taken", dev->address);
	}
	return 0;
}

static int parse_key(struct parser *p, struct sv_config_device *dev,
		     uint64_t *seen, char *word)
{
	char *value = strchr(word, '=');

	if (!value)
		return bad(p, "\"%s\" is not key=value", word);
	*value++ = '\0';
	for (size_t i = 0; i < SV_NR_KEYS; i++) {
		if (strcmp(sv_keys[i].name, word))
			continue;
		if (*seen & (UINT64_C(1) << i))
			return bad(p, "%s: given twice", word);
		*seen |= UINT64_C(1) << i;
		return set_key(p, dev, &sv_keys[i], value);
	}
	return bad(p, "unknown key \"%s\"", word);
}

static int parse_line(struct parser *p, char *line)
{
	struct sv_config_device dev, *grown;
	uint64_t seen = 0;
	char *save = NULL;
	char *word = strtok_r(line, " \t\r", &save);
	int r;

	_Static_assert(SV_NR_KEYS <= 64, "a bit of seen for each key");
	if (!word || *word == '#')
		return 0;
	if (strcmp(word, "device"))
		return bad(p, "\"%s\" instead of \"device\"", word);
	set_defaults(&dev, p->nr);
	while ((word = strtok_r(NULL, " \t\r", &save))) {
		r = parse_key(p, &dev, &seen, word);
		if (r)
			return r;
	}
	r = finish(p, &dev);
	if (r)
		return r;
	grown = reallocarray(p->devs, p->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->devs = grown;
	p->devs[p->nr++] = dev;
	return 0;
}

int sv_config_parse(const char *text, struct sv_config_device **ret,
		    unsigned int *ret_nr, char *why, size_t why_size)
{
	struct parser p = { .why = why, .why_size = why_size };
	char *copy = strdup(text), *rest = copy, *line;
	int r = copy ? 0 : -ENOMEM;

	while (!r && (line = strsep(&rest, "\n"))) {
		p.line++;
		r = parse_line(&p, line);
	}
	free(copy);
	if (r) {
		free(p.devs);
		return r;
	}
	*ret = p.devs;
	*ret_nr = p.nr;
	return 0;
}
