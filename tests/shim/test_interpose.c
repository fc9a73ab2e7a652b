/* SPDX-License-Identifier: MIT */
/*
 * libc's calls as a program makes them, linked against the library: on nodes
 * and descriptors of ours, and on ordinary ones.
 */
/* Else "open" would be "open64" here, and half of the names untested. */
#undef _FILE_OFFSET_BITS

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "softvfio/softvfio.h"
#include "doubles.h"

#define CDEV0 "/dev/vfio/devices/vfio0"
#define BAR   (DOUBLE_BAR_OFFSET)

static int who(int fd)
{
	return ioctl(fd, DOUBLE_WHO);
}

static int open_cdev(void)
{
	int fd = open(CDEV0, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* A scratch file of 64 bytes: 0, 1, 2 ... */
static int ordinary(void)
{
	int fd = memfd_create("ordinary", MFD_CLOEXEC);
	uint8_t bytes[64];

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	return fd;
}

static int nothing_live(void **state)
{
	(void)state;
	return double_live() ? -1 : 0;
}

static void each_node_opens_what_it_names(void **state)
{
	static const struct {
		const char *path;
		int who;
	} nodes[] = {
		{ "/dev/vfio/vfio", DOUBLE_CONTAINER },
		{ "/dev/iommu", DOUBLE_IOMMU },
		{ "/dev/vfio/1", DOUBLE_GROUP + 1 },
		{ "/dev/vfio/7", DOUBLE_GROUP + 7 },
		{ "/dev/vfio/noiommu-9", DOUBLE_GROUP + 9 },
		{ CDEV0, DOUBLE_CDEV + 0 },
		{ "/dev/vfio/devices/vfio1", DOUBLE_CDEV + 1 },
		{ "//dev///vfio/./vfio", DOUBLE_CONTAINER },
		{ "/dev/./iommu", DOUBLE_IOMMU },
		{ "/./dev/vfio/devices/../7", DOUBLE_GROUP + 7 },
		{ "/dev/vfio/../iommu", DOUBLE_IOMMU },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		int fd = open(nodes[i].path, O_RDWR);

		if (who(fd) != nodes[i].who)
			fail_msg("%s: fd %d, %s", nodes[i].path, fd,
				 strerror(errno));
		assert_int_equal(double_live(), 1);
		assert_int_equal(fcntl(fd, F_GETFD), 0);
		assert_int_equal(close(fd), 0);
		assert_int_equal(double_live(), 0);
	}
}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

static void every_spelling_of_open_reaches_the_device(void **state)
{
	int dir = open("/dev/vfio/devices", O_RDONLY | O_DIRECTORY);
	int root = open("/", O_RDONLY | O_DIRECTORY), fds[16], nr = 0;
	FILE *stream = fopen(CDEV0, "r+e"), *stream64 = fopen64(CDEV0, "r");

	(void)state;
	fds[nr++] = open(CDEV0, O_RDWR);
	fds[nr++] = open64(CDEV0, O_RDWR);
	fds[nr++] = openat(AT_FDCWD, CDEV0, O_RDWR);
	fds[nr++] = openat64(AT_FDCWD, CDEV0, O_RDWR);
	fds[nr++] = openat(root, CDEV0, O_RDWR);
	fds[nr++] = openat(dir, "vfio0", O_RDWR);
	fds[nr++] = openat64(dir, "../devices/vfio0", O_RDWR);
	fds[nr++] = __open_2(CDEV0, O_RDWR);
	fds[nr++] = __open64_2(CDEV0, O_RDWR);
	fds[nr++] = __openat_2(dir, "vfio0", O_RDWR);
	fds[nr++] = __openat64_2(dir, "vfio0", O_RDWR);
	fds[nr++] = fileno(stream);
	fds[nr++] = fileno(stream64);
	for (int i = 0; i < nr; i++) {
		if (who(fds[i]) != DOUBLE_CDEV)
			fail_msg("spelling %d: fd %d", i, fds[i]);
	}
	assert_int_equal(double_live(), nr);
	assert_int_equal(fcntl(fileno(stream), F_GETFD), FD_CLOEXEC);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(fclose(stream64), 0);
	for (int i = 0; i < nr - 2; i++)
		close(fds[i]);
	close(dir);
	close(root);
}

static void what_is_not_there_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(open("/dev/vfio/3", O_RDWR), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(open("/dev/vfio/devices/vfio5", O_RDWR), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(open("/dev/vfio/devices/vfio9", O_RDWR), -1);
	assert_int_equal(errno, ENOENT); /* no-IOMMU: group only */
	assert_int_equal(open("/dev/iommu/x", O_RDWR), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(open(CDEV0, O_RDWR | O_DIRECTORY), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(open(CDEV0, O_RDWR | O_CREAT | O_EXCL, 0600), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(access("/dev/vfiox", F_OK), -1);
	/* NULL goes to the kernel; volatile, for the compiler knows better. */
	const char *volatile null = NULL;
	assert_int_equal(open(null, O_RDWR), -1);
	assert_int_equal(errno, EFAULT);
}

static void open_files_have_the_flags_they_were_opened_with(void **state)
{
	int ro = open(CDEV0, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int wo = open(CDEV0, O_WRONLY);
	char c = 0;

	(void)state;
	assert_int_equal(fcntl(ro, F_GETFL) & (O_ACCMODE | O_NONBLOCK),
			 O_RDONLY | O_NONBLOCK);
	assert_int_equal(fcntl(ro, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(wo, F_GETFL) & (O_ACCMODE | O_NONBLOCK),
			 O_WRONLY);
	assert_int_equal(fcntl(wo, F_GETFD), 0);
	assert_int_equal(pwrite(ro, &c, 1, 0), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(pread(wo, &c, 1, 0), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(pread(ro, &c, 1, 0), 1);
	assert_int_equal(pwrite(wo, &c, 1, 0), 1);
	close(ro);
	close(wo);
}

static void ioctls_answer_as_the_kernel(void **state)
{
	int fd = open_cdev(), file = ordinary(), one = 1;
	uint32_t n = 41;

	(void)state;
	assert_int_equal(ioctl(fd, DOUBLE_ADD_ONE, &n), 0);
	assert_int_equal(n, 42);
	assert_int_equal(ioctl(fd, DOUBLE_ADD_ONE, (void *)8), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(ioctl(fd, 1, 0), -1);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(ioctl(fd, (unsigned long)(int)DOUBLE_HIGH), 8);
	assert_int_equal(ioctl(fd, FIOCLEX), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(ioctl(fd, FIONBIO, &one), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(ioctl(file, DOUBLE_WHO), -1);
	assert_int_equal(errno, ENOTTY);
	close(fd);
	assert_int_equal(ioctl(fd, DOUBLE_WHO), -1);
	assert_int_equal(errno, EBADF);
	close(file);
}

ssize_t __read_chk(int fd, void *buf, size_t len, size_t size);
ssize_t __pread_chk(int fd, void *buf, size_t len, off_t off, size_t size);
ssize_t __pread64_chk(int fd, void *buf, size_t len, off_t off, size_t size);

/* Ours and an ordinary file with the same bytes: all calls agree. */
static void positioned_reads_and_writes_reach_the_file(void **state)
{
	int fds[2] = { open_cdev(), ordinary() };
	uint8_t buf[8], other[8];
	struct iovec v[2] = { { buf, 3 }, { other, 4 } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = fds[i];

		assert_int_equal(pread(fd, buf, 8, 5), 8);
		assert_int_equal(buf[7], 12);
		assert_int_equal(pread64(fd, buf, 8, 6), 8);
		assert_int_equal(buf[7], 13);
		assert_int_equal(__pread_chk(fd, buf, 8, 7, 8), 8);
		assert_int_equal(buf[7], 14);
		assert_int_equal(__pread64_chk(fd, buf, 8, 8, 8), 8);
		assert_int_equal(buf[7], 15);
		assert_int_equal(pwrite(fd, buf, 8, 8), 8);
		assert_int_equal(pwrite64(fd, buf, 8, 8), 8);
		memset(buf, 0, 8);
		assert_int_equal(preadv(fd, v, 2, 20), 7);
		assert_int_equal(buf[2], 22);
		assert_int_equal(other[3], 26);
		assert_int_equal(pwritev(fd, v, 2, 20), 7);
		assert_int_equal(preadv64(fd, v, 2, 30), 7);
		assert_int_equal(other[3], 36);
		assert_int_equal(pwritev64(fd, v, 2, 30), 7);
		assert_int_equal(preadv2(fd, v, 2, 20, 0), 7);
		assert_int_equal(pwritev2(fd, v, 2, 20, 0), 7);
		assert_int_equal(preadv64v2(fd, v, 2, 20, 0), 7);
		assert_int_equal(pwritev64v2(fd, v, 2, 20, 0), 7);
		assert_int_equal(pread(fd, buf, 8, -1), -1);
		assert_int_equal(errno, EINVAL);
		assert_int_equal(preadv(fd, v, 2, -1), -1);
		assert_int_equal(errno, EINVAL);
	}
	/* Each device byte says where it was written: the offset moved on. */
	buf[0] = 1;
	assert_int_equal(pwrite(fds[0], buf, 1, 8), -1);
	assert_int_equal(errno, EILSEQ);
	close(fds[0]);
	close(fds[1]);
}

static void streams_have_no_position(void **state)
{
	int fd = open_cdev(), data = ioctl(fd, DOUBLE_DATA_FD);
	uint8_t buf[8], other[8];
	struct iovec v[2] = { { buf, 3 }, { other, 2 } };

	(void)state;
	assert_true(data >= 0);
	assert_int_equal(fcntl(data, F_GETFD), FD_CLOEXEC);
	assert_int_equal(pread(data, buf, 1, 0), -1);
	assert_int_equal(errno, ESPIPE);
	assert_int_equal(lseek(data, 0, SEEK_CUR), -1);
	assert_int_equal(errno, ESPIPE);
	assert_int_equal(lseek64(fd, 0, SEEK_SET), -1);
	assert_int_equal(errno, ESPIPE);
	assert_int_equal(write(data, buf, 1), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(read(data, buf, 2), 2);
	assert_int_equal(readv(data, v, 2), 5);
	assert_int_equal(buf[0], 2);
	assert_int_equal(other[1], 6);
	assert_int_equal(__read_chk(data, buf, 2, 8), 2);
	assert_int_equal(buf[1], 8);
	/* Short in the first segment: the second is not begun. */
	assert_int_equal(readv(data, v, 2), 1);
	assert_int_equal(read(data, buf, 8), 0);
	/* A device without read and write refuses both. */
	assert_int_equal(read(fd, buf, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(writev(fd, v, 2), -1);
	assert_int_equal(errno, EINVAL);
	close(data);
	close(fd);
}

static void bad_buffers_are_errors(void **state)
{
	/* volatile: the compiler must not know that these are bad. */
	void *volatile nowhere = NULL, *volatile low = (void *)8;
	volatile int negative = -1;
	int fd = open_cdev();
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v[2] = { { p, 16 }, { low, 16 } };

	(void)state;
	munmap(p + 4096, 4096);
	assert_int_equal(pread(fd, p + 4096, 8, 0), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(pwrite(fd, nowhere, 8, 0), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(preadv(fd, v, 2, 0), 16);
	assert_int_equal(preadv(fd, v + 1, 1, 0), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(preadv(fd, low, 1, 0), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(preadv(fd, v, negative, 0), -1);
	assert_int_equal(errno, EINVAL);
	munmap(p, 4096);
	close(fd);
}

static void kernel_side_copies_are_refused(void **state)
{
	int fd = open_cdev(), file = ordinary(), p[2];
	off_t at = 0;
	off64_t at64 = 0;
	char byte;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(sendfile(p[1], fd, NULL, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(sendfile64(fd, file, &at64, 1), -1);
	assert_int_equal(splice(fd, NULL, p[1], NULL, 1, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(copy_file_range(fd, NULL, file, NULL, 1, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ftruncate64(fd, 0), -1);
	assert_int_equal(sendfile(p[1], file, &at, 1), 1);
	assert_int_equal(splice(file, &at64, p[1], NULL, 1, 0), 1);
	assert_int_equal(read(p[0], &byte, 1), 1);
	close(p[0]);
	close(p[1]);
	close(fd);
	close(file);
}

static void duplicates_share_the_file(void **state)
{
	int fd = open_cdev(), file = ordinary(), dups[5];

	(void)state;
	dups[0] = dup(fd);
	dups[1] = dup2(fd, 200);
	dups[2] = dup3(fd, 201, O_CLOEXEC);
	dups[3] = fcntl(fd, F_DUPFD, 300);
	dups[4] = fcntl(fd, F_DUPFD_CLOEXEC, 300);
	assert_int_equal(fcntl(dups[4], F_GETFD), FD_CLOEXEC);
	assert_int_equal(dup2(fd, fd), fd);
	close(fd);
	for (int i = 0; i < 5; i++)
		assert_int_equal(who(dups[i]), DOUBLE_CDEV);
	assert_int_equal(double_live(), 1);
	/* An ordinary file over one of ours, and the other way round. */
	assert_int_equal(dup2(file, dups[0]), dups[0]);
	assert_int_equal(who(dups[0]), -1);
	assert_int_equal(dup2(dups[1], file), file);
	assert_int_equal(who(file), DOUBLE_CDEV);
	/* What fails changes nothing. */
	assert_int_equal(dup2(-1, dups[1]), -1);
	assert_int_equal(who(dups[1]), DOUBLE_CDEV);
	assert_int_equal(dup3(dups[1], dups[1], 0), -1);
	assert_int_equal(errno, EINVAL);
	for (int i = 0; i < 5; i++)
		assert_int_equal(close(dups[i]), 0);
	assert_int_equal(double_live(), 1);
	close(file);
	assert_int_equal(double_live(), 0);
	assert_int_equal(close(file), -1);
	assert_int_equal(errno, EBADF);
}

static void close_range_releases_what_it_closes(void **state)
{
	int low = open_cdev(), fds[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		fds[i] = fcntl(low, F_DUPFD, 500 + 1000 * i);
	int other = open_cdev();

	assert_int_equal(dup2(other, 1500), 1500);
	close(other);
	assert_int_equal(dup2(low, 1700), 1700);
	assert_int_equal(dup2(low, 1300), 1300);
	assert_int_equal(double_live(), 2);
	assert_int_equal(close_range(400, 3000, CLOSE_RANGE_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(double_live(), 2);
	assert_int_equal(close_range(3000, 400, 0), -1);
	assert_int_equal(close_range(400, 3000, 1 << 20), -1);
	assert_int_equal(who(fds[0]), DOUBLE_CDEV);
	assert_int_equal(close_range(1400, 1600, 0), 0);
	assert_int_equal(double_live(), 1);
	assert_int_equal(who(1500), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(who(1300), DOUBLE_CDEV);
	assert_int_equal(who(1700), DOUBLE_CDEV);
	closefrom(400);
	assert_int_equal(who(fds[0]), -1);
	assert_int_equal(who(fds[2]), -1);
	assert_int_equal(who(low), DOUBLE_CDEV);
	assert_int_equal(double_live(), 1);
	close(low);
}

static void placeholders_poll_ready_and_refuse_epoll(void **state)
{
	int fd = open_cdev(), ep = epoll_create1(0);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI };
	struct epoll_event ev = { .events = EPOLLIN };

	(void)state;
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLIN | POLLOUT);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), -1);
	assert_int_equal(errno, EPERM);
	close(ep);
	close(fd);
}

static void bars_are_mapped_and_remembered(void **state)
{
	int fd = open_cdev(), ro = open(CDEV0, O_RDONLY);
	unsigned int bar = 0;
	uint64_t offset = 0;
	uint8_t *p, *again;

	(void)state;
	p = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 BAR + 0x1000);
	assert_ptr_not_equal(p, MAP_FAILED);
	again = mmap64(NULL, 0x4000, PROT_READ, MAP_SHARED, ro, BAR);
	assert_ptr_not_equal(again, MAP_FAILED);
	p[5] = 77;
	assert_int_equal(again[0x1005], 77);
	assert_int_equal(double_find_bar(p + 0x1000, 0x1000, &bar, &offset), 0);
	assert_int_equal(bar, 2);
	assert_int_equal(offset, 0x2000);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, BAR),
			 MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, ro, BAR),
			 MAP_FAILED);
	assert_int_equal(errno, EACCES);
	/* The mapping outlives the descriptor. */
	close(fd);
	close(ro);
	assert_int_equal(double_find_bar(p, 1, &bar, &offset), 0);
	munmap(p, 0x2000);
	assert_int_equal(double_find_bar(p, 1, &bar, &offset), -ENOENT);
	munmap(again, 0x4000);
}

static dev_t dev_in(const char *path)
{
	unsigned int maj = 0, min = 0;
	FILE *f = fopen(path, "re");

	if (!f || fscanf(f, "%u:%u", &maj, &min) != 2)
		fail_msg("%s: %s", path, strerror(errno));
	fclose(f);
	return makedev(maj, min);
}

int __xstat(int version, const char *path, struct stat *st);
int __fxstat(int version, int fd, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __fxstatat(int version, int dirfd, const char *path, struct stat *st,
	       int flags);
#ifdef _STAT_VER
#define STAT_VERSION _STAT_VER
#else
#define STAT_VERSION 1
#endif

static void check_node(const char *how, const struct stat *st, dev_t rdev)
{
	if (!S_ISCHR(st->st_mode) || st->st_rdev != rdev)
		fail_msg("%s: mode 0%o, number %u:%u", how, st->st_mode,
			 major(st->st_rdev), minor(st->st_rdev));
}

static void every_stat_says_what_sysfs_says(void **state)
{
	int fd = open_cdev(), opath = open(CDEV0, O_PATH);
	int dir = open("/dev/vfio/devices", O_RDONLY);
	dev_t rdev = dev_in("/sys/bus/pci/devices/0000:01:00.0/vfio-dev/vfio0/"
			    "dev");
	struct stat st;
	struct stat64 st64;
	struct statx stx;

	(void)state;
#define CHECK(call, result)                                                    \
	do {                                                                   \
		memset(&(result), 0, sizeof(result));                          \
		assert_int_equal(call, 0);                                     \
		check_node(#call, (struct stat *)&(result), rdev);             \
	} while (0)
	CHECK(stat(CDEV0, &st), st);
	CHECK(stat64(CDEV0, &st64), st64);
	CHECK(lstat(CDEV0, &st), st);
	CHECK(lstat64(CDEV0, &st64), st64);
	CHECK(fstat(fd, &st), st);
	CHECK(fstat64(fd, &st64), st64);
	CHECK(fstat(opath, &st), st);
	CHECK(fstatat(AT_FDCWD, CDEV0, &st, 0), st);
	CHECK(fstatat64(AT_FDCWD, CDEV0, &st64, 0), st64);
	CHECK(fstatat(dir, "vfio0", &st, 0), st);
	CHECK(fstatat(fd, "", &st, AT_EMPTY_PATH), st);
	CHECK(fstatat64(fd, "", &st64, AT_EMPTY_PATH), st64);
	CHECK(__xstat(STAT_VERSION, CDEV0, &st), st);
	CHECK(__lxstat(STAT_VERSION, CDEV0, &st), st);
	CHECK(__fxstat(STAT_VERSION, fd, &st), st);
	CHECK(__fxstatat(STAT_VERSION, dir, "vfio0", &st, 0), st);
#undef CHECK
	assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_MODE, &stx), 0);
	assert_true(S_ISCHR(stx.stx_mode));
	assert_int_equal(makedev(stx.stx_rdev_major, stx.stx_rdev_minor), rdev);
	assert_int_equal(statx(AT_FDCWD, CDEV0, 0, STATX_MODE, &stx), 0);
	assert_true(S_ISCHR(stx.stx_mode));
	assert_int_equal(stat("/dev/null", &st), 0);
	assert_int_equal(st.st_rdev, makedev(1, 3));
	close(fd);
	close(opath);
	close(dir);
}

static void other_nodes_have_numbers_of_their_own(void **state)
{
	static const char *const nodes[][2] = {
		{ "/dev/vfio/vfio", "/sys/class/misc/vfio/dev" },
		{ "/dev/iommu", "/sys/class/misc/iommu/dev" },
		{ "/dev/vfio/7", "/sys/class/vfio/7/dev" },
		{ "/dev/vfio/noiommu-9", "/sys/class/vfio/noiommu-9/dev" },
		{ "/dev/vfio/devices/vfio1", "/sys/class/vfio-dev/vfio1/dev" },
		{ CDEV0, "/sys/class/vfio-dev/vfio0/dev" },
	};
	dev_t seen[6];
	struct stat st;

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(stat(nodes[i][0], &st), 0);
		assert_true(S_ISCHR(st.st_mode));
		assert_int_equal(st.st_rdev, dev_in(nodes[i][1]));
		seen[i] = st.st_rdev;
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
	}
}

static void check_link(const char *path, const char *base)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	struct stat st;

	if (n < 0)
		fail_msg("%s: %s", path, strerror(errno));
	target[n] = '\0';
	assert_string_equal(strrchr(target, '/') + 1, base);
	/* It leads somewhere. */
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		fail_msg("%s -> %s: nothing there", path, target);
}

static void check_text(const char *path, const char *text)
{
	char buf[64] = "";
	FILE *f = fopen(path, "r");

	if (!f || !fgets(buf, sizeof(buf), f))
		fail_msg("%s: %s", path, strerror(errno));
	fclose(f);
	assert_string_equal(buf, text);
}

static void sysfs_says_what_discovery_asks(void **state)
{
	struct stat st;

	(void)state;
#define DEV0 "/sys/bus/pci/devices/0000:01:00.0"
#define UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
	check_link(DEV0, "0000:01:00.0");
	check_link(DEV0 "/iommu_group", "7");
	check_link(DEV0 "/driver", "vfio-soft");
	check_link(DEV0 "/subsystem", "pci");
	check_link(DEV0 "/iommu", "softvfio");
	check_link("/sys/class/vfio-dev/vfio0", "vfio0");
	check_link("/sys/class/iommu/softvfio", "softvfio");
	check_link("/sys/class/iommu/softvfio/devices/0000:01:00.0",
		   "0000:01:00.0");
	check_link("/sys/kernel/iommu_groups/7/devices/0000:01:00.0",
		   "0000:01:00.0");
	check_link("/sys/bus/pci/drivers/vfio-soft/0000:01:00.0",
		   "0000:01:00.0");
	check_link("/sys/bus/mdev/devices/" UUID, UUID);
	check_link("/sys/bus/mdev/devices/" UUID "/iommu_group", "1");
	check_link("/sys/bus/mdev/devices/" UUID "/driver", "vfio-soft-mdev");
	check_text("/sys/bus/mdev/devices/" UUID "/vfio-dev/vfio1/dev",
		   "511:1\n");
	check_text(DEV0 "/vendor", "0x1d55\n");
	check_text(DEV0 "/class", "0x020000\n");
	check_text("/sys/kernel/iommu_groups/7/type", "DMA\n");
	check_text("/sys/kernel/iommu_groups/9/name", "vfio-noiommu\n");
	assert_int_equal(access(DEV0 "/vfio-dev/vfio0", F_OK), 0);
	/* Ours hides all of this machine's at that address. */
	assert_int_equal(access(DEV0 "/sriov_numvfs", F_OK), -1);
	assert_int_equal(lstat("/sys/bus/pci/devices/" UUID, &st), -1);
	assert_int_equal(access("/sys/bus/pci/devices/0000:0a:00.0/vfio-dev/"
				"vfio9/dev",
				F_OK),
			 -1);
	/* The rest of /sys is the machine's. */
	assert_int_equal(access("/sys/kernel/mm", F_OK), 0);
	assert_int_equal(access("/sys/class/../kernel/mm", F_OK), 0);
	assert_int_equal(access("/sys/class/../class/vfio-dev/vfio0", F_OK), 0);
	assert_int_equal(access("/sys/devices/system/cpu", F_OK), 0);
	assert_int_equal(access("/sys/class/net", F_OK), 0);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void directories_list_our_devices(void **state)
{
	static const char *const pci[] = { "0000:01:00.0", "0000:0a:00.0" };
	struct dirent **list;
	struct dirent64 **list64;
	struct dirent *e;
	unsigned int met = 0;
	DIR *dir;

	(void)state;
	assert_int_equal(
		scandir("/sys/bus/pci/devices", &list, no_dots, by_name), 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_string_equal(list[i]->d_name, pci[i]);
		free(list[i]);
	}
	free(list);
	assert_int_equal(scandir64("/dev/vfio/devices", &list64, NULL, NULL),
			 4);
	for (unsigned int i = 0; i < 4; i++)
		free(list64[i]);
	free(list64);
	dir = opendir("/dev/vfio");
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		met += !strcmp(e->d_name, "vfio") ||
		       !strcmp(e->d_name, "devices") ||
		       !strcmp(e->d_name, "7") || !strcmp(e->d_name, "1") ||
		       !strcmp(e->d_name, "noiommu-9");
	}
	assert_int_equal(met, 5);
	closedir(dir);
}

char *__realpath_chk(const char *path, char *resolved, size_t size);
ssize_t __readlink_chk(const char *path, char *buf, size_t len, size_t size);
ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t len,
			 size_t size);

static void paths_never_show_where_the_tree_is(void **state)
{
	static const char want[] = "/sys/devices/pci0000:01/0000:01:00.0";
	char buf[PATH_MAX], *heap;
	int dir = open("/sys/bus/pci/devices", O_RDONLY);

	(void)state;
	assert_string_equal(realpath(DEV0, buf), want);
	assert_string_equal(__realpath_chk(DEV0, buf, sizeof(buf)), want);
	heap = realpath(DEV0, NULL);
	assert_string_equal(heap, want);
	free(heap);
	heap = canonicalize_file_name(DEV0);
	assert_string_equal(heap, want);
	free(heap);
	assert_string_equal(realpath("/dev/null", buf), "/dev/null");
	assert_int_equal(readlink(DEV0, buf, 5), 5);
	assert_int_equal(__readlink_chk(DEV0, buf, 5, PATH_MAX), 5);
	assert_int_equal(readlinkat(dir, "0000:01:00.0", buf, 5), 5);
	assert_int_equal(__readlinkat_chk(-1, DEV0, buf, 5, PATH_MAX), 5);
	assert_int_equal(faccessat(-1, DEV0, F_OK, 0), 0);
	assert_int_equal(euidaccess(DEV0, F_OK), 0);
	assert_int_equal(eaccess(CDEV0, R_OK | W_OK), 0);
	close(dir);
}

static void the_programs_own_interface_reaches_the_devices(void **state)
{
	struct softvfio_lost lost[2];
	struct softvfio_counters c;
	uint8_t buf[5000];

	(void)state;
	assert_int_equal(softvfio_nr_devices(), 3);
	assert_int_equal(softvfio_truth_check(lost, 2), 0);
	assert_int_equal(softvfio_dma_write("nic 0", 0, buf, 1), 0);
	assert_int_equal(softvfio_dma_write("mdev0", 0, buf, 1), 0);
	assert_int_equal(softvfio_dma_write("mdev0", 0, buf, 1), 0);
	assert_int_equal(softvfio_dma_write("nobody", 0, buf, 1), -ENODEV);
	assert_int_equal(softvfio_truth_check(lost, 2), 3);
	assert_string_equal(lost[0].writer, "nic 0");
	assert_string_equal(lost[1].writer, "mdev0");
	assert_int_equal(lost[1].len, 4096);
	assert_int_equal(softvfio_device_counters("mdev0", &c), 0);
	assert_int_equal(c.dma_writes, 3);
	assert_int_equal(c.violations, 9);
	assert_int_equal(c.backlog_dropped, 7);
	assert_int_equal(softvfio_device_counters("", &c), -ENODEV);
	/* Cut at 4 KiB: 8, 4096, 896. */
	assert_int_equal(softvfio_dma_read("nic 0", 4088, buf, 5000), 0);
	assert_int_equal(buf[7], 8);
	assert_int_equal(buf[8], 4096 & 0xff);
	assert_int_equal(buf[4999], 896 & 0xff);
	assert_int_equal(softvfio_dma_read("nic 0", 1ull << 32, buf, 1),
			 -EFAULT);
	assert_int_equal(softvfio_fail_state("nic 0", 0, EIO, 1), 0);
	assert_int_equal(double_forced_errors(), 1);
	assert_int_equal(softvfio_fail_state("nic 0", 0, EIO, 0), -EINVAL);
	assert_int_equal(softvfio_fail_state("nobody", 1, EIO, 0), -ENODEV);
	assert_int_equal(softvfio_fail_report("nic 0", 1), 0);
	assert_int_equal(softvfio_fail_report("nobody", 1), -ENODEV);
	assert_null(softvfio_next_note());
	assert_int_equal(softvfio_write_stats(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, nothing_live)
	const struct CMUnitTest tests[] = {
		TEST(each_node_opens_what_it_names),
		TEST(every_spelling_of_open_reaches_the_device),
		TEST(what_is_not_there_is_not_there),
		TEST(open_files_have_the_flags_they_were_opened_with),
		TEST(ioctls_answer_as_the_kernel),
		TEST(positioned_reads_and_writes_reach_the_file),
		TEST(streams_have_no_position),
		TEST(bad_buffers_are_errors),
		TEST(kernel_side_copies_are_refused),
		TEST(duplicates_share_the_file),
		TEST(close_range_releases_what_it_closes),
		TEST(placeholders_poll_ready_and_refuse_epoll),
		TEST(bars_are_mapped_and_remembered),
		TEST(every_stat_says_what_sysfs_says),
		TEST(other_nodes_have_numbers_of_their_own),
		TEST(sysfs_says_what_discovery_asks),
		TEST(directories_list_our_devices),
		TEST(paths_never_show_where_the_tree_is),
		TEST(the_programs_own_interface_reaches_the_devices),
	};
#undef TEST

	setenv("SOFTVFIO_CONFIG",
	       "device name=nic%200 model=nic group=7 log=1\n"
	       "device name=mdev0 model=mdev emulated=1 "
	       "address=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\n"
	       "device name=raw model=plain index=9 noiommu=1",
	       1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
