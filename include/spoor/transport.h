/* SPDX-License-Identifier: MIT */
/*
 * Addresses of migrations: "tcp:HOST:PORT" and "unix:PATH".
 */
#ifndef SPOOR_TRANSPORT_H
#define SPOOR_TRANSPORT_H

#include <stddef.h>

#include <spoor/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * spoor_transport_connect() - connect to a destination
 * @address: "tcp:HOST:PORT" ("tcp:[::1]:PORT") or "unix:PATH".
 *
 * Return: a connected stream socket, owned by the caller, or
 *   -EINVAL  no such form of address
 *   another  errno of connect(2) or of the host's look-up (-EHOSTUNREACH)
 */
SPOOR_API SPOOR_NODISCARD int spoor_transport_connect(const char *address);

/**
 * spoor_transport_listen() - wait for a source
 * @address:   as above; port 0 is chosen by the kernel.
 * @ret_bound: if not NULL, filled with the address really bound.
 * @len:       bytes in @ret_bound, 128 are enough.
 *
 * A unix socket's path must not exist; the caller unlinks it.
 *
 * Return: a listening socket, owned by the caller, or -errno as above.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_transport_listen(const char *address, char *ret_bound, size_t len);

/**
 * spoor_transport_accept() - take one connection
 * @fd: listening socket.
 *
 * Return: a connected stream socket, owned by the caller, or -errno.
 */
SPOOR_API SPOOR_NODISCARD int spoor_transport_accept(int fd);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_TRANSPORT_H */
