/* SPDX-License-Identifier: MIT */
/*
 * The state machine against the uAPI's rules, stated as a search: the arcs of
 * each set of capabilities, the shortest path, and no saving state (PRE_COPY,
 * PRE_COPY_P2P, STOP_COPY) within it, unless the whole path stays in the one
 * session, PRE_COPY to STOP_COPY.
 */
#include "harness.h"

enum { E, STOP, RUN, SC, RES, RP, PC, PP, NR };

static const unsigned int sets[] = { 1, 3, 5, 7 };

/* Every arc that the text names, with what it needs and what replaces it. */
static const struct {
	unsigned int from, to, caps, without;
} arcs[] = {
	{ RUN, STOP, 1, SV_MIG_P2P }, /* only where nothing is between */
	{ STOP, RUN, 1, SV_MIG_P2P },
	{ STOP, SC, 1, 0 },
	{ SC, STOP, 1, 0 },
	{ STOP, RES, 1, 0 },
	{ RES, STOP, 1, 0 },
	{ RUN, RP, 3, 0 },
	{ RP, RUN, 3, 0 },
	{ RP, STOP, 3, 0 },
	{ STOP, RP, 3, 0 },
	{ RUN, PC, 5, 0 },
	{ PC, RUN, 5, 0 },
	{ PC, SC, 5, SV_MIG_P2P },
	{ RP, PP, 7, 0 },
	{ PP, RP, 7, 0 },
	{ PC, PP, 7, 0 },
	{ PP, PC, 7, 0 },
	{ PP, SC, 7, 0 },
};
#define NR_ARCS (sizeof(arcs) / sizeof(*arcs))

static bool saving(unsigned int s)
{
	return s == PC || s == PP || s == SC;
}

static bool arc(unsigned int caps, unsigned int from, unsigned int to)
{
	size_t i;

	for (i = 0; i < NR_ARCS; i++) {
		if (arcs[i].from == from && arcs[i].to == to &&
		    !(arcs[i].caps & ~caps) && !(arcs[i].without & caps))
			return true;
	}
	return false;
}

/* Steps from @from to @to by allowed paths, or -1; *ret_nr: how many such. */
static int shortest(unsigned int caps, unsigned int from, unsigned int to,
		    unsigned int depth, bool one_session, unsigned int *ret_nr,
		    unsigned int *ret_first)
{
	unsigned int s, nr = 0;
	int best = -1;

	*ret_nr = 0;
	if (from == to) {
		*ret_nr = 1;
		return 0;
	}
	if (!depth)
		return -1;
	for (s = 1; s < NR; s++) {
		unsigned int first;
		int n;

		if (!arc(caps, from, s))
			continue;
		if (s != to && saving(s) && !one_session)
			continue;
		/* Staying in the session: every state of the path is saving. */
		if (one_session && !saving(s))
			continue;
		n = shortest(caps, s, to, depth - 1, one_session, &nr, &first);
		if (n < 0 || (best >= 0 && n + 1 > best))
			continue;
		if (n + 1 < best || best < 0) {
			best = n + 1;
			*ret_nr = 0;
		}
		*ret_nr += nr;
		*ret_first = s;
	}
	return best;
}

static int expected(unsigned int caps, unsigned int from, unsigned int to,
		    unsigned int *ret_first)
{
	bool one_session = saving(from) && saving(to) && from != SC;
	unsigned int nr;
	int n;

	/* One transition does not end one saving session and begin another. */
	if (from == SC && saving(to) && to != SC)
		return -1;
	n = shortest(caps, from, to, NR, one_session, &nr, ret_first);
	/* The rules leave no choice. */
	if (n > 0)
		assert_int_equal(nr, 1);
	return n;
}

static bool exists(unsigned int caps, unsigned int s)
{
	static const unsigned int needs[NR] = { ~0u, 1, 1, 1, 1, 3, 5, 7 };

	return s < NR && !(needs[s] & ~caps);
}

static void next_state_follows_the_shortest_path(void **state)
{
	unsigned int i, from, to, first;
	uint32_t next;

	(void)state;
	for (i = 0; i < 4; i++) {
		for (from = 1; from < NR; from++) {
			for (to = 0; to < NR + 2; to++) {
				int n = -1, r;

				if (!exists(sets[i], from))
					continue;
				if (exists(sets[i], to))
					n = expected(sets[i], from, to, &first);
				r = sv_fsm_next(sets[i], from, to, &next);
				if (from == to)
					first = from;
				if (n < 0) {
					assert_int_equal(r, -EINVAL);
					continue;
				}
				assert_int_equal(r, 0);
				assert_int_equal(next, first);
			}
		}
	}
}

static void every_walk_ends_where_it_was_asked_to(void **state)
{
	unsigned int i, from, to, steps;

	(void)state;
	for (i = 0; i < 4; i++) {
		for (from = 1; from < NR; from++) {
			for (to = 1; to < NR; to++) {
				uint32_t at = from;

				if (!exists(sets[i], from) ||
				    !exists(sets[i], to))
					continue;
				if (from == SC && (to == PC || to == PP))
					continue;
				for (steps = 0; at != to; steps++) {
					uint32_t before = at;

					assert_true(steps < 6);
					assert_int_equal(sv_fsm_next(sets[i],
								     at, to,
								     &at),
							 0);
					assert_true(arc(sets[i], before, at));
				}
			}
		}
	}
}

static void error_is_left_by_no_path_and_entered_by_none(void **state)
{
	uint32_t next;
	unsigned int s;

	(void)state;
	for (s = 0; s < NR + 2; s++) {
		assert_int_equal(sv_fsm_next(7, E, s, &next), -EINVAL);
		assert_int_equal(sv_fsm_next(7, s, E, &next), -EINVAL);
	}
	assert_int_equal(sv_fsm_next(7, RUN, UINT32_MAX, &next), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next_state_follows_the_shortest_path),
		cmocka_unit_test(every_walk_ends_where_it_was_asked_to),
		cmocka_unit_test(error_is_left_by_no_path_and_entered_by_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
