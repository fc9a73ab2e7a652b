/* SPDX-License-Identifier: MIT */
/*
 * Running a rule: what it needs, a fresh device, the verdict.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#define VERDICT(c, fmt, verdict)                                               \
	do {                                                                   \
		va_list ap_;                                                   \
		va_start(ap_, fmt);                                            \
		vsnprintf((c)->why, sizeof((c)->why), fmt, ap_);               \
		va_end(ap_);                                                   \
		return verdict;                                                \
	} while (0)

enum check_verdict check_holds(struct check *c, const char *fmt, ...)
{
	VERDICT(c, fmt, CHECK_HOLDS);
}

enum check_verdict check_broken(struct check *c, const char *fmt, ...)
{
	VERDICT(c, fmt, CHECK_BROKEN);
}

enum check_verdict check_skip(struct check *c, const char *fmt, ...)
{
	VERDICT(c, fmt, CHECK_NOT_APPLICABLE);
}

enum check_verdict check_cannot(struct check *c, const char *what, int err)
{
	return check_skip(c, "cannot be tried: %s: %s", what,
			  err ? strerror(err < 0 ? -err : err) : "failed");
}

/* Why this device cannot be asked; NULL: it can. */
static const char *lacks(const struct check *c, unsigned int needs)
{
	if ((needs & CHECK_NEEDS_MIGRATION) && !c->caps)
		return "its driver does not migrate it";
	if ((needs & CHECK_NEEDS_P2P) && !(c->caps & VFIO_MIGRATION_P2P))
		return "it has no P2P states";
	if ((needs & CHECK_NEEDS_PRE_COPY) &&
	    !(c->caps & VFIO_MIGRATION_PRE_COPY))
		return "it has no PRE_COPY states";
	if ((needs & CHECK_NEEDS_LOG) && !c->has_log)
		return "its driver logs no DMA";
	if ((needs & CHECK_NEEDS_LOG) && c->log_why[0])
		return c->log_why;
	if ((needs & CHECK_NEEDS_RESET) && !c->can_reset)
		return "it cannot be reset (VFIO_DEVICE_FLAGS_RESET)";
	if ((needs & CHECK_NEEDS_DMA) && !c->ex)
		return "nothing here knows how to make it do DMA";
	if ((needs & CHECK_NEEDS_PEER) && !c->ex->peers)
		return "nothing here knows how to make it write to a peer";
	if ((needs & CHECK_NEEDS_PEER) && !c->peer)
		return c->peer_why;
	return NULL;
}

enum check_verdict check_run(struct check *c, const struct check_rule *rule)
{
	const char *why = lacks(c, rule->needs);
	enum check_verdict v;
	int r;

	c->why[0] = 0;
	c->nr_calls = 0;
	if (why)
		return check_skip(c, "%s", why);
	r = check_fresh(c);
	if (r)
		return check_broken(c,
				    "the device does not come back for it: %s",
				    strerror(-r));
	c->nr_calls = 0;
	v = rule->run(c);
	check_drop_fd(c);
	return v;
}
