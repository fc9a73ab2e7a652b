/* SPDX-License-Identifier: MIT */
/*
 * Discovery: from what a user names (a PCI address, a cdev, a directory of
 * sysfs) to address, cdev and IOMMU group.  Plain libc calls on documented
 * sysfs entries; nothing is opened that would claim the device.
 *
 * Threads: no state.
 */
#include "device/device_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define CDEV_DIR "/dev/vfio/devices/"
#define PCI_DIR	 "/sys/bus/pci/devices/"

/* "vfio12" and nothing else. */
static bool is_vfio_name(const char *s)
{
	if (strncmp(s, "vfio", 4) != 0 || !s[4])
		return false;
	for (s += 4; *s; s++)
		if (!isdigit((unsigned char)*s))
			return false;
	return true;
}

/* "0000:03:00.0": four or more hex digits of domain, then the fixed form. */
static bool is_pci_address(const char *s)
{
	size_t domain = strspn(s, "0123456789abcdefABCDEF");
	const char *p = s + domain;

	return domain >= 4 && domain <= 8 && p[0] == ':' &&
	       isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2]) &&
	       p[3] == ':' && isxdigit((unsigned char)p[4]) &&
	       isxdigit((unsigned char)p[5]) && p[6] == '.' && p[7] >= '0' &&
	       p[7] <= '7' && !p[8];
}

/* The last component of where a link points to; false if there is no link. */
static bool link_base(const char *path, char *ret, size_t len)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	if (n < 0)
		return false;
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	return *base && (size_t)snprintf(ret, len, "%s", base) < len;
}

/* The last component of where a path leads, through all links. */
static bool real_base(const char *path, char *ret, size_t len)
{
	char real[PATH_MAX];
	const char *slash;

	if (!realpath(path, real))
		return false;
	slash = strrchr(real, '/');
	return slash && slash[1] &&
	       (size_t)snprintf(ret, len, "%s", slash + 1) < len;
}

static bool first_line_is(const char *path, const char *text)
{
	char line[64] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return strcmp(line, text) == 0;
}

/* The device behind a cdev's name, where the class directory does not say. */
static bool scan_for_cdev(const char *vfio, char *ret_address, size_t len)
{
	DIR *dir = opendir(PCI_DIR);
	struct dirent *e;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (e = readdir(dir))) {
		char path[PATH_MAX];

		if (!is_pci_address(e->d_name))
			continue;
		snprintf(path, sizeof(path), PCI_DIR "%s/vfio-dev/%s",
			 e->d_name, vfio);
		found = access(path, F_OK) == 0 &&
			(size_t)snprintf(ret_address, len, "%s", e->d_name) <
				len;
	}
	closedir(dir);
	return found;
}

static int locate_cdev(struct spoor_device *dev, const char *spec)
{
	const char *vfio = spec + strlen(CDEV_DIR);
	char path[PATH_MAX];

	if (!is_vfio_name(vfio) || strlen(vfio) > 16)
		return spoor_fail(EINVAL,
				  "device \"%s\": a cdev is called " CDEV_DIR
				  "vfioN",
				  spec);
	snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device", vfio);
	if (real_base(path, dev->address, sizeof(dev->address))) {
		snprintf(dev->sysfs, sizeof(dev->sysfs),
			 "/sys/class/vfio-dev/%s/device", vfio);
		return 0;
	}
	if (scan_for_cdev(vfio, dev->address, sizeof(dev->address))) {
		snprintf(dev->sysfs, sizeof(dev->sysfs), PCI_DIR "%s",
			 dev->address);
		return 0;
	}
	return spoor_fail(ENODEV,
			  "device %s: no such device in /sys/class/vfio-dev",
			  spec);
}

