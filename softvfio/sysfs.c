/* SPDX-License-Identifier: MIT */
/*
 * What is in the tree: the device nodes, and what sysfs says of the devices,
 * laid out as the kernel does, with relative links.
 *
 * Invariant: every node's `dev` file names the number that stat() gives.
 * Threads: called once, by the thread that makes the tree.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "softvfio/config.h"
#include "softvfio/ids.h"
#include "softvfio/real.h"
#include "softvfio/shim.h"

/* VFIO's container has a number of its own; the others are dynamic. */
#define MISC_MAJOR	10
#define CONTAINER_MINOR 196
#define IOMMU_MINOR	122
#define GROUP_MAJOR	239
#define CDEV_MAJOR	511

struct builder {
	struct sv_tree *tree;
	const struct sv_config *config;
	int fd; /* of the root */
	int err; /* the first; nothing is made after it */
};

static bool format(struct builder *b, char *path, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static bool format(struct builder *b, char *path, const char *fmt, va_list ap)
{
	if (!b->err && vsnprintf(path, PATH_MAX, fmt, ap) >= PATH_MAX)
		b->err = -ENAMETOOLONG;
	return !b->err;
}

static void make_dirs(struct builder *b, char *path)
{
	for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdirat(b->fd, path, 0755) && errno != EEXIST)
			b->err = -errno;
		*p = '/';
	}
}

