/* SPDX-License-Identifier: MIT */
/*
 * A program that knows nothing of softvfio, for runs under LD_PRELOAD: opens
 * argv[2], makes the ioctl argv[3] (hex), prints the answer, and ends as
 * argv[1] says.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd;

	if (argc < 4)
		return 64;
	fd = open(argv[2], O_RDWR);
	if (fd < 0)
		perror(argv[2]);
	printf("%d\n", ioctl(fd, strtoul(argv[3], NULL, 16)));
	fflush(stdout);
	if (!strcmp(argv[1], "_exit"))
		_exit(0);
	if (!strcmp(argv[1], "kill"))
		raise(SIGKILL);
	if (!strcmp(argv[1], "exec")) {
		argv[1] = (char *)"exit";
		execv("/proc/self/exe", argv);
		return 65;
	}
	return 0;
}
