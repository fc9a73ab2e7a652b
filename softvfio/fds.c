/* SPDX-License-Identifier: MIT */
/*
 * SOFTVFIO_FDS: descriptors that the program finds open, as it would if
 * whoever started it had opened them: "20=nic0 21=iommu 22=/dev/vfio/3".
 *
 * They are this process's alone: the variable goes, and they are closed when
 * it executes another program, which could do nothing with them.
 *
 * Invariant: all of them are there, or the program does not begin.
 * Threads: before main().
 */
#include "softvfio/interpose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softvfio/config.h"
#include "softvfio/device.h"

#define BLANKS	    " \t\n"
/* Opening has made the tree, and nobody else removes it. */
#define refuse(...) (sv_tree_remove(), sv_die("SOFTVFIO_FDS: " __VA_ARGS__))

/* What a name stands for; NULL: nothing. */
static const char *path_of(const char *name, char *buf, size_t len)
{
	struct sv_device *dev;

	if (name[0] == '/')
		return name;
	dev = sv_device_by_name(name);
	if (dev)
		snprintf(buf, len, "/dev/vfio/devices/vfio%u",
			 dev->config->index);
	else
		snprintf(buf, len, "/dev/iommu");
	return dev || !strcmp(name, "iommu") ? buf : NULL;
}

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && n <= INT_MAX ? (int)n
								     : -1;
}

/* @fd, which was opened where there was room, becomes @want. */
static void move(int fd, int want, const char *name)
{
	if (fd == want)
		return;
	if (dup3(fd, want, O_CLOEXEC) < 0)
		refuse("%d=%s: %s", want, name,
		       errno == EBADF ? "above the limit of open files"
				      : strerror(errno));
	close(fd);
}

static bool is_device(int fd)
{
	struct sv_file *f = sv_file_get(fd);

	if (f)
		sv_file_put(f);
	return f != NULL;
}

static void open_one(char *word)
{
	char *name = strchr(word, '='), buf[64];
	const char *path;
	int want, fd;

	if (!name)
		refuse("\"%s\" is not NUMBER=NAME", word);
	*name++ = '\0';
	want = number(word);
	if (want < 0)
		refuse("%s=%s: \"%s\" is not a number", word, name, word);
	path = path_of(name, buf, sizeof(buf));
	if (!path)
		refuse("%d=%s: neither a device, nor \"iommu\", "
		       "nor a path",
		       want, name);
	if (REAL(fcntl)(want, F_GETFD) >= 0)
		refuse("%d=%s: %d is open already", want, name, want);
	fd = sv_open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		refuse("%d=%s: %s: %s", want, name, path, strerror(errno));
	if (!is_device(fd))
		refuse("%d=%s: %s is no device of softvfio's", want, name,
		       path);
	move(fd, want, name);
}

void sv_fds_open(void)
{
	const char *text = secure_getenv("SOFTVFIO_FDS");
	char *words, *save = NULL;

	if (!text || !*text)
		return;
	words = strdup(text);
	if (!words)
		refuse("out of memory");
	unsetenv("SOFTVFIO_FDS");
	for (char *w = strtok_r(words, BLANKS, &save); w;
	     w = strtok_r(NULL, BLANKS, &save))
		open_one(w);
	free(words);
}
