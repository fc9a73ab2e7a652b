/* SPDX-License-Identifier: MIT */
/* Cleanup attributes: fds, heap and locks that release themselves. */
#ifndef SPOOR_BASE_CLEANUP_H
#define SPOOR_BASE_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static inline void spoor_cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void spoor_cleanup_heap(void *p)
{
	free(*(void **)p);
}

static inline void spoor_cleanup_mutex(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}

#define SPOOR_AUTO_FD	__attribute__((cleanup(spoor_cleanup_fd))) int
#define SPOOR_AUTO_HEAP __attribute__((cleanup(spoor_cleanup_heap)))
/* Locks now, unlocks at the end of the block. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a declaration takes none */
#define SPOOR_LOCKED(mutex)                                                    \
	__attribute__((cleanup(spoor_cleanup_mutex), unused))                  \
	pthread_mutex_t *spoor_locked_ = (pthread_mutex_lock(mutex), (mutex))
/* NOLINTEND(bugprone-macro-parentheses) */

/* Hand an automatic pointer or fd over to the caller. */
#define SPOOR_STEAL_FD(fd)                                                     \
	({                                                                     \
		int stolen_ = (fd);                                            \
		(fd) = -1;                                                     \
		stolen_;                                                       \
	})
#define SPOOR_STEAL(p)                                                         \
	({                                                                     \
		__typeof__(p) stolen_ = (p);                                   \
		(p) = NULL;                                                    \
		stolen_;                                                       \
	})

#endif /* SPOOR_BASE_CLEANUP_H */
