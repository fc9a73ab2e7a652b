/* SPDX-License-Identifier: MIT */
/*
 * Which paths are ours.  /dev/vfio and /dev/iommu always are: with a
 * configuration, a program never reaches this machine's own.  Of /sys, what
 * the tree has; the directories on the way there are shared with the machine.
 *
 * Invariant: a path that is not ours is returned as it came.  Threads: no
 * state.  Cost for other paths: a comparison of prefixes.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "softvfio/config.h"
#include "softvfio/real.h"
#include "softvfio/shim.h"

/* On the way to entries of ours; below them lies the machine's as well. */
static const struct {
	const char *path;
	bool ours; /* a program that lists it wants our devices */
} shared_dirs[] = {
	{ "/sys", false },
	{ "/sys/bus", false },
	{ "/sys/bus/mdev", false },
	{ "/sys/bus/mdev/devices", true },
	{ "/sys/bus/pci", false },
	{ "/sys/bus/pci/devices", true },
	{ "/sys/bus/pci/drivers", false },
	{ "/sys/class", false },
	{ "/sys/class/iommu", true },
	{ "/sys/class/misc", false },
	{ "/sys/class/vfio", true },
	{ "/sys/class/vfio-dev", true },
	{ "/sys/devices", false },
	{ "/sys/devices/virtual", false },
	{ "/sys/devices/virtual/iommu", false },
	{ "/sys/devices/virtual/misc", false },
	{ "/sys/kernel", false },
	{ "/sys/kernel/iommu_groups", true },
	{ "/sys/module", true },
};

static const char *skip_prefix(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(s, prefix, len) ? NULL : s + len;
}

static bool ends_component(char c)
{
	return !c || c == '/';
}

/* NULL: @path lies below no shared directory, or is none. */
static const bool *find_shared(const char *path, size_t len)
{
	for (size_t i = 0; i < sizeof(shared_dirs) / sizeof(shared_dirs[0]);
	     i++) {
		if (strlen(shared_dirs[i].path) == len &&
		    !memcmp(shared_dirs[i].path, path, len))
			return &shared_dirs[i].ours;
	}
	return NULL;
}

/* Is "/.." after this what it looks like?  Yes where no symlink can be. */
static bool is_plain_dir(const char *path, size_t len)
{
	static const char *const dev[] = { "/dev", "/dev/vfio",
					   "/dev/vfio/devices" };

	for (size_t i = 0; i < sizeof(dev) / sizeof(dev[0]); i++)
		if (strlen(dev[i]) == len && !memcmp(dev[i], path, len))
			return true;
	return find_shared(path, len);
}

/*
 * "//" and "/./" say nothing; ".." is taken back where it leaves a directory
 * that we know, and left for the kernel to walk elsewhere.
 */
static bool normalise(const char *path, char *out, size_t size)
{
	size_t n = 0;

	for (const char *p = path; *p; p++) {
		if (p[0] == '/' && p[1] == '/')
			continue;
		if (p[0] == '/' && p[1] == '.' && ends_component(p[2])) {
			p++;
			continue;
		}
		if (p[0] == '/' && p[1] == '.' && p[2] == '.' &&
		    ends_component(p[3]) && (!n || is_plain_dir(out, n))) {
			while (n && out[--n] != '/')
				;
			p += 2;
			continue;
		}
		if (n + 1 >= size)
			return false;
		out[n++] = *p;
	}
	out[n] = '\0';
	return true;
}

/* Behind a prefix that was found there is at least the end of the string. */
/* NOLINTBEGIN(clang-analyzer-core.CallAndMessage) */
static bool is_dev(const char *path)
{
	const char *rest = skip_prefix(path, "/dev/vfio");

	if (rest && ends_component(*rest))
		return true;
	rest = skip_prefix(path, "/dev/iommu");
	return rest && ends_component(*rest);
}

/*
 * Of /sys/bus/pci/devices/0000:01:00.0/vendor, the first component that is not
 * a shared directory decides: if the tree has it, all below it is ours.
 */
static bool is_sys(const char *path, const char *root)
{
	char entry[PATH_MAX];
	size_t end = strlen("/sys");
	const bool *ours = NULL;
	struct stat st;

	for (;;) {
		const bool *here = find_shared(path, end);

		if (!here)
			break;
		ours = here;
		while (path[end] == '/')
			end++;
		if (!path[end]) {
			/* The shared directory itself. */
			if (*ours)
				return true;
			return REAL(access)(path, F_OK) != 0;
		}
		while (!ends_component(path[end]))
			end++;
	}
	if ((size_t)snprintf(entry, sizeof(entry), "%s%.*s", root, (int)end,
			     path) >= sizeof(entry))
		return false;
	return REAL(fstatat)(AT_FDCWD, entry, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static const char *rewrite(const char *path, char *buf)
{
	char clean[PATH_MAX];
	const struct sv_tree *tree;
	bool sys;

	if (!normalise(path, clean, sizeof(clean)))
		return path;
	sys = skip_prefix(clean, "/sys") && ends_component(clean[4]);
	if (!sys && !is_dev(clean))
		return path;
	tree = sv_tree();
	if (!tree || (sys && !is_sys(clean, tree->root)))
		return path;
	if ((size_t)snprintf(buf, PATH_MAX, "%s%s", tree->root, clean) >=
	    PATH_MAX)
		return path;
	return buf;
}
/* NOLINTEND(clang-analyzer-core.CallAndMessage) */

const char *sv_path(const char *path, char *buf)
{
	const char *ret, *p = path;
	int saved;

	/* A program's NULL is the real call's to refuse. */
	if (!path || path[0] != '/')
		return path;
	/* Most paths end here: neither "/dev", "/sys" nor "//", "/.". */
	if (p[1] != '/' && p[1] != '.' && strncmp(p + 1, "dev", 3) &&
	    strncmp(p + 1, "sys", 3))
		return path;
	if (!sv_config())
		return path;
	saved = errno;
	ret = rewrite(path, buf);
	errno = saved;
	return ret;
}

void sv_path_unroot(char *path)
{
	const struct sv_tree *tree = sv_tree_peek();
	const char *rest = tree ? skip_prefix(path, tree->root) : NULL;

	if (rest && *rest == '/')
		memmove(path, rest, strlen(rest) + 1);
}
