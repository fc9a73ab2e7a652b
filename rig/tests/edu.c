/* SPDX-License-Identifier: MIT */
/* The plain kernel interface, for the tests of edu; see edu.h. */
#include "edu.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/vfio.h>

/* Of Linux 6.12's headers; the numbers are of the interface, and fixed. */
#define BIND_IOMMUFD	 _IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH_PT	 _IO(VFIO_TYPE, VFIO_BASE + 19)
#define PRECOPY_INFO	 _IO(VFIO_TYPE, VFIO_BASE + 21)
#define IOAS_ALLOC	 _IO(';', 0x81)
#define IOAS_MAP	 _IO(';', 0x85)
#define FEATURE_DATASIZE 9u

struct ioas_alloc {
	uint32_t size, flags, id;
};

struct ioas_map {
	uint32_t size, flags, id, reserved;
	uint64_t user_va, len, iova;
};

struct bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t id;
};

struct attach {
	uint32_t argsz, flags, id;
};

struct precopy_info {
	uint32_t argsz, flags;
	uint64_t initial, dirty;
};

_Noreturn void fail(const char *file, int line, const char *what)
{
	fflush(stdout);
	printf("%s:%d: %s (%s)\n", file, line, what, strerrorname_np(errno));
	fflush(stdout);
	_exit(1);
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int call(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

static const char *sysfs(const char *address, const char *more)
{
	static char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address,
		 more);
	return path;
}

static void open_cdev(struct edu *e)
{
	struct ioas_alloc alloc = { .size = sizeof(alloc) };
	struct bind bind = { .argsz = sizeof(bind) };
	struct attach attach = { .argsz = sizeof(attach) };
	char path[300] = "";
	struct dirent *entry;
	DIR *dir = opendir(sysfs(e->address, "vfio-dev"));

	CHECK(dir);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(path, sizeof(path), "/dev/vfio/devices/%s",
				 entry->d_name);
	closedir(dir);
	e->group = -1;
	e->space = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	CHECK(e->space >= 0);
	CHECK(!call(e->space, IOAS_ALLOC, &alloc));
	e->ioas = alloc.id;
	e->fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(e->fd >= 0);
	bind.iommufd = e->space;
	CHECK(!call(e->fd, BIND_IOMMUFD, &bind));
	attach.id = e->ioas;
	CHECK(!call(e->fd, ATTACH_PT, &attach));
}

static void open_group(struct edu *e)
{
	char link[256], path[300];
	ssize_t len = readlink(sysfs(e->address, "iommu_group"), link,
			       sizeof(link) - 1);

	CHECK(len > 0);
	link[len] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	e->group = open(path, O_RDWR | O_CLOEXEC);
	CHECK(e->group >= 0);
	e->space = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	CHECK(e->space >= 0);
	CHECK(!ioctl(e->group, VFIO_GROUP_SET_CONTAINER, &e->space));
	CHECK(!ioctl(e->space, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	e->fd = ioctl(e->group, VFIO_GROUP_GET_DEVICE_FD, e->address);
	CHECK(e->fd >= 0);
}

int edu_map(struct edu *e, uint64_t iova, void *memory, uint64_t len)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map),
						.flags = 3,
						.vaddr = (uintptr_t)memory,
						.iova = iova,
						.size = len };
	struct ioas_map ioas = { .size = sizeof(ioas),
				 .flags = 7,
				 .id = e->ioas,
				 .user_va = (uintptr_t)memory,
				 .len = len,
				 .iova = iova };

	return e->group < 0 ? call(e->space, IOAS_MAP, &ioas)
			    : call(e->space, VFIO_IOMMU_MAP_DMA, &map);
}

