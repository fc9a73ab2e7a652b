/* SPDX-License-Identifier: MIT */
/* Addresses, and connections over loopback and unix sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spoor/error.h>
#include <spoor/transport.h>

static void bad_addresses_are_named(void **state)
{
	static const char *const bad[] = {
		"",	    "host",	  "tcp:",      "tcp:host",
		"tcp::1",   "tcp:h:",	  "tcp:h:x",   "tcp:h:65536",
		"tcp:h:-1", "tcp:::1:80", "tcp:[]:80", "tcp:h:999999",
		"unix:",    "udp:h:1",	  "TCP:h:1",
	};
	char path[200], buf[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(spoor_transport_connect(bad[i]), -EINVAL);
		assert_non_null(strstr(spoor_errmsg(), bad[i]));
		assert_int_equal(
			spoor_transport_listen(bad[i], buf, sizeof(buf)),
			-EINVAL);
	}
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	memcpy(path, "unix:", 5);
	assert_int_equal(spoor_transport_connect(path), -EINVAL);
	assert_int_equal(spoor_transport_connect(NULL), -EINVAL);
}

static void meet(const char *address, int is_tcp)
{
	char bound[128] = "", word[5] = "";
	int l, a, b, v = 0;
	socklen_t len = sizeof(v);

	l = spoor_transport_listen(address, bound, sizeof(bound));
	assert_true(l >= 0);
	a = spoor_transport_connect(bound);
	assert_true(a >= 0);
	b = spoor_transport_accept(l);
	assert_true(b >= 0);
	assert_int_equal(write(a, "ping", 4), 4);
	assert_int_equal(read(b, word, 4), 4);
	assert_string_equal(word, "ping");
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(b, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(l, F_GETFD), FD_CLOEXEC);
	if (is_tcp) {
		getsockopt(a, IPPROTO_TCP, TCP_NODELAY, &v, &len);
		assert_int_not_equal(v, 0);
		v = 0;
		getsockopt(b, IPPROTO_TCP, TCP_NODELAY, &v, &len);
		assert_int_not_equal(v, 0);
		assert_null(strstr(bound, ":0"));
	}
	close(a);
	close(b);
	close(l);
	/* Nobody there any more. */
	assert_int_equal(spoor_transport_connect(bound), -ECONNREFUSED);
	assert_non_null(strstr(spoor_errmsg(), bound));
}

static void tcp_ends_meet_on_the_port_that_was_chosen(void **state)
{
	(void)state;
	meet("tcp:127.0.0.1:0", 1);
}

static void unix_ends_meet_and_the_path_must_be_free(void **state)
{
	char dir[] = "/tmp/spoor-transport-XXXXXX", address[80];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix:%s/s", dir);
	assert_int_equal(spoor_transport_connect(address), -ENOENT);
	meet(address, 0);
	assert_int_equal(spoor_transport_listen(address, NULL, 0), -EADDRINUSE);
	unlink(address + 5);
	/* A buffer too short: nothing is left behind. */
	assert_int_equal(spoor_transport_listen(address, dir, 4),
			 -ENAMETOOLONG);
	fd = spoor_transport_listen(address, NULL, 0);
	assert_true(fd >= 0);
	close(fd);
	unlink(address + 5);
	assert_int_equal(rmdir(dir), 0);
}

static void unknown_hosts_are_unreachable(void **state)
{
	(void)state;
	assert_int_equal(spoor_transport_connect("tcp:256.256.256.256:1"),
			 -EHOSTUNREACH);
	assert_int_equal(spoor_transport_accept(-1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(bad_addresses_are_named),
		cmocka_unit_test(tcp_ends_meet_on_the_port_that_was_chosen),
		cmocka_unit_test(unix_ends_meet_and_the_path_must_be_free),
		cmocka_unit_test(unknown_hosts_are_unreachable),
	};

	return cmocka_run_group_tests_name("transport", cases, NULL, NULL);
}
