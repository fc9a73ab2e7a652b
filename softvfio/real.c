/* SPDX-License-Identifier: MIT */
/*
 * Finds the real calls.  Invariant and threads: see real.h.
 */
#include "softvfio/real.h"

#include <dlfcn.h>
#include <errno.h>

void *_Atomic sv_real_calls[SV_NR_REAL];

static const char *const names[SV_NR_REAL] = {
#define X(name) #name,
	SV_REAL_CALLS(X)
#undef X
};

static long no_such_call(void)
{
	errno = ENOSYS;
	return -1;
}

void *sv_real_resolve(enum sv_real_id id)
{
	void *p = dlsym(RTLD_NEXT, names[id]);

	/* Only obsolete calls (__xstat ...) are ever missing; all give int. */
	if (!p)
		p = (void *)no_such_call;
	/* Two threads that race here store the same value. */
	atomic_store_explicit(&sv_real_calls[id], p, memory_order_release);
	return p;
}

/*
 * Before main, so that calls made later from signal handlers or between fork
 * and exec find everything resolved: dlsym may take locks.
 */
__attribute__((constructor)) static void resolve_all(void)
{
	for (unsigned int id = 0; id < SV_NR_REAL; id++)
		if (!atomic_load_explicit(&sv_real_calls[id],
					  memory_order_relaxed))
			sv_real_resolve((enum sv_real_id)id);
}
