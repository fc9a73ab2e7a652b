/* SPDX-License-Identifier: MIT */
/*
 * What is in the tree: the device nodes, and what sysfs says of the devices,
 * laid out as the kernel does, with relative links.
 *
 * Invariant: every node's `dev` file names the number that stat() gives.
 * Threads: called once, by the thread that makes the tree.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "softvfio/config.h"
#include "softvfio/shim.h"
#include "softvfio/sysfs_build.h"

/* VFIO's container has a number of its own; the others are dynamic. */
#define MISC_MAJOR	10
#define CONTAINER_MINOR 196
#define IOMMU_MINOR	122
#define GROUP_MAJOR	239
#define CDEV_MAJOR	511

static const char *dev_text(char *buf, size_t size, dev_t rdev)
{
	snprintf(buf, size, "%u:%u\n", major(rdev), minor(rdev));
	return buf;
}

static void add_misc(struct sv_builder *b, enum sv_node_kind kind,
		     const char *name, const char *node, unsigned int minor_nr,
		     mode_t mode)
{
	dev_t rdev = makedev(MISC_MAJOR, minor_nr);
	char text[32], target[PATH_MAX];

	sv_add_node(b, kind, 0, rdev, mode, node);
	sv_add_file(b, dev_text(text, sizeof(text), rdev),
		    "sys/devices/virtual/misc/%s/dev", name);
	snprintf(target, sizeof(target), "../../devices/virtual/misc/%s", name);
	sv_add_link(b, target, "sys/class/misc/%s", name);
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

/* "../" for each level of @dir: from inside of it, this is sys/devices. */
static void up_from(const char *dir, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "../");

	for (const char *p = dir; *p && n < size; p++)
		if (*p == '/')
			n += (size_t)snprintf(ret + n, size - n, "../");
}

/*
 * What the driver is called: vfio-pci's own devices neither migrate, nor log,
 * nor pin by themselves; for that there are variant drivers.  Programs tell
 * them apart by name.
 */
static const char *driver_of(const struct sv_config_device *dev)
{
	bool more = dev->migration || dev->model.log.present ||
		    dev->model.pins_gratuitous || dev->emulated;

	return more ? "vfio-soft" : "vfio-pci";
}

/* Programs ask here whether VFIO is there at all. */
static void add_modules(struct sv_builder *b)
{
	static const char *const names[] = { "vfio_iommu_type1",
					     "vfio_pci_core", "vfio_pci" };
	bool noiommu = false;

	for (unsigned int i = 0; i < b->config->nr_devices; i++)
		noiommu |= b->config->devices[i].noiommu;
	sv_add_file(b, noiommu ? "Y\n" : "N\n",
		    "sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		sv_add_dir(b, "sys/module/%s", names[i]);
	if (b->config->kernel != SV_KERNEL_6_1)
		sv_add_dir(b, "sys/module/iommufd");
}

static void add_bus(struct sv_builder *b, const struct sv_config_device *dev,
		    const char *bus, const char *driver, const char *dir,
		    const char *up)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "../../../devices/%s", dir);
	sv_add_link(b, target, "sys/bus/%s/devices/%s", bus, dev->address);
	snprintf(target, sizeof(target), "../../../../devices/%s", dir);
	sv_add_link(b, target, "sys/bus/%s/drivers/%s/%s", bus, driver,
		    dev->address);
	snprintf(target, sizeof(target), "%s../bus/%s/drivers/%s", up, bus,
		 driver);
	sv_add_link(b, target, "sys/devices/%s/driver", dir);
	snprintf(target, sizeof(target), "%s../bus/%s", up, bus);
	sv_add_link(b, target, "sys/devices/%s/subsystem", dir);
}

/* No-IOMMU devices have no cdev; before 6.6 nothing has. */
static bool has_cdev(const struct sv_builder *b,
		     const struct sv_config_device *dev)
{
	return b->config->kernel != SV_KERNEL_6_1 && !dev->noiommu;
}

static void add_vfio_dev(struct sv_builder *b,
			 const struct sv_config_device *dev, const char *dir)
{
	dev_t rdev = makedev(CDEV_MAJOR, dev->index);
	const char *base = strrchr(dir, '/');
	char target[PATH_MAX], text[32], node[64];

	sv_add_dir(b, "sys/devices/%s/vfio-dev/vfio%u", dir, dev->index);
	/* The kernel's links go up past the target and name it. */
	snprintf(target, sizeof(target), "../../../%s", base ? base + 1 : dir);
	sv_add_link(b, target, "sys/devices/%s/vfio-dev/vfio%u/device", dir,
		    dev->index);
	snprintf(target, sizeof(target), "../../devices/%s/vfio-dev/vfio%u",
		 dir, dev->index);
	sv_add_link(b, target, "sys/class/vfio-dev/vfio%u", dev->index);
	if (!has_cdev(b, dev))
		return;
	sv_add_file(b, dev_text(text, sizeof(text), rdev),
		    "sys/devices/%s/vfio-dev/vfio%u/dev", dir, dev->index);
	snprintf(node, sizeof(node), "vfio/devices/vfio%u", dev->index);
	sv_add_node(b, SV_NODE_CDEV, dev->index, rdev, 0600, node);
}

