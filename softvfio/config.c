/* SPDX-License-Identifier: MIT */
/*
 * The configuration of this process.  Invariant: once there is one it never
 * changes; as long as there is none, the environment is asked again, so that a
 * test may set it in main().  Threads: any; parsed under a lock, published
 * with one store.
 */
#include "softvfio/config.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/real.h"
#include "softvfio/shim.h"

static struct sv_config config;
static const struct sv_config *_Atomic published;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/*
 * A preloaded allocator may come back here from within the parser; to it there
 * is no configuration yet.  initial-exec: reaching it must not allocate.
 */
static __thread bool parsing __attribute__((tls_model("initial-exec")));

void sv_die(const char *fmt, ...)
{
	char text[512] = "softvfio: ";
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + used, sizeof(text) - used - 1, fmt, ap);
	va_end(ap);
	used = strlen(text);
	text[used++] = '\n';
	if (REAL(write)(STDERR_FILENO, text, used) < 0)
		REAL(_exit)(2);
	REAL(_exit)(2);
	__builtin_unreachable();
}

static enum sv_kernel parse_kernel(const char *s)
{
	if (!s || !*s || !strcmp(s, "latest"))
		return SV_KERNEL_LATEST;
	if (!strcmp(s, "6.12"))
		return SV_KERNEL_6_12;
	if (!strcmp(s, "6.1"))
		return SV_KERNEL_6_1;
	sv_die("SOFTVFIO_KERNEL: \"%s\" is none of 6.1, 6.12, latest", s);
}

/* The environment is the program's: it may change or free these later. */
static char *copy(const char *s)
{
	char *p = s && *s ? strdup(s) : NULL;

	if (s && *s && !p)
		sv_die("SOFTVFIO_CONFIG: out of memory");
	return p;
}

static void parse(const char *text)
{
	char why[256];
	int r = sv_config_parse(text, &config.devices, &config.nr_devices, why,
				sizeof(why));

	if (r == -ENOMEM)
		sv_die("SOFTVFIO_CONFIG: out of memory");
	if (r)
		sv_die("SOFTVFIO_CONFIG: %s", why);
	config.kernel = parse_kernel(secure_getenv("SOFTVFIO_KERNEL"));
	config.stats = copy(secure_getenv("SOFTVFIO_STATS"));
	sv_process_start();
}

const struct sv_config *sv_config(void)
{
	const struct sv_config *c =
		atomic_load_explicit(&published, memory_order_acquire);
	const char *text;

	if (c || parsing)
		return c;
	text = secure_getenv("SOFTVFIO_CONFIG");
	if (!text || !*text)
		return NULL;
	SPOOR_LOCKED(&lock);
	if (atomic_load_explicit(&published, memory_order_relaxed))
		return &config;
	parsing = true;
	parse(text);
	parsing = false;
	atomic_store_explicit(&published, &config, memory_order_release);
	return &config;
}

void sv_config_fork_lock(void)
{
	pthread_mutex_lock(&lock);
}

void sv_config_fork_unlock(void)
{
	pthread_mutex_unlock(&lock);
}
