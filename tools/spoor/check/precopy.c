/* SPDX-License-Identifier: MIT */
/*
 * Pre-copy: what is counted, and where its data pauses and ends.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* A header may come without being counted. */
#define UNCOUNTED 4096u
#define READS_MAX 100000u

static int begin(struct check *c)
{
	return check_go(c, VFIO_DEVICE_STATE_PRE_COPY);
}

static int info(struct check *c, struct vfio_precopy_info *ret)
{
	return check_precopy_info(c, c->data_fd, sizeof(*ret), ret);
}

enum check_verdict check_precopy_begin(struct check *c)
{
	struct vfio_precopy_info i = { 0 };
	struct check_stream s = { 0 };
	int r = begin(c);
	size_t len;

	if (!r)
		r = info(c, &i);
	if (r)
		return check_broken(c, "%s", strerror(-r));
	if (i.dirty_bytes)
		return check_broken(c, "%llu dirty bytes before any was read",
				    (unsigned long long)i.dirty_bytes);
	check_drain(c, c->data_fd, &s, 0);
	len = s.len;
	free(s.bytes);
	if (!i.initial_bytes && len > UNCOUNTED)
		return check_broken(c, "it says 0 initial bytes, and gives %zu",
				    len);
	return check_holds(c, "%llu initial bytes",
			   (unsigned long long)i.initial_bytes);
}

enum check_verdict check_precopy_counts(struct check *c)
{
	struct vfio_precopy_info i = { 0 }, before;
	uint8_t bytes[4096];
	ssize_t n = 1;
	int r = begin(c);

	if (!r)
		r = info(c, &i);
	for (unsigned int k = 0; !r && n > 0 && k < READS_MAX; k++) {
		before = i;
		n = check_read(c, c->data_fd, bytes, sizeof(bytes));
		if (n > 0)
			r = info(c, &i);
		if (!r && i.initial_bytes > before.initial_bytes)
			return check_broken(c, "initial bytes grew");
	}
	if (r)
		return check_broken(c, "%s", strerror(-r));
	r = info(c, &i);
	if (r || i.initial_bytes)
		return check_broken(c,
				    "all was read, and %llu initial bytes "
				    "are left",
				    (unsigned long long)i.initial_bytes);
	return check_holds(c, "%s", "");
}

enum check_verdict check_precopy_pause(struct check *c)
{
	struct check_stream s = { 0 };
	int r = begin(c);

	if (r)
		return check_cannot(c, "PRE_COPY", r);
	r = check_drain(c, c->data_fd, &s, 0);
	free(s.bytes);
	if (!r)
		return check_broken(c, "read() says that it is at the end");
	if (r != -ENOMSG)
		return check_broken(c, "read(): %s instead of ENOMSG",
				    strerrorname_np(-r));
	return check_holds(c, "%s", "");
}

enum check_verdict check_precopy_states(struct check *c)
{
	struct vfio_precopy_info i;
	int r = begin(c);

	if (!r)
		r = info(c, &i);
	if (r)
		return check_broken(c, "in PRE_COPY: %s", strerror(-r));
	if (check_go(c, VFIO_DEVICE_STATE_STOP_COPY))
		return check_cannot(c, "STOP_COPY", EIO);
	if (!info(c, &i))
		return check_broken(c, "it is answered in STOP_COPY");
	if (check_go(c, VFIO_DEVICE_STATE_STOP) ||
	    check_go(c, VFIO_DEVICE_STATE_STOP_COPY))
		return check_cannot(c, "STOP_COPY", EIO);
	if (!info(c, &i))
		return check_broken(c, "it is answered in a STOP_COPY without "
				       "pre-copy");
	return check_holds(c, "%s", "");
}

enum check_verdict check_precopy_argsz(struct check *c)
{
	struct vfio_precopy_info i;
	int r = begin(c);

	if (r)
		return check_cannot(c, "PRE_COPY", r);
	r = check_precopy_info(c, c->data_fd, sizeof(i) - 8, &i);
	if (r != -EINVAL)
		return check_broken(c, "argsz %zu: %s", sizeof(i) - 8,
				    r ? strerror(-r) : "taken");
	return check_holds(c, "%s", "");
}

enum check_verdict check_precopy_whole(struct check *c)
{
	struct check_stream s = { 0 };
	size_t before = 0;
	int fd, r = begin(c);

	if (r)
		return check_cannot(c, "PRE_COPY", r);
	fd = c->data_fd;
	r = check_drain(c, fd, &s, 0);
	if (r == -ENOMSG)
		r = 0;
	before = s.len;
	/* Something changes meanwhile, if anybody can make it. */
	if (!r && c->ex && check_dma(c, CHECK_DATA, CHECK_PAGE)) {
		free(s.bytes);
		return check_cannot(c, "DMA in PRE_COPY", ETIMEDOUT);
	}
	if (!r)
		r = check_go(c, VFIO_DEVICE_STATE_STOP_COPY);
	if (!r && c->data_fd != fd) {
		free(s.bytes);
		return check_broken(c, "STOP_COPY gave another fd");
	}
	if (!r)
		r = check_drain(c, fd, &s, 0);
	if (r) {
		free(s.bytes);
		return check_broken(c, "%s%s", strerror(-r),
				    r == -ENOMSG ? " in STOP_COPY" : "");
	}
	r = check_load(c, s.bytes, s.len, 0);
	free(s.bytes);
	if (r)
		return check_broken(c, "the two parts are no state: %s",
				    strerror(-r));
	return check_holds(c, "%zu bytes before the stop, %zu after", before,
			   s.len - before);
}
