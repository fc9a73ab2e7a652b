/* SPDX-License-Identifier: MIT */
/*
 * The libc calls that softvfio stands before, as the next object in line
 * defines them: other interposers may sit below.
 *
 * Invariant: nothing inside the shim calls an interposed name directly.
 * Threads: any, at any time, also before constructors have run: look-up is
 * idempotent and the result is published with one atomic store.
 */
#ifndef SOFTVFIO_REAL_H
#define SOFTVFIO_REAL_H

/*
 * Whatever the build asks for: the fortified headers would define some of
 * these names inline, and large-file support would call open "open64".
 */
#undef _FORTIFY_SOURCE
#undef _FILE_OFFSET_BITS

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

/* off_t and off64_t, struct stat and struct stat64 are taken as one. */
_Static_assert(sizeof(off_t) == 8, "softvfio is for 64-bit systems");
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout");

/* Exported by libc for fortified and for old programs, declared nowhere. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);
ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off_t off, size_t size);
ssize_t __readlink_chk(const char *path, char *buf, size_t len, size_t size);
ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t len,
			 size_t size);
char *__realpath_chk(const char *path, char *resolved, size_t size);
int __xstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat(int version, const char *path, struct stat *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
int __fxstat(int version, int fd, struct stat *st);
int __fxstat64(int version, int fd, struct stat64 *st);
int __fxstatat(int version, int dirfd, const char *path, struct stat *st,
	       int flags);
int __fxstatat64(int version, int dirfd, const char *path, struct stat64 *st,
		 int flags);

/* clang-format off */
#define SV_REAL_CALLS(X) \
	X(open) X(open64) X(openat) X(openat64) \
	X(__open_2) X(__open64_2) X(__openat_2) X(__openat64_2) \
	X(fopen) X(fopen64) X(fclose) \
	X(stat) X(stat64) X(lstat) X(lstat64) X(fstat) X(fstat64) \
	X(fstatat) X(fstatat64) X(statx) \
	X(__xstat) X(__xstat64) X(__lxstat) X(__lxstat64) \
	X(__fxstat) X(__fxstat64) X(__fxstatat) X(__fxstatat64) \
	X(access) X(faccessat) X(euidaccess) X(eaccess) \
	X(readlink) X(readlinkat) X(__readlink_chk) X(__readlinkat_chk) \
	X(realpath) X(__realpath_chk) X(canonicalize_file_name) \
	X(getxattr) X(lgetxattr) X(listxattr) X(llistxattr) \
	X(opendir) X(scandir) X(scandir64) \
	X(ioctl) X(read) X(__read_chk) X(write) \
	X(pread) X(pread64) X(__pread_chk) X(__pread64_chk) \
	X(pwrite) X(pwrite64) \
	X(readv) X(writev) X(preadv) X(preadv64) X(pwritev) X(pwritev64) \
	X(preadv2) X(preadv64v2) X(pwritev2) X(pwritev64v2) \
	X(sendfile) X(sendfile64) X(splice) X(copy_file_range) \
	X(lseek) X(lseek64) X(ftruncate) X(ftruncate64) \
	X(mmap) X(mmap64) X(munmap) X(mremap) \
	X(close) X(close_range) X(closefrom) \
	X(dup) X(dup2) X(dup3) X(fcntl) X(fcntl64) \
	X(_exit) X(_Exit)
/* clang-format on */

enum sv_real_id {
#define X(name) SV_REAL_##name,
	SV_REAL_CALLS(X)
#undef X
		SV_NR_REAL,
};

extern void *_Atomic sv_real_calls[SV_NR_REAL];

/* Look @id up; a call that this libc lacks fails with ENOSYS. */
void *sv_real_resolve(enum sv_real_id id);

static inline void *sv_real_call(enum sv_real_id id)
{
	void *p =
		atomic_load_explicit(&sv_real_calls[id], memory_order_acquire);

	return p ? p : sv_real_resolve(id);
}

#define REAL(name) ((__typeof__(name) *)sv_real_call(SV_REAL_##name))

#endif /* SOFTVFIO_REAL_H */