static int locate_directory(struct spoor_device *dev, const char *spec)
{
	size_t len = strlen(spec);
	const char *base;
	struct stat st;

	while (len > 1 && spec[len - 1] == '/')
		len--;
	if (len >= sizeof(dev->sysfs))
		return spoor_fail(EINVAL, "device \"%.60s...\": path too long",
				  spec);
	memcpy(dev->sysfs, spec, len);
	dev->sysfs[len] = '\0';
	if (stat(dev->sysfs, &st) != 0)
		return spoor_fail(ENODEV, "device %s: no such directory",
				  dev->sysfs);
	base = strrchr(dev->sysfs, '/') + 1;
	if (!S_ISDIR(st.st_mode) || !*base || !strcmp(base, ".") ||
	    !strcmp(base, ".."))
		return spoor_fail(
			EINVAL,
			"device \"%s\": neither a PCI address, nor " CDEV_DIR
			"vfioN, nor a device's directory in /sys",
			spec);
	if ((size_t)snprintf(dev->address, sizeof(dev->address), "%s", base) >=
	    sizeof(dev->address))
		return spoor_fail(EINVAL, "device %s: name too long",
				  dev->sysfs);
	return 0;
}

static int locate(struct spoor_device *dev, const char *spec)
{
	if (is_pci_address(spec)) {
		snprintf(dev->address, sizeof(dev->address), "%s", spec);
		snprintf(dev->sysfs, sizeof(dev->sysfs), PCI_DIR "%s", spec);
		return 0;
	}
	if (!strncmp(spec, CDEV_DIR, strlen(CDEV_DIR)))
		return locate_cdev(dev, spec);
	if (spec[0] == '/')
		return locate_directory(dev, spec);
	return spoor_fail(
		EINVAL,
		"device \"%.100s\": neither a PCI address, nor " CDEV_DIR
		"vfioN, nor a device's directory in /sys",
		spec);
}

/* vfio-dev/vfioN: there since 6.1 for every device bound to a VFIO driver. */
static bool find_vfio_dev(struct spoor_device *dev)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/vfio-dev", dev->sysfs);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (e = readdir(dir))) {
		if (!is_vfio_name(e->d_name) || strlen(e->d_name) > 16)
			continue;
		found = true;
		snprintf(dev->cdev, sizeof(dev->cdev), CDEV_DIR "%.16s",
			 e->d_name);
		/* Without CONFIG_VFIO_DEVICE_CDEV there is only the name. */
		if (access(dev->cdev, F_OK) != 0)
			dev->cdev[0] = '\0';
	}
	closedir(dir);
	return found;
}

static void find_group(struct spoor_device *dev)
{
	char path[PATH_MAX], base[32], *end;
	unsigned long n;

	dev->group = -1;
	snprintf(path, sizeof(path), "%s/iommu_group", dev->sysfs);
	if (!link_base(path, base, sizeof(base)))
		return;
	n = strtoul(base, &end, 10);
	if (end == base || *end || n > INT_MAX)
		return;
	dev->group = (int)n;
	snprintf(path, sizeof(path), "%s/iommu_group/name", dev->sysfs);
	dev->noiommu = first_line_is(path, "vfio-noiommu");
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", dev->group);
	if (access(path, F_OK) == 0)
		dev->noiommu = true;
}

int spoor_device_discover(struct spoor_device *dev, const char *spec)
{
	char path[PATH_MAX], driver[64];
	int err = locate(dev, spec);

	if (err)
		return err;
	if (access(dev->sysfs, F_OK) != 0)
		return spoor_fail(ENODEV, "device %s: there is no %s", spec,
				  dev->sysfs);
	if (!find_vfio_dev(dev)) {
		snprintf(path, sizeof(path), "%s/driver", dev->sysfs);
		if (!link_base(path, driver, sizeof(driver)))
			return spoor_fail(
				ENODEV,
				"device %s: no driver is bound to it; bind "
				"vfio-pci or its variant driver",
				dev->address);
		/* Kernels before 6.1 have no vfio-dev: trust the name. */
		if (!strstr(driver, "vfio"))
			return spoor_fail(
				ENODEV,
				"device %s: bound to %s, not to a VFIO driver; "
				"bind vfio-pci or its variant driver",
				dev->address, driver);
	}
	find_group(dev);
	return 0;
}
