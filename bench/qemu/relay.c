/* SPDX-License-Identifier: MIT */
/*
 * relay LISTEN CONNECT BYTES_PER_S LATENCY_US: the command's link emulator
 * between two QEMUs.  Whoever connects to the UNIX socket LISTEN is joined to
 * CONNECT by a link of its own.  Runs until it is terminated.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/spoor/link.h"

static int address(struct sockaddr_un *ret, const char *path)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

static int hear(const char *path)
{
	struct sockaddr_un at;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || address(&at, path) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8)) {
		perror(path);
		exit(1);
	}
	return fd;
}

static int call(const char *path)
{
	struct sockaddr_un at;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || address(&at, path))
		return -1;
	if (!connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return fd;
	perror(path);
	close(fd);
	return -1;
}

static bool number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && *text && *text != '-' && !*end;
}

int main(int argc, char **argv)
{
	uint64_t rate, latency_us;
	int listener;

	if (argc != 5 || !number(argv[3], &rate) ||
	    !number(argv[4], &latency_us)) {
		fprintf(stderr, "usage: relay LISTEN CONNECT BYTES_PER_S "
				"LATENCY_US\n");
		return 2;
	}
	listener = hear(argv[1]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		/* Lives as long as this does: it ends with its sockets. */
		struct link *l;
		int a = accept4(listener, NULL, NULL, SOCK_CLOEXEC), b, r;

		if (a < 0)
			continue;
		b = call(argv[2]);
		if (b < 0) {
			close(a);
			continue;
		}
		r = link_start(&l, a, b, rate, latency_us * 1000);
		if (r)
			fprintf(stderr, "relay: %s\n", strerror(-r));
	}
}
