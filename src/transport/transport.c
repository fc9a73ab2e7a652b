/* SPDX-License-Identifier: MIT */
/*
 * Stream sockets of migrations.  Every socket is close-on-exec; TCP goes
 * without Nagle's delay, because hand-over messages are short and waited for.
 *
 * Threads: no state.
 */
#include <spoor/transport.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "transport/address.h"

static void no_delay(int fd)
{
	int one = 1;

	/* A unix socket has no such option, and needs none. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* The look-up's errors are not errnos. */
static int look_up(const struct spoor_address *a, const char *text, int flags,
		   struct addrinfo **ret)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags | AI_NUMERICSERV,
	};
	int err = getaddrinfo(a->host, a->port, &hints, ret);

	if (!err)
		return 0;
	if (err == EAI_SYSTEM)
		return spoor_fail_errno("address %s: look-up of the host",
					text);
	if (err == EAI_MEMORY)
		return spoor_fail(ENOMEM, "address %s: out of memory", text);
	return spoor_fail(EHOSTUNREACH, "address %s: %s", text,
			  gai_strerror(err));
}

/* A signal does not undo a connect that is under way: wait for its end. */
static int finish_connect(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -1;
	errno = err;
	return err ? -1 : 0;
}

static int connect_to(const struct sockaddr *sa, socklen_t len)
{
	SPOOR_AUTO_FD fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, sa, len) < 0 &&
	    (errno != EINTR || finish_connect(fd) < 0))
		return -1;
	no_delay(fd);
	return SPOOR_STEAL_FD(fd);
}

int spoor_transport_connect(const char *address)
{
	struct addrinfo *list, *ai;
	struct spoor_address a;
	int fd = -1, err;

	err = spoor_address_parse(address, &a);
	if (err)
		return err;
	if (a.is_unix) {
		fd = connect_to((const struct sockaddr *)&a.un, sizeof(a.un));
		return fd >= 0 ? fd
			       : spoor_fail_errno("connect to %s", address);
	}
	err = look_up(&a, address, 0, &list);
	if (err)
		return err;
	/* A host may have several addresses; the last error is reported. */
	for (ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = connect_to(ai->ai_addr, ai->ai_addrlen);
	if (fd < 0)
		fd = spoor_fail_errno("connect to %s", address);
	freeaddrinfo(list);
	return fd;
}

static int listen_on(const struct sockaddr *sa, socklen_t len)
{
	SPOOR_AUTO_FD fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0)
		return -1;
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
				 sizeof(one));
	if (bind(fd, sa, len) < 0)
		return -1;
	if (listen(fd, 16) < 0) {
		int err = errno;

		if (sa->sa_family == AF_UNIX)
			unlink(((const struct sockaddr_un *)(const void *)sa)
				       ->sun_path);
		errno = err;
		return -1;
	}
	return SPOOR_STEAL_FD(fd);
}

/* The port that the kernel chose; the host stays as the user wrote it. */
static int bound_port(int fd, unsigned int *ret)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	in_port_t port;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	/* NOLINTBEGIN(clang-analyzer-core*): getsockname() filled it */
	if (ss.ss_family == AF_INET6)
		port = ((struct sockaddr_in6 *)&ss)->sin6_port;
	else
		port = ((struct sockaddr_in *)&ss)->sin_port;
	/* NOLINTEND(clang-analyzer-core*) */
	*ret = ntohs(port);
	return 0;
}

static int tell_bound(int fd, const struct spoor_address *a,
		      const char *address, char *ret, size_t len)
{
	bool v6 = strchr(a->host, ':');
	unsigned int port = 0;
	char text[300];
	int n, err;

	if (a->is_unix) {
		n = snprintf(text, sizeof(text), "%s", address);
	} else {
		err = bound_port(fd, &port);
		if (err) {
			errno = -err;
			return spoor_fail_errno("listen on %s: getsockname",
						address);
		}
		n = snprintf(text, sizeof(text), "tcp:%s%s%s:%u", v6 ? "[" : "",
			     a->host, v6 ? "]" : "", port);
	}
	if (n < 0 || (size_t)n >= sizeof(text) || (size_t)n >= len)
		return spoor_fail(
			ENAMETOOLONG,
			"listen on %s: the address needs more than %zu bytes",
			address, len);
	memcpy(ret, text, (size_t)n + 1);
	return 0;
}

int spoor_transport_listen(const char *address, char *ret_bound, size_t len)
{
	struct addrinfo *list, *ai;
	struct spoor_address a;
	int fd = -1, err;

	err = spoor_address_parse(address, &a);
	if (err)
		return err;
	if (a.is_unix) {
		fd = listen_on((const struct sockaddr *)&a.un, sizeof(a.un));
		if (fd < 0)
			return spoor_fail_errno("listen on %s", address);
	} else {
		err = look_up(&a, address, AI_PASSIVE, &list);
		if (err)
			return err;
		for (ai = list; ai && fd < 0; ai = ai->ai_next)
			fd = listen_on(ai->ai_addr, ai->ai_addrlen);
		if (fd < 0)
			fd = spoor_fail_errno("listen on %s", address);
		freeaddrinfo(list);
		if (fd < 0)
			return fd;
	}
	err = ret_bound ? tell_bound(fd, &a, address, ret_bound, len) : 0;
	if (!err)
		return fd;
	close(fd);
	if (a.is_unix)
		unlink(a.un.sun_path);
	return err;
}

int spoor_transport_accept(int fd)
{
	int conn;

	do {
		conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	} while (conn < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (conn < 0)
		return spoor_fail_errno("accept on fd %d", fd);
	no_delay(conn);
	return conn;
}
