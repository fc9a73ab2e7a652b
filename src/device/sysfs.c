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

/*
 * What sysfs lacks is an answer; what could not be read is none: a device
 * without a group, say, differs from one whose group nobody could look up.
 * 0 if errno says that @path is not there, else -errno with text.
 */
static int absent(const char *path)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ENODEV)
		return 0;
	return spoor_fail_errno("look at %s", path);
}

/* 1, or as absent(). */
static int exists(const char *path)
{
	return access(path, F_OK) == 0 ? 1 : absent(path);
}

/* The last component of where a link points to: 1, or as absent(). */
static int link_base(const char *path, char *ret, size_t len)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	/* EINVAL: it is no link. */
	if (n < 0)
		return errno == EINVAL ? 0 : absent(path);
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

/* 1, 0 if it is another, or as absent(). */
static int first_line_is(const char *path, const char *text)
{
	char line[64] = "";
	FILE *f = fopen(path, "re");
	int err = 0;

	if (!f)
		return absent(path);
	if (!fgets(line, sizeof(line), f) && ferror(f))
		err = absent(path);
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return err ? err : strcmp(line, text) == 0;
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

/*
 * vfio-dev/vfioN: there since 6.1 for every device bound to a VFIO driver.  1,
 * or as absent().
 */
static int find_vfio_dev(struct spoor_device *dev)
{
	char path[PATH_MAX];
	struct dirent *e;
	int r = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/vfio-dev", dev->sysfs);
	dir = opendir(path);
	if (!dir)
		return absent(path);
	while (!r) {
		errno = 0;
		e = readdir(dir);
		if (!e)
			break;
		if (!is_vfio_name(e->d_name) || strlen(e->d_name) > 16)
			continue;
		snprintf(dev->cdev, sizeof(dev->cdev), CDEV_DIR "%.16s",
			 e->d_name);
		/* Without CONFIG_VFIO_DEVICE_CDEV there is only the name. */
		r = exists(dev->cdev);
		if (r <= 0)
			dev->cdev[0] = '\0';
		if (!r)
			r = 1;
	}
	if (!r && errno)
		r = absent(path);
	closedir(dir);
	return r;
}

static int find_group(struct spoor_device *dev)
{
	char path[PATH_MAX], base[32], *end;
	unsigned long n;
	int r;

	dev->group = -1;
	snprintf(path, sizeof(path), "%s/iommu_group", dev->sysfs);
	r = link_base(path, base, sizeof(base));
	if (r <= 0)
		return r;
	n = strtoul(base, &end, 10);
	if (end == base || *end || n > INT_MAX)
		return 0;
	dev->group = (int)n;
	snprintf(path, sizeof(path), "%s/iommu_group/name", dev->sysfs);
	r = first_line_is(path, "vfio-noiommu");
	if (!r) {
		snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d",
			 dev->group);
		r = exists(path);
	}
	dev->noiommu = r > 0;
	return r < 0 ? r : 0;
}

/* Kernels before 6.1 have no vfio-dev: the driver's name tells. */
static int check_driver(struct spoor_device *dev)
{
	char path[PATH_MAX], driver[64];
	int r;

	snprintf(path, sizeof(path), "%s/driver", dev->sysfs);
	r = link_base(path, driver, sizeof(driver));
	if (r < 0)
		return r;
	if (!r)
		return spoor_fail(ENODEV,
				  "device %s: no driver is bound to it; bind "
				  "vfio-pci or its variant driver",
				  dev->address);
	if (!strstr(driver, "vfio"))
		return spoor_fail(ENODEV,
				  "device %s: bound to %s, not to a VFIO "
				  "driver; bind vfio-pci or its variant driver",
				  dev->address, driver);
	return 0;
}

int spoor_device_discover(struct spoor_device *dev, const char *spec)
{
	int r = locate(dev, spec);

	if (r)
		return r;
	r = exists(dev->sysfs);
	if (r < 0)
		return r;
	if (!r)
		return spoor_fail(ENODEV, "device %s: there is no %s", spec,
				  dev->sysfs);
	r = find_vfio_dev(dev);
	if (!r)
		r = check_driver(dev);
	return r < 0 ? r : find_group(dev);
}
