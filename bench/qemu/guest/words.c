/* SPDX-License-Identifier: MIT */
/*
 * See words.h.  Whatever is not understood is refused, by name: a guest that
 * did something else than it was told would be measured all the same.
 */
#include "bench/qemu/guest/words.h"

#include "tools/spoor/pace.h"

#define NR(a)	  (sizeof(a) / sizeof((a)[0]))
#define OF(kind)  (1u << (kind))
/* Of what is refused, so that there is room for why. */
#define QUOTE_MAX 64u
#define SETS	  (OF(GUEST_DSA) | OF(GUEST_PLAIN) | OF(GUEST_CPU))

/* From @at to @end, of the line. */
struct span {
	const char *at, *end;
};

static const char *const kinds[] = {
	[GUEST_DSA] = "dsa",
	[GUEST_NIC] = "nic",
	[GUEST_PLAIN] = "plain",
	[GUEST_CPU] = "cpu",
};

static const char *const patterns[] = {
	[PACE_UNIFORM] = "uniform",
	[PACE_SEQUENTIAL] = "sequential",
	[PACE_HOT] = "hot",
};

static const struct key {
	const char *name;
	unsigned int of, optional; /* kinds that have it, and may lack it */
	size_t offset; /* of a u64 of struct word */
	uint64_t min, multiple;
	uint64_t max; /* 0: any */
} keys[] = {
	{ "set_base", SETS, 0, offsetof(struct word, set_base), GUEST_OWN_END,
	  WORD_PAGE, 0 },
	{ "set", SETS, 0, offsetof(struct word, set), WORD_PAGE, WORD_PAGE, 0 },
	{ "rate", SETS, 0, offsetof(struct word, rate), 0, 1, 0 },
	{ "request", OF(GUEST_DSA), 0, offsetof(struct word, request),
	  WORD_PAGE, WORD_PAGE, 1u << 30 },
	{ "depth", OF(GUEST_DSA), 0, offsetof(struct word, depth), 1, 1,
	  WORD_DEPTH_MAX },
	{ "pattern", SETS, OF(GUEST_PLAIN), offsetof(struct word, pattern), 0,
	  0, 0 },
	{ "ring_base", OF(GUEST_NIC), 0, offsetof(struct word, ring_base),
	  GUEST_OWN_END, WORD_PAGE, 0 },
	{ "ring", OF(GUEST_NIC), 0, offsetof(struct word, ring), WORD_PAGE,
	  WORD_PAGE, 1u << 30 },
	{ "ctl", OF(GUEST_DSA) | OF(GUEST_NIC) | OF(GUEST_CPU), 0,
	  offsetof(struct word, ctl), GUEST_OWN_END, WORD_PAGE, 0 },
};

static bool is(struct span s, const char *name)
{
	const char *at = s.at;

	while (at < s.end && *name && *at == *name) {
		at++;
		name++;
	}
	return at == s.end && !*name;
}

/* What is before the next @by; @s goes on after it. */
static struct span cut(struct span *s, char by)
{
	struct span part = { s->at, s->at };

	while (part.end < s->end && *part.end != by)
		part.end++;
	s->at = part.end < s->end ? part.end + 1 : s->end;
	return part;
}

static bool refuse(struct text *error, struct span s, const char *why)
{
	size_t len = (size_t)(s.end - s.at);

	text_put(error, "\"");
	text_part(error, s.at, len < QUOTE_MAX ? len : QUOTE_MAX);
	text_put(error, len > QUOTE_MAX ? "...\": " : "\": ");
	text_put(error, why);
	return false;
}

static bool read_digit(char c, unsigned int base, unsigned int *ret)
{
	unsigned int digit = base;

	if (c >= '0' && c <= '9')
		digit = (unsigned int)(c - '0');
	else if (c >= 'a' && c <= 'f')
		digit = (unsigned int)(c - 'a') + 10;
	else if (c >= 'A' && c <= 'F')
		digit = (unsigned int)(c - 'A') + 10;
	*ret = digit;
	return digit < base;
}

