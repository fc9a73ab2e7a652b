/* SPDX-License-Identifier: MIT */
/*
 * The directory that stands for /dev and /sys: real files, so that listing,
 * links and relative paths work by themselves.
 *
 * Invariant: made by this process for itself, and removed by it; what a killed
 * process left behind is removed by the next one of the same user.
 *
 * Threads: made under a lock, published with one store, immutable then.
 * Removal uses system calls only, so that _exit() may do it from anywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "softvfio/config.h"
#include "softvfio/real.h"
#include "softvfio/shim.h"

#define PREFIX "softvfio."

static struct sv_tree *_Atomic current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The parents' trees, kept reachable for leak checkers. */
static struct sv_tree *retired;

/* One pass over a directory; the number of entries met. */
static int remove_entries(int fd, int depth);

static void remove_at(int dirfd, const char *name, int depth)
{
	int fd;

	if (!unlinkat(dirfd, name, 0) || !depth)
		return;
	fd = REAL(openat)(dirfd, name,
			  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	/* Removing while reading may skip entries: look again until none. */
	for (int i = 0; i < 64 && remove_entries(fd, depth) > 0; i++)
		REAL(lseek)(fd, 0, SEEK_SET);
	REAL(close)(fd);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

static int remove_entries(int fd, int depth)
{
	_Alignas(struct dirent64) char buf[2048];
	int met = 0;
	long n;

	while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n;) {
			struct dirent64 *e = (void *)(buf + i);

			i += e->d_reclen;
			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			met++;
			remove_at(fd, e->d_name, depth - 1);
		}
	}
	return met;
}

/* Memory rather than a disk, unless told: each process makes some 70 entries. */
static const char *tmp_dir(void)
{
	const char *s = secure_getenv("TMPDIR");

	if (s && *s == '/')
		return s;
	return REAL(access)("/dev/shm", W_OK | X_OK) ? "/tmp" : "/dev/shm";
}

/* Process ids mean something in one namespace only; trees say in which. */
static bool same_namespace(int dirfd, const char *name)
{
	char path[NAME_MAX + 8], theirs[64], ours[64];
	ssize_t n, m;

	snprintf(path, sizeof(path), "%s/pidns", name);
	n = REAL(readlinkat)(dirfd, path, theirs, sizeof(theirs));
	m = REAL(readlink)("/proc/self/ns/pid", ours, sizeof(ours));
	return n > 0 && n == m && !memcmp(theirs, ours, (size_t)n);
}

static bool is_stale(int dirfd, const char *name)
{
	struct stat st;
	char *end;
	long pid;

	if (strncmp(name, PREFIX, strlen(PREFIX)))
		return false;
	pid = strtol(name + strlen(PREFIX), &end, 10);
	if (pid <= 0 || *end != '.')
		return false;
	if (REAL(fstatat)(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return false;
	if (!same_namespace(dirfd, name))
		return false;
	/* Our own number: from before an exec. */
	return pid == getpid() || (kill((pid_t)pid, 0) && errno == ESRCH);
}

static void remove_stale(const char *tmp)
{
	DIR *dir = REAL(opendir)(tmp);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (is_stale(dirfd(dir), e->d_name))
			remove_at(dirfd(dir), e->d_name, 16);
	closedir(dir);
}

static int fill(struct sv_tree *t)
{
	char ns[64];
	struct stat st;
	ssize_t n;
	int fd, r;

	fd = REAL(open)(t->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = REAL(fstat)(fd, &st) ? -errno : 0;
	n = REAL(readlink)("/proc/self/ns/pid", ns, sizeof(ns) - 1);
	if (r == 0 && n > 0) {
		ns[n] = '\0';
		r = symlinkat(ns, fd, "pidns") ? -errno : 0;
	}
	t->st_dev = st.st_dev;
	if (r == 0)
		r = sv_tree_populate(t, fd);
	REAL(close)(fd);
	return r;
}

static struct sv_tree *make(void)
{
	const char *tmp = tmp_dir();
	char root[PATH_MAX], real[PATH_MAX];
	struct sv_tree *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		sv_die("out of memory");
	remove_stale(tmp);
	if ((size_t)snprintf(root, sizeof(root), "%s/" PREFIX "%d.XXXXXX", tmp,
			     (int)getpid()) >= sizeof(root))
		sv_die("TMPDIR: path too long");
	if (!mkdtemp(root))
		sv_die("cannot make %s: %s", root, strerror(errno));
	/* As realpath() of what is in it will say. */
	t->root = strdup(REAL(realpath)(root, real) ? real : root);
	if (!t->root)
		sv_die("out of memory");
	r = fill(t);
	if (r) {
		remove_at(AT_FDCWD, root, 16);
		sv_die("cannot fill %s: %s", root, strerror(-r));
	}
	return t;
}

/*
 * It must not fall back on the machine's own /dev: a program would be given
 * hardware where it was promised none.  So failing to make it is fatal.
 */
const struct sv_tree *sv_tree(void)
{
	struct sv_tree *t =
		atomic_load_explicit(&current, memory_order_acquire);

	if (t || !sv_config())
		return t;
	SV_NOT_CANCELLED();
	SPOOR_LOCKED(&lock);
	t = atomic_load_explicit(&current, memory_order_relaxed);
	if (!t) {
		t = make();
		atomic_store_explicit(&current, t, memory_order_release);
	}
	return t;
}

const struct sv_tree *sv_tree_peek(void)
{
	return atomic_load_explicit(&current, memory_order_acquire);
}

const struct sv_node *sv_tree_node(const struct stat *st)
{
	const struct sv_tree *t = sv_tree_peek();

	if (!t || st->st_dev != t->st_dev)
		return NULL;
	for (size_t i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].ino == st->st_ino)
			return &t->nodes[i];
	return NULL;
}

void sv_tree_remove(void)
{
	struct sv_tree *t =
		atomic_load_explicit(&current, memory_order_acquire);
	int saved = errno;

	if (t && !sv_process_is_borrowed())
		remove_at(AT_FDCWD, t->root, 16);
	errno = saved; /* it may be about to be told */
}

void sv_tree_fork_lock(void)
{
	pthread_mutex_lock(&lock);
}

void sv_tree_fork_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/* The parent may go first and take its tree along: make one when needed. */
void sv_tree_fork_child(void)
{
	struct sv_tree *t =
		atomic_load_explicit(&current, memory_order_relaxed);

	if (!t)
		return;
	t->retired = retired;
	retired = t;
	atomic_store_explicit(&current, NULL, memory_order_relaxed);
}
