/* SPDX-License-Identifier: MIT */
/*
 * /dev/vfio/N: a group of one device, open at most once.  Open device files
 * keep their group's file alive, as in the kernel: a closed group whose device
 * is open stays busy.  See container.h for locks.
 */
#include "softvfio/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/uapi_vfio.h"
#include "softvfio/config.h"

static struct sv_group *groups; /* one a configured device */
static unsigned int nr_groups;

/* sv_vfio_lock held. */
static int make_groups(void)
{
	const struct sv_config *config = sv_config();

	if (groups || !config)
		return groups ? 0 : -ENODEV;
	groups = calloc(config->nr_devices, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	nr_groups = config->nr_devices;
	for (unsigned int i = 0; i < nr_groups; i++)
		groups[i].dev = sv_device_by_index(config->devices[i].index);
	return 0;
}

static long get_status(struct sv_group *g, void *arg)
{
	struct vfio_group_status st;
	const size_t minsz = sizeof(st);

	if (sv_copy_in(&st, arg, minsz))
		return -EFAULT;
	if (st.argsz < minsz)
		return -EINVAL;
	st.flags = VFIO_GROUP_FLAGS_VIABLE;
	if (g->container || g->iommufd)
		st.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
	return sv_copy_out(arg, &st, minsz);
}

static long set_container(struct sv_group *g, void *arg)
{
	const struct sv_config *config = sv_config();
	struct sv_container *c;
	struct sv_file *file;
	int fd;
	long ret;

	if (sv_copy_in(&fd, arg, sizeof(fd)))
		return -EFAULT;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (g->container || g->iommufd)
		return -EINVAL;
	c = sv_container_of_fd(fd, &file);
	if (!c && config->kernel == SV_KERNEL_6_1)
		return -EINVAL;
	if (!c)
		return g->dev->config->noiommu
			       ? -EBADFD
			       : sv_iommufd_compat_file(fd, &g->iommufd);
	ret = sv_container_add_group(c, g);
	/* Not the last reference that matters: the group has one now. */
	pthread_mutex_unlock(&sv_vfio_lock);
	sv_file_put(file);
	pthread_mutex_lock(&sv_vfio_lock);
	return ret;
}

/* The file goes with nothing locked; the group's lock is taken again. */
static void drop_iommufd(struct sv_group *g)
{
	struct sv_file *file = g->iommufd;

	g->iommufd = NULL;
	if (!file)
		return;
	pthread_mutex_unlock(&sv_vfio_lock);
	sv_file_put(file);
	pthread_mutex_lock(&sv_vfio_lock);
}

static long unset_container(struct sv_group *g)
{
	if (g->iommufd) {
		/* Its devices have what they need of it. */
		drop_iommufd(g);
		return 0;
	}
	if (!g->container)
		return -EINVAL;
	if (g->nr_device_files)
		return -EBUSY;
	sv_container_remove_group(g->container, g);
	return 0;
}

/* "0000:01:00.0"; PCI's also with blanks behind, parameters are refused. */
static long match_name(const struct sv_group *g, const char *name)
{
	const char *address = g->dev->config->address;
	size_t len = strlen(address);

	if (strncmp(name, address, len) || (name[len] && name[len] != ' ') ||
	    (name[len] && g->dev->config->emulated))
		return -ENODEV;
	name += len;
	return name[strspn(name, " ")] ? -EINVAL : 0;
}

static int copy_name(char *dst, size_t size, const char *user)
{
	for (size_t i = 0; i < size; i++) {
		if (sv_copy_in(&dst[i], user + i, 1))
			return -EFAULT;
		if (!dst[i])
			return 0;
	}
	return -EINVAL;
}

static long get_device_fd(struct sv_file *f, struct sv_group *g, void *arg)
{
	struct sv_file *file;
	char name[SV_PAGE_SIZE]; /* as long as Linux takes them */
	long ret;

	ret = copy_name(name, sizeof(name), arg);
	if (!ret)
		ret = match_name(g, name);
	if (ret)
		return ret;
	if (!g->attached && !g->iommufd)
		return -EINVAL;
	ret = sv_device_open_group(g->dev, g->iommufd, &file);
	if (ret)
		return ret;
	/* The device's file keeps the group's; sv_group_device_closed() ends
	 * that. */
	sv_file_ref(f);
	g->nr_device_files++;
	pthread_mutex_unlock(&sv_vfio_lock);
	ret = sv_file_install(file, 2 /* O_RDWR */);
	if (ret < 0)
		sv_file_put(file);
	pthread_mutex_lock(&sv_vfio_lock);
	return ret;
}

void sv_group_device_closed(struct sv_device *dev)
{
	struct sv_file *f = NULL;

	pthread_mutex_lock(&sv_vfio_lock);
	for (unsigned int i = 0; i < nr_groups; i++) {
		if (groups[i].dev == dev && groups[i].nr_device_files) {
			groups[i].nr_device_files--;
			f = groups[i].file;
		}
	}
	pthread_mutex_unlock(&sv_vfio_lock);
	if (f)
		sv_file_put(f);
}

static long group_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	struct sv_group *g = f->priv;
	long ret;

	pthread_mutex_lock(&sv_vfio_lock);
	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		ret = get_status(g, arg);
		break;
	case VFIO_GROUP_SET_CONTAINER:
		ret = set_container(g, arg);
		break;
	case VFIO_GROUP_UNSET_CONTAINER:
		ret = unset_container(g);
		break;
	case VFIO_GROUP_GET_DEVICE_FD:
		ret = get_device_fd(f, g, arg);
		break;
	default:
		ret = -ENOTTY;
	}
	pthread_mutex_unlock(&sv_vfio_lock);
	return ret;
}

