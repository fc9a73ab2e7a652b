/* SPDX-License-Identifier: MIT */
/*
 * Data fds: what they give, take, and when they cease to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#define WHOLE	   65536u
#define STREAM_MAX (1ull << 32)

int check_drain(struct check *c, int fd, struct check_stream *s, size_t piece)
{
	for (;;) {
		size_t want = piece ? piece : WHOLE;
		ssize_t n;

		if (s->len + want > s->room) {
			size_t room = (s->len + want) * 2;
			uint8_t *more = realloc(s->bytes, room);

			if (!more || room > STREAM_MAX) {
				s->bytes = more ? more : s->bytes;
				return -ENOMEM;
			}
			s->bytes = more;
			s->room = room;
		}
		n = check_read(c, fd, s->bytes + s->len, want);
		if (n <= 0)
			return (int)n;
		s->len += (size_t)n;
	}
}

int check_save(struct check *c, struct check_stream *s)
{
	int r = check_go(c, VFIO_DEVICE_STATE_STOP_COPY);

	return r ? r : check_drain(c, c->data_fd, s, 0);
}

int check_load(struct check *c, const uint8_t *bytes, size_t len, size_t piece)
{
	int r = check_go(c, VFIO_DEVICE_STATE_RESUMING);

	for (size_t at = 0; at < len && !r;) {
		size_t want = piece && piece < len - at ? piece : len - at;
		ssize_t n = check_write(c, c->data_fd, bytes + at, want);

		if (n <= 0)
			r = n ? (int)n : -EIO;
		else
			at += (size_t)n;
	}
	return r ? r : check_go(c, VFIO_DEVICE_STATE_STOP);
}

enum check_verdict check_stream_end(struct check *c)
{
	struct check_stream s = { 0 };
	uint8_t more[16];
	int r = check_save(c, &s);
	size_t len = s.len;

	free(s.bytes);
	if (r)
		return check_broken(c, "read() of STOP_COPY: %s", strerror(-r));
	for (int i = 0; i < 3; i++)
		if (check_read(c, c->data_fd, more, sizeof(more)) != 0)
			return check_broken(c, "it went on after its end");
	if (!len)
		return check_broken(c, "a state of no bytes");
	return check_holds(c, "%zu bytes", len);
}

/* In pieces of one byte, of odd sizes, and in one. */
static int read_in_pieces(struct check *c, struct check_stream *s)
{
	static const size_t first[] = { 1, 1, 1, 3, 5, 7, 8, 63, 64, 65, 4095 };
	uint8_t bytes[4096];

	s->bytes = malloc(sizeof(bytes));
	s->room = sizeof(bytes);
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		ssize_t n = check_read(c, c->data_fd, bytes, first[i]);

		if (n < 0)
			return (int)n;
		if ((size_t)n > first[i] || !s->bytes)
			return -EOVERFLOW;
		if (s->len + (size_t)n > s->room) {
			s->room *= 4;
			s->bytes = reallocarray(s->bytes, s->room, 1);
			if (!s->bytes)
				return -ENOMEM;
		}
		memcpy(s->bytes + s->len, bytes, (size_t)n);
		s->len += (size_t)n;
	}
	return check_drain(c, c->data_fd, s, 1021);
}

enum check_verdict check_stream_pieces(struct check *c)
{
	struct check_stream s = { 0 };
	size_t len;
	int r = check_go(c, VFIO_DEVICE_STATE_STOP_COPY);

	if (!r)
		r = read_in_pieces(c, &s);
	if (r) {
		free(s.bytes);
		return check_broken(c, "reading in pieces: %s", strerror(-r));
	}
	r = check_load(c, s.bytes, s.len, 1009);
	len = s.len;
	free(s.bytes);
	if (r)
		return check_broken(c, "resuming it in pieces: %s",
				    strerror(-r));
	return check_holds(c, "%zu bytes", len);
}

/* What a session's fd gives after @away has ended the session. */
static const char *speaks(struct check *c, uint32_t session,
			  int (*away)(struct check *c))
{
	uint8_t byte[16] = { 0 };
	bool saving = session != VFIO_DEVICE_STATE_RESUMING;
	const char *what = NULL;
	ssize_t n;
	int fd;

	if (check_recover(c) || check_go(c, session))
		return "the session could not be opened";
	fd = c->data_fd;
	c->data_fd = -1;
	/* It has begun: something is read, if it can be. */
	if (saving)
		check_read(c, fd, byte, 1);
	if (away(c)) {
		close(fd);
		return NULL;
	}
	n = saving ? check_read(c, fd, byte, sizeof(byte))
		   : check_write(c, fd, byte, sizeof(byte));
	if (n > 0)
		what = saving ? "gives data" : "takes data";
	else if (n == 0)
		what = "looks as if it had come to its end";
	close(fd);
	return what;
}

static int to_stop(struct check *c)
{
	return check_set(c, VFIO_DEVICE_STATE_STOP, NULL);
}

static int to_running(struct check *c)
{
	return check_set(c, VFIO_DEVICE_STATE_RUNNING, NULL);
}

static int by_reset(struct check *c)
{
	return c->can_reset ? check_reset(c) : -ENOTTY;
}

enum check_verdict check_stream_old_fd(struct check *c)
{
	static const struct {
		uint32_t session;
		int (*away)(struct check *c);
		const char *how;
	} ends[] = {
		{ VFIO_DEVICE_STATE_STOP_COPY, to_stop, "STOP_COPY to STOP" },
		{ VFIO_DEVICE_STATE_STOP_COPY, to_running,
		  "STOP_COPY to RUNNING" },
		{ VFIO_DEVICE_STATE_PRE_COPY, to_running,
		  "PRE_COPY to RUNNING" },
		{ VFIO_DEVICE_STATE_STOP_COPY, by_reset, "RESET of STOP_COPY" },
		{ VFIO_DEVICE_STATE_RESUMING, by_reset, "RESET of RESUMING" },
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const char *what;

		if (!check_has_state(c, ends[i].session))
			continue;
		what = speaks(c, ends[i].session, ends[i].away);
		if (what)
			return check_broken(c, "after %s the old fd %s",
					    ends[i].how, what);
	}
	return check_holds(c, "%s", "");
}

enum check_verdict check_stream_direction(struct check *c)
{
	uint8_t byte = 0;

	if (check_go(c, VFIO_DEVICE_STATE_STOP_COPY))
		return check_cannot(c, "STOP_COPY", EIO);
	if (check_write(c, c->data_fd, &byte, 1) >= 0)
		return check_broken(c, "write() to the fd of STOP_COPY");
	if (check_go(c, VFIO_DEVICE_STATE_STOP) ||
	    check_go(c, VFIO_DEVICE_STATE_RESUMING))
		return check_cannot(c, "RESUMING", EIO);
	if (check_read(c, c->data_fd, &byte, 1) >= 0)
		return check_broken(c, "read() from the fd of RESUMING");
	return check_holds(c, "%s", "");
}