static void add_group(struct sv_builder *b, const struct sv_config_device *dev)
{
	const char *prefix = dev->noiommu ? "noiommu-" : "";
	dev_t rdev = makedev(GROUP_MAJOR, dev->group);
	char text[32], name[64], target[PATH_MAX];

	snprintf(name, sizeof(name), "vfio/%s%u", prefix, dev->group);
	sv_add_node(b, SV_NODE_GROUP, dev->group, rdev, 0600, name);
	sv_add_file(b, dev_text(text, sizeof(text), rdev),
		    "sys/devices/virtual/vfio/%s%u/dev", prefix, dev->group);
	snprintf(target, sizeof(target), "../../devices/virtual/vfio/%s%u",
		 prefix, dev->group);
	sv_add_link(b, target, "sys/class/vfio/%s%u", prefix, dev->group);
	sv_add_file(b, dev->noiommu || dev->emulated ? "unknown\n" : "DMA\n",
		    "sys/kernel/iommu_groups/%u/type", dev->group);
	if (dev->noiommu)
		sv_add_file(b, "vfio-noiommu\n",
			    "sys/kernel/iommu_groups/%u/name", dev->group);
	sv_add_file(b, "", "sys/kernel/iommu_groups/%u/reserved_regions",
		    dev->group);
}

static void add_iommu(struct sv_builder *b, const struct sv_config_device *dev,
		      const char *dir, const char *up)
{
	char target[PATH_MAX];

	if (dev->emulated || dev->noiommu)
		return;
	snprintf(target, sizeof(target), "../../../../%s", dir);
	sv_add_link(b, target, "sys/devices/virtual/iommu/softvfio/devices/%s",
		    dev->address);
	sv_add_link(b, "../../devices/virtual/iommu/softvfio",
		    "sys/class/iommu/softvfio");
	snprintf(target, sizeof(target), "%svirtual/iommu/softvfio", up);
	sv_add_link(b, target, "sys/devices/%s/iommu", dir);
}

static bool group_is_new(const struct sv_config *config, unsigned int i)
{
	for (unsigned int j = 0; j < i; j++)
		if (config->devices[j].group == config->devices[i].group)
			return false;
	return true;
}

static void add_device(struct sv_builder *b, const struct sv_config_device *dev)
{
	char dir[128], up[64], target[PATH_MAX];

	device_dir(dev, dir, sizeof(dir));
	up_from(dir, up, sizeof(up));
	sv_add_dir(b, "sys/devices/%s", dir);
	if (is_pci(dev)) {
		sv_add_pci_files(b, dev, dir);
		add_bus(b, dev, "pci", driver_of(dev), dir, up);
	}
	if (dev->emulated)
		add_bus(b, dev, "mdev", "vfio-soft-mdev", dir, up);
	add_vfio_dev(b, dev, dir);
	snprintf(target, sizeof(target), "%s../kernel/iommu_groups/%u", up,
		 dev->group);
	sv_add_link(b, target, "sys/devices/%s/iommu_group", dir);
	snprintf(target, sizeof(target), "../../../../devices/%s", dir);
	sv_add_link(b, target, "sys/kernel/iommu_groups/%u/devices/%s",
		    dev->group, dev->address);
	add_iommu(b, dev, dir, up);
}

int sv_tree_populate(struct sv_tree *t, int root_fd)
{
	const struct sv_config *config = sv_config();
	struct sv_builder b = { .tree = t, .config = config, .fd = root_fd };

	sv_add_dir(&b, "sys/bus/pci/devices");
	sv_add_dir(&b, "sys/bus/mdev/devices");
	sv_add_dir(&b, "sys/class/iommu");
	add_modules(&b);
	add_misc(&b, SV_NODE_CONTAINER, "vfio", "vfio/vfio", CONTAINER_MINOR,
		 0666);
	if (config->kernel != SV_KERNEL_6_1) {
		add_misc(&b, SV_NODE_IOMMU, "iommu", "iommu", IOMMU_MINOR,
			 0600);
		sv_add_dir(&b, "dev/vfio/devices");
	}
	for (unsigned int i = 0; i < config->nr_devices; i++) {
		if (group_is_new(config, i))
			add_group(&b, &config->devices[i]);
		add_device(&b, &config->devices[i]);
	}
	return b.err;
}
