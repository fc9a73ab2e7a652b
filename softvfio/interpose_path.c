/* SPDX-License-Identifier: MIT */
/*
 * Calls that take a path and give no descriptor of ours.  Threads: no state.
 */
#include "softvfio/interpose.h"

#include <string.h>

SV_EXPORT int access(const char *path, int mode)
{
	char buf[PATH_MAX];

	return REAL(access)(sv_path(path, buf), mode);
}

SV_EXPORT int euidaccess(const char *path, int mode)
{
	char buf[PATH_MAX];

	return REAL(euidaccess)(sv_path(path, buf), mode);
}

SV_EXPORT int eaccess(const char *path, int mode)
{
	char buf[PATH_MAX];

	return REAL(eaccess)(sv_path(path, buf), mode);
}

SV_EXPORT int faccessat(int dirfd, const char *path, int mode, int flags)
{
	char buf[PATH_MAX];

	return REAL(faccessat)(dirfd, sv_path(path, buf), mode, flags);
}

SV_EXPORT ssize_t readlink(const char *path, char *ret, size_t len)
{
	char buf[PATH_MAX];

	return REAL(readlink)(sv_path(path, buf), ret, len);
}

SV_EXPORT ssize_t readlinkat(int dirfd, const char *path, char *ret, size_t len)
{
	char buf[PATH_MAX];

	return REAL(readlinkat)(dirfd, sv_path(path, buf), ret, len);
}

SV_EXPORT ssize_t __readlink_chk(const char *path, char *ret, size_t len,
				 size_t size)
{
	char buf[PATH_MAX];

	return REAL(__readlink_chk)(sv_path(path, buf), ret, len, size);
}

SV_EXPORT ssize_t __readlinkat_chk(int dirfd, const char *path, char *ret,
				   size_t len, size_t size)
{
	char buf[PATH_MAX];

	return REAL(__readlinkat_chk)(dirfd, sv_path(path, buf), ret, len,
				      size);
}

/* The answer may be shorter than what the real call wrote, never longer. */
static char *unrooted(char *path)
{
	if (path)
		sv_path_unroot(path);
	return path;
}

SV_EXPORT char *realpath(const char *path, char *resolved)
{
	char buf[PATH_MAX];

	return unrooted(REAL(realpath)(sv_path(path, buf), resolved));
}

SV_EXPORT char *__realpath_chk(const char *path, char *resolved, size_t size)
{
	char buf[PATH_MAX];

	return unrooted(
		REAL(__realpath_chk)(sv_path(path, buf), resolved, size));
}

SV_EXPORT char *canonicalize_file_name(const char *path)
{
	char buf[PATH_MAX];

	return unrooted(REAL(canonicalize_file_name)(sv_path(path, buf)));
}

/* What `ls -l` asks: the tree's entries have none, but they are there. */
SV_EXPORT ssize_t getxattr(const char *path, const char *name, void *value,
			   size_t len)
{
	char buf[PATH_MAX];

	return REAL(getxattr)(sv_path(path, buf), name, value, len);
}

SV_EXPORT ssize_t lgetxattr(const char *path, const char *name, void *value,
			    size_t len)
{
	char buf[PATH_MAX];

	return REAL(lgetxattr)(sv_path(path, buf), name, value, len);
}

SV_EXPORT ssize_t listxattr(const char *path, char *list, size_t len)
{
	char buf[PATH_MAX];

	return REAL(listxattr)(sv_path(path, buf), list, len);
}

SV_EXPORT ssize_t llistxattr(const char *path, char *list, size_t len)
{
	char buf[PATH_MAX];

	return REAL(llistxattr)(sv_path(path, buf), list, len);
}

SV_EXPORT DIR *opendir(const char *path)
{
	char buf[PATH_MAX];
	DIR *dir = REAL(opendir)(sv_path(path, buf));

	if (dir)
		sv_fd_fresh(dirfd(dir));
	return dir;
}

SV_EXPORT int scandir(const char *path, struct dirent ***list,
		      int (*filter)(const struct dirent *),
		      int (*compare)(const struct dirent **,
				     const struct dirent **))
{
	char buf[PATH_MAX];

	return REAL(scandir)(sv_path(path, buf), list, filter, compare);
}

SV_EXPORT int scandir64(const char *path, struct dirent64 ***list,
			int (*filter)(const struct dirent64 *),
			int (*compare)(const struct dirent64 **,
				       const struct dirent64 **))
{
	char buf[PATH_MAX];

	return REAL(scandir64)(sv_path(path, buf), list, filter, compare);
}
