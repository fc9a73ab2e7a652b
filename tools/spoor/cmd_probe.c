/* SPDX-License-Identifier: MIT */
/*
 * spoor probe: what tracks and migrates each device.
 *
 * Without a device, every device that is bound to VFIO.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <spoor/device.h>

#include "child.h"
#include "cmd.h"
#include "session.h"

#define CDEVS "/dev/vfio/devices"

static bool finished(const struct session *s)
{
	return s->source.done || s->source.failed || !s->source.open;
}

/* One machine's devices, all or one; 0 or an exit code. */
static int probe(const struct opts *o, const char *machine,
		 struct machine_file *mf, const char *only)
{
	struct session s;
	const char *error;
	int r = session_open(&s, o, mf);

	/* One device of a machine: the others are probed and not shown. */
	s.only = only;
	if (!r)
		r = side_spawn(&s.source, "source", "machine-probe", o, machine,
			       mf, s.stamps_fd, 0);
	if (!r)
		session_wait(&s, finished, UINT64_MAX, true);
	if (!r && s.source.failed) {
		error = json_string_value(
			json_object_get(s.source.failed, "error"));
		r = (int)json_integer_value(
			json_object_get(s.source.failed, "exit"));
		output_complain("%s: %s", machine, error);
	} else if (!r && !s.source.done) {
		r = s.interrupts ? EXIT_INTERRUPTED : EXIT_FAILED;
	}
	session_close(&s);
	return r;
}

static int probe_machine(const struct opts *o, const char *text)
{
	struct machine_file *mf = NULL;
	const char *hash = strrchr(text, '#');
	char path[PATH_MAX];
	bool found = !hash;
	int r;

	snprintf(path, sizeof(path), "%.*s",
		 hash ? (int)(hash - text) : (int)strlen(text), text);
	r = cmd_load(&mf, path, o, false);
	for (size_t i = 0; !r && !found && i < mf->nr_devices; i++)
		found = !strcmp(mf->devices[i].name, hash + 1);
	if (!r && !found) {
		output_complain("%s: no device \"%s\"", path, hash + 1);
		r = EXIT_USAGE;
	}
	if (!r)
		r = cmd_fits(mf, 1);
	if (!r)
		r = probe(o, path, mf, hash ? hash + 1 : NULL);
	machine_file_free(mf);
	return r;
}

static int probe_hardware(const struct opts *o, const char *spec)
{
	struct machine_file *mf = NULL;
	char machine[160];
	int r;

	if (machine_file_for_device(&mf, spec))
		return EXIT_FAILED;
	snprintf(machine, sizeof(machine), CHILD_DEVICE "%s", spec);
	r = probe(o, machine, mf, NULL);
	machine_file_free(mf);
	return r;
}

static bool is_pci_address(const char *t)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	size_t d = strspn(t, hex);

	return d >= 4 && d <= 8 && t[d] == ':' && strspn(t + d + 1, hex) == 2 &&
	       t[d + 3] == ':' && strspn(t + d + 4, hex) == 2 &&
	       t[d + 6] == '.' && strspn(t + d + 7, "01234567") == 1 &&
	       !t[d + 8];
}

/* Could it name a device here, were there one?  A directory is sysfs's. */
static bool names_device(const char *text)
{
	struct stat st;

	return is_pci_address(text) ||
	       !strncmp(text, CDEVS "/vfio", strlen(CDEVS "/vfio")) ||
	       (text[0] == '/' && !stat(text, &st) && S_ISDIR(st.st_mode));
}

static bool is_machine(const char *text)
{
	return strstr(text, ".json") != NULL;
}

static int probe_one(const struct opts *o, const char *text)
{
	if (!strncmp(text, "vfio-user:", 10)) {
		output_complain("%s: vfio-user devices are not in this "
				"version",
				text);
		return EXIT_USAGE;
	}
	if (is_machine(text))
		return probe_machine(o, text);
	if (!names_device(text)) {
		output_complain(
			"%s: must be a PCI address as 0000:03:00.0, " CDEVS
			"/vfioN, MACHINE.json or "
			"MACHINE.json#NAME",
			text);
		return EXIT_USAGE;
	}
	if (access("/dev/vfio", F_OK)) {
		output_complain("%s: this machine has no VFIO: there "
				"is no /dev/vfio",
				text);
		return EXIT_MISSING;
	}
	return probe_hardware(o, text);
}

/* Every device in @path that @take has a name for; the worst exit code. */
static int probe_dir(const struct opts *o, const char *path,
		     bool (*take)(const char *path, const char *entry,
				  char *ret_spec, size_t len),
		     size_t *nr)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int worst = 0;

	while (dir && (e = readdir(dir))) {
		char spec[300];
		int r;

		if (e->d_name[0] == '.' ||
		    !take(path, e->d_name, spec, sizeof(spec)))
			continue;
		r = probe_hardware(o, spec);
		if (r)
			worst = r;
		(*nr)++;
	}
	if (dir)
		closedir(dir);
	return worst;
}

static bool take_cdev(const char *path, const char *entry, char *ret_spec,
		      size_t len)
{
	snprintf(ret_spec, len, "%s/%s", path, entry);
	return true;
}

/* Bridges of a group have drivers of their own, or none. */
static bool take_vfio_device(const char *path, const char *entry,
			     char *ret_spec, size_t len)
{
	struct spoor_device *dev = NULL;

	(void)path;
	snprintf(ret_spec, len, "%s", entry);
	if (spoor_device_open(&dev, ret_spec, NULL))
		return false;
	dev = spoor_device_free(dev);
	return true;
}

/* Without cdevs (before 6.6) a device is found through its group. */
static int probe_groups(const struct opts *o, size_t *nr)
{
	DIR *dir = opendir("/dev/vfio");
	struct dirent *e;
	int worst = 0;

	while (dir && (e = readdir(dir))) {
		char path[PATH_MAX];
		int r;

		snprintf(path, sizeof(path),
			 "/sys/kernel/iommu_groups/%s/devices", e->d_name);
		if (strspn(e->d_name, "0123456789") != strlen(e->d_name))
			continue;
		r = probe_dir(o, path, take_vfio_device, nr);
		if (r)
			worst = r;
	}
	if (dir)
		closedir(dir);
	return worst;
}

static int probe_all(const struct opts *o)
{
	size_t nr = 0;
	int worst = probe_dir(o, CDEVS, take_cdev, &nr);

	if (!nr)
		worst = probe_groups(o, &nr);
	if (nr)
		return worst;
	output_complain("this machine has no VFIO devices: %s",
			access("/dev/vfio", F_OK)
				? "there is no /dev/vfio"
				: "/dev/vfio has neither devices nor groups");
	return EXIT_MISSING;
}

int cmd_probe(const struct opts *o)
{
	int worst = 0;

	if (!o->nr_args)
		return probe_all(o);
	for (size_t i = 0; i < o->nr_args; i++) {
		int r = probe_one(o, o->args[i]);

		if (r && (!worst || r != EXIT_MISSING))
			worst = r;
	}
	return worst;
}
