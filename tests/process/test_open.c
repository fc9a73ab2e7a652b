/* SPDX-License-Identifier: MIT */
/* Opening: choice of the kind, and what is left without privileges. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <spoor/error.h>

#include "tests/process/guest.h"
#include "track/process.h"

#define IOVA   UINT64_C(0x100000000)
#define NOBODY 65534

static void unknown_modes_are_refused(void **state)
{
	struct spoor_tracker *t = NULL;
	struct spoor_memory *m = NULL;

	(void)state;
	assert_int_equal(spoor_memory_new(&m), 0);
	assert_int_equal(
		spoor_tracker_open_process(&t, m, (enum spoor_process_mode)7),
		-EOPNOTSUPP);
	assert_null(t);
	assert_non_null(strstr(spoor_errmsg(), "mode 7"));
	spoor_memory_free(m);
}

static void auto_is_async_where_the_kernel_has_it(void **state)
{
	struct spoor_tracker *t = NULL, *async = NULL;
	struct spoor_memory *m = NULL;
	struct spoor_tracker_caps caps;
	int ret;

	(void)state;
	assert_int_equal(spoor_memory_new(&m), 0);
	assert_int_equal(spoor_tracker_open_process(&t, m, SPOOR_PROCESS_AUTO),
			 0);
	ret = spoor_tracker_open_process(&async, m, SPOOR_PROCESS_ASYNC);
	assert_true(ret == 0 || ret == -EOPNOTSUPP);
	assert_ptr_equal(((struct process_tracker *)t)->kind,
			 ret ? &spoor_process_sync : &spoor_process_async);

	t->ops->caps(t, &caps);
	assert_int_equal(caps.kind, SPOOR_TRACKER_PROCESS);
	assert_int_equal(caps.page_sizes, sysconf(_SC_PAGESIZE));
	assert_int_equal(caps.flags, SPOOR_TRACKER_EXACT);
	spoor_tracker_free(async);
	spoor_tracker_free(t);
	spoor_memory_free(m);
}

static void tracks_without_privileges(void **state)
{
	struct guest g;
	ssize_t got;
	int zero;

	(void)state;
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_true(zero >= 0);
	guest_open(&g, IOVA, 65);
	guest_start(&g);
	*(volatile char *)(g.hva + 3 * PAGE) = 1;
	assert_int_equal(guest_collect(&g), 1);
	assert_true(guest_is_dirty(&g, 3));

	/* The kernel's own copies: seen, or refused; never unseen. */
	got = read(zero, g.hva + 64 * PAGE, 8);
	if (flavour->mode == SPOOR_PROCESS_ASYNC)
		assert_int_equal(got, 8);
	assert_int_equal(guest_collect(&g), got == 8);
	guest_close(&g);
	close(zero);
}

static int drop_privileges(void)
{
	if (!getuid() && (setresgid(NOBODY, NOBODY, NOBODY) ||
			  setresuid(NOBODY, NOBODY, NOBODY)))
		return -1;
	/* Or /proc/self belongs to root. */
	return prctl(PR_SET_DUMPABLE, 1);
}

int main(void)
{
	const struct CMUnitTest opening[] = {
		cmocka_unit_test(unknown_modes_are_refused),
		cmocka_unit_test(auto_is_async_where_the_kernel_has_it),
	};
	const struct CMUnitTest unprivileged[] = {
		cmocka_unit_test(tracks_without_privileges),
	};
	struct spoor_tracker *t = NULL;
	struct spoor_memory *m = NULL;
	int ret;

	if (spoor_memory_new(&m))
		return 1;
	ret = spoor_tracker_open_process(&t, m, SPOOR_PROCESS_AUTO);
	spoor_tracker_free(t);
	spoor_memory_free(m);
	if (ret) {
		printf("SKIP: %s\n", spoor_errmsg());
		return 77;
	}
	ret = cmocka_run_group_tests(opening, NULL, NULL);
	/* The last thing this process does: there is no way back. */
	if (drop_privileges())
		return 1;
	return ret | run_flavours(unprivileged, 1);
}
