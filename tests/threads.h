/* SPDX-License-Identifier: MIT */
/*
 * How many threads a process has.  One that was joined is listed until the
 * kernel is done with it, but says by then that it ends (PF_EXITING in the
 * flags of proc(5)'s stat).
 */
#ifndef SPOOR_TESTS_THREADS_H
#define SPOOR_TESTS_THREADS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static inline bool thread_lives(const char *tid)
{
	char path[64], stat[512] = "";
	unsigned int flags = 0;
	const char *rest;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(stat, sizeof(stat), f))
		stat[0] = '\0';
	fclose(f);
	/* The name before it may hold anything. */
	rest = strrchr(stat, ')');
	if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
		return false;
	return !(flags & 0x4);
}

static inline unsigned int threads_alive(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;
	unsigned int nr = 0;

	while (dir && (e = readdir(dir)))
		nr += e->d_name[0] != '.' && thread_lives(e->d_name);
	if (dir)
		closedir(dir);
	return nr;
}

#endif /* SPOOR_TESTS_THREADS_H */
