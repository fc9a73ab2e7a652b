// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: migration states and their data files.
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

static int force_error;
module_param(force_error, int, 0644);
MODULE_PARM_DESC(force_error, "1: the device whose migration state is asked for next finds itself in ERROR");

static int fail_stop;
module_param(fail_stop, int, 0644);
MODULE_PARM_DESC(fail_stop, "the Nth arc from now that quiets the device fails, as if its engine hung");

struct edu_file {
	struct file *filp;
	/* holds a reference; not open any more if its life is another */
	struct edu_device *edu;
	u32 life;
	bool saving;

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
	file->saving = saving;
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
static void edu_file_put(struct edu_file **pfile)
{
	struct edu_file *file = *pfile;

	*pfile = NULL;
	if (file)
		fput(file->filp);
}

static void edu_file_end(struct edu_file **pfile)
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

static struct file *edu_begin_saving(struct edu_device *edu, u32 life,
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

static struct file *edu_begin_resuming(struct edu_device *edu, u32 life)
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
static int edu_finish_saving(struct edu_device *edu)
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
static int edu_finish_resuming(struct edu_device *edu)
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

static int edu_gate(struct edu_device *edu, u32 life, enum edu_gate gate)
{
	int ret;

	ret = edu_hw_begin(edu, PCI_COMMAND_MEMORY);
	if (ret)
		return ret;
	if (life != edu->life) {
		ret = -ENODEV;
	} else {
		bool closes = gate > edu->gate;

		ret = edu_dma_gate(edu, gate);
		if (closes && edu_fail(&fail_stop))
			ret = -EIO;
	}
	edu_hw_end(edu);
	return ret;
}

static bool edu_is_running(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_RUNNING ||
	       state == VFIO_DEVICE_STATE_PRE_COPY;
}

static bool edu_is_p2p(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_RUNNING_P2P ||
	       state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static bool edu_is_pre_copy(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_PRE_COPY ||
	       state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static enum edu_gate edu_gate_of(enum vfio_device_mig_state state)
{
	if (edu_is_running(state))
		return EDU_GATE_OPEN;
	return edu_is_p2p(state) ? EDU_GATE_P2P : EDU_GATE_SHUT;
}

/*
 * One arc, with state_mutex held. What the arcs of the core's table have in
 * common is the gate; what is left are the files. A state is entered when its
 * gate is set and its file is there, in the order that can fail without harm:
 * close the gate first, open it last.
 */
static struct file *edu_step(struct edu_device *edu, u32 life,
			     enum vfio_device_mig_state new)
{
	enum vfio_device_mig_state old = edu->mig_state;
	enum edu_gate gate = edu_gate_of(new);
	bool closes = gate > edu_gate_of(old);
	struct file *filp = NULL;
	int ret = 0;

	if (closes)
		ret = edu_gate(edu, life, gate);
	if (ret) {
		/* It would not be quiet: no state describes that. */
		if (ret == -EIO)
			edu->mig_state = VFIO_DEVICE_STATE_ERROR;
		return ERR_PTR(ret);
	}

	if (edu_is_pre_copy(new) && !edu_is_pre_copy(old))
		filp = edu_begin_saving(edu, life, false);
	else if (new == VFIO_DEVICE_STATE_STOP_COPY && edu_is_pre_copy(old))
		ret = edu_finish_saving(edu);
	else if (new == VFIO_DEVICE_STATE_STOP_COPY)
		filp = edu_begin_saving(edu, life, true);
	else if (new == VFIO_DEVICE_STATE_RESUMING)
		filp = edu_begin_resuming(edu, life);
	else if (old == VFIO_DEVICE_STATE_RESUMING)
		ret = edu_finish_resuming(edu);
	else if (old == VFIO_DEVICE_STATE_STOP_COPY ||
		 (edu_is_pre_copy(old) && !edu_is_pre_copy(new)))
		edu_file_end(&edu->saving);
	if (IS_ERR(filp))
		return filp;
	if (ret) {
		/* We are still in the old state, so back to its gate. */
		if (closes)
			edu_gate(edu, life, edu_gate_of(old));
		return ERR_PTR(ret);
	}

	if (!closes)
		ret = edu_gate(edu, life, gate);
	if (ret) {
		if (filp) {
			fput(filp);
			edu_file_end(&edu->saving);
			edu_file_end(&edu->resuming);
		}
		return ERR_PTR(ret);
	}
	edu->mig_state = new;
	return filp;
}

/* state_mutex held */
static void edu_apply_error(struct edu_device *edu)
{
	if (READ_ONCE(force_error) && xchg(&force_error, 0))
		edu->mig_state = VFIO_DEVICE_STATE_ERROR;
}

/*
 * A reset sets the migration state to RUNNING. But VFIO resets with
 * memory_lock held, which we take below state_mutex, so a reset must not wait
 * for state_mutex. It leaves a note; if it cannot have the mutex, its holder
 * acts on the note before letting go. reset_lock spans reading the note and
 * letting go, as it spans leaving the note and trying: one of the two sees
 * the other.
 */
static void edu_state_unlock(struct edu_device *edu)
{
again:
	spin_lock(&edu->reset_lock);
	if (edu->deferred_reset) {
		edu->deferred_reset = false;
		spin_unlock(&edu->reset_lock);
		/* The files have ended with the life before the reset. */
		edu_file_put(&edu->saving);
		edu_file_put(&edu->resuming);
		edu->mig_state = VFIO_DEVICE_STATE_RUNNING;
		goto again;
	}
	mutex_unlock(&edu->state_mutex);
	spin_unlock(&edu->reset_lock);
}

void edu_migration_reset_done(struct edu_device *edu)
{
	spin_lock(&edu->reset_lock);
	edu->deferred_reset = true;
	if (!mutex_trylock(&edu->state_mutex)) {
		spin_unlock(&edu->reset_lock);
		return;
	}
	spin_unlock(&edu->reset_lock);
	edu_state_unlock(edu);
}

static struct file *edu_set_state(struct vfio_device *vdev,
				  enum vfio_device_mig_state new)
{
	struct edu_device *edu = edu_from_vfio(vdev);
	enum vfio_device_mig_state next;
	struct file *filp = NULL;
	u32 life;
	int ret;

	mutex_lock(&edu->state_mutex);
	edu_apply_error(edu);
	/* An arc that a reset overtakes fails: what it did is undone. */
	life = READ_ONCE(edu->life);
	while (edu->mig_state != new) {
		/* No arc leaves it, and the core warns of those who ask. */
		if (edu->mig_state == VFIO_DEVICE_STATE_ERROR)
			ret = -EINVAL;
		else
			ret = vfio_mig_get_next_state(vdev, edu->mig_state, new,
						      &next);
		if (ret) {
			filp = ERR_PTR(ret);
			break;
		}
		filp = edu_step(edu, life, next);
		if (IS_ERR(filp))
			break;
		if (WARN_ON(filp && edu->mig_state != new)) {
			fput(filp);
			filp = ERR_PTR(-EINVAL);
			break;
		}
	}
	edu_state_unlock(edu);
	return filp;
}

static int edu_get_state(struct vfio_device *vdev,
			 enum vfio_device_mig_state *state)
{
	struct edu_device *edu = edu_from_vfio(vdev);

	mutex_lock(&edu->state_mutex);
	edu_apply_error(edu);
	*state = edu->mig_state;
	edu_state_unlock(edu);
	return 0;
}

/* The last image: what a pre-copy stream holds before it is not counted. */
static int __maybe_unused edu_get_data_size(struct vfio_device *vdev,
					    unsigned long *stop_copy_length)
{
	*stop_copy_length = EDU_IMAGE_SIZE;
	return 0;
}

const struct vfio_migration_ops edu_migration_ops = {
	.migration_set_state = edu_set_state,
	.migration_get_state = edu_get_state,
	EDU_DATA_SIZE_OP(edu_get_data_size)
};

void edu_migration_init(struct edu_device *edu)
{
	BUILD_BUG_ON(sizeof(struct edu_image) != EDU_IMAGE_SIZE);
	BUILD_BUG_ON(offsetof(struct edu_image, crc) != EDU_IMAGE_SIZE - 4);
	mutex_init(&edu->state_mutex);
	spin_lock_init(&edu->reset_lock);
}

void edu_migration_open(struct edu_device *edu)
{
	mutex_lock(&edu->state_mutex);
	/* what the reset on opening left */
	edu->deferred_reset = false;
	edu->mig_state = VFIO_DEVICE_STATE_RUNNING;
	mutex_unlock(&edu->state_mutex);
}

void edu_migration_close(struct edu_device *edu)
{
	mutex_lock(&edu->state_mutex);
	edu_file_put(&edu->saving);
	edu_file_put(&edu->resuming);
	edu_state_unlock(edu);
}
