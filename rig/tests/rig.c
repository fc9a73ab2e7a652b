/* SPDX-License-Identifier: MIT */
/* What the rig's tests share; see rig.h. */
#include "rig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define CONFIG	    7u
#define BAR0	    0u
#define PCI_COMMAND 4u
#define MEM_MASTER  6u

_Noreturn void rig_fail(const char *file, int line, const char *what)
{
	printf("%s:%d: %s (errno %s; spoor: %s)\n", file, line, what,
	       strerrorname_np(errno), spoor_errmsg());
	exit(1);
}

_Noreturn void rig_fail_call(const char *file, int line, const char *what,
			     int err)
{
	printf("%s:%d: %s is %d (%s): %s\n", file, line, what, err,
	       err < 0 ? strerrorname_np(-err) : "?", spoor_errmsg());
	exit(1);
}

enum spoor_space_backend rig_backend(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "type1"))
		return SPOOR_SPACE_TYPE1;
	if (argc > 1 && !strcmp(argv[1], "iommufd"))
		return SPOOR_SPACE_IOMMUFD;
	printf("usage: %s type1|iommufd\n", argv[0]);
	exit(2);
}

void rig_enable(struct spoor_device *dev)
{
	const uint16_t command = MEM_MASTER;

	OK(spoor_device_region_write(dev, CONFIG, PCI_COMMAND, &command, 2));
}

void rig_up(struct rig_device *r, enum spoor_space_backend backend,
	    const char *address)
{
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = backend,
					       .dirty_tracking = true };

	OK(spoor_space_open(&r->space, "space", &opts));
	OK(spoor_device_open(&r->dev, address, NULL));
	OK(spoor_space_attach(r->space, r->dev));
	rig_enable(r->dev);
}

void rig_down(struct rig_device *r)
{
	r->dev = spoor_device_free(r->dev);
	r->space = spoor_space_free(r->space);
}

void rig_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

void *rig_memory(uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

uint32_t edu_read(struct spoor_device *dev, uint64_t reg)
{
	uint32_t value;

	OK(spoor_device_region_read(dev, BAR0, reg, &value, 4));
	return value;
}

void edu_write(struct spoor_device *dev, uint64_t reg, uint32_t value)
{
	OK(spoor_device_region_write(dev, BAR0, reg, &value, 4));
}

static void write_64(struct spoor_device *dev, uint64_t reg, uint64_t value)
{
	/* Linux 6.1 would halve it, and edu takes no half. */
	if (value >> 32)
		OK(spoor_device_region_write(dev, BAR0, reg, &value, 8));
	else
		edu_write(dev, reg, (uint32_t)value);
}

void edu_dma(struct spoor_device *dev, bool to_memory, uint64_t iova,
	     uint32_t at, uint32_t len)
{
	write_64(dev, EDU_DMA_SRC, to_memory ? EDU_BUFFER + at : iova);
	write_64(dev, EDU_DMA_DST, to_memory ? iova : EDU_BUFFER + at);
	edu_write(dev, EDU_DMA_COUNT, len);
	edu_write(dev, EDU_DMA_CMD,
		  EDU_DMA_RUN | (to_memory ? EDU_DMA_WRITE : 0));
	for (int ms = 0; edu_read(dev, EDU_DMA_CMD) & EDU_DMA_RUN; ms++) {
		CHECK(ms < 5000);
		usleep(5000);
	}
}
