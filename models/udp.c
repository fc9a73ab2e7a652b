/* SPDX-License-Identifier: MIT */
/*
 * The nic's cable: a real UDP socket, never blocking.
 *
 * Invariant: a packet is either received, counted by udp_drain(), or was never
 * queued.  Threads: a socket is used by one thread at a time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "models/udp.h"

bool udp_parse(const char *text, struct udp_peer *ret)
{
	const char *colon = strrchr(text, ':');
	char addr[INET_ADDRSTRLEN], *end;
	struct in_addr in;
	unsigned long port;

	if (!colon || (size_t)(colon - text) >= sizeof(addr) ||
	    colon[1] < '0' || colon[1] > '9')
		return false;
	memcpy(addr, text, (size_t)(colon - text));
	addr[colon - text] = '\0';
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > UINT16_MAX || inet_pton(AF_INET, addr, &in) != 1)
		return false;
	ret->addr = in.s_addr;
	ret->port = htons((uint16_t)port);
	return true;
}

static struct sockaddr_in sockaddr_of(const struct udp_peer *p)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = p->addr,
				     .sin_port = p->port };
}

int udp_bind(const struct udp_peer *at, uint16_t *ret_port)
{
	struct sockaddr_in sin = sockaddr_of(at);
	socklen_t len = sizeof(sin);
	int fd, err;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) < 0) {
		err = errno;
		close(fd);
		return -err;
	}
	*ret_port = ntohs(sin.sin_port);
	return fd;
}

uint64_t udp_drain(int fd)
{
	/*
	 * Nothing more is queued once the filter refuses everything, so the
	 * backlog is finite and counted exactly, however fast clients send.
	 */
	struct sock_filter refuse = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &refuse };
	uint64_t nr = 0;
	bool closed;
	char byte;

	closed = !setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
			     sizeof(prog));
	while (closed && recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
		nr++;
	return nr;
}

ssize_t udp_receive(int fd, void *buf, size_t cap, struct udp_peer *ret_from)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);
	ssize_t n;

	do
		n = recvfrom(fd, buf, cap, MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&sin, &len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	ret_from->addr = sin.sin_addr.s_addr;
	ret_from->port = sin.sin_port;
	return n;
}

void udp_send(int fd, const void *buf, size_t len, const struct udp_peer *to)
{
	struct sockaddr_in sin = sockaddr_of(to);

	(void)sendto(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		     (struct sockaddr *)&sin, sizeof(sin));
}
