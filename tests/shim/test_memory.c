/* SPDX-License-Identifier: MIT */
/*
 * A program's pointers, good and bad; second mappings of its memory; the list
 * of BAR mappings; planned failures and notes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "softvfio/config.h"
#include "softvfio/device.h"
#include "softvfio/file.h"
#include "softvfio/inject.h"
#include "softvfio/shim.h"

/* Its runtime maps memory of its own wherever there is room. */
#ifdef __SANITIZE_THREAD__
#define HOLES_ARE_OURS false
#else
#define HOLES_ARE_OURS true
#endif

#define PAGE 4096ul

static uint8_t *map(size_t pages, int prot, int flags)
{
	void *p = mmap(NULL, pages * PAGE, prot, flags | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static uint8_t *map_shared(size_t pages)
{
	return map(pages, PROT_READ | PROT_WRITE, MAP_SHARED);
}

/* Pages rw, rw, read-only, rw, PROT_NONE, rw, hole, rw, hole. */
static uint8_t *checkered(int flags)
{
	uint8_t *p = map(9, PROT_READ | PROT_WRITE, flags);

	assert_int_equal(munmap(p + 8 * PAGE, PAGE), 0);
	assert_int_equal(mprotect(p + 2 * PAGE, PAGE, PROT_READ), 0);
	assert_int_equal(mprotect(p + 4 * PAGE, PAGE, PROT_NONE), 0);
	assert_int_equal(munmap(p + 6 * PAGE, PAGE), 0);
	return p;
}

/* Without mremap(va, 0, ...), under valgrind, nothing can be mapped twice. */
static bool can_alias(void)
{
	uint8_t *p = map_shared(1);
	void *again = mremap(p, 0, PAGE, MREMAP_MAYMOVE);

	munmap(p, PAGE);
	if (again == MAP_FAILED) {
		print_message("skipped: memory cannot be mapped twice here\n");
		return false;
	}
	munmap(again, PAGE);
	return true;
}

static void copies_answer_efault_for_bad_pointers(void **state)
{
	uint8_t *p = checkered(MAP_PRIVATE);
	uint8_t buf[3 * PAGE];

	(void)state;
	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(sv_copy_out(p + 10, buf, 2 * PAGE - 10), 0);
	assert_int_equal(p[2 * PAGE - 1], 0x5a);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(sv_copy_in(buf, p, 3 * PAGE), 0);
	assert_int_equal(buf[2 * PAGE - 1], 0x5a);
	assert_int_equal(sv_copy_out(p + PAGE, buf, 2 * PAGE), -EFAULT);
	assert_int_equal(sv_copy_out(p + 2 * PAGE, buf, 1), -EFAULT);
	assert_int_equal(sv_copy_in(buf, p + 4 * PAGE, 1), -EFAULT);
	assert_int_equal(sv_copy_in(buf, p + 6 * PAGE - 1, 2), -EFAULT);
	assert_int_equal(sv_copy_in(buf, NULL, 1), -EFAULT);
	assert_int_equal(sv_copy_in(buf, (void *)-1, 1), -EFAULT);
	assert_int_equal(sv_copy_in(buf, NULL, 0), 0);
	munmap(p, 8 * PAGE);
}

static void aliases_are_the_same_pages_elsewhere(void **state)
{
	uint8_t *p = map_shared(4);
	int is_alias = 7;
	void *ret = NULL;
	uint8_t *a;

	(void)state;
	assert_int_equal(
		sv_alias_map(p + PAGE + 16, 2 * PAGE, true, &ret, &is_alias),
		0);
	a = ret;
	assert_int_equal(is_alias, 1);
	assert_ptr_not_equal(a, p + PAGE + 16);
	assert_int_equal((uintptr_t)a % PAGE, 16);
	p[PAGE + 16] = 1;
	assert_int_equal(a[0], 1);
	a[2 * PAGE - 1] = 2;
	assert_int_equal(p[3 * PAGE + 15], 2);
	/* Like a pin, it outlives the program's own view. */
	munmap(p, 4 * PAGE);
	assert_int_equal(a[2 * PAGE - 1], 2);
	sv_alias_unmap(a, 2 * PAGE);
	assert_int_equal(sv_copy_in(&is_alias, a, 1), -EFAULT);
	assert_int_equal(sv_copy_in(&is_alias, a + 2 * PAGE - 1, 1), -EFAULT);
}

/* A guard page stays one: the kernel needs no address to pin. */
static void holes_of_the_program_stay_holes(void **state)
{
	uint8_t *p = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	uint8_t *shared = map_shared(1);
	int is_alias[8];
	void *a[8];
	char byte;

	(void)state;
	if (!HOLES_ARE_OURS)
		skip();
	munmap(p + PAGE, PAGE);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(
			sv_alias_map(shared, PAGE, true, &a[i], &is_alias[i]),
			0);
	assert_int_equal(sv_copy_in(&byte, p + PAGE, 1), -EFAULT);
	for (unsigned int i = 0; i < 8; i++) {
		if (is_alias[i])
			sv_alias_unmap(a[i], PAGE);
	}
	munmap(shared, PAGE);
	munmap(p, 3 * PAGE);
}

/* Two files side by side, the second from its third page on. */
static void aliases_span_mappings_of_several_files(void **state)
{
	int one = memfd_create("one", MFD_CLOEXEC);
	int two = memfd_create("two", MFD_CLOEXEC);
	uint8_t *p = map_shared(6);
	int is_alias = 0;
	void *ret = NULL;
	uint8_t *a;

	(void)state;
	assert_int_equal(ftruncate(one, 8 * PAGE), 0);
	assert_int_equal(ftruncate(two, 8 * PAGE), 0);
	assert_ptr_equal(mmap(p, 2 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, one, 0),
			 p);
	assert_ptr_equal(mmap(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, two, 2 * PAGE),
			 p + 2 * PAGE);
	for (unsigned int i = 0; i < 6; i++)
		p[i * PAGE] = (uint8_t)(i + 1);
	assert_int_equal(sv_alias_map(p, 6 * PAGE, true, &ret, &is_alias), 0);
	a = ret;
	assert_int_equal(is_alias, 1);
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(a[i * PAGE], i + 1);
		a[i * PAGE + 1] = (uint8_t)(i + 100);
		assert_int_equal(p[i * PAGE + 1], i + 100);
	}
	sv_alias_unmap(a, 6 * PAGE);
	munmap(p, 6 * PAGE);
	close(one);
	close(two);
}

static void private_memory_is_its_own_alias(void **state)
{
	uint8_t *p = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int is_alias = 1;
	void *a = NULL;

	(void)state;
	assert_int_equal(sv_alias_map(p + 8, 2 * PAGE, true, &a, &is_alias), 0);
	assert_int_equal(is_alias, 0);
	assert_ptr_equal(a, p + 8);
	/* Half shared, half private: there is no second view of the whole. */
	assert_ptr_equal(mmap(p, PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 p);
	is_alias = 1;
	assert_int_equal(sv_alias_map(p, 2 * PAGE, true, &a, &is_alias), 0);
	assert_int_equal(is_alias, 0);
	assert_ptr_equal(a, p);
	munmap(p, 4 * PAGE);
}

static void check_refusals(uint8_t *p)
{
	int is_alias = 7;
	void *a = (void *)1;

	assert_int_equal(sv_alias_map(p, 3 * PAGE, true, &a, &is_alias),
			 -EFAULT);
	assert_int_equal(sv_alias_map(p + 4 * PAGE, PAGE, false, &a, &is_alias),
			 -EFAULT);
	assert_int_equal(
		sv_alias_map(p + 3 * PAGE, 2 * PAGE, false, &a, &is_alias),
		-EFAULT);
	assert_int_equal(sv_alias_map(p + 6 * PAGE, 1, false, &a, &is_alias),
			 -EFAULT);
	assert_int_equal(sv_alias_map(p + 6 * PAGE - 1, 2, true, &a, &is_alias),
			 -EFAULT);
	/* Good at both ends. */
	assert_int_equal(
		sv_alias_map(p + 5 * PAGE, 3 * PAGE, true, &a, &is_alias),
		-EFAULT);
	assert_int_equal(
		sv_alias_map(p + 7 * PAGE, 2 * PAGE, true, &a, &is_alias),
		-EFAULT);
	assert_int_equal(sv_alias_map(NULL, PAGE, false, &a, &is_alias),
			 -EFAULT);
	assert_int_equal(
		sv_alias_map((void *)-PAGE, PAGE, false, &a, &is_alias),
		-EFAULT);
	assert_ptr_equal(a, (void *)1);
	assert_int_equal(is_alias, 7);
}

static void aliases_refuse_what_the_program_may_not_do(void **state)
{
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *p = checkered(flags[i]);

		check_refusals(p);
		munmap(p, 8 * PAGE);
	}
}

static void read_only_aliases_cannot_be_written(void **state)
{
	uint8_t *p = map_shared(2);
	int is_alias = 0;
	void *a = NULL;

	(void)state;
	assert_int_equal(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	assert_int_equal(sv_alias_map(p, 2 * PAGE, false, &a, &is_alias), 0);
	assert_int_equal(is_alias, 1);
	p[5] = 9;
	assert_int_equal(((uint8_t *)a)[5], 9);
	assert_int_equal(sv_copy_out(a, "x", 1), -EFAULT);
	sv_alias_unmap(a, 2 * PAGE);
	munmap(p, 2 * PAGE);
}

/* Mapped, but the file is shorter: touching it would be SIGBUS. */
static void aliases_refuse_pages_past_the_end_of_the_file(void **state)
{
	int fd = memfd_create("short", MFD_CLOEXEC), is_alias = 0;
	uint8_t *p;
	void *a = NULL;

	(void)state;
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(sv_alias_map(p, 3 * PAGE, true, &a, &is_alias),
			 -EFAULT);
	assert_int_equal(sv_alias_map(p, 2 * PAGE, true, &a, &is_alias), 0);
	sv_alias_unmap(a, 2 * PAGE);
	munmap(p, 4 * PAGE);
	close(fd);
}

/*
 * A page is write-protected in the program's view, with nobody to resolve the
 * fault: a write through the alias must neither stop nor lift the protection.
 */
static void userfaultfd_does_not_see_the_alias(void **state)
{
	int uffd = (int)syscall(SYS_userfaultfd,
				O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
	uint8_t *p = map_shared(2), *a;
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)p, .len = 2 * PAGE },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = reg.range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct uffd_msg msg;
	int is_alias = 0;
	void *ret = NULL;

	(void)state;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
		print_message("no userfaultfd-WP on shared memory here\n");
		munmap(p, 2 * PAGE);
		if (uffd >= 0)
			close(uffd);
		return;
	}
	memset(p, 1, 2 * PAGE);
	assert_int_equal(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	assert_int_equal(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), 0);
	assert_int_equal(sv_alias_map(p, 2 * PAGE, true, &ret, &is_alias), 0);
	assert_int_equal(is_alias, 1);
	a = ret;
	a[PAGE] = 42;
	assert_int_equal(p[PAGE], 42);
	assert_int_equal(read(uffd, &msg, sizeof(msg)), -1);
	assert_int_equal(errno, EAGAIN);
	/* Still protected: the kernel cannot write there for the program. */
	assert_int_equal(sv_copy_out(p + PAGE, "x", 1), -EFAULT);
	sv_alias_unmap(a, 2 * PAGE);
	munmap(p, 2 * PAGE);
	close(uffd);
}