static void group_release(struct sv_file *f)
{
	struct sv_group *g = f->priv;

	pthread_mutex_lock(&sv_vfio_lock);
	if (g->container)
		sv_container_remove_group(g->container, g);
	drop_iommufd(g);
	g->file = NULL;
	pthread_mutex_unlock(&sv_vfio_lock);
}

static const struct sv_file_ops group_ops = {
	.name = "group",
	.ioctl = group_ioctl,
	.release = group_release,
};

int sv_group_open(struct sv_file **ret, unsigned int number)
{
	struct sv_group *g = NULL;
	int err;

	pthread_mutex_lock(&sv_vfio_lock);
	err = make_groups();
	for (unsigned int i = 0; !err && i < nr_groups; i++) {
		if (groups[i].dev->config->group == number)
			g = &groups[i];
	}
	if (!err && !g)
		err = -ENODEV;
	/* The cdev and the group exclude each other. */
	if (!err && (g->file || g->nr_cdevs))
		err = -EBUSY;
	if (!err) {
		g->file = sv_file_new(&group_ops, g);
		if (!g->file)
			err = -ENOMEM;
	}
	if (!err)
		*ret = g->file;
	pthread_mutex_unlock(&sv_vfio_lock);
	return err;
}

/* sv_vfio_lock held. */
static struct sv_group *group_of(const struct sv_device *dev)
{
	for (unsigned int i = 0; i < nr_groups; i++) {
		if (groups[i].dev == dev)
			return &groups[i];
	}
	return NULL;
}

bool sv_group_file_owns(const struct sv_file *f, const struct sv_device *dev)
{
	/* A group's device never changes. */
	return f->ops == &group_ops &&
	       ((const struct sv_group *)f->priv)->dev == dev;
}

int sv_group_claim_cdev(struct sv_device *dev)
{
	struct sv_group *g;
	int err;

	pthread_mutex_lock(&sv_vfio_lock);
	err = make_groups();
	g = group_of(dev);
	if (!err && g && g->file)
		err = -EBUSY;
	if (!err && g)
		g->nr_cdevs++;
	pthread_mutex_unlock(&sv_vfio_lock);
	return err;
}

void sv_group_unclaim_cdev(struct sv_device *dev)
{
	pthread_mutex_lock(&sv_vfio_lock);
	if (group_of(dev))
		group_of(dev)->nr_cdevs--;
	pthread_mutex_unlock(&sv_vfio_lock);
}
