/* SPDX-License-Identifier: MIT */
/* softvfio: programs on software devices, and what became of their writes. */
#include <string.h>

#include "verbs.h"

int usage(FILE *out, int code)
{
	fputs("Usage: softvfio run MACHINE [OPTIONS] -- PROGRAM "
	      "[ARGUMENTS...]\n"
	      "       softvfio verify [--json] SOURCE-STATS "
	      "DESTINATION-STATS\n\n"
	      "run: a program with the machine file's software devices as its "
	      "/dev/vfio and\n"
	      "/dev/iommu.\n"
	      "  --fd N=NAME          it finds descriptor N open: a device's "
	      "name, \"iommu\",\n"
	      "                       or a path\n"
	      "  --fault DEVICE:WHAT  plants a bug: \"dma-in-stop\", "
	      "\"log-report=3\", ...\n"
	      "  SOFTVFIO_KERNEL      whose answers: 6.1, 6.12 or latest\n"
	      "  SOFTVFIO_STATS       file for the counters, %p is the "
	      "process\n\n"
	      "verify: did all that devices wrote arrive?  Of the two sides' "
	      "counters.\n",
	      out);
	return code;
}

int main(int argc, char **argv)
{
	/* Of what may stand before "--", nothing else begins with "-h". */
	for (int i = 1; i < argc && i < 3; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return usage(stdout, 0);
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("softvfio " SPOOR_VERSION);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "run"))
		return verb_run(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "verify"))
		return verb_verify(argc, argv);
	return usage(stderr, EXIT_BAD);
}