static void check_bar(uint8_t *va, size_t len, int want, uint64_t offset)
{
	struct sv_bar_mapping m = { .offset = 99 };

	assert_int_equal(sv_find_bar_mapping(va, len, &m), want);
	assert_int_equal(m.offset, want ? 99 : offset);
}

static void bar_mappings_follow_unmap_and_remap(void **state)
{
	struct sv_bar_mapping bar = { .bar = 1, .offset = 0x1000 };
	uint8_t *p = map_shared(16), *q, *copy;

	(void)state;
	check_bar(p, 1, -ENOENT, 0);
	sv_note_bar_mapping(p, 8 * PAGE, &bar);
	check_bar(p, 8 * PAGE, 0, 0x1000);
	check_bar(p + 5 * PAGE + 3, PAGE, 0, 0x6003);
	check_bar(p + PAGE, 8 * PAGE, -ENOENT, 0);
	check_bar(p - 1, 2, -ENOENT, 0);
	/* A hole in the middle. */
	assert_int_equal(munmap(p + 2 * PAGE, 1), 0);
	check_bar(p, 2 * PAGE, 0, 0x1000);
	check_bar(p + 2 * PAGE, 1, -ENOENT, 0);
	check_bar(p + PAGE, 2 * PAGE, -ENOENT, 0);
	check_bar(p + 3 * PAGE, 5 * PAGE, 0, 0x4000);
	/* Something else over a part. */
	assert_ptr_equal(mmap(p, PAGE, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 p);
	check_bar(p, 1, -ENOENT, 0);
	check_bar(p + PAGE, PAGE, 0, 0x2000);
	/* Moved, and mapped twice. */
	q = mremap(p + 4 * PAGE, 2 * PAGE, 2 * PAGE,
		   MREMAP_MAYMOVE | MREMAP_FIXED, p + 12 * PAGE);
	assert_ptr_equal(q, p + 12 * PAGE);
	check_bar(p + 4 * PAGE, 1, -ENOENT, 0);
	check_bar(q, 2 * PAGE, 0, 0x5000);
	check_bar(p + 6 * PAGE, 2 * PAGE, 0, 0x7000);
	copy = mremap(q, 0, 2 * PAGE, MREMAP_MAYMOVE);
	if (copy != MAP_FAILED) {
		check_bar(copy, 2 * PAGE, 0, 0x5000);
		munmap(copy, 2 * PAGE);
	}
	check_bar(q, 2 * PAGE, 0, 0x5000);
	munmap(p, 16 * PAGE);
	check_bar(q, 1, -ENOENT, 0);
	check_bar(p + PAGE, 1, -ENOENT, 0);
	assert_int_equal(atomic_load(&sv_bar_map_count), 0);
}

static void planned_failures_happen_once_and_in_turn(void **state)
{
	struct sv_device *a = sv_device_by_name("a");
	struct sv_device *b = sv_device_by_name("b");
	bool to_error = true;

	(void)state;
	assert_int_equal(sv_inject_state(a, &to_error), 0);
	assert_false(to_error);
	sv_inject_set_state(a, 2, EIO, true);
	assert_int_equal(sv_inject_state(a, &to_error), 0);
	assert_int_equal(sv_inject_state(b, &to_error), 0);
	assert_int_equal(sv_inject_state(b, &to_error), 0);
	assert_int_equal(sv_inject_state(a, &to_error), EIO);
	assert_true(to_error);
	assert_int_equal(sv_inject_state(a, &to_error), 0);
	assert_false(to_error);
	assert_false(sv_inject_call(b, SV_CALL_LOG_REPORT));
	sv_inject_set_report(b, 3);
	assert_false(sv_inject_call(b, SV_CALL_LOG_REPORT));
	assert_false(sv_inject_call(b, SV_CALL_LOG_REPORT));
	assert_false(sv_inject_call(a, SV_CALL_LOG_REPORT));
	assert_true(sv_inject_call(b, SV_CALL_LOG_REPORT));
	assert_false(sv_inject_call(b, SV_CALL_LOG_REPORT));
	/* As the configuration has it. */
	assert_false(sv_inject_call(b, SV_CALL_STATE_READ));
	assert_false(sv_inject_call(a, SV_CALL_STATE_READ));
	assert_false(sv_inject_call(a, SV_CALL_STATE_READ));
	assert_true(sv_inject_call(b, SV_CALL_STATE_READ));
	assert_false(sv_inject_call(b, SV_CALL_STATE_READ));
}

static void notes_come_in_order_and_the_oldest_go(void **state)
{
	char text[32], *note;

	(void)state;
	assert_null(sv_note_pop());
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "note %d", i);
		sv_note_push(text);
	}
	for (int i = 300 - 256; i < 300; i++) {
		snprintf(text, sizeof(text), "note %d", i);
		note = sv_note_pop();
		assert_string_equal(note, text);
		free(note);
	}
	assert_null(sv_note_pop());
	sv_note_push("again");
	note = sv_note_pop();
	assert_string_equal(note, "again");
	free(note);
}