static void add_dir(struct builder *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_dir(struct builder *b, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = format(b, path, fmt, ap);
	va_end(ap);
	if (!ok)
		return;
	make_dirs(b, path);
	if (!b->err && mkdirat(b->fd, path, 0755) && errno != EEXIST)
		b->err = -errno;
}

static int make_file(struct builder *b, char *path, mode_t mode)
{
	int fd;

	make_dirs(b, path);
	if (b->err)
		return -1;
	fd = REAL(openat)(b->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			  0600);
	if (fd < 0 || fchmod(fd, mode))
		b->err = -errno;
	return fd;
}

/* A file of sysfs: one line, read-only. */
static void add_file(struct builder *b, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_file(struct builder *b, const char *text, const char *fmt, ...)
{
	char path[PATH_MAX];
	size_t len = strlen(text);
	va_list ap;
	bool ok;
	int fd;

	va_start(ap, fmt);
	ok = format(b, path, fmt, ap);
	va_end(ap);
	if (!ok)
		return;
	fd = make_file(b, path, 0444);
	if (!b->err && REAL(write)(fd, text, len) != (ssize_t)len)
		b->err = -EIO;
	if (fd >= 0)
		REAL(close)(fd);
}

static void add_link(struct builder *b, const char *target, const char *fmt,
		     ...) __attribute__((format(printf, 3, 4)));

static void add_link(struct builder *b, const char *target, const char *fmt,
		     ...)
{
	char path[PATH_MAX];
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = format(b, path, fmt, ap);
	va_end(ap);
	if (!ok)
		return;
	make_dirs(b, path);
	/* Devices of one group link the same things twice. */
	if (!b->err && symlinkat(target, b->fd, path) && errno != EEXIST)
		b->err = -errno;
}

static void add_node(struct builder *b, enum sv_node_kind kind, unsigned int nr,
		     dev_t rdev, mode_t mode, const char *name)
{
	struct sv_tree *t = b->tree;
	struct sv_node *grown;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (b->err)
		return;
	snprintf(path, sizeof(path), "dev/%s", name);
	grown = reallocarray(t->nodes, t->nr_nodes + 1, sizeof(*grown));
	if (!grown) {
		b->err = -ENOMEM;
		return;
	}
	t->nodes = grown;
	fd = make_file(b, path, mode);
	if (!b->err && REAL(fstat)(fd, &st))
		b->err = -errno;
	if (fd >= 0)
		REAL(close)(fd);
	if (!b->err)
		t->nodes[t->nr_nodes++] = (struct sv_node){
			.kind = kind, .nr = nr, .rdev = rdev, .ino = st.st_ino
		};
}

static const char *dev_text(char *buf, size_t size, dev_t rdev)
{
	snprintf(buf, size, "%u:%u\n", major(rdev), minor(rdev));
	return buf;
}

static void add_misc(struct builder *b, enum sv_node_kind kind,
		     const char *name, const char *node, unsigned int minor_nr,
		     mode_t mode)
{
	dev_t rdev = makedev(MISC_MAJOR, minor_nr);
	char text[32], target[PATH_MAX];

	add_node(b, kind, 0, rdev, mode, node);
	add_file(b, dev_text(text, sizeof(text), rdev),
		 "sys/devices/virtual/misc/%s/dev", name);
	snprintf(target, sizeof(target), "../../devices/virtual/misc/%s", name);
	add_link(b, target, "sys/class/misc/%s", name);
}

/* Where the device's directory is, below sys/devices. */
static void device_dir(const struct sv_config_device *dev, char *ret,
		       size_t size)
{
	unsigned int domain, bus;

	/* Each bus is a root here: there are no bridges to stand between. */
	/* NOLINTNEXTLINE(cert-err34-c): the rest is no PCI address */
	if (sscanf(dev->address, "%x:%x:", &domain, &bus) == 2)
		snprintf(ret, size, "pci%04x:%02x/%s", domain, bus,
			 dev->address);
	else
		snprintf(ret, size, "virtual/softvfio/softvfio/%s",
			 dev->address);
}

static bool is_pci(const struct sv_config_device *dev)
{
	return strchr(dev->address, ':');
}

static void add_pci_files(struct builder *b, const struct sv_config_device *dev,
			  const char *dir)
{
	static const char *const zero[] = { "irq", "enable",
					    "broken_parity_status" };
	char text[64];

	snprintf(text, sizeof(text), "0x%04x\n",
		 sv_pci_vendor_id(dev->model.model));
	add_file(b, text, "sys/devices/%s/vendor", dir);
	snprintf(text, sizeof(text), "0x%04x\n",
		 sv_pci_subsystem_vendor_id(dev->model.model));
	add_file(b, text, "sys/devices/%s/subsystem_vendor", dir);
	snprintf(text, sizeof(text), "0x%04x\n",
		 sv_pci_device_id(dev->model.model));
	add_file(b, text, "sys/devices/%s/device", dir);
	snprintf(text, sizeof(text), "0x%04x\n",
		 sv_pci_subsystem_id(dev->model.model));
	add_file(b, text, "sys/devices/%s/subsystem_device", dir);
	snprintf(text, sizeof(text), "0x%06x\n",
		 sv_pci_class(dev->model.model));
	add_file(b, text, "sys/devices/%s/class", dir);
	snprintf(text, sizeof(text), "0x%02x\n",
		 sv_pci_revision(dev->model.model));
	add_file(b, text, "sys/devices/%s/revision", dir);
	add_file(b, "-1\n", "sys/devices/%s/numa_node", dir);
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		add_file(b, "0\n", "sys/devices/%s/%s", dir, zero[i]);
}

/* "../" for each level of @dir: from inside of it, this is sys/devices. */
static void up_from(const char *dir, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "../");

	for (const char *p = dir; *p && n < size; p++)
		if (*p == '/')
			n += (size_t)snprintf(ret + n, size - n, "../");
}

static void add_bus(struct builder *b, const struct sv_config_device *dev,
		    const char *bus, const char *driver, const char *dir,
		    const char *up)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "../../../devices/%s", dir);
	add_link(b, target, "sys/bus/%s/devices/%s", bus, dev->address);
	snprintf(target, sizeof(target), "../../../../devices/%s", dir);
	add_link(b, target, "sys/bus/%s/drivers/%s/%s", bus, driver,
		 dev->address);
	snprintf(target, sizeof(target), "%s../bus/%s/drivers/%s", up, bus,
		 driver);
	add_link(b, target, "sys/devices/%s/driver", dir);
	snprintf(target, sizeof(target), "%s../bus/%s", up, bus);
	add_link(b, target, "sys/devices/%s/subsystem", dir);
}

/* No-IOMMU devices have no cdev; before 6.6 nothing has. */
static bool has_cdev(const struct builder *b,
		     const struct sv_config_device *dev)
{
	return b->config->kernel != SV_KERNEL_6_1 && !dev->noiommu;
}

static void add_vfio_dev(struct builder *b, const struct sv_config_device *dev,
			 const char *dir)
{
	dev_t rdev = makedev(CDEV_MAJOR, dev->index);
	const char *base = strrchr(dir, '/');
	char target[PATH_MAX], text[32], node[64];

	add_dir(b, "sys/devices/%s/vfio-dev/vfio%u", dir, dev->index);
	/* The kernel's links go up past the target and name it. */
	snprintf(target, sizeof(target), "../../../%s", base ? base + 1 : dir);
	add_link(b, target, "sys/devices/%s/vfio-dev/vfio%u/device", dir,
		 dev->index);
	snprintf(target, sizeof(target), "../../devices/%s/vfio-dev/vfio%u",
		 dir, dev->index);
	add_link(b, target, "sys/class/vfio-dev/vfio%u", dev->index);
	if (!has_cdev(b, dev))
		return;
	add_file(b, dev_text(text, sizeof(text), rdev),
		 "sys/devices/%s/vfio-dev/vfio%u/dev", dir, dev->index);
	snprintf(node, sizeof(node), "vfio/devices/vfio%u", dev->index);
	add_node(b, SV_NODE_CDEV, dev->index, rdev, 0600, node);
}