static uint64_t region(struct edu *e, uint32_t index)
{
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = index };

	CHECK(!call(e->fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	return info.offset;
}

static int feature(struct edu *e, uint32_t flags, void *data, size_t len)
{
	uint64_t buf[8] = { 0 };
	struct vfio_device_feature *f = (void *)buf;
	int ret;

	f->argsz = (uint32_t)(sizeof(*f) + len);
	f->flags = flags;
	if (len)
		memcpy(f->data, data, len);
	ret = call(e->fd, VFIO_DEVICE_FEATURE, f);
	if (len)
		memcpy(data, f->data, len);
	return ret;
}

void edu_open(struct edu *e, const char *address)
{
	const uint16_t command = 6; /* memory, bus master */

	*e = (struct edu){ .address = address };
	e->memory = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(e->memory != MAP_FAILED);
	if (places.iommufd)
		open_cdev(e);
	else
		open_group(e);
	CHECK(!edu_map(e, IOVA, e->memory, NR_PAGES * PAGE));
	e->bar0 = region(e, 0);
	e->config = region(e, VFIO_PCI_CONFIG_REGION_INDEX);
	CHECK(pwrite(e->fd, &command, 2, (off_t)e->config + 4) == 2);
	if (feature(e, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
		    &e->flags, 8))
		e->flags = 0;
	e->log = !feature(e,
			  VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			  NULL, 0);
}

void edu_close(struct edu *e)
{
	close(e->fd);
	if (e->group >= 0)
		close(e->group);
	close(e->space);
	munmap(e->memory, NR_PAGES * PAGE);
}

uint64_t edu_get(struct edu *e, unsigned int reg, size_t width)
{
	uint64_t value = 0;

	CHECK(pread(e->fd, &value, width, (off_t)(e->bar0 + reg)) ==
	      (ssize_t)width);
	return value;
}

void edu_set(struct edu *e, unsigned int reg, uint64_t value, size_t width)
{
	CHECK(pwrite(e->fd, &value, width, (off_t)(e->bar0 + reg)) ==
	      (ssize_t)width);
}

uint32_t get4(struct edu *e, unsigned int reg)
{
	return (uint32_t)edu_get(e, reg, 4);
}

void set4(struct edu *e, unsigned int reg, uint32_t value)
{
	edu_set(e, reg, value, 4);
}

void set8(struct edu *e, unsigned int reg, uint64_t value)
{
	edu_set(e, reg, value, 8);
}

void edu_ring(struct edu *e, bool to_memory, uint64_t iova, unsigned int at,
	      unsigned int len, unsigned int more)
{
	set8(e, REG_SRC, to_memory ? BUFFER + at : iova);
	set8(e, REG_DST, to_memory ? iova : BUFFER + at);
	set8(e, REG_CNT, len);
	set4(e, REG_CMD, CMD_RUN | (to_memory ? CMD_TO_MEMORY : 0) | more);
}

bool edu_busy(struct edu *e)
{
	return get4(e, REG_CMD) & CMD_RUN;
}

void edu_wait(struct edu *e)
{
	double end = now() + 20;

	while (edu_busy(e)) {
		CHECK(now() < end);
		usleep(5000);
	}
}

void edu_dma(struct edu *e, bool to_memory, uint64_t iova, unsigned int at,
	     unsigned int len)
{
	edu_ring(e, to_memory, iova, at, len, 0);
	edu_wait(e);
}

void edu_fill(struct edu *e, const uint8_t *bytes)
{
	memcpy(e->memory, bytes, PAGE);
	edu_dma(e, false, IOVA, 0, PAGE);
}

void edu_dump(struct edu *e, uint8_t *bytes)
{
	edu_dma(e, true, IOVA, 0, PAGE);
	memcpy(bytes, e->memory, PAGE);
}

int edu_irq(struct edu *e)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = { { .argsz = sizeof(irq),
		    .flags = VFIO_IRQ_SET_DATA_EVENTFD |
			     VFIO_IRQ_SET_ACTION_TRIGGER,
		    .index = VFIO_PCI_MSI_IRQ_INDEX,
		    .count = 1 },
		  -1 };

	irq.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(irq.fd >= 0);
	CHECK(!call(e->fd, VFIO_DEVICE_SET_IRQS, &irq));
	return irq.fd;
}

bool irq_seen(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t nr;

	return poll(&p, 1, ms) == 1 && read(fd, &nr, 8) == 8;
}

int edu_go(struct edu *e, enum state state, int *fd)
{
	struct vfio_device_feature_mig_state m = { .device_state = state,
						   .data_fd = -1 };
	int ret = feature(e,
			  VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			  &m, sizeof(m));

	if (fd)
		*fd = ret ? -1 : m.data_fd;
	else if (!ret && m.data_fd >= 0)
		close(m.data_fd);
	return ret;
}

enum state edu_state(struct edu *e)
{
	struct vfio_device_feature_mig_state m = { 0 };

	CHECK(!feature(e,
		       VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		       &m, sizeof(m)));
	return (enum state)m.device_state;
}

int edu_data_size(struct edu *e, uint64_t *size)
{
	return feature(e, VFIO_DEVICE_FEATURE_GET | FEATURE_DATASIZE, size, 8);
}

int edu_info(int fd, uint64_t *initial, uint64_t *dirty)
{
	struct precopy_info info = { .argsz = sizeof(info) };
	int ret = call(fd, PRECOPY_INFO, &info);

	*initial = info.initial;
	*dirty = info.dirty;
	return ret;
}

