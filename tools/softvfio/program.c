/* SPDX-License-Identifier: MIT */
/*
 * A program is interposed on by its dynamic loader: without one (no
 * PT_INTERP), or with another machine's, it would run as if we were not there
 * and talk to the real kernel.  Scripts run by their interpreter.  The loader
 * may be what is run: then it is about the program that it is given.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "elf_file.h"
#include "loader.h"
#include "program.h"

/* Scripts may be run by scripts, but not for ever. */
#define MAX_SCRIPTS 4

static int usable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK))
		return -EACCES;
	return 0;
}

int program_find(const char *name, char *ret, size_t len)
{
	const char *path = getenv("PATH");
	int worst = -ENOENT;

	if (strchr(name, '/')) {
		snprintf(ret, len, "%s", name);
		return usable(name);
	}
	for (path = path ? path : "/bin:/usr/bin"; *path;) {
		size_t n = strcspn(path, ":");
		int l = snprintf(ret, len, "%.*s%s%s", (int)n, path,
				 n ? "/" : "", name);
		int r = l > 0 && (size_t)l < len ? usable(ret) : -ENOENT;

		if (!r)
			return 0;
		if (r == -EACCES)
			worst = r;
		path += n + (path[n] == ':');
	}
	return worst;
}

/* "#! /bin/sh -e": the interpreter's path; false: no script. */
static bool script(const char *head, char *ret, size_t len)
{
	size_t n;

	if (strncmp(head, "#!", 2) != 0)
		return false;
	head += 2;
	head += strspn(head, " \t");
	n = strcspn(head, " \t\n");
	snprintf(ret, len, "%.*s", (int)n, head);
	return n > 0;
}

/* Then the loader takes no libraries from whoever starts it. */
static bool gains_privileges(int fd)
{
	struct stat st;

	if (fgetxattr(fd, "security.capability", NULL, 0) >= 0)
		return true;
	if (fstat(fd, &st))
		return false;
	return (st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
	       (st.st_mode & S_ISGID && st.st_gid != getegid());
}

struct verdict {
	const char *why; /* not; NULL: it can */
	bool loader;
	char next[PATH_MAX]; /* a script's interpreter */
};

static void judge(const char *path, struct verdict *v)
{
	union {
		Elf64_Ehdr elf;
		char text[256];
	} head = { .text = "" };
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*v = (struct verdict){ .why = NULL };
	if (fd < 0) {
		v->why = "it cannot be read";
		return;
	}
	n = pread(fd, head.text, sizeof(head.text) - 1, 0);
	if (gains_privileges(fd))
		v->why = "it changes its user or has capabilities of its own, "
			 "so the loader ignores libraries that are put before "
			 "its own";
	else if (n > 2 && script(head.text, v->next, sizeof(v->next)))
		v->why = NULL;
	else if (n < (ssize_t)sizeof(head.elf) ||
		 memcmp(head.elf.e_ident, ELFMAG, SELFMAG) != 0)
		v->why = "it is neither an ELF program nor a script";
	else if (head.elf.e_ident[EI_CLASS] != ELFCLASS64)
		v->why = "it is a 32-bit program";
	else if (elf_is_loader(fd, &head.elf))
		v->loader = true;
	else if (!elf_has_interpreter(fd, &head.elf))
		v->why = "it is statically linked: nothing can be put before "
			 "its system calls";
	close(fd);
}

/* What a loader is told to run; it runs no scripts, and no other loader. */
static const char *judge_loaded(char *const *argv)
{
	static char text[PATH_MAX + 128];
	char path[PATH_MAX];
	const char *why = loader_program(argv, path, sizeof(path));
	struct verdict v;

	if (why)
		return why;
	judge(path, &v);
	if (!v.why && (v.next[0] || v.loader))
		v.why = "it is no program";
	if (!v.why)
		return NULL;
	snprintf(text, sizeof(text), "of what it loads, %s: %s", path, v.why);
	return text;
}

const char *program_why_not_preload(const char *path, char *const *argv)
{
	char at[PATH_MAX];
	struct verdict v;

	snprintf(at, sizeof(at), "%s", path);
	for (int i = 0; i < MAX_SCRIPTS; i++) {
		judge(at, &v);
		if (v.loader && !i)
			return judge_loaded(argv);
		if (v.loader)
			return "its interpreter is a loader";
		if (v.why || !v.next[0])
			return v.why;
		memcpy(at, v.next, sizeof(at));
	}
	return "its interpreters never end";
}
