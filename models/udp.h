/* SPDX-License-Identifier: MIT */
/* The nic's cable: one UDP socket.  See udp.c. */
#ifndef MODELS_UDP_H
#define MODELS_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Both in network order. */
struct udp_peer {
	uint32_t addr;
	uint16_t port;
};

/* "127.0.0.1:9000"; port 0: the kernel's choice. */
bool udp_parse(const char *text, struct udp_peer *ret);
/* A bound socket, and the port (host order) it got; -errno. */
int udp_bind(const struct udp_peer *at, uint16_t *ret_port);
/* Before it is closed: the number of packets that are waiting in it. */
uint64_t udp_drain(int fd);
/* Length of the packet, which may exceed @cap (then it was cut); -EAGAIN. */
ssize_t udp_receive(int fd, void *buf, size_t cap, struct udp_peer *ret_from);
/* Best effort, as a cable: what the kernel has no room for is gone. */
void udp_send(int fd, const void *buf, size_t len, const struct udp_peer *to);

#endif /* MODELS_UDP_H */