int edu_reset(struct edu *e)
{
	return call(e->fd, VFIO_DEVICE_RESET, NULL);
}

int log_start(struct edu *e, uint64_t *page_size, const struct range *ranges,
	      unsigned int nr)
{
	struct vfio_device_feature_dma_logging_control c = {
		.page_size = *page_size,
		.num_ranges = nr,
		.ranges = (uintptr_t)ranges
	};
	int ret = feature(e,
			  VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			  &c, sizeof(c));

	*page_size = c.page_size;
	return ret;
}

int log_start_all(struct edu *e, uint64_t page_size)
{
	const struct range all = { IOVA, NR_PAGES * PAGE };
	uint64_t got = page_size;
	int ret = log_start(e, &got, &all, 1);

	CHECK(ret || got == page_size);
	return ret;
}

int log_stop(struct edu *e)
{
	return feature(e,
		       VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		       NULL, 0);
}

int log_report(struct edu *e, uint64_t iova, uint64_t len, uint64_t page_size,
	       uint8_t *bitmap)
{
	struct vfio_device_feature_dma_logging_report r = {
		.iova = iova,
		.length = len,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap
	};

	return feature(e,
		       VFIO_DEVICE_FEATURE_GET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		       &r, sizeof(r));
}

const char *log_dirty(struct edu *e)
{
	static char text[4096];
	uint8_t bitmap[NR_PAGES / 8] = { 0 };
	unsigned int i, first;
	size_t len = 0;

	CHECK(!log_report(e, IOVA, NR_PAGES * PAGE, PAGE, bitmap));
	text[0] = '\0';
	for (i = 0; i < NR_PAGES; i++) {
		if (!(bitmap[i / 8] >> i % 8 & 1))
			continue;
		first = i;
		while (i + 1 < NR_PAGES &&
		       bitmap[(i + 1) / 8] >> (i + 1) % 8 & 1)
			i++;
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					i > first ? "%s%u-%u" : "%s%u",
					len ? "," : "", first, i);
	}
	return text;
}

bool log_is(struct edu *e, const char *expected)
{
	const char *dirty = log_dirty(e);

	if (!strcmp(dirty, expected))
		return true;
	printf("dirty: '%s', expected '%s'\n", dirty, expected);
	return false;
}

uint64_t edu_stat(struct edu *e, const char *name)
{
	char more[64], text[32] = "";
	ssize_t len;
	int fd;

	snprintf(more, sizeof(more), "edu/%s", name);
	fd = open(sysfs(e->address, more), O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	len = read(fd, text, sizeof(text) - 1);
	CHECK(len > 0);
	close(fd);
	return strtoull(text, NULL, 10);
}

static void put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(write(fd, value, strlen(value)) == (ssize_t)strlen(value));
	close(fd);
}

void edu_param(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/vfio_edu/parameters/%s",
		 name);
	put(path, value);
}

void edu_bind(const char *address, bool bind)
{
	put(bind ? "/sys/bus/pci/drivers/vfio-edu/bind"
		 : "/sys/bus/pci/drivers/vfio-edu/unbind",
	    address);
}

uint8_t *stream_read(int fd, size_t piece, size_t *len)
{
	size_t size = 16 * EDU_IMAGE_SIZE + piece;
	uint8_t *stream = malloc(size);
	ssize_t got;

	CHECK(stream);
	*len = 0;
	while ((got = read(fd, stream + *len, piece)) > 0) {
		*len += (size_t)got;
		CHECK(*len + piece <= size);
	}
	CHECK(got == 0);
	return stream;
}

int stream_write(int fd, const void *stream, size_t len, size_t piece)
{
	const uint8_t *bytes = stream;
	size_t part;
	ssize_t put;

	while (len) {
		part = len < piece ? len : piece;
		put = write(fd, bytes, part);
		if (put < 0)
			return -errno;
		bytes += put;
		len -= (size_t)put;
	}
	return 0;
}

void edu_move(struct edu *from, struct edu *to, size_t piece)
{
	uint8_t *stream;
	int in, out;
	size_t len;

	CHECK(!edu_go(from, STOP_COPY, &out));
	CHECK(!edu_go(to, RESUMING, &in));
	stream = stream_read(out, piece, &len);
	CHECK(len == EDU_IMAGE_SIZE);
	CHECK(!stream_write(in, stream, len, piece));
	CHECK(!edu_go(to, STOP, NULL));
	close(in);
	close(out);
	free(stream);
}

void image_seal(struct edu_image *image)
{
	image->crc = edu_image_crc(image);
}