struct held {
	void (*lock)(void);
	void (*unlock)(void);
	atomic_bool holds;
};

static void *hold_a_while(void *arg)
{
	struct held *h = arg;

	h->lock();
	atomic_store(&h->holds, true);
	usleep(50000);
	h->unlock();
	return NULL;
}

/* A child must not inherit a lock whose holder it does not have. */
static void forks_wait_for_whoever_holds_a_lock(void **state)
{
	struct held locks[] = {
		{ .lock = sv_config_fork_lock,
		  .unlock = sv_config_fork_unlock },
		{ .lock = sv_tree_fork_lock, .unlock = sv_tree_fork_unlock },
		{ .lock = sv_fd_fork_lock, .unlock = sv_fd_fork_unlock },
		{ .lock = sv_bar_map_lock, .unlock = sv_bar_map_unlock },
	};

	(void)state;
	assert_non_null(sv_config());
	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		pthread_t thread;
		int status;
		pid_t pid;

		assert_int_equal(
			pthread_create(&thread, NULL, hold_a_while, &locks[i]),
			0);
		while (!atomic_load(&locks[i].holds))
			usleep(1000);
		pid = fork();
		if (pid == 0) {
			alarm(10);
			locks[i].lock();
			locks[i].unlock();
			/* Leak checkers would miss the thread. */
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		pthread_join(thread, NULL);
		if (status != SIGKILL)
			fail_msg("lock %zu: status %d", i, status);
	}
}

