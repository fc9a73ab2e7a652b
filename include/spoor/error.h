/* SPDX-License-Identifier: MIT */
/*
 * Error detail.  Every spoor function returns 0 (or a count) or -errno; the
 * text behind the last failure of the calling thread is kept here.
 */
#ifndef SPOOR_ERROR_H
#define SPOOR_ERROR_H

#include <spoor/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * spoor_errmsg() - what went wrong in this thread's last failed call
 *
 * Names the operation, the ioctl or message, the addresses and the reason.
 * Never NULL; empty if nothing has failed yet.  Valid until the next spoor
 * call of this thread.  No heap is used, so it works when memory is out.
 */
SPOOR_API const char *spoor_errmsg(void);

/**
 * spoor_version() - the library's version, "MAJOR.MINOR.PATCH"
 */
SPOOR_API const char *spoor_version(void);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_ERROR_H */
