/* SPDX-License-Identifier: MIT */
/*
 * spoor help: the manual page of a verb, its options where there is no man.
 */
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"

extern char **environ;

/* A build tree has its pages beside the command; false: none there. */
static bool built_page(const char *page, char *buf, size_t len)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	int l;

	self[n < 0 ? 0 : n] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	l = snprintf(buf, len, "%.*s/man/%s.1", (int)(slash - self), self,
		     page);
	return l > 0 && (size_t)l < len && !access(buf, R_OK);
}

/* What man complains of is not shown: it is answered by the options. */
static bool show_page(const char *page)
{
	char file[PATH_MAX], *args[4] = { (char *)"man" };
	posix_spawn_file_actions_t fa;
	int r, status = 0;
	pid_t pid;

	if (built_page(page, file, sizeof(file))) {
		args[1] = (char *)"-l";
		args[2] = file;
	} else {
		args[1] = (char *)page;
	}
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, STDERR_FILENO, "/dev/null",
					 O_WRONLY, 0);
	r = posix_spawnp(&pid, "man", &fa, NULL, args, environ);
	posix_spawn_file_actions_destroy(&fa);
	return !r && waitpid(pid, &status, 0) == pid && !status;
}

int cmd_help(const struct opts *o)
{
	const struct cmd_verb *v;
	char page[80];

	if (o->completion) {
		opts_completion(stdout);
		return EXIT_DONE;
	}
	v = cmd_find(o->args[0]);
	if (!v || !v->summary) {
		fprintf(stderr, "spoor: %s: no such verb\n", o->args[0]);
		return EXIT_USAGE;
	}
	snprintf(page, sizeof(page), "spoor-%s", v->name);
	if (!isatty(STDOUT_FILENO) || !v->run || !show_page(page))
		cmd_usage(v);
	return EXIT_DONE;
}
