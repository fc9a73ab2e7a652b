// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: the data files of migration.
 *
 * A saving file gives images, one after the other (stream.h). In pre-copy the
 * first is taken on entry, and another when the device's buffer has changed
 * since: but not before the reader was told that there was nothing left, by
 * ENOMSG or by PRECOPY_INFO, or a busy device would keep it reading forever.
 *
 * A file ends when its state is left (->dead), and with the life of the
 * device that it was made in: a reset cannot wait for a reader, who may be
 * waiting for the reset (memory_lock), so it only counts up edu->life.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_edu.h"

struct edu_file {
	struct file *filp;
	/* holds a reference; not open any more if its life is another */
	struct edu_device *edu;
	u32 life;

	/* protects what follows */
	struct mutex lock;
	bool dead;
	/* being read, or being filled; NULL: none */
	struct edu_image *image;
	size_t pos;
	u32 sequence;
	bool failed;
	/* saving */
	bool initial;
	bool told;
	u64 generation;
	/* after @image; once it is set, the device is stopped */
	struct edu_image *final;
	bool stopped;
	/* resuming: @image is it */
	bool complete;
};

static bool edu_file_dead(struct edu_file *file)
{
	return file->dead || file->life != READ_ONCE(file->edu->life);
}

static struct edu_image *edu_image_new(void)
{
	return kvzalloc(sizeof(struct edu_image), GFP_KERNEL_ACCOUNT);
}

/* file->lock held; *@ret_image is untouched on failure */
static int edu_file_save(struct edu_file *file, bool final,
			 struct edu_image **ret_image)
{
	struct edu_device *edu = file->edu;
	struct edu_image *image;
	int ret;

	image = edu_image_new();
	if (!image)
		return -ENOMEM;
	/* The device must not be closed under us. */
	down_read(&edu->open_sem);
	if (edu_file_dead(file))
		ret = -ENODEV;
	else
		ret = edu_image_save(edu, file->life, image, file->sequence,
				     final, &file->generation);
	up_read(&edu->open_sem);
	if (ret) {
		kvfree(image);
		return ret;
	}
	file->sequence++;
	*ret_image = image;
	return 0;
}

/* Has the buffer changed since the last image was taken? */
static int edu_file_stale(struct edu_file *file)
{
	struct edu_device *edu = file->edu;
	int ret;

	down_read(&edu->open_sem);
	ret = edu_file_dead(file) ? -ENODEV :
	      edu_hw_begin(edu, PCI_COMMAND_MEMORY);
	if (!ret) {
		edu_dma_settle(edu);
		ret = edu->generation != file->generation;
		edu_hw_end(edu);
	}
	up_read(&edu->open_sem);
	return ret;
}

/* Another image of pre-copy, if there is reason to; else -ENOMSG. */
static int edu_file_refresh(struct edu_file *file, struct edu_image **ret_image)
{
	int ret;

	ret = file->told ? edu_file_stale(file) : 0;
	if (ret < 0)
		return ret;
	file->told = true;
	return ret ? edu_file_save(file, false, ret_image) : -ENOMSG;
}

/*
 * Have something to read in file->image. 1: there is; 0: the stream has
 * ended; -ENOMSG: not for now.
 */
static int edu_file_next(struct edu_file *file)
{
	struct edu_image *image;
	int ret;

	if (file->pos < EDU_IMAGE_SIZE)
		return 1;
	if (file->stopped && !file->final)
		return 0;

	if (file->final) {
		image = file->final;
		file->final = NULL;
	} else {
		ret = edu_file_refresh(file, &image);
		if (ret)
			return ret;
	}
	kvfree(file->image);
	file->image = image;
	file->told = false;
	file->initial = false;
	file->pos = 0;
	return 1;
}

static ssize_t edu_file_read(struct file *filp, char __user *buf, size_t len,
			     loff_t *ppos)
{
	struct edu_file *file = filp->private_data;
	size_t part, done = 0;
	int ret;

	if (ppos)
		return -ESPIPE;

	mutex_lock(&file->lock);
	if (edu_file_dead(file)) {
		ret = -ENODEV;
		goto unlock;
	}
	do {
		/* The next image waits for the next read. */
		if (done && file->pos == EDU_IMAGE_SIZE && !file->final)
			break;
		ret = edu_file_next(file);
		if (ret <= 0)
			goto unlock;
		part = min(len - done, EDU_IMAGE_SIZE - file->pos);
		if (copy_to_user(buf + done, (u8 *)file->image + file->pos,
				 part)) {
			ret = -EFAULT;
			goto unlock;
		}
		file->pos += part;
		done += part;
	} while (done < len);
	ret = 0;
unlock:
	mutex_unlock(&file->lock);
	return done ?: ret;
}

static long edu_file_precopy_info(struct edu_file *file,
				  struct vfio_precopy_info __user *arg)
{
	size_t minsz = offsetofend(struct vfio_precopy_info, dirty_bytes);
	struct vfio_precopy_info info;
	u64 left;
	int ret;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	mutex_lock(&file->lock);
	ret = edu_file_dead(file) ? -ENODEV :
	      file->stopped ? -EINVAL : edu_file_stale(file);
	if (ret < 0)
		goto unlock;
	left = EDU_IMAGE_SIZE - file->pos;
	info.initial_bytes = file->initial ? left : 0;
	info.dirty_bytes = (file->initial ? 0 : left) +
			   (ret ? EDU_IMAGE_SIZE : 0);
	/* What we promise here, the next reads give. */
	if (ret)
		file->told = true;
	ret = 0;
unlock:
	mutex_unlock(&file->lock);
	if (!ret && copy_to_user(arg, &info, minsz))
		return -EFAULT;
	return ret;
}

