/* SPDX-License-Identifier: MIT */
/*
 * JSON lines over a unix socket, each with at most one descriptor.
 *
 * Threads: one reader and one writer a socket.
 */
#ifndef SPOOR_TOOL_LINES_H
#define SPOOR_TOOL_LINES_H

#include <jansson.h>
#include <stddef.h>

struct lines {
	int fd;
	char *buf;
	size_t len, room;
	int passed; /* descriptor that came with the bytes; 0: none */
};

/* Sends a line, with a descriptor if @fd is not -1.  0 or -errno. */
int lines_send(int socket, const json_t *line, int fd);
/* Reads what is there; > 0, 0 at the end, -errno (-EAGAIN: nothing). */
int lines_fill(struct lines *l);
/* The next whole line, or NULL; *ret_fd is the caller's, untouched if none. */
json_t *lines_next(struct lines *l, int *ret_fd);
void lines_clear(struct lines *l);

#endif /* SPOOR_TOOL_LINES_H */