int main(void)
{
	const struct CMUnitTest aliases[] = {
		cmocka_unit_test(aliases_are_the_same_pages_elsewhere),
		cmocka_unit_test(holes_of_the_program_stay_holes),
		cmocka_unit_test(aliases_span_mappings_of_several_files),
		cmocka_unit_test(read_only_aliases_cannot_be_written),
		cmocka_unit_test(aliases_refuse_pages_past_the_end_of_the_file),
		cmocka_unit_test(userfaultfd_does_not_see_the_alias),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_answer_efault_for_bad_pointers),
		cmocka_unit_test(private_memory_is_its_own_alias),
		cmocka_unit_test(aliases_refuse_what_the_program_may_not_do),
		cmocka_unit_test(bar_mappings_follow_unmap_and_remap),
		cmocka_unit_test(planned_failures_happen_once_and_in_turn),
		cmocka_unit_test(notes_come_in_order_and_the_oldest_go),
		cmocka_unit_test(forks_wait_for_whoever_holds_a_lock),
	};
	int failed = 0;

	setenv("SOFTVFIO_CONFIG",
	       "device name=a model=nic\n"
	       "device name=b model=dsa fail_state_read=2",
	       1);
	if (can_alias())
		failed = cmocka_run_group_tests(aliases, NULL, NULL);
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
