/* SPDX-License-Identifier: MIT */
/*
 * See lines.h.  A descriptor belongs to the line that is read with it: orders
 * with one are sent alone, when the peer has nothing else to read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lines.h"

/* A line longer than this is not ours. */
#define LINE_MAX_BYTES (64u << 20)

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static ssize_t send_some(int socket, const char *buf, size_t len, int fd)
{
	struct iovec iov = { .iov_base = (char *)buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;

	if (fd >= 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL);
}

int lines_send(int socket, const json_t *line, int fd)
{
	char *text = json_dumps(line, JSON_COMPACT);
	size_t len, done = 0;
	int r = 0;

	if (!text)
		return -ENOMEM;
	len = strlen(text);
	/* The terminator's place is the newline's. */
	text[len++] = '\n';
	while (done < len) {
		ssize_t n = send_some(socket, text + done, len - done,
				      done ? -1 : fd);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			break;
		}
		done += (size_t)n;
	}
	free(text);
	return r;
}

static int make_room(struct lines *l)
{
	size_t room = l->room ? l->room * 2 : 65536;
	char *more;

	if (l->room - l->len >= 4096)
		return 0;
	if (room > LINE_MAX_BYTES)
		return -EMSGSIZE;
	more = realloc(l->buf, room);
	if (!more)
		return -ENOMEM;
	l->buf = more;
	l->room = room;
	return 0;
}

int lines_fill(struct lines *l)
{
	union control control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c;
	ssize_t n;
	int r = make_room(l);

	if (r)
		return r;
	iov = (struct iovec){ l->buf + l->len, l->room - l->len };
	n = recvmsg(l->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		if (l->passed)
			close(l->passed);
		memcpy(&l->passed, CMSG_DATA(c), sizeof(int));
	}
	l->len += (size_t)n;
	return n > 0;
}

json_t *lines_next(struct lines *l, int *ret_fd)
{
	char *end = l->len ? memchr(l->buf, '\n', l->len) : NULL;
	size_t len;
	json_t *line;

	if (!end)
		return NULL;
	len = (size_t)(end - l->buf) + 1;
	line = json_loadb(l->buf, len - 1, 0, NULL);
	memmove(l->buf, l->buf + len, l->len - len);
	l->len -= len;
	if (!line)
		return lines_next(l, ret_fd);
	if (l->passed && ret_fd) {
		*ret_fd = l->passed;
		l->passed = 0;
	}
	return line;
}

void lines_clear(struct lines *l)
{
	if (l->passed)
		close(l->passed);
	free(l->buf);
	*l = (struct lines){ .fd = -1 };
}
