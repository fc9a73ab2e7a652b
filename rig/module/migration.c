// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio-edu: migration states, and the arcs between them. The core breaks every
 * wish down to arcs; what they have in common is the gate of the DMA engine.
 * And what a reset does to all that.
 */
#include <linux/file.h>
#include <linux/fs.h>

#include "vfio_edu.h"

static int force_error;
module_param(force_error, int, 0644);
MODULE_PARM_DESC(force_error, "1: the device whose migration state is asked for next finds itself in ERROR");

static int fail_stop;
module_param(fail_stop, int, 0644);
MODULE_PARM_DESC(fail_stop, "the Nth arc from now that quiets the device fails, as if its engine hung");

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