static void add_group(struct builder *b, const struct sv_config_device *dev)
{
	const char *prefix = dev->noiommu ? "noiommu-" : "";
	dev_t rdev = makedev(GROUP_MAJOR, dev->group);
	char text[32], name[64], target[PATH_MAX];

	snprintf(name, sizeof(name), "vfio/%s%u", prefix, dev->group);
	add_node(b, SV_NODE_GROUP, dev->group, rdev, 0600, name);
	add_file(b, dev_text(text, sizeof(text), rdev),
		 "sys/devices/virtual/vfio/%s%u/dev", prefix, dev->group);
	snprintf(target, sizeof(target), "../../devices/virtual/vfio/%s%u",
		 prefix, dev->group);
	add_link(b, target, "sys/class/vfio/%s%u", prefix, dev->group);
	add_file(b, dev->noiommu || dev->emulated ? "unknown\n" : "DMA\n",
		 "sys/kernel/iommu_groups/%u/type", dev->group);
	if (dev->noiommu)
		add_file(b, "vfio-noiommu\n", "sys/kernel/iommu_groups/%u/name",
			 dev->group);
	add_file(b, "", "sys/kernel/iommu_groups/%u/reserved_regions",
		 dev->group);
}

static void add_iommu(struct builder *b, const struct sv_config_device *dev,
		      const char *dir, const char *up)
{
	char target[PATH_MAX];

	if (dev->emulated || dev->noiommu)
		return;
	snprintf(target, sizeof(target), "../../../../%s", dir);
	add_link(b, target, "sys/devices/virtual/iommu/softvfio/devices/%s",
		 dev->address);
	add_link(b, "../../devices/virtual/iommu/softvfio",
		 "sys/class/iommu/softvfio");
	snprintf(target, sizeof(target), "%svirtual/iommu/softvfio", up);
	add_link(b, target, "sys/devices/%s/iommu", dir);
}

static bool group_is_new(const struct sv_config *config, unsigned int i)
{
	for (unsigned int j = 0; j < i; j++)
		if (config->devices[j].group == config->devices[i].group)
			return false;
	return true;
}

static void add_device(struct builder *b, const struct sv_config_device *dev)
{
	char dir[128], up[64], target[PATH_MAX];

	device_dir(dev, dir, sizeof(dir));
	up_from(dir, up, sizeof(up));
	add_dir(b, "sys/devices/%s", dir);
	if (is_pci(dev)) {
		add_pci_files(b, dev, dir);
		add_bus(b, dev, "pci", "vfio-soft", dir, up);
	}
	if (dev->emulated)
		add_bus(b, dev, "mdev", "vfio-soft-mdev", dir, up);
	add_vfio_dev(b, dev, dir);
	snprintf(target, sizeof(target), "%s../kernel/iommu_groups/%u", up,
		 dev->group);
	add_link(b, target, "sys/devices/%s/iommu_group", dir);
	snprintf(target, sizeof(target), "../../../../devices/%s", dir);
	add_link(b, target, "sys/kernel/iommu_groups/%u/devices/%s", dev->group,
		 dev->address);
	add_iommu(b, dev, dir, up);
}

int sv_tree_populate(struct sv_tree *t, int root_fd)
{
	const struct sv_config *config = sv_config();
	struct builder b = { .tree = t, .config = config, .fd = root_fd };

	add_dir(&b, "sys/bus/pci/devices");
	add_dir(&b, "sys/bus/mdev/devices");
	add_dir(&b, "sys/class/iommu");
	add_misc(&b, SV_NODE_CONTAINER, "vfio", "vfio/vfio", CONTAINER_MINOR,
		 0666);
	if (config->kernel != SV_KERNEL_6_1) {
		add_misc(&b, SV_NODE_IOMMU, "iommu", "iommu", IOMMU_MINOR,
			 0600);
		add_dir(&b, "dev/vfio/devices");
	}
	for (unsigned int i = 0; i < config->nr_devices; i++) {
		if (group_is_new(config, i))
			add_group(&b, &config->devices[i]);
		add_device(&b, &config->devices[i]);
	}
	return b.err;
}