static bool read_number(struct span s, uint64_t *ret)
{
	unsigned int base = 10, digit;
	uint64_t v = 0;

	if (s.end - s.at > 2 && s.at[0] == '0' && s.at[1] == 'x') {
		base = 16;
		s.at += 2;
	}
	if (s.at == s.end)
		return false;
	for (; s.at < s.end; s.at++) {
		if (!read_digit(*s.at, base, &digit) ||
		    v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	*ret = v;
	return true;
}

static bool read_pattern(struct span s, uint64_t *ret)
{
	for (unsigned int i = 0; i < NR(patterns); i++) {
		if (is(s, patterns[i])) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static bool read_value(const struct key *key, struct span pair,
		       struct span value, uint64_t *ret, struct text *error)
{
	if (!key->multiple)
		return read_pattern(value, ret) ||
		       refuse(error, pair, "no such pattern");
	if (!read_number(value, ret))
		return refuse(error, pair, "not a number");
	if (*ret < key->min)
		return refuse(error, pair, "too small");
	if (key->max && *ret > key->max)
		return refuse(error, pair, "too large");
	if (*ret % key->multiple)
		return refuse(error, pair, "not whole pages");
	return true;
}

static const struct key *find_key(uint64_t kind, struct span name)
{
	for (size_t i = 0; i < NR(keys); i++)
		if ((keys[i].of & OF(kind)) && is(name, keys[i].name))
			return &keys[i];
	return NULL;
}

/* One key=value of a word; @seen has a bit for each key. */
static bool read_pair(struct word *w, struct span pair, unsigned int *seen,
		      struct text *error)
{
	struct span value = pair, name = cut(&value, '=');
	const struct key *key = find_key(w->kind, name);
	uint64_t *into;

	if (!key)
		return refuse(error, pair, "no such key of this word");
	if (*seen & 1u << (key - keys))
		return refuse(error, pair, "said twice");
	*seen |= 1u << (key - keys);
	into = (uint64_t *)(void *)((char *)w + key->offset);
	return read_value(key, pair, value, into, error);
}

static bool read_slot(struct word *w, struct span head, struct text *error)
{
	struct span slot = head, name = cut(&slot, '@');
	bool has_slot = name.end != head.end;

	for (unsigned int i = GUEST_DSA; i <= GUEST_CPU; i++)
		if (is(name, kinds[i]))
			w->kind = i;
	if (!w->kind)
		return refuse(error, head, "no such word");
	if (has_slot != (w->kind != GUEST_CPU))
		return refuse(error, head,
			      has_slot ? "has no slot" : "needs @SLOT");
	if (has_slot && (!read_number(slot, &w->slot) || w->slot > 31))
		return refuse(error, head, "no such slot");
	return true;
}

unsigned int word_areas(const struct word *w,
			struct word_area ret[WORD_AREAS_MAX])
{
	bool cpu = w->kind == GUEST_CPU;
	unsigned int n = 0;

	if (w->set)
		ret[n++] =
			(struct word_area){ "set", w->set_base, w->set, cpu };
	if (w->ring)
		ret[n++] = (struct word_area){ "ring", w->ring_base, w->ring,
					       true };
	if (w->ctl)
		ret[n++] =
			(struct word_area){ "ctl", w->ctl, WORD_CTL_LEN, true };
	return n;
}

static bool overlap(const struct word_area *a, const struct word_area *b)
{
	return a->at < b->at + b->len && b->at < a->at + a->len;
}

/* Does @w, the newest, fit beside those before it, and within itself? */
static bool fits(const struct words *all, const struct word *w,
		 struct span head, struct text *error)
{
	struct word_area mine[WORD_AREAS_MAX], theirs[WORD_AREAS_MAX];
	unsigned int nr = word_areas(w, mine);

	for (unsigned int i = 0; i < nr; i++) {
		if (mine[i].at > UINT64_MAX - mine[i].len)
			return refuse(error, head, "an area wraps");
		if (mine[i].cpu && mine[i].at + mine[i].len > 1ull << 32)
			return refuse(error, head, "a CPU's area above 4 GiB");
		for (unsigned int k = 0; k < i; k++)
			if (overlap(&mine[i], &mine[k]))
				return refuse(error, head, "its areas overlap");
	}
	for (const struct word *o = all->word; o < w; o++) {
		unsigned int nr_theirs = word_areas(o, theirs);

		if (w->kind != GUEST_CPU && o->kind != GUEST_CPU &&
		    w->slot == o->slot)
			return refuse(error, head, "its slot is taken");
		for (unsigned int i = 0; i < nr * nr_theirs; i++)
			if (overlap(&mine[i / nr_theirs],
				    &theirs[i % nr_theirs]))
				return refuse(error, head,
					      "overlaps another word's area");
	}
	return true;
}

static bool read_word(struct words *all, struct span span, struct text *error)
{
	struct span rest = span, head = cut(&rest, ',');
	struct word *w = &all->word[all->nr];
	unsigned int seen = 0;

	if (all->nr == GUEST_WORKS_MAX)
		return refuse(error, head, "too many words");
	*w = (struct word){ 0 };
	if (!read_slot(w, head, error))
		return false;
	while (rest.at < rest.end)
		if (!read_pair(w, cut(&rest, ','), &seen, error))
			return false;
	for (size_t i = 0; i < NR(keys); i++) {
		if (!(keys[i].of & ~keys[i].optional & OF(w->kind)) ||
		    (seen & 1u << i))
			continue;
		refuse(error, head, "lacks ");
		text_put(error, keys[i].name);
		return false;
	}
	if (w->kind == GUEST_DSA && w->set < w->request)
		return refuse(error, head, "request is larger than set");
	if (w->kind == GUEST_PLAIN && w->set < WORD_CHUNK)
		return refuse(error, head, "set is smaller than a fill");
	if (!fits(all, w, head, error))
		return false;
	all->nr++;
	return true;
}

static bool read_seed(struct words *all, struct span span, struct text *error)
{
	struct span value = span;

	cut(&value, '=');
	return read_number(value, &all->seed) ||
	       refuse(error, span, "not a number");
}

bool words_read(const char *line, struct words *ret, struct text *error)
{
	struct span rest = { line, line };

	while (*rest.end)
		rest.end++;
	*ret = (struct words){ .seed = 1 };
	while (rest.at < rest.end) {
		struct span word = cut(&rest, ' '), name = word;

		if (word.at == word.end)
			continue;
		if (is(cut(&name, '='), "seed")) {
			if (!read_seed(ret, word, error))
				return false;
		} else if (!read_word(ret, word, error)) {
			return false;
		}
	}
	return true;
}