static long edu_file_ioctl(struct file *filp, unsigned int cmd,
			   unsigned long arg)
{
	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	return edu_file_precopy_info(filp->private_data, (void __user *)arg);
}

static ssize_t edu_file_write(struct file *filp, const char __user *buf,
			      size_t len, loff_t *ppos)
{
	struct edu_file *file = filp->private_data;
	size_t part, done = 0;
	int ret = 0;

	if (ppos)
		return -ESPIPE;

	mutex_lock(&file->lock);
	if (edu_file_dead(file)) {
		ret = -ENODEV;
		goto unlock;
	}
	while (done < len) {
		/* A stream that was refused stays refused. */
		if (file->failed || file->complete) {
			file->failed = true;
			ret = -EINVAL;
			goto unlock;
		}
		part = min(len - done, EDU_IMAGE_SIZE - file->pos);
		if (copy_from_user((u8 *)file->image + file->pos, buf + done,
				   part)) {
			ret = -EFAULT;
			goto unlock;
		}
		file->pos += part;
		done += part;
		if (file->pos < EDU_IMAGE_SIZE)
			break;
		if (edu_image_check(file->image, file->sequence)) {
			file->failed = true;
			ret = -EINVAL;
			goto unlock;
		}
		file->sequence++;
		if (le32_to_cpu(file->image->flags) & EDU_IMAGE_FINAL)
			file->complete = true;
		else
			file->pos = 0;
	}
unlock:
	mutex_unlock(&file->lock);
	return ret ?: done;
}

static int edu_file_release(struct inode *inode, struct file *filp)
{
	struct edu_file *file = filp->private_data;

	kvfree(file->image);
	kvfree(file->final);
	put_device(&file->edu->core.vdev.device);
	mutex_destroy(&file->lock);
	kfree(file);
	return 0;
}

static const struct file_operations edu_save_fops = {
	.owner = THIS_MODULE,
	.read = edu_file_read,
	.unlocked_ioctl = edu_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = edu_file_release,
};

static const struct file_operations edu_resume_fops = {
	.owner = THIS_MODULE,
	.write = edu_file_write,
	.release = edu_file_release,
};

static struct edu_file *edu_file_new(struct edu_device *edu, u32 life,
				     bool saving)
{
	struct edu_file *file;
	struct file *filp;

	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return ERR_PTR(-ENOMEM);
	mutex_init(&file->lock);
	file->edu = edu;
	file->life = life;
	filp = anon_inode_getfile("vfio-edu", saving ? &edu_save_fops :
				  &edu_resume_fops, file,
				  saving ? O_RDONLY : O_WRONLY);
	if (IS_ERR(filp)) {
		mutex_destroy(&file->lock);
		kfree(file);
		return ERR_CAST(filp);
	}
	/* From here on releasing it undoes all. */
	get_device(&edu->core.vdev.device);
	stream_open(filp->f_inode, filp);
	file->filp = filp;
	return file;
}

/* The device's own reference goes; who has the file open finds it ended. */
void edu_file_put(struct edu_file **pfile)
{
	struct edu_file *file = *pfile;

	*pfile = NULL;
	if (file)
		fput(file->filp);
}

void edu_file_end(struct edu_file **pfile)
{
	struct edu_file *file = *pfile;

	if (file) {
		mutex_lock(&file->lock);
		file->dead = true;
		mutex_unlock(&file->lock);
	}
	edu_file_put(pfile);
}

/* A new file for the user, and the device's reference to it in *@pfile. */
static struct file *edu_file_give(struct edu_file *file,
				  struct edu_file **pfile)
{
	get_file(file->filp);
	*pfile = file;
	return file->filp;
}

struct file *edu_begin_saving(struct edu_device *edu, u32 life,
				     bool final)
{
	struct edu_file *file;
	int ret;

	file = edu_file_new(edu, life, true);
	if (IS_ERR(file))
		return ERR_CAST(file);
	mutex_lock(&file->lock);
	ret = edu_file_save(file, final, &file->image);
	file->initial = true;
	file->stopped = final;
	mutex_unlock(&file->lock);
	if (ret) {
		fput(file->filp);
		return ERR_PTR(ret);
	}
	return edu_file_give(file, &edu->saving);
}

struct file *edu_begin_resuming(struct edu_device *edu, u32 life)
{
	struct edu_file *file;

	file = edu_file_new(edu, life, false);
	if (IS_ERR(file))
		return ERR_CAST(file);
	file->image = edu_image_new();
	if (!file->image) {
		fput(file->filp);
		return ERR_PTR(-ENOMEM);
	}
	return edu_file_give(file, &edu->resuming);
}

/* The rest of the pre-copy stream, and then the last image, in one file. */
int edu_finish_saving(struct edu_device *edu)
{
	struct edu_file *file = edu->saving;
	int ret;

	if (!file)
		return -ENODEV;
	mutex_lock(&file->lock);
	ret = edu_file_save(file, true, &file->final);
	if (!ret)
		file->stopped = true;
	mutex_unlock(&file->lock);
	return ret;
}

/* Loaded or refused, the file has ended. */
int edu_finish_resuming(struct edu_device *edu)
{
	struct edu_file *file = edu->resuming;
	int ret = -EINVAL;

	if (!file)
		return -EINVAL;
	mutex_lock(&file->lock);
	if (file->complete && !file->failed)
		ret = edu_image_load(edu, file->image);
	mutex_unlock(&file->lock);
	edu_file_end(&edu->resuming);
	return ret;
}
