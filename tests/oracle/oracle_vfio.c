/* SPDX-License-Identifier: MIT */
/* clang-format off */
/* oracle_vfio.c - scripted VFIO uAPI calls, one TSV line per call:
 *   scenario \t step \t call \t result \t origin
 * origin: core (vfio_main/group/cdev/container), pci (vfio-pci-core), iommufd, type1, vfs,
 *         hw (edu device model), drv (vfio_edu.c).  See README.md.
 * Build: gcc -static -O1 -w -isystem <6.12 uapi> oracle_vfio.c -o oracle_vfio
 * Environment (argv may also carry NAME=VALUE): ORACLE_BDF, ORACLE_RBDF (device whose RESET works),
 *   ORACLE_CDEV, ORACLE_GROUP (override sysfs look-up), ORACLE_IOMMU=/dev/iommu,
 *   ORACLE_CONTAINER=/dev/vfio/vfio, ORACLE_DRV=vfio-edu ("" = do not bind), ORACLE_NOFORK=1,
 *   ORACLE_ONLY=name[,name], ORACLE_FORCE_ERROR=file (fsm_error) */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <linux/iommufd.h>

typedef uint64_t u64; typedef uint32_t u32; typedef uint8_t u8;
#define PG 4096ull
#define NP 256
#define IOVA 0x100000ull
#define FAR  0x9000000ull		/* a second page, 35 K pages above IOVA */

/* ------------------------------------------------------------------ output */
static const char *scen; static int stepno; static char xb[4096];
static void x(const char *f, ...) { va_list a; size_t n = strlen(xb); va_start(a, f); if (n < sizeof xb - 1) vsnprintf(xb + n, sizeof xb - n, f, a); va_end(a); }
static const char *en(int e) {
	const char *n = strerrorname_np(e); static char b[16];
	if (n) return n; sprintf(b, "E%d", e); return b; }
static void emit(const char *org, long r, int e, const char *f, ...) {
	va_list a; char c[1024]; if (r < 0 && (e == EBADF || e == ESPIPE) && !strcmp(org, "drv")) org = "vfs";	/* file mode checks */ va_start(a, f); vsnprintf(c, sizeof c, f, a); va_end(a);
	printf("%s\t%d\t%s\t", scen, ++stepno, c);
	if (r < 0) printf("%s", en(e)); else printf("%ld", r);
	printf("%s\t%s\n", xb, org); fflush(stdout);
}
/* THE step macro: run a call (value <0 + errno = failure), print it */
#define STEP(org, call, ...) do { xb[0] = 0; errno = 0; long r_ = (long)(call); int e_ = errno; emit(org, r_, e_, __VA_ARGS__); } while (0)
#define FATAL(...) do { printf("%s\t%d\t", scen, ++stepno); printf(__VA_ARGS__); printf("\tFATAL %s\tsetup\n", en(errno)); fflush(stdout); _exit(3); } while (0)

static const char *const stn[] = {"ERROR","STOP","RUNNING","STOP_COPY","RESUMING","RUNNING_P2P","PRE_COPY","PRE_COPY_P2P"};
static const char *sn(u32 s) { static char b[4][24]; static int i; char *p = b[i++ & 3]; if (s < 8) snprintf(p, 24, "%s", stn[s]); else snprintf(p, 24, s > 99 ? "0x%x" : "%u", s); return p; }
static const char *fn(u32 f) { static const char *const n[] = {"PCI_VF_TOKEN","MIGRATION","MIG_DEVICE_STATE","LOW_POWER_ENTRY","LOW_POWER_ENTRY_WITH_WAKEUP","LOW_POWER_EXIT","DMA_LOGGING_START","DMA_LOGGING_STOP","DMA_LOGGING_REPORT","MIG_DATA_SIZE","BUS_MASTER"};
	static char b[16]; f &= 0xffff; if (f < 11) return n[f]; sprintf(b, "FEATURE_%u", f); return b; }
static const char *ff(u32 f) { static char b[2][80]; static int i; char *p = b[i++ & 1]; *p = 0;
	if (f & VFIO_DEVICE_FEATURE_PROBE) strcat(p, "PROBE|"); if (f & VFIO_DEVICE_FEATURE_GET) strcat(p, "GET|"); if (f & VFIO_DEVICE_FEATURE_SET) strcat(p, "SET|");
	if (f & ~0x7ffffu) sprintf(p + strlen(p), "0x%x|", f & ~0x7ffffu); strcat(p, fn(f)); return p; }
static const char *pgs(u64 v) { static char b[4][24]; static int i; char *p = b[i++ & 3];
	if (v >= 1<<30 && v < 1ull << 62 && !(v & ((1<<30)-1))) sprintf(p, "%lluG", (long long)v >> 30); else if (v >= 1<<20 && v < 1<<30 && !(v & 0xfffff)) sprintf(p, "%lluM", (long long)v >> 20);
	else if (v >= 65536 && v < 1<<20 && !(v & 1023)) sprintf(p, "%lluK", (long long)v >> 10); else if (v < 1<<20) sprintf(p, "%llu", (long long)v); else sprintf(p, "0x%llx", (long long)v); return p; }
/* IOVA relative notation */
static const char *iv(u64 v) { static char b[8][32]; static int i; char *p = b[i++ & 7];
	if (v >= IOVA && v < IOVA + 2 * NP * PG) { u64 o = v - IOVA; if (o % PG) sprintf(p, "B+%llup+%llu", o / PG, o % PG); else sprintf(p, "B+%llup", o / PG); } else sprintf(p, "0x%llx", (long long)v); return p; }
static const char *ln(u64 v) { static char b[8][32]; static int i; char *p = b[i++ & 7];
	if (v && v % PG == 0 && v < 1ull << 40) sprintf(p, "%llup", v / PG); else if (v < 1<<20) sprintf(p, "%llu", (long long)v); else sprintf(p, "0x%llx", (long long)v); return p; }

/* ------------------------------------------------------------------ helpers */
static const char *E(const char *n, const char *d) { const char *v = getenv(n); return v ? v : d; }
static int wr(const char *p, const char *s) { int f = open(p, O_WRONLY); if (f < 0) return -1; int r = write(f, s, strlen(s)); close(f); return r < 0 ? -1 : 0; }
static void bind_drv(const char *bdf, const char *drv) {
	char p[256], cur[256]; ssize_t n;
	if (!*drv) return;
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/driver", bdf); n = readlink(p, cur, sizeof cur - 1);
	if (n > 0) { cur[n] = 0; if (!strcmp(strrchr(cur, '/') + 1, drv)) return; strcat(p, "/unbind"); wr(p, bdf); }
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/driver_override", bdf); wr(p, drv);
	wr("/sys/bus/pci/drivers_probe", bdf);
}
static const char *BDF, *RBDF;
static char *cdev_of(const char *bdf) {
	static char p[256]; struct dirent *e; DIR *D; const char *o = getenv("ORACLE_CDEV");
	if (o && bdf == BDF) return strcpy(p, o);
	if ((o = getenv("ORACLE_RCDEV")) && bdf == RBDF) return strcpy(p, o);
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/vfio-dev", bdf); D = opendir(p); *p = 0;
	while (D && (e = readdir(D))) if (!strncmp(e->d_name, "vfio", 4)) snprintf(p, sizeof p, "/dev/vfio/devices/%s", e->d_name);
	if (D) closedir(D); return p;
}
static char *group_of(const char *bdf) {
	static char p[256]; char l[256]; ssize_t n; const char *o = getenv("ORACLE_GROUP");
	if (o && bdf == BDF) return strcpy(p, o);
	snprintf(p, sizeof p, "/sys/bus/pci/devices/%s/iommu_group", bdf); n = readlink(p, l, sizeof l - 1);
	if (n < 0) { *p = 0; return p; } l[n] = 0; snprintf(p, sizeof p, "/dev/vfio/%s", strrchr(l, '/') + 1); return p;
}
struct dev { int fd, iommu, group; u32 ioas, devid; u64 bar0, cfg; };
static u8 *mem;			/* NP pages at IOVA, +1 page at FAR */
static u8 *ro, *guard;		/* read-only page; two pages of which the second is unmapped */
static void ram(void) {
	if (mem) return;
	int f = memfd_create("ram", 0); ftruncate(f, (NP + 1) * PG);
	mem = mmap(0, (NP + 1) * PG, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
	ro = mmap(0, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	guard = mmap(0, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(guard + PG, PG);
}
static void rofill(const void *p, size_t n) { mprotect(ro, PG, PROT_READ | PROT_WRITE); memset(ro, 0, PG); memcpy(ro, p, n); mprotect(ro, PG, PROT_READ); }
#define BAD ((void *)(guard + PG))	/* certainly unmapped, page aligned */

static void regions(struct dev *d) {
	struct vfio_region_info r = {.argsz = sizeof r, .index = VFIO_PCI_BAR0_REGION_INDEX};
	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &r)) FATAL("bar0"); d->bar0 = r.offset;
	r = (struct vfio_region_info){.argsz = sizeof r, .index = VFIO_PCI_CONFIG_REGION_INDEX};
	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &r)) FATAL("cfg"); d->cfg = r.offset;
	uint16_t cmd = 6; pwrite(d->fd, &cmd, 2, d->cfg + 4);
}
static void w8(struct dev *d, unsigned r, u64 v) { pwrite(d->fd, &v, 8, d->bar0 + r); }
static void w4(struct dev *d, unsigned r, u32 v) { pwrite(d->fd, &v, 4, d->bar0 + r); }
static u32 r4(struct dev *d, unsigned r) { u32 v = 0; pread(d->fd, &v, 4, d->bar0 + r); return v; }
/* fresh device, bound and attached to an IOAS with RAM mapped; DMA registers zeroed */
static struct dev fresh(const char *bdf) {
	struct dev d = {.group = -1}; ram();
	if (!strcmp(E("ORACLE_MODE", "cdev"), "group")) {	/* legacy: group + type1v2 container */
		d.group = open(group_of(bdf), O_RDWR); d.iommu = open(E("ORACLE_CONTAINER", "/dev/vfio/vfio"), O_RDWR); if (d.group < 0 || d.iommu < 0) FATAL("open group");
		if (ioctl(d.group, VFIO_GROUP_SET_CONTAINER, &d.iommu) || ioctl(d.iommu, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) FATAL("container");
		for (int i = 0; i < 2; i++) { struct vfio_iommu_type1_dma_map m = {.argsz = sizeof m, .flags = 3, .vaddr = (uintptr_t)mem + (i ? NP * PG : 0), .size = i ? PG : NP * PG, .iova = i ? FAR : IOVA}; if (ioctl(d.iommu, VFIO_IOMMU_MAP_DMA, &m)) FATAL("map"); }
		d.fd = ioctl(d.group, VFIO_GROUP_GET_DEVICE_FD, bdf); if (d.fd < 0) FATAL("device fd");
		regions(&d); w8(&d, 0x80, 0); w8(&d, 0x88, 0); w8(&d, 0x90, 0); w4(&d, 4, 0); return d;
	}
	d.iommu = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR); if (d.iommu < 0) FATAL("open iommu");
	struct iommu_ioas_alloc a = {.size = sizeof a}; if (ioctl(d.iommu, IOMMU_IOAS_ALLOC, &a)) FATAL("ioas"); d.ioas = a.out_ioas_id;
	for (int i = 0; i < 2; i++) {
		struct iommu_ioas_map m = {.size = sizeof m, .flags = 7, .ioas_id = d.ioas, .user_va = (uintptr_t)mem + (i ? NP * PG : 0), .length = i ? PG : NP * PG, .iova = i ? FAR : IOVA};
		if (ioctl(d.iommu, IOMMU_IOAS_MAP, &m)) FATAL("map"); }
	d.fd = open(cdev_of(bdf), O_RDWR); if (d.fd < 0) FATAL("open cdev");
	struct vfio_device_bind_iommufd b = {.argsz = sizeof b, .iommufd = d.iommu}; if (ioctl(d.fd, VFIO_DEVICE_BIND_IOMMUFD, &b)) FATAL("bind"); d.devid = b.out_devid;
	struct vfio_device_attach_iommufd_pt at = {.argsz = sizeof at, .pt_id = d.ioas}; if (ioctl(d.fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at)) FATAL("attach");
	regions(&d); w8(&d, 0x80, 0); w8(&d, 0x88, 0); w8(&d, 0x90, 0); w4(&d, 4, 0);
	return d;
}
static void done(struct dev *d) { close(d->fd); close(d->iommu); if (d->group >= 0) close(d->group); }
static int edu_dma(struct dev *d, int to_ram, u64 iova, unsigned off, unsigned len) {
	w8(d, 0x80, to_ram ? 0x40000 + off : iova); w8(d, 0x88, to_ram ? iova : 0x40000 + off); w8(d, 0x90, len); w4(d, 0x98, 1 | (to_ram ? 2 : 0));
	for (int i = 0; i < 5000; i++) { if (!(r4(d, 0x98) & 1)) return 0; usleep(1000); } errno = ETIMEDOUT; return -1; }

/* raw FEATURE: payload copied in/out of a page sized buffer */
static u8 fb[8192] __attribute__((aligned(4096)));
static int feat(int fd, u32 argsz, u32 flags, void *p, size_t n) {
	memset(fb, 0, sizeof fb); struct vfio_device_feature *f = (void *)fb; f->argsz = argsz; f->flags = flags;
	if (p) memcpy(f->data, p, n); int r = ioctl(fd, VFIO_DEVICE_FEATURE, f);
	int e = errno; if (p) memcpy(p, f->data, n);
	if (f->argsz != argsz) x(" argsz->%u", f->argsz); if (f->flags != flags) x(" flags->0x%x", f->flags); errno = e; return r; }
#define FGET VFIO_DEVICE_FEATURE_GET
#define FSET VFIO_DEVICE_FEATURE_SET
#define FPROBE VFIO_DEVICE_FEATURE_PROBE
static int mig_set(int fd, u32 s, int *dfd) {	/* prints returned state and data_fd */
	struct vfio_device_feature_mig_state m = {.device_state = s, .data_fd = 77};
	int r = feat(fd, 16, FSET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &m, sizeof m), e = errno;
	x(" device_state=%s data_fd=%s", sn(m.device_state), m.data_fd == -1 ? "-1" : m.data_fd == 77 ? "untouched" : "fd");
	if (dfd) *dfd = r == 0 && m.data_fd != 77 ? m.data_fd : -1; errno = e; return r; }
static int mig_get(int fd) {
	struct vfio_device_feature_mig_state m = {.device_state = 99, .data_fd = 77};
	int r = feat(fd, 16, FGET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &m, sizeof m), e = errno;
	x(" state=%s data_fd=%s", sn(m.device_state), m.data_fd == -1 ? "-1" : m.data_fd == 77 ? "untouched" : "fd"); errno = e; return r; }
static u32 state_q(int fd) { struct vfio_device_feature_mig_state m = {0}; char sv[sizeof xb]; strcpy(sv, xb); if (feat(fd, 16, FGET | 2, &m, sizeof m)) m.device_state = 98; strcpy(xb, sv); return m.device_state; }
static int pinfo(int fd) { struct vfio_precopy_info p = {.argsz = sizeof p}; int r = ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &p), e = errno; if (!r) x(" initial=%llu dirty=%llu flags=%u", (long long)p.initial_bytes, (long long)p.dirty_bytes, p.flags); errno = e; return r; }
static int pollx(int fd) { struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI}; int r = poll(&p, 1, 0), e = errno; x(" revents=%s%s%s%s%s%s", p.revents & POLLIN ? "IN|" : "", p.revents & POLLOUT ? "OUT|" : "", p.revents & POLLPRI ? "PRI|" : "", p.revents & POLLERR ? "ERR|" : "", p.revents & POLLHUP ? "HUP|" : "", p.revents & POLLNVAL ? "NVAL|" : ""); errno = e; return r; }
static int fdx(int fd) { int fl = fcntl(fd, F_GETFL), cx = fcntl(fd, F_GETFD); if (fl < 0) return -1; x(" acc=%s cloexec=%d nonblock=%d", (fl & O_ACCMODE) == O_RDONLY ? "RDONLY" : (fl & O_ACCMODE) == O_WRONLY ? "WRONLY" : "RDWR", !!(cx & FD_CLOEXEC), !!(fl & O_NONBLOCK)); return 0; }
static u8 buf[1 << 16];
static long drain(int fd) { long t = 0; ssize_t n; while ((n = read(fd, buf, 1000)) > 0) t += n; x(" then %s", n == 0 ? "EOF" : en(errno)); return t; }
/* data fd probes used after transitions */
static void probe_fd(int fd, const char *who) {
	if (fd < 0) return;
	STEP("drv", read(fd, buf, 16), "read(%s,16)", who);
	STEP("drv", write(fd, buf, 0), "write(%s,0)", who);
	STEP("drv", pinfo(fd), "PRECOPY_INFO(%s)", who);
	STEP("vfs", pollx(fd), "poll(%s)", who);
}
static u8 *stream; static size_t slen;	/* a valid stop-copy stream */
static void capture(void) {
	if (stream) return; struct dev d = fresh(BDF); int fd; mig_set(d.fd, VFIO_DEVICE_STATE_STOP_COPY, &fd);
	stream = malloc(1 << 16); ssize_t n; while (fd >= 0 && (n = read(fd, stream + slen, 1 << 14)) > 0) slen += n;
	close(fd); done(&d); if (!slen) FATAL("capture"); }
/* go silently to a state; returns its data fd or -1.  RESUMING may be loaded */
static int go(struct dev *d, u32 s, int load) {
	int fd = -1, f2 = -1; if (s == VFIO_DEVICE_STATE_RUNNING) return -1;
	if (s == VFIO_DEVICE_STATE_PRE_COPY_P2P) { mig_set(d->fd, VFIO_DEVICE_STATE_RUNNING_P2P, 0); }
	if (mig_set(d->fd, s, &fd)) { if (errno == EINVAL) return -2; FATAL("go %s", sn(s)); }
	if (load && s == VFIO_DEVICE_STATE_RESUMING) for (size_t o = 0; o < slen;) { ssize_t k = write(fd, stream + o, slen - o); if (k <= 0) FATAL("load"); o += k; }
	return fd; }

/* ------------------------------------------------------------------ 1. FSM */
static void fsm_row(u32 from, int load) {
	static const u32 to[] = {0,1,2,3,4,5,6,7,8,9,0xffffffff};
	capture();
	for (unsigned i = 0; i < sizeof to / 4; i++) {
		struct dev d = fresh(BDF); int o = go(&d, from, load), n = -1; if (o == -2) { STEP("core", mig_set(d.fd, from, &n), "[from RUNNING] SET(device_state=%s) state not supported", sn(from)); STEP("core", mig_get(d.fd), "GET"); done(&d); return; }
		STEP(to[i] > 7 || to[i] == 0 ? "core" : from == 4 && !load ? "drv" : "core", mig_set(d.fd, to[i], &n), "[from %s%s] SET(device_state=%s)", sn(from), from == 4 ? load ? "(loaded)" : "(empty)" : "", sn(to[i]));
		STEP("core", mig_get(d.fd), "[from %s] GET", sn(from));
		probe_fd(o, "old"); if (n >= 0) STEP("drv", fdx(n), "fcntl(new)");
		probe_fd(n, "new"); if (o >= 0) close(o); if (n >= 0) close(n); done(&d);
	}
}
static void fsm_running(void) { fsm_row(2, 0); }
static void fsm_running_p2p(void) { fsm_row(5, 0); }
static void fsm_pre_copy(void) { fsm_row(6, 0); }
static void fsm_pre_copy_p2p(void) { fsm_row(7, 0); }
static void fsm_stop(void) { fsm_row(1, 0); }
static void fsm_stop_copy(void) { fsm_row(3, 0); }
static void fsm_resuming_empty(void) { fsm_row(4, 0); }
static void fsm_resuming_loaded(void) { fsm_row(4, 1); }

static void fsm_struct(void) {		/* argument edges of MIG_DEVICE_STATE */
	struct dev d = fresh(BDF); int fd;
	for (u32 a = 0; a <= 24; a += 4) { struct vfio_device_feature_mig_state m = {.device_state = 5, .data_fd = 77};
		STEP("core", feat(d.fd, a, FSET | 2, &m, sizeof m), "SET(RUNNING_P2P) argsz=%u", a);
		STEP("core", mig_get(d.fd), "GET"); mig_set(d.fd, 2, 0); }
	struct vfio_device_feature_mig_state m = {.device_state = 5, .data_fd = 77};
	STEP("core", feat(d.fd, 15, FGET | 2, &m, sizeof m), "GET argsz=15");
	STEP("core", feat(d.fd, 4096, FGET | 2, &m, sizeof m), "GET argsz=4096"); 
	STEP("core", feat(d.fd, 0xffffffff, FGET | 2, &m, sizeof m), "GET argsz=0xffffffff");
	STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, 0), "FEATURE(NULL)");
	struct { struct vfio_device_feature f; struct vfio_device_feature_mig_state m; } b = {{16, FSET | 2}, {3, 77}}, *g = (void *)(guard + PG - 8);
	memcpy(g, &b, 8); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, g), "SET(payload on unmapped page)"); STEP("core", mig_get(d.fd), "GET");
	g = (void *)(guard + PG - 12); memcpy(g, &b, 12); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, g), "SET(data_fd on unmapped page)"); STEP("core", mig_get(d.fd), "GET");
	b.m.device_state = 5; rofill(&b, 16); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, ro), "SET(RUNNING_P2P, read-only struct)"); STEP("core", mig_get(d.fd), "GET");
	b.m.device_state = 3; rofill(&b, 16); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, ro), "SET(STOP_COPY, read-only struct)"); STEP("core", mig_get(d.fd), "GET");
	STEP("core", mig_set(d.fd, 3, &fd), "SET(STOP_COPY) again"); STEP("core", mig_set(d.fd, 1, &fd), "SET(STOP)"); STEP("core", mig_set(d.fd, 3, &fd), "SET(STOP_COPY)");
	STEP("drv", drain(fd), "drain(data_fd)");
	done(&d);
}
static void fsm_datafd_stopcopy(void) {
	struct dev d = fresh(BDF); int fd, f2; for (int i = 0; i < 4096; i++) mem[i] = i * 7 + 3;
	edu_dma(&d, 0, IOVA, 0, 4096); w4(&d, 4, 0x12345678);
	STEP("core", mig_set(d.fd, 3, &fd), "SET(STOP_COPY)");
	STEP("drv", fdx(fd), "fcntl(data_fd)");
	STEP("vfs", lseek(fd, 0, SEEK_CUR), "lseek(0,CUR)"); STEP("vfs", pread(fd, buf, 16, 0), "pread(16,0)");
	STEP("vfs", write(fd, buf, 4), "write(4)"); STEP("vfs", mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, "mmap(data_fd)");
	STEP("drv", read(fd, buf, 0), "read(0)"); STEP("drv", read(fd, BAD, 16), "read(unmapped buf,16)");
	STEP("drv", pinfo(fd), "PRECOPY_INFO"); STEP("drv", ioctl(fd, VFIO_DEVICE_GET_INFO, buf), "ioctl(VFIO_DEVICE_GET_INFO)"); 
	STEP("drv", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, 0), "PRECOPY_INFO(NULL)");
	STEP("drv", read(fd, buf, 40), "read(40)"); x("");
	STEP("drv", (x(" magic=0x%x flags=%u src=0x%llx dst=0x%llx cnt=%llu addr4=0x%x", ((u32*)buf)[0], ((u32*)buf)[1], ((u64*)buf)[1], ((u64*)buf)[2], ((u64*)buf)[3], ((u32*)buf)[8]), 0), "header");
	STEP("drv", read(fd, buf, sizeof buf), "read(65536)"); STEP("drv", memcmp(buf, mem, 4096) ? 1 : 0, "buffer compare");
	STEP("drv", read(fd, buf, 16), "read(16) at end"); STEP("drv", read(fd, buf, 16), "read(16) at end again"); STEP("vfs", pollx(fd), "poll at end");
	f2 = dup(fd); STEP("core", mig_set(d.fd, 3, 0), "SET(STOP_COPY) again: no new fd");
	STEP("core", mig_set(d.fd, 2, 0), "SET(RUNNING)"); STEP("drv", read(f2, buf, 16), "read(dup of old)"); STEP("drv", pinfo(f2), "PRECOPY_INFO(old)");
	STEP("core", mig_set(d.fd, 3, &fd), "SET(STOP_COPY)"); STEP("drv", read(f2, buf, 16), "read(old, from first STOP_COPY)"); close(fd);
	STEP("core", mig_get(d.fd), "GET after close(data_fd)"); STEP("core", mig_set(d.fd, 3, &fd), "SET(STOP_COPY) after close(data_fd)");
	STEP("core", mig_set(d.fd, 1, &fd), "SET(STOP) after close(data_fd)"); STEP("core", mig_set(d.fd, 3, &fd), "SET(STOP_COPY)");
	close(d.fd); STEP("drv", read(fd, buf, 16), "read(data_fd) after close(device)"); STEP("drv", pinfo(fd), "PRECOPY_INFO after close(device)");
	close(d.iommu); if (d.group >= 0) close(d.group); close(fd); close(f2);
	d = fresh(BDF); STEP("drv", mig_get(d.fd), "reopen: GET"); done(&d);
}
static void fsm_datafd_precopy(void) {
	struct dev d = fresh(BDF); int fd, n; struct vfio_precopy_info p;
	STEP("core", mig_set(d.fd, 6, &fd), "SET(PRE_COPY)"); STEP("drv", fdx(fd), "fcntl(data_fd)"); STEP("drv", pinfo(fd), "PRECOPY_INFO");
	for (u32 a = 0; a <= 40; a += 8) { p = (struct vfio_precopy_info){.argsz = a, .flags = 0xff}; STEP("drv", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &p) ?: (x(" flags->0x%x", p.flags), 0), "PRECOPY_INFO(argsz=%u,flags=0xff)", a); }
	STEP("drv", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, 0), "PRECOPY_INFO(NULL)"); p = (struct vfio_precopy_info){.argsz = sizeof p}; rofill(&p, sizeof p); STEP("drv", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, ro), "PRECOPY_INFO(read-only)");
	STEP("drv", read(fd, buf, 100), "read(100)"); STEP("drv", pinfo(fd), "PRECOPY_INFO"); STEP("drv", drain(fd), "drain"); STEP("drv", pinfo(fd), "PRECOPY_INFO");
	STEP("drv", read(fd, buf, 0), "read(0) when drained"); STEP("vfs", pollx(fd), "poll when drained");
	STEP("hw", edu_dma(&d, 0, IOVA, 0, 64), "device DMA from RAM"); STEP("drv", pinfo(fd), "PRECOPY_INFO"); STEP("drv", drain(fd), "drain"); 
	STEP("core", mig_set(d.fd, 7, &n), "SET(PRE_COPY_P2P)"); STEP("drv", pinfo(fd), "PRECOPY_INFO"); STEP("drv", read(fd, buf, 16), "read");
	STEP("core", mig_set(d.fd, 6, &n), "SET(PRE_COPY)"); STEP("hw", edu_dma(&d, 0, IOVA, 0, 64), "device DMA from RAM");
	STEP("core", mig_set(d.fd, 3, &n), "SET(STOP_COPY): no new fd"); STEP("drv", pinfo(fd), "PRECOPY_INFO in STOP_COPY"); STEP("drv", drain(fd), "drain");
	STEP("core", mig_set(d.fd, 6, &n), "SET(PRE_COPY) from STOP_COPY"); STEP("core", mig_get(d.fd), "GET"); STEP("core", mig_set(d.fd, 7, &n), "SET(PRE_COPY_P2P) from STOP_COPY");
	STEP("core", mig_set(d.fd, 2, &n), "SET(RUNNING)"); STEP("drv", read(fd, buf, 1), "read(old)"); STEP("drv", pinfo(fd), "PRECOPY_INFO(old)");
	STEP("core", mig_set(d.fd, 6, &n), "SET(PRE_COPY) second time"); STEP("drv", read(fd, buf, 1), "read(old)"); close(n);
	STEP("core", mig_set(d.fd, 7, &n), "SET(PRE_COPY_P2P) after close(data_fd)"); STEP("core", mig_set(d.fd, 5, &n), "SET(RUNNING_P2P)"); 
	STEP("core", mig_set(d.fd, 7, &n), "SET(PRE_COPY_P2P) from RUNNING_P2P"); STEP("drv", pinfo(n), "PRECOPY_INFO"); STEP("core", mig_set(d.fd, 4, &fd), "SET(RESUMING) from PRE_COPY_P2P"); STEP("drv", read(n, buf, 1), "read(old)");
	STEP("drv", pinfo(fd), "PRECOPY_INFO(resuming fd)"); STEP("vfs", read(fd, buf, 1), "read(resuming fd)");
	done(&d);
}
static void fsm_datafd_resuming(void) {
	capture(); struct dev d = fresh(BDF); int fd, n;
	STEP("core", mig_set(d.fd, 4, &fd), "SET(RESUMING)"); STEP("drv", fdx(fd), "fcntl(data_fd)"); STEP("vfs", lseek(fd, 0, SEEK_CUR), "lseek"); STEP("vfs", pwrite(fd, buf, 4, 0), "pwrite(4,0)");
	STEP("vfs", read(fd, buf, 4), "read(4)"); STEP("drv", write(fd, buf, 0), "write(0)"); STEP("drv", write(fd, BAD, 4), "write(unmapped)"); STEP("drv", ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, buf), "PRECOPY_INFO"); STEP("vfs", pollx(fd), "poll");
	STEP("drv", write(fd, stream, 100), "write(100)"); STEP("drv", write(fd, stream + 100, slen - 100), "write(rest)"); STEP("core", mig_set(d.fd, 4, &n), "SET(RESUMING) again");
	STEP("drv", write(fd, mem, NP * PG), "write(1M)"); STEP("core", mig_get(d.fd), "GET");
	STEP("core", mig_set(d.fd, 1, &n), "SET(STOP)"); STEP("drv", write(fd, buf, 4), "write(old)"); STEP("core", mig_set(d.fd, 4, &n), "SET(RESUMING)"); STEP("drv", write(fd, buf, 4), "write(old)"); STEP("drv", write(n, stream, slen), "write(new, stream)");
	STEP("core", mig_set(d.fd, 3, &fd), "SET(STOP_COPY) from RESUMING"); STEP("drv", drain(fd), "drain"); STEP("core", mig_set(d.fd, 4, &n), "SET(RESUMING) from STOP_COPY"); STEP("drv", read(fd, buf, 1), "read(old)");
	done(&d);
	static const char *const nm[] = {"truncated", "doubled", "garbage", "bad magic", "one byte extra"};
	for (int i = 0; i < 5; i++) { d = fresh(BDF); mig_set(d.fd, 4, &fd); u8 *s = malloc(2 * slen + 1); memcpy(s, stream, slen); memcpy(s + slen, stream, slen); size_t n2 = i == 0 ? slen - 1 : i == 1 ? 2 * slen : i == 2 ? slen : i == 3 ? slen : slen + 1;
		if (i == 2) memset(s, 0x5a, slen); if (i == 3) s[0] ^= 1; STEP("drv", write(fd, s, n2), "write(%s)", nm[i]); 
		STEP("drv", mig_set(d.fd, 2, &n), "SET(RUNNING) after %s stream", nm[i]); STEP("drv", mig_get(d.fd), "GET"); STEP("drv", write(fd, s, 1), "write(data_fd)"); free(s); done(&d); }	/* after a failed load only close is safe with this driver */
}
static void fsm_noattach(void) {		/* bound, no page table attached */
	struct dev d = {.group = -1}; int fd; ram(); d.iommu = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR); d.fd = open(cdev_of(BDF), O_RDWR);
	struct vfio_device_bind_iommufd b = {.argsz = sizeof b, .iommufd = d.iommu};
	STEP("core", ioctl(d.fd, VFIO_DEVICE_BIND_IOMMUFD, &b), "BIND, no ATTACH"); STEP("core", mig_get(d.fd), "GET"); STEP("core", mig_set(d.fd, 5, &fd), "SET(RUNNING_P2P)"); STEP("core", mig_set(d.fd, 1, &fd), "SET(STOP)");
	STEP("drv", mig_set(d.fd, 3, &fd), "SET(STOP_COPY)"); STEP("drv", mig_get(d.fd), "GET"); STEP("core", mig_set(d.fd, 2, &fd), "SET(RUNNING)"); STEP("drv", mig_set(d.fd, 6, &fd), "SET(PRE_COPY)"); STEP("drv", mig_get(d.fd), "GET");
	STEP("drv", mig_set(d.fd, 3, &fd), "SET(STOP_COPY) from RUNNING fails on the last arc"); STEP("drv", mig_get(d.fd), "GET: state of the arcs done so far");
	struct vfio_device_feature_dma_logging_range r = {IOVA, PG}; struct vfio_device_feature_dma_logging_control c = {.page_size = PG, .num_ranges = 1, .ranges = (uintptr_t)&r};
	STEP("drv", feat(d.fd, 32, FSET | 6, &c, sizeof c), "DMA_LOGGING_START"); done(&d);
}
static void fsm_doorbell(void) {		/* what the FSM does to MMIO and DMA */
	static const u32 s[] = {2, 5, 6, 7, 1, 3, 4}; 
	for (int i = 0; i < 7; i++) { struct dev d = fresh(BDF); int fd = go(&d, s[i], 0); memset(mem, 0, 4096); u8 p = 0xa5; 
		STEP("drv", r4(&d, 0) == 0x010000edu ? 0 : 1, "[%s] MMIO read id", sn(s[i])); w4(&d, 4, 0x55aa); STEP("drv", (x(" 0x%x", r4(&d, 4)), 0), "[%s] MMIO write+read reg 4", sn(s[i]));
		mem[PG] = 0x77; edu_dma(&d, 0, IOVA + PG, 0, 1); STEP("drv", edu_dma(&d, 1, IOVA, 0, 1), "[%s] DMA RAM->dev->RAM", sn(s[i])); STEP("drv", mem[0] == 0x77, "[%s] DMA landed", sn(s[i])); if (fd >= 0) close(fd); done(&d); }
}
static int devreset(int fd) { return ioctl(fd, VFIO_DEVICE_RESET); }
static void fsm_reset_unsupported(void) {
	static const u32 s[] = {2, 3, 4, 6};
	for (int i = 0; i < 4; i++) { struct dev d = fresh(BDF); int fd = go(&d, s[i], 0); STEP("pci", devreset(d.fd), "[%s] DEVICE_RESET (device without any reset method)", sn(s[i])); STEP("core", mig_get(d.fd), "GET"); if (fd >= 0) STEP("drv", fd < 0 ? 0 : s[i] == 4 ? write(fd, buf, 0) : read(fd, buf, 1), "data_fd I/O"); done(&d); }
}
static void fsm_reset(void) {
	static const u32 s[] = {2, 5, 6, 7, 1, 3, 4};
	if (!*RBDF) return;
	for (int i = 0; i < 7; i++) { struct dev d = fresh(RBDF); int n, fd = go(&d, s[i], 0); 
		STEP("pci", devreset(d.fd), "[%s] DEVICE_RESET", sn(s[i])); STEP("drv", mig_get(d.fd), "GET");
		if (fd >= 0) { STEP("drv", s[i] == 4 ? write(fd, buf, 1) : read(fd, buf, 1), "%s(old data_fd,1)", s[i] == 4 ? "write" : "read"); STEP("drv", pinfo(fd), "PRECOPY_INFO(old)"); }
		uint16_t c = 0; pread(d.fd, &c, 2, d.cfg + 4); STEP("pci", (x(" cmd=0x%x", c), 0), "config COMMAND after reset"); 
		STEP("drv", mig_set(d.fd, 3, &n), "SET(STOP_COPY)"); STEP("core", mig_get(d.fd), "GET"); done(&d); }
	struct dev d = fresh(RBDF); STEP("pci", ioctl(d.fd, VFIO_DEVICE_RESET, 0xdead), "DEVICE_RESET(arg=0xdead)"); STEP("pci", devreset(d.fd), "DEVICE_RESET twice"); done(&d);
}

/* ERROR: needs a way to put the device there (ORACLE_FORCE_ERROR = file to write "1" to; the next FSM access finds ERROR) */
static int force_error(void) { return wr(E("ORACLE_FORCE_ERROR", "/sys/module/vfio_edu/parameters/force_error"), "1"); }
static void fsm_error(void) {
	for (int i = 0; i <= 8; i++) { struct dev d = fresh(BDF); int n; if (force_error()) { done(&d); return; }
		STEP("core", mig_get(d.fd), "[forced] GET"); STEP(i ? "core" : "drv", mig_set(d.fd, i, &n), "[from ERROR] SET(device_state=%s)", sn(i)); STEP("core", mig_get(d.fd), "GET"); done(&d); }
	static const u32 st[] = {6, 3, 4}; for (int i = 0; i < 3; i++) { struct dev d = fresh(BDF); int fd = go(&d, st[i], 0), n; force_error(); STEP("core", mig_get(d.fd), "[from %s, forced] GET", sn(st[i])); probe_fd(fd, "data_fd"); u8 p[8]; STEP("drv", feat(d.fd, 16, FGET | 9, p, 8), "MIG_DATA_SIZE in ERROR"); STEP("drv", r4(&d, 0) == 0x010000edu ? 0 : 1, "MMIO read in ERROR"); STEP("pci", ioctl(d.fd, VFIO_DEVICE_RESET), "DEVICE_RESET (no method)"); STEP("core", mig_get(d.fd), "GET"); done(&d); }
	struct dev d = fresh(BDF); STEP("drv", mig_get(d.fd), "reopen: GET"); done(&d);
	if (!*RBDF) return; d = fresh(RBDF); int n; force_error(); STEP("core", mig_get(d.fd), "[forced] GET"); STEP("core", mig_set(d.fd, 2, &n), "SET(RUNNING)"); STEP("pci", ioctl(d.fd, VFIO_DEVICE_RESET), "DEVICE_RESET"); STEP("core", mig_get(d.fd), "GET"); STEP("core", mig_set(d.fd, 5, &n), "SET(RUNNING_P2P)"); done(&d);
}

/* ------------------------------------------------------------------ 2. features */
static const u8 fsz[16] = {16, 8, 8, 0, 8, 0, 24, 0, 32, 8, 4};
/* who answers: argsz<8, unknown flags and GET|SET without PROBE never leave the core */
static const char *forg(u32 fl, u32 argsz) { u32 f = fl & 0xffff; if (argsz < 8 || (fl & (FGET | FSET | FPROBE)) == (FGET | FSET)) return "core"; return f == 0 || (f >= 3 && f <= 5) || f >= 10 ? "pci" : "core"; }
static void feat_table(void) {
	for (u32 f = 0; f < 16; f++) {
		static const u32 fl[] = {FPROBE, FPROBE | FGET, FPROBE | FSET, FPROBE | FGET | FSET, 0, FGET | FSET, FGET, FSET};
		struct dev d = fresh(BDF);
		for (int i = 0; i < 8; i++) STEP(forg(fl[i] | f, 8), feat(d.fd, 8, fl[i] | f, 0, 0), "FEATURE(%s) argsz=8", ff(fl[i] | f));
		for (int i = 1; i < 4; i++) STEP(forg(fl[i] | f, 8), feat(d.fd, 8 + fsz[f], fl[i] | f, 0, 0), "FEATURE(%s) argsz=8+%u", ff(fl[i] | f), fsz[f]);
		for (u32 op = FGET; op <= FSET; op <<= 1) for (int k = 0; k < 4; k++) { u8 p[64] = {0}; u32 a = 8 + fsz[f] + (k == 0 ? 0 : k == 1 ? -1 : 16); if (k == 3) memset(p + fsz[f], 0xff, 16);
			STEP(forg(op | f, a), feat(d.fd, a, op | f, p, 48), "FEATURE(%s) argsz=8+%u%+d, zero payload%s", ff(op | f), fsz[f], a - 8 - fsz[f], k == 2 ? " + zero tail" : k == 3 ? " + 0xff tail" : ""); }
		if (f >= 3 && f <= 4) STEP("pci", feat(d.fd, 8, FSET | 5, 0, 0), "FEATURE(%s)", ff(FSET | 5));
		done(&d);
	}
}
static void feat_args(void) {
	struct dev d = fresh(BDF); static const u32 bits[] = {19, 20, 24, 30, 31}; u8 p[32] = {0};
	for (int i = 0; i < 5; i++) { STEP("core", feat(d.fd, 16, FGET | 1 | 1u << bits[i], p, 8), "FEATURE(GET|MIGRATION|bit%u)", bits[i]); STEP("core", feat(d.fd, 8, FPROBE | 1 | 1u << bits[i], p, 8), "FEATURE(PROBE|MIGRATION|bit%u)", bits[i]); }
	for (u32 a = 0; a < 9; a++) STEP("core", feat(d.fd, a, FPROBE | FGET | 1, p, 0), "FEATURE(PROBE|GET|MIGRATION) argsz=%u", a);
	for (u32 a = 8; a <= 17; a++) { memset(p, 0xee, 32); STEP("core", feat(d.fd, a, FGET | 1, p, 24) ?: (x(" flags=0x%llx", *(u64 *)p), 0), "FEATURE(GET|MIGRATION) argsz=%u", a); }
	for (u32 a = 15; a <= 17; a++) { memset(p, 0xee, 32); STEP("core", feat(d.fd, a, FGET | 9, p, 24) ?: (x(" stop_copy_length=%llu", *(u64 *)p), 0), "FEATURE(GET|MIG_DATA_SIZE) argsz=%u", a); }
	memset(p, 0xee, 32); STEP("core", feat(d.fd, 32, FGET | 1, p, 24) ?: (x(" flags=0x%llx tail=0x%llx", ((u64 *)p)[0], ((u64 *)p)[1]), 0), "FEATURE(GET|MIGRATION) argsz=32 tail 0xee");
	STEP("core", feat(d.fd, 0xffffffff, FGET | 1, p, 24), "FEATURE(GET|MIGRATION) argsz=0xffffffff"); STEP("core", feat(d.fd, 8, FPROBE | 0xffff, 0, 0), "FEATURE(PROBE|0xffff)"); STEP("core", feat(d.fd, 8, 0xffff, 0, 0), "FEATURE(0xffff)");
	STEP("core", feat(d.fd, 8, FGET | FSET | 0xffff, 0, 0), "FEATURE(GET|SET|0xffff)"); STEP("core", feat(d.fd, 4, FGET | FSET | 0xffff, 0, 0), "FEATURE(GET|SET|0xffff) argsz=4");
	STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, 0), "FEATURE(NULL)"); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, BAD), "FEATURE(unmapped)"); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, guard + PG - 4), "FEATURE(half unmapped)");
	struct vfio_device_feature h = {16, FGET | 1}; memcpy(guard + PG - 8, &h, 8); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, guard + PG - 8), "FEATURE(GET|MIGRATION, data unmapped)"); h.flags = FPROBE | FGET | 1; memcpy(guard + PG - 8, &h, 8); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, guard + PG - 8), "FEATURE(PROBE|GET|MIGRATION argsz=16, data unmapped)");
	h = (struct vfio_device_feature){16, FGET | 9}; memcpy(guard + PG - 8, &h, 8); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, guard + PG - 8), "FEATURE(GET|MIG_DATA_SIZE, data unmapped)");
	static const u32 st[] = {2, 5, 6, 7, 1, 3, 4}; done(&d);
	for (int i = 0; i < 7; i++) { d = fresh(BDF); int fd = go(&d, st[i], 0); STEP("drv", feat(d.fd, 16, FGET | 9, p, 8) ?: (x(" stop_copy_length=%llu", *(u64 *)p), 0), "[%s] GET|MIG_DATA_SIZE", sn(st[i])); done(&d); }
}
static void feat_lowpower(void) {
	struct dev d = fresh(BDF); int e = eventfd(0, EFD_NONBLOCK); struct vfio_device_low_power_entry_with_wakeup w = {.wakeup_eventfd = -1}; u32 v; struct vfio_device_info di = {.argsz = sizeof di};
	STEP("pci", feat(d.fd, 8, FSET | 5, 0, 0), "LOW_POWER_EXIT without ENTRY"); STEP("pci", feat(d.fd, 8, FSET | 3, 0, 0), "LOW_POWER_ENTRY"); STEP("pci", feat(d.fd, 8, FSET | 3, 0, 0), "LOW_POWER_ENTRY twice");
	STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_INFO, &di), "GET_INFO in low power"); STEP("pci", pread(d.fd, &v, 4, d.cfg), "pread(config,4) in low power"); STEP("pci", pread(d.fd, &v, 4, d.bar0), "pread(BAR0,4) in low power"); STEP("core", mig_get(d.fd), "MIG GET in low power"); STEP("pci", feat(d.fd, 8, FSET | 3, 0, 0), "LOW_POWER_ENTRY third");
	STEP("pci", feat(d.fd, 8, FSET | 5, 0, 0), "LOW_POWER_EXIT"); STEP("pci", feat(d.fd, 8, FSET | 5, 0, 0), "LOW_POWER_EXIT twice");
	STEP("pci", feat(d.fd, 16, FSET | 4, &w, 8), "ENTRY_WITH_WAKEUP(fd=-1)"); w.wakeup_eventfd = d.fd; STEP("pci", feat(d.fd, 16, FSET | 4, &w, 8), "ENTRY_WITH_WAKEUP(fd=device)"); w.wakeup_eventfd = 999; STEP("pci", feat(d.fd, 16, FSET | 4, &w, 8), "ENTRY_WITH_WAKEUP(fd=999)"); w.wakeup_eventfd = e; w.reserved = 1; STEP("pci", feat(d.fd, 16, FSET | 4, &w, 8), "ENTRY_WITH_WAKEUP(eventfd,reserved=1)"); w.reserved = 0;
	STEP("pci", feat(d.fd, 15, FSET | 4, &w, 8), "ENTRY_WITH_WAKEUP argsz=15"); STEP("pci", feat(d.fd, 16, FSET | 4, &w, 8), "ENTRY_WITH_WAKEUP(eventfd)"); STEP("pci", feat(d.fd, 16, FSET | 4, &w, 8), "ENTRY_WITH_WAKEUP twice"); STEP("pci", feat(d.fd, 8, FSET | 5, 0, 0), "LOW_POWER_EXIT"); close(e); done(&d);
}

/* ------------------------------------------------------------------ 3. DMA logging */
typedef struct vfio_device_feature_dma_logging_range rng;
static int lstart(int fd, u64 ps, u32 n, const rng *r, u32 res) {
	struct vfio_device_feature_dma_logging_control c = {.page_size = ps, .num_ranges = n, .__reserved = res, .ranges = (uintptr_t)r};
	int rc = feat(fd, 32, FSET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &c, sizeof c), e = errno; x(" page_size=%s", pgs(c.page_size)); errno = e; return rc; }
static int lstop(int fd) { return feat(fd, 8, FSET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, 0, 0); }
static u8 *bm; static size_t bmlen;
static void bmnew(void) { if (!bm) { bmlen = 16 << 20; bm = mmap(0, bmlen, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); } else madvise(bm, bmlen, MADV_DONTNEED); }
static int lrep_at(int fd, u64 iova, u64 len, u64 ps, void *p) {
	struct vfio_device_feature_dma_logging_report r = {.iova = iova, .length = len, .page_size = ps, .bitmap = (uintptr_t)p};
	return feat(fd, 40, FGET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &r, sizeof r); }
static void bits(const u8 *p, size_t n) {
	int any = 0; x(" bits="); for (size_t i = 0; i < n * 8; i++) if (p[i / 8] >> (i % 8) & 1) { size_t j = i; while (j + 1 < n * 8 && p[(j + 1) / 8] >> ((j + 1) % 8) & 1) j++;
		if (j > i) x("%s%zu-%zu", any ? "," : "", i, j); else x("%s%zu", any ? "," : "", i); any = 1; i = j; } if (!any) x("none"); }
static int lrep(int fd, u64 iova, u64 len, u64 ps) { bmnew(); int r = lrep_at(fd, iova, len, ps, bm), e = errno; bits(bm, 8192); errno = e; return r; }
#define REP(org, i, l, p) STEP(org, lrep(d.fd, i, l, p), "REPORT(iova=%s,len=%s,ps=%s)", iv(i), ln(l), pgs(p))
#define DMA(p, off, n) STEP("hw", edu_dma(&d, 1, IOVA + (p) * PG + (off), 0, n), "device DMA write(iova=%s,%u)", iv(IOVA + (p) * PG + (off)), (unsigned)(n))
#define START1(ps) ({ rng q1_[1] = {{IOVA, NP * PG}}; STEP("core", lstart(d.fd, ps, 1, q1_, 0), "START(ps=%s,[B,%up])", pgs(ps), NP); })

static void log_start_pagesize(void) {
	static const u64 ps[] = {0, 1, 2, 2048, 3000, 4095, 4096, 4097, 5000, 8192, 12288, 65536, 1 << 20, 2 << 20, 3 << 20, 1 << 30, 2ull << 30, 1ull << 62, 1ull << 63};
	static const struct { const char *n; rng r; } rs[] = {{"0x100000+1M", {IOVA, NP * PG}}, {"0x40000000+1G", {1 << 30, 1 << 30}}, {"0+0", {0, 0}}, {"0x100000+0", {IOVA, 0}}, {"0x1000+0x1000", {0x1000, 0x1000}}, {"0x100+0x800", {0x100, 0x800}}, {"0xbb8+0xbb8", {3000, 3000}}};
	struct dev d = fresh(BDF);
	for (int i = 0; i < 19; i++) for (int j = 0; j < 7; j++) {
		STEP(ps[i] && (rs[j].r.iova & (ps[i] - 1)) == 0 && (rs[j].r.length & (ps[i] - 1)) == 0 || !ps[i] && j == 2 ? "drv" : "core", lstart(d.fd, ps[i], 1, &rs[j].r, 0), "START(ps=%s,[%s])", pgs(ps[i]), rs[j].n); lstop(d.fd); }
	done(&d);
}
static void log_start_ranges(void) {
	struct dev d = fresh(BDF); static rng r[512]; static const u32 nn[] = {0, 1, 2, 3, 255, 256, 257, 512, 0x10000000, 0xffffffff};
	for (int i = 0; i < 512; i++) r[i] = (rng){IOVA + i * PG * 2, PG};
	for (int i = 0; i < 10; i++) { STEP("core", lstart(d.fd, PG, nn[i], r, 0), "START(num_ranges=%u disjoint)", nn[i]); lstop(d.fd); }
	for (int i = 0; i < 512; i++) r[511 - i] = (rng){IOVA + i * PG * 2, PG};
	STEP("core", lstart(d.fd, PG, 256, r, 0), "START(256 descending)"); lstop(d.fd);
	STEP("core", lstart(d.fd, PG, 0, 0, 0), "START(num_ranges=0, NULL)"); STEP("core", lstart(d.fd, PG, 257, 0, 0), "START(num_ranges=257, NULL)"); STEP("core", lstart(d.fd, PG, 1, 0, 0), "START(num_ranges=1, NULL)"); STEP("core", lstart(d.fd, 3, 1, 0, 0), "START(ps=3, NULL)");
	STEP("core", lstart(d.fd, PG, 1, r, 0xdeadbeef), "START(__reserved=0xdeadbeef)"); lstop(d.fd);
	static const struct { const char *n; rng a, b; } p[] = {
		{"[B,1p][B,1p] identical", {IOVA, PG}, {IOVA, PG}}, {"[B,2p][B+1p,2p] overlap", {IOVA, 2 * PG}, {IOVA + PG, 2 * PG}}, {"[B,4p][B+1p,1p] nested", {IOVA, 4 * PG}, {IOVA + PG, PG}}, {"[B+1p,1p][B,4p] nested, reversed", {IOVA + PG, PG}, {IOVA, 4 * PG}},
		{"[B,1p][B+1p,1p] adjacent", {IOVA, PG}, {IOVA + PG, PG}}, {"[B+1p,1p][B,1p] adjacent unsorted", {IOVA + PG, PG}, {IOVA, PG}}, {"[B,1p][B,0] zero len at start", {IOVA, PG}, {IOVA, 0}}, {"[B,2p][B+1p,0] zero len inside", {IOVA, 2 * PG}, {IOVA + PG, 0}}, {"[B,0][B,0] zero len twice", {IOVA, 0}, {IOVA, 0}}, {"[0,0][0,0]", {0, 0}, {0, 0}}, {"[0,0][B,1p]", {0, 0}, {IOVA, PG}}, {"[B,1p][0,0]", {IOVA, PG}, {0, 0}},
		{"[B,1p][B+100,1p] misaligned 2nd", {IOVA, PG}, {IOVA + 100, PG}}, {"[B,1p][B+8p,100] misaligned len 2nd", {IOVA, PG}, {IOVA + 8 * PG, 100}}, {"[B,1p][2^64-4096,4096] ends at 2^64", {IOVA, PG}, {-PG, PG}}, {"[B,1p][2^64-8192,4096]", {IOVA, PG}, {-2 * PG, PG}}, {"[B,1p][2^64-4096,8192] wraps", {IOVA, PG}, {-PG, 2 * PG}}, {"[B+1,1p][2^64-4096,4096] misaligned then overflow", {IOVA + 1, PG}, {-PG, PG}}, {"[2^64-4096,4096][B+1,1p] overflow then misaligned", {-PG, PG}, {IOVA + 1, PG}}, {"[2^64-4095,4096] misaligned and overflow", {-4095ull, PG}, {IOVA, PG}},
		{"[B,1p][2^64-4096,0]", {IOVA, PG}, {-PG, 0}}, {"[0x1000000000,1p] unmapped IOVA", {1ull << 36, PG}, {1ull << 37, PG}}, {"[2^40,1p] above dma mask", {1ull << 40, PG}, {IOVA, PG}}};
	for (int i = 0; i < 23; i++) { rng q[2] = {p[i].a, p[i].b}; STEP("core", lstart(d.fd, PG, 2, q, 0), "START(%s)", p[i].n); lstop(d.fd); }
	rng big[1] = {{0, -PG}}; STEP("drv", lstart(d.fd, PG, 1, big, 0), "START([0,2^64-4096])"); lstop(d.fd); big[0].length = 1ull << 52; STEP("drv", lstart(d.fd, PG, 1, big, 0), "START([0,2^52])"); lstop(d.fd); big[0].length = 1ull << 36; STEP("drv", lstart(d.fd, PG, 1, big, 0), "START([0,64G])"); lstop(d.fd);
	rng *g = (void *)(guard + PG - 16); *g = (rng){IOVA, PG}; STEP("core", lstart(d.fd, PG, 2, g, 0), "START(2 ranges, 2nd on unmapped page)"); *g = (rng){IOVA + 1, PG}; STEP("core", lstart(d.fd, PG, 2, g, 0), "START(1st misaligned, 2nd on unmapped page)"); g = (void *)(guard + PG - 8); STEP("core", lstart(d.fd, PG, 1, g, 0), "START(range half unmapped)");
	u8 un[40]; rng q = {IOVA, PG}; memcpy(un + 1, &q, 16); STEP("core", lstart(d.fd, PG, 1, (void *)(un + 1), 0), "START(ranges pointer odd)"); lstop(d.fd); rofill(&q, 16); STEP("core", lstart(d.fd, PG, 1, (void *)ro, 0), "START(ranges read-only memory)"); lstop(d.fd);
	done(&d);
}
static void log_control(void) {
	struct dev d = fresh(BDF); rng r = {IOVA, NP * PG}, r2 = {IOVA + 1, 3}; u8 z[64] = {0}; struct vfio_device_feature_dma_logging_control c = {.page_size = PG, .num_ranges = 1, .ranges = (uintptr_t)&r};
	STEP("drv", lstop(d.fd), "STOP before START"); STEP("drv", lrep(d.fd, IOVA, NP * PG, PG), "REPORT before START"); STEP("core", lrep(d.fd, IOVA, NP * PG, 2048), "REPORT(ps=2048) before START"); STEP("core", lrep(d.fd, -PG, PG, PG), "REPORT(to 2^64) before START"); STEP("drv", lrep_at(d.fd, IOVA, NP * PG, PG, 0), "REPORT(NULL) before START");
	for (u32 a = 8; a <= 48; a += 8) { memcpy(z, &c, 24); STEP("core", feat(d.fd, a, FSET | 6, z, 24), "START argsz=%u", a); STEP("drv", lstop(d.fd), "STOP"); }
	STEP("core", feat(d.fd, 31, FSET | 6, &c, 24), "START argsz=31");
	STEP("core", lstart(d.fd, PG, 1, &r, 0), "START"); STEP("drv", lstart(d.fd, PG, 1, &r, 0), "START twice"); STEP("core", lstart(d.fd, PG, 1, &r2, 0), "START twice, misaligned"); STEP("core", lstart(d.fd, PG, 0, &r2, 0), "START twice, num_ranges=0"); STEP("drv", lrep(d.fd, IOVA, NP * PG, PG), "REPORT still works");
	STEP("core", feat(d.fd, 8, FGET | 7, 0, 0), "STOP with GET"); STEP("core", feat(d.fd, 8, FPROBE | 7, 0, 0), "STOP with PROBE only"); STEP("core", feat(d.fd, 8, FPROBE | FSET | 7, 0, 0), "STOP with PROBE|SET"); STEP("core", feat(d.fd, 8, 7, 0, 0), "STOP without op"); STEP("drv", lrep(d.fd, IOVA, NP * PG, PG), "REPORT still works");
	STEP("core", feat(d.fd, 40, FSET | 8, z, 32), "REPORT with SET"); for (u32 a = 8; a <= 48; a += 8) { struct vfio_device_feature_dma_logging_report q = {IOVA, NP * PG, PG, (uintptr_t)(bmnew(), bm)}; memcpy(z, &q, 32); STEP("core", feat(d.fd, a, FGET | 8, z, 32), "REPORT argsz=%u", a); } STEP("core", feat(d.fd, 39, FGET | 8, z, 32), "REPORT argsz=39");
	STEP("core", feat(d.fd, 40, FSET | 7, z, 32), "STOP argsz=40"); STEP("drv", lstop(d.fd), "STOP twice"); STEP("drv", lrep(d.fd, IOVA, NP * PG, PG), "REPORT after STOP");
	struct { struct vfio_device_feature f; struct vfio_device_feature_dma_logging_control c; } b = {{32, FSET | 6}, c}; rofill(&b, 32); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, ro), "START(read-only struct)"); STEP("core", lrep(d.fd, IOVA, PG, PG), "REPORT: START was undone");
	STEP("core", lstart(d.fd, PG, 1, &r, 0), "START"); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, ro), "START(read-only struct) while logging"); STEP("drv", lrep(d.fd, IOVA, PG, PG), "REPORT: first log still there"); DMA(3, 0, 64); 
	done(&d); d = fresh(BDF); STEP("drv", lrep(d.fd, IOVA, NP * PG, PG), "REPORT after close(no STOP)+reopen"); STEP("core", lstart(d.fd, PG, 1, &r, 0), "START"); REP("drv", IOVA, NP * PG, PG);
	struct { struct vfio_device_feature f; struct vfio_device_feature_dma_logging_report r; } rr = {{40, FGET | 8}, {IOVA, NP * PG, PG, (uintptr_t)bm}}; rofill(&rr, 40); STEP("core", ioctl(d.fd, VFIO_DEVICE_FEATURE, ro), "REPORT(read-only struct)");
	done(&d);
}
static void log_report_args(void) {
	struct dev d = fresh(BDF); static const u64 ps[] = {0, 1, 2048, 3000, 4095, 4096, 4097, 8192, 12288, 65536, 2 << 20, 1 << 30, 1ull << 40, 1ull << 63}; START1(PG);
	for (int i = 0; i < 14; i++) REP(ps[i] < 4096 || ps[i] & (ps[i] - 1) ? "core" : "drv", IOVA, NP * PG, ps[i]);
	static const struct { u64 i, l; } q[] = {{IOVA, 0}, {IOVA, 1}, {IOVA, 100}, {IOVA + 1, PG}, {IOVA + 0x800, 0x1800}, {0, IOVA}, {IOVA - 16 * PG, 32 * PG}, {IOVA + (NP - 16) * PG, 32 * PG}, {IOVA + NP * PG, NP * PG}, {1ull << 40, PG}, {-PG, PG}, {-2 * PG, PG}, {-PG, PG - 1}, {-PG, 2 * PG}, {0, -PG}, {0, -1ull}, {1, -1ull}, {2, -1ull}, {0, 1ull << 63}, {1ull << 63, 1ull << 63}};
	for (int i = 0; i < 20; i++) REP(q[i].i + q[i].l < q[i].i ? "core" : "drv", q[i].i, q[i].l, PG);
	STEP("core", lrep_at(d.fd, -PG, PG, 2048, bm), "REPORT(bad ps and overflow): order"); STEP("core", lrep_at(d.fd, -PG, PG, PG, 0), "REPORT(overflow, NULL bitmap)"); STEP("core", lrep_at(d.fd, IOVA, NP * PG, PG, 0), "REPORT(NULL bitmap, nothing dirty)"); STEP("core", lrep_at(d.fd, IOVA, NP * PG, PG, BAD), "REPORT(unmapped bitmap, nothing dirty)"); STEP("core", lrep_at(d.fd, IOVA, NP * PG, PG, (void *)0xffff800000000000), "REPORT(kernel address, nothing dirty)");
	done(&d);
}
static void log_report_basic(void) {
	struct dev d = fresh(BDF); DMA(50, 0, 64); START1(PG); DMA(3, 0, 4096); DMA(7, 100, 16); DMA(126, 4000, 200); DMA(255, 4095, 1);
	REP("core", IOVA, NP * PG, PG); REP("core", IOVA, NP * PG, PG); DMA(3, 0, 8); DMA(3, 8, 8);
	bmnew(); memset(bm, 0, 64); bm[0] = 0x81; bm[25] = 1; bm[31] = 0x80; bm[32] = 0xff; STEP("core", ({int r = lrep_at(d.fd, IOVA, NP * PG, PG, bm); bits(bm, 64); r;}), "REPORT into bitmap with bits 0,7,200,255,256-263 pre-set");
	REP("core", IOVA, NP * PG, PG); DMA(3, 0, 8); DMA(7, 0, 8); DMA(200, 0, 8); REP("core", IOVA, 128 * PG, PG); REP("core", IOVA + 100 * PG, 100 * PG, PG); REP("core", IOVA + 100 * PG, 101 * PG, PG); REP("core", IOVA, NP * PG, PG);
	DMA(0, 0, 8); REP("core", IOVA - 16 * PG, 32 * PG, PG); DMA(255, 0, 8); REP("core", IOVA + 250 * PG, 100 * PG, PG); DMA(1, 0, 8); REP("drv", 0, IOVA, PG); REP("drv", IOVA + NP * PG, NP * PG, PG); REP("core", IOVA, NP * PG, PG);
	STEP("hw", edu_dma(&d, 0, IOVA + 9 * PG, 0, 64), "device DMA read(B+9p)"); REP("drv", IOVA, NP * PG, PG); DMA(4, 0, 8); STEP("drv", lstop(d.fd), "STOP"); START1(PG); REP("drv", IOVA, NP * PG, PG);
	STEP("hw", edu_dma(&d, 1, FAR, 0, 8), "device DMA write outside every range"); REP("core", IOVA, NP * PG, PG); mem[5 * PG] = 1; REP("core", IOVA, NP * PG, PG); done(&d);
}
static void log_report_pagesize(void) {
	struct dev d = fresh(BDF); START1(PG); DMA(3, 0, 8); DMA(8, 0, 8); REP("core", IOVA, NP * PG, 8192); REP("core", IOVA, NP * PG, PG); DMA(3, 0, 8); DMA(200, 0, 8); REP("core", IOVA, NP * PG, 65536); DMA(200, 0, 8); REP("core", IOVA, NP * PG, 2 << 20); REP("core", IOVA, NP * PG, PG); DMA(200, 0, 8); REP("core", IOVA, NP * PG, 1ull << 63);
	DMA(17, 0, 8); REP("core", IOVA + 8 * PG, 16 * PG, 65536); STEP("drv", lstop(d.fd), "STOP");
	START1(65536); DMA(18, 0, 8); REP("core", IOVA, NP * PG, PG); DMA(18, 0, 8); REP("drv", IOVA + 20 * PG, PG, PG); REP("drv", IOVA, NP * PG, PG); DMA(18, 0, 8); REP("core", IOVA, NP * PG, 8192); DMA(18, 0, 8); REP("drv", IOVA + 30 * PG, 4 * PG, 65536); REP("drv", IOVA, NP * PG, PG); STEP("drv", lstop(d.fd), "STOP");
	rng r = {IOVA, PG}; STEP("drv", lstart(d.fd, 2048, 1, &r, 0), "START(ps=2048,[B,1p])"); DMA(0, 2048, 8); REP("core", IOVA, PG, PG); STEP("drv", lstop(d.fd), "STOP"); r.length = 2048; STEP("drv", lstart(d.fd, 2048, 1, &r, 0), "START(ps=2048,[B,2048])"); DMA(0, 2040, 16); REP("drv", IOVA, PG, PG); DMA(0, 2048, 8); REP("drv", IOVA, PG, PG); done(&d);
}
static void log_report_unaligned(void) {
	struct dev d = fresh(BDF); START1(PG); DMA(3, 0, 8); REP("core", IOVA + 0x800, NP * PG - 0x800, PG); DMA(3, 0, 8); REP("core", IOVA + 0xfff, NP * PG - 0xfff, PG); DMA(3, 0, 8); REP("core", IOVA + 2 * PG + 0x800, 0x1000, PG); REP("core", IOVA, NP * PG, PG); DMA(3, 0, 8); REP("core", IOVA + 3 * PG, 1, PG); REP("core", IOVA, NP * PG, PG);
	DMA(3, 0, 8); DMA(4, 0, 8); REP("core", IOVA + 3 * PG + 0x10, PG, PG); REP("core", IOVA, NP * PG, PG); DMA(0, 0, 8); REP("drv", IOVA, 0, PG); DMA(3, 0, 8); REP("drv", 0, 0, PG); REP("core", IOVA, NP * PG, PG); DMA(17, 0, 8); REP("core", IOVA + PG, NP * PG - PG, 65536); done(&d);
}
static void log_report_bitmap_ptr(void) {
	struct dev d = fresh(BDF); START1(PG); DMA(3, 0, 8); STEP("core", lrep_at(d.fd, IOVA, NP * PG, PG, 0), "REPORT(NULL bitmap), page 3 dirty"); REP("core", IOVA, NP * PG, PG);
	DMA(3, 0, 8); rofill("", 0); STEP("core", lrep_at(d.fd, IOVA, NP * PG, PG, ro), "REPORT(read-only bitmap), page 3 dirty"); STEP("core", (bits(ro, 64), 0), "read-only bitmap contents"); REP("core", IOVA, NP * PG, PG);
	DMA(3, 0, 8); STEP("core", lrep_at(d.fd, IOVA, NP * PG, PG, BAD), "REPORT(unmapped bitmap), page 3 dirty"); REP("core", IOVA, NP * PG, PG); DMA(3, 0, 8); STEP("core", lrep_at(d.fd, IOVA, NP * PG, PG, (void *)0xffff888000000000), "REPORT(kernel address), page 3 dirty"); REP("core", IOVA, NP * PG, PG);
	for (int o = 1; o < 8; o += 3) { DMA(3, 0, 8); DMA(9, 0, 8); bmnew(); STEP("core", ({int r = lrep_at(d.fd, IOVA, NP * PG, PG, bm + o); bits(bm + o, 64); x(" before=%d", bm[0]); r;}), "REPORT(bitmap+%d)", o); }
	DMA(3, 0, 8); DMA(250, 0, 8); memset(guard, 0, PG); STEP("core", ({int r = lrep_at(d.fd, IOVA, NP * PG, PG, guard + PG - 8); bits(guard + PG - 8, 8); r;}), "REPORT(bitmap 32 bytes, last 24 unmapped), pages 3 and 250 dirty"); REP("core", IOVA, NP * PG, PG);
	DMA(3, 0, 8); memset(guard, 0, PG); STEP("core", ({int r = lrep_at(d.fd, IOVA, NP * PG, PG, guard + PG - 1); bits(guard + PG - 1, 1); r;}), "REPORT(bitmap 32 bytes, only first byte mapped), page 3 dirty"); DMA(3, 0, 8); memset(guard, 0, PG); STEP("core", ({int r = lrep_at(d.fd, IOVA, 4 * PG, PG, guard + PG - 1); bits(guard + PG - 1, 1); r;}), "REPORT(4 pages, bitmap = last byte of mapping)");
	STEP("drv", lstop(d.fd), "STOP"); rng r = {IOVA, FAR + PG - IOVA}; STEP("core", lstart(d.fd, PG, 1, &r, 0), "START([B,%lup])", (long)((FAR + PG - IOVA) / PG)); STEP("hw", edu_dma(&d, 1, FAR, 0, 8), "device DMA write(far)"); DMA(2, 0, 8); REP("core", IOVA, FAR + PG - IOVA, PG);
	STEP("hw", edu_dma(&d, 1, FAR, 0, 8), "device DMA write(far)"); DMA(2, 0, 8); bmnew(); STEP("core", ({int q = lrep_at(d.fd, IOVA, FAR + PG - IOVA, PG, bm + 3000); bits(bm + 3000, 8192); q;}), "REPORT(bitmap crosses a page)"); 
	STEP("hw", edu_dma(&d, 1, FAR, 0, 8), "device DMA write(far)"); DMA(2, 0, 8); memset(guard, 0, PG); STEP("core", ({int q = lrep_at(d.fd, IOVA, FAR + PG - IOVA, PG, guard + 3000); bits(guard + 3000, PG - 3000); q;}), "REPORT(bitmap's 2nd page unmapped, far page lies there)"); REP("core", IOVA, FAR + PG - IOVA, PG); done(&d);
}
static void log_ranges_content(void) {
	struct dev d = fresh(BDF); rng r[3] = {{IOVA + 64 * PG, 16 * PG}, {IOVA, 16 * PG}, {IOVA + 16 * PG, 8 * PG}}; STEP("core", lstart(d.fd, PG, 3, r, 0), "START([B+64p,16p][B,16p][B+16p,8p])"); DMA(15, 4090, 12); DMA(23, 4090, 12); DMA(40, 0, 8); DMA(63, 4090, 12); DMA(79, 4090, 12); REP("core", IOVA, NP * PG, PG); DMA(15, 4090, 12); DMA(70, 0, 8); REP("core", IOVA + 16 * PG, 40 * PG, PG); REP("core", IOVA + 24 * PG, 40 * PG, PG); REP("core", IOVA, NP * PG, PG); done(&d);
}
static void log_and_fsm(void) {
	struct dev d = fresh(BDF); int fd, n; START1(PG); DMA(3, 0, 8); STEP("core", mig_set(d.fd, 6, &fd), "SET(PRE_COPY)"); DMA(4, 0, 8); STEP("core", mig_set(d.fd, 7, &n), "SET(PRE_COPY_P2P)"); DMA(5, 0, 8); STEP("core", mig_set(d.fd, 3, &n), "SET(STOP_COPY)"); DMA(6, 0, 8); REP("drv", IOVA, NP * PG, PG); STEP("drv", drain(fd), "drain"); REP("drv", IOVA, NP * PG, PG); STEP("core", mig_set(d.fd, 1, &n), "SET(STOP)"); STEP("drv", lstop(d.fd), "STOP logging in STOP"); START1(PG); STEP("core", mig_set(d.fd, 4, &n), "SET(RESUMING)"); REP("drv", IOVA, NP * PG, PG); STEP("drv", lstop(d.fd), "STOP logging in RESUMING"); START1(PG); done(&d);
	if (!*RBDF) return; d = fresh(RBDF); START1(PG); DMA(3, 0, 8); STEP("pci", devreset(d.fd), "DEVICE_RESET"); REP("drv", IOVA, NP * PG, PG); STEP("drv", lstart(d.fd, PG, 1, &(rng){IOVA, PG}, 0), "START after reset"); done(&d);
}

/* ------------------------------------------------------------------ 4. opening */
static int bindx(int fd, u32 argsz, u32 flags, int ifd) { struct vfio_device_bind_iommufd b = {.argsz = argsz, .flags = flags, .iommufd = ifd}; b.out_devid = 0xeeee; int r = ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &b), e = errno; if (b.out_devid != 0xeeee) x(" out_devid=%u", b.out_devid); errno = e; return r; }
static int attx(int fd, u32 argsz, u32 flags, u32 pt) { struct vfio_device_attach_iommufd_pt a = {.argsz = argsz, .flags = flags, .pt_id = pt}; int r = ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a), e = errno; if (a.pt_id != pt) x(" pt_id=%u->%u", pt, a.pt_id); errno = e; return r; }
static int detx(int fd, u32 argsz, u32 flags) { struct vfio_device_detach_iommufd_pt a = {.argsz = argsz, .flags = flags}; return ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &a); }
static int ioas(int ifd, u32 *id) { struct iommu_ioas_alloc a = {.size = sizeof a}; int r = ioctl(ifd, IOMMU_IOAS_ALLOC, &a), e = errno; *id = a.out_ioas_id; if (!r) x(" ioas=%u", *id); errno = e; return r; }
static int destroy(int ifd, u32 id) { struct iommu_destroy a = {.size = sizeof a, .id = id}; return ioctl(ifd, IOMMU_DESTROY, &a); }
static int ginfo(int fd) { struct vfio_device_info i = {.argsz = sizeof i}; int r = ioctl(fd, VFIO_DEVICE_GET_INFO, &i), e = errno; errno = e; return r; }
static int op(const char *p, int fl, int *fd) { *fd = open(p, fl); return *fd < 0 ? -1 : 0; }
static void all_ioctls(int fd, const char *org, const char *who) {
	u8 z[256] = {0}; static const struct { const char *n; unsigned c; } t[] = {{"GET_INFO", VFIO_DEVICE_GET_INFO}, {"GET_REGION_INFO", VFIO_DEVICE_GET_REGION_INFO}, {"GET_IRQ_INFO", VFIO_DEVICE_GET_IRQ_INFO}, {"SET_IRQS", VFIO_DEVICE_SET_IRQS}, {"RESET", VFIO_DEVICE_RESET}, {"GET_PCI_HOT_RESET_INFO", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO}, {"PCI_HOT_RESET", VFIO_DEVICE_PCI_HOT_RESET}, {"IOEVENTFD", VFIO_DEVICE_IOEVENTFD}, {"FEATURE", VFIO_DEVICE_FEATURE}, {"QUERY_GFX_PLANE", VFIO_DEVICE_QUERY_GFX_PLANE}, {"GET_GFX_DMABUF", VFIO_DEVICE_GET_GFX_DMABUF}, {"ATTACH_IOMMUFD_PT", VFIO_DEVICE_ATTACH_IOMMUFD_PT}, {"DETACH_IOMMUFD_PT", VFIO_DEVICE_DETACH_IOMMUFD_PT}, {"BIND_IOMMUFD", VFIO_DEVICE_BIND_IOMMUFD}, {"VFIO_GET_API_VERSION", VFIO_GET_API_VERSION}, {"VFIO_GROUP_GET_STATUS", VFIO_GROUP_GET_STATUS}, {"MIG_GET_PRECOPY_INFO", VFIO_MIG_GET_PRECOPY_INFO}, {"0", 0}, {"IOMMU_IOAS_ALLOC", IOMMU_IOAS_ALLOC}, {"FIONREAD", 0x541b}};
	for (int i = 0; i < sizeof t / sizeof *t; i++) { *(u32 *)z = 64; STEP(org, ioctl(fd, t[i].c, z), "%s: ioctl(%s, argsz=64, zeros)", who, t[i].n); memset(z, 0, sizeof z); }
	for (int i = 0; i < 14; i++) if (i != 4) STEP(org, ioctl(fd, t[i].c, 0), "%s: ioctl(%s, NULL)", who, t[i].n);
}
static void open_cdev_unbound(void) {
	int fd, f2; u32 v; STEP("vfs", op(cdev_of(BDF), O_RDWR, &fd), "open(cdev)"); all_ioctls(fd, "core", "unbound");
	STEP("core", pread(fd, &v, 4, 0), "pread(4,0)"); STEP("core", pwrite(fd, &v, 4, 0), "pwrite(4,0)"); STEP("core", read(fd, &v, 4), "read(4)"); STEP("core", mmap(0, 4096, 3, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0, "mmap"); STEP("vfs", pollx(fd), "poll"); STEP("vfs", lseek(fd, 0, SEEK_SET), "lseek(0)"); STEP("core", detx(fd, 8, 0), "DETACH"); STEP("core", attx(fd, 12, 0, 1), "ATTACH"); STEP("core", mig_get(fd), "MIG GET");
	STEP("vfs", op(cdev_of(BDF), O_RDWR, &f2), "open(cdev) second time"); close(fd); close(f2); STEP("vfs", op(cdev_of(BDF), O_RDONLY, &fd), "open(cdev,O_RDONLY)"); int ifd = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR); STEP("core", bindx(fd, 16, 0, ifd), "BIND on O_RDONLY fd"); STEP("pci", ginfo(fd), "GET_INFO"); STEP("vfs", pwrite(fd, &v, 4, 0), "pwrite on O_RDONLY fd"); close(fd); close(ifd);
}
static void open_bind(void) {
	int fd, f2, ifd = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR), i2 = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR), nul = open("/dev/null", O_RDWR), cl = 900; u32 a, b;
	STEP("vfs", op(cdev_of(BDF), O_RDWR, &fd), "open(cdev)"); static const u32 sz[] = {0, 4, 12, 15}; for (int i = 0; i < 4; i++) STEP("core", bindx(fd, sz[i], 0, ifd), "BIND argsz=%u", sz[i]);
	STEP("core", bindx(fd, 16, 1, ifd), "BIND flags=1"); STEP("core", bindx(fd, 16, 0x80000000, ifd), "BIND flags=bit31"); STEP("core", bindx(fd, 16, 0, -1), "BIND iommufd=-1"); STEP("core", bindx(fd, 16, 0, -2), "BIND iommufd=-2"); STEP("core", bindx(fd, 16, 0, cl), "BIND iommufd=closed fd"); STEP("core", bindx(fd, 16, 0, 0x7fffffff), "BIND iommufd=INT_MAX"); STEP("core", bindx(fd, 16, 0, nul), "BIND iommufd=/dev/null"); STEP("core", bindx(fd, 16, 0, fd), "BIND iommufd=the device itself"); STEP("core", ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, 0), "BIND(NULL)"); STEP("core", ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, BAD), "BIND(unmapped)");
	STEP("core", ginfo(fd), "GET_INFO after failed BINDs"); struct vfio_device_bind_iommufd bb = {.argsz = 16, .iommufd = ifd}; rofill(&bb, 16); STEP("core", ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, ro), "BIND(read-only struct)"); STEP("core", ginfo(fd), "GET_INFO");
	STEP("core", bindx(fd, 16, 0, ifd), "BIND argsz=16"); STEP("core", bindx(fd, 16, 0, ifd), "BIND twice, same fd"); STEP("core", bindx(fd, 16, 0, i2), "BIND twice, other iommufd"); STEP("core", bindx(fd, 16, 0, nul), "BIND twice, /dev/null"); STEP("core", bindx(fd, 12, 0, ifd), "BIND twice, argsz=12"); STEP("core", ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, 0), "BIND(NULL) when bound");
	STEP("vfs", op(cdev_of(BDF), O_RDWR, &f2), "second open(cdev)"); STEP("core", ginfo(f2), "GET_INFO on second fd"); STEP("core", bindx(f2, 16, 0, ifd), "BIND second fd, same iommufd"); STEP("core", bindx(f2, 16, 0, i2), "BIND second fd, other iommufd"); close(fd); STEP("core", bindx(f2, 16, 0, i2), "BIND second fd after first closed"); STEP("pci", ginfo(f2), "GET_INFO"); all_ioctls(f2, "pci", "bound, not attached"); close(f2);
	STEP("vfs", op(cdev_of(BDF), O_RDWR, &fd), "open(cdev)"); STEP("core", bindx(fd, 32, 0, ifd), "BIND argsz=32"); close(fd); STEP("vfs", op(cdev_of(BDF), O_RDWR, &fd), "open(cdev)"); STEP("core", bindx(fd, 0xffffffff, 0, ifd), "BIND argsz=0xffffffff"); close(fd);
	fd = open(cdev_of(BDF), O_RDWR); STEP("core", bindx(fd, 16, 0, ifd), "BIND"); int dfd = dup(fd); close(fd); STEP("core", ginfo(dfd), "GET_INFO through dup after close(original)"); f2 = open(cdev_of(BDF), O_RDWR); STEP("core", bindx(f2, 16, 0, ifd), "BIND new open while dup holds it"); close(dfd); STEP("core", bindx(f2, 16, 0, ifd), "BIND after dup closed"); close(ifd); STEP("pci", ginfo(f2), "GET_INFO after close(iommufd)"); STEP("core", mig_get(f2), "MIG GET after close(iommufd)"); close(f2); close(i2);
}
static void open_attach(void) {
	int fd = open(cdev_of(BDF), O_RDWR), ifd = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR), i2 = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR); u32 a, b, c; ram();
	STEP("iommufd", ioas(ifd, &a), "IOAS_ALLOC A"); STEP("iommufd", ioas(ifd, &b), "IOAS_ALLOC B"); for (int i = 0; i < 8; i++) ioas(i2, &c); STEP("core", attx(fd, 12, 0, a), "ATTACH before BIND"); STEP("core", bindx(fd, 16, 0, ifd), "BIND"); struct vfio_device_bind_iommufd q; u32 dev = b + 1;
	static const u32 sz[] = {0, 8, 11}; for (int i = 0; i < 3; i++) STEP("core", attx(fd, sz[i], 0, a), "ATTACH argsz=%u", sz[i]); STEP("core", attx(fd, 12, 1, a), "ATTACH flags=1"); STEP("core", attx(fd, 12, 2, a), "ATTACH flags=2"); STEP("core", ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0), "ATTACH(NULL)");
	STEP("iommufd", attx(fd, 12, 0, 0), "ATTACH pt_id=0"); STEP("iommufd", attx(fd, 12, 0, 99), "ATTACH pt_id=99"); STEP("iommufd", attx(fd, 12, 0, 0xffffffff), "ATTACH pt_id=0xffffffff"); STEP("iommufd", attx(fd, 12, 0, dev), "ATTACH pt_id=the device id"); STEP("iommufd", attx(fd, 12, 0, c), "ATTACH pt_id of another iommufd"); STEP("core", detx(fd, 8, 0), "DETACH when not attached");
	STEP("core", detx(fd, 0, 0), "DETACH argsz=0"); STEP("core", detx(fd, 7, 0), "DETACH argsz=7"); STEP("core", detx(fd, 8, 1), "DETACH flags=1"); STEP("core", ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, 0), "DETACH(NULL)"); STEP("core", detx(fd, 64, 0), "DETACH argsz=64");
	struct vfio_device_attach_iommufd_pt aa = {.argsz = 12, .pt_id = a}; rofill(&aa, 12); STEP("core", ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, ro), "ATTACH(read-only struct)"); STEP("iommufd", destroy(ifd, a), "IOMMU_DESTROY A: was detached again"); STEP("iommufd", ioas(ifd, &a), "IOAS_ALLOC A");
	STEP("iommufd", attx(fd, 12, 0, a), "ATTACH A"); STEP("iommufd", destroy(ifd, a), "IOMMU_DESTROY A while attached"); STEP("iommufd", attx(fd, 12, 0, a), "ATTACH A twice"); STEP("iommufd", attx(fd, 12, 0, b), "ATTACH B (replace)"); STEP("iommufd", destroy(ifd, a), "IOMMU_DESTROY A after replace"); STEP("iommufd", attx(fd, 12, 0, 99), "ATTACH pt_id=99 (replace fails)"); STEP("iommufd", destroy(ifd, b), "IOMMU_DESTROY B: still attached"); STEP("iommufd", destroy(ifd, dev), "IOMMU_DESTROY the device id"); STEP("core", detx(fd, 8, 0), "DETACH"); STEP("core", detx(fd, 8, 0), "DETACH twice"); STEP("pci", ginfo(fd), "GET_INFO when detached"); STEP("core", mig_get(fd), "MIG GET when detached"); STEP("iommufd", attx(fd, 12, 0, b), "ATTACH B again"); STEP("core", attx(fd, 64, 0, b), "ATTACH argsz=64");
	close(ifd); STEP("iommufd", attx(fd, 12, 0, b), "ATTACH B after close(iommufd)"); STEP("core", detx(fd, 8, 0), "DETACH after close(iommufd)"); STEP("pci", ginfo(fd), "GET_INFO"); close(fd); close(i2);
}
static int setc(int g, int c) { return ioctl(g, VFIO_GROUP_SET_CONTAINER, &c); }
static int gstat(int g, u32 sz) { struct vfio_group_status s = {.argsz = sz, .flags = 0xee}; int r = ioctl(g, VFIO_GROUP_GET_STATUS, &s), e = errno; x(" flags=0x%x", s.flags); errno = e; return r; }
static int gdev(int g, const char *n, int *fd) { int r = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, n); if (fd) *fd = r; if (r >= 0) { int e = fcntl(r, F_GETFD); x(" fd cloexec=%d", !!(e & 1)); if (!fd) close(r); return 0; } return r; }
static void open_group(void) {
	char gp[256]; strcpy(gp, group_of(BDF)); int g, g2, c, c2, d, d2, ifd = open(E("ORACLE_IOMMU", "/dev/iommu"), O_RDWR), nul = open("/dev/null", O_RDWR), cl = 900; u8 z[256] = {0}; u32 v; const char *cp = E("ORACLE_CONTAINER", "/dev/vfio/vfio");
	STEP("vfs", op(gp, O_RDWR, &g), "open(group)"); STEP("core", op(gp, O_RDWR, &g2), "open(group) twice"); STEP("core", gstat(g, 8), "GET_STATUS"); STEP("core", gstat(g, 7), "GET_STATUS argsz=7"); STEP("core", gstat(g, 0), "GET_STATUS argsz=0"); STEP("core", gstat(g, 100), "GET_STATUS argsz=100"); STEP("core", ioctl(g, VFIO_GROUP_GET_STATUS, 0), "GET_STATUS(NULL)");
	STEP("core", gdev(g, BDF, 0), "GET_DEVICE_FD before SET_CONTAINER"); STEP("core", gdev(g, "0000:ff:1f.7", 0), "GET_DEVICE_FD(unknown) before SET_CONTAINER"); STEP("core", gdev(g, 0, 0), "GET_DEVICE_FD(NULL)"); STEP("core", ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "UNSET_CONTAINER before SET"); STEP("core", setc(g, -1), "SET_CONTAINER(-1)"); STEP("core", setc(g, cl), "SET_CONTAINER(closed fd)"); STEP("core", setc(g, nul), "SET_CONTAINER(/dev/null)"); STEP("core", setc(g, g), "SET_CONTAINER(the group)"); STEP("core", ioctl(g, VFIO_GROUP_SET_CONTAINER, 0), "SET_CONTAINER(NULL)"); STEP("core", ioctl(g, VFIO_DEVICE_GET_INFO, z), "group: DEVICE_GET_INFO"); STEP("core", ioctl(g, VFIO_GET_API_VERSION), "group: GET_API_VERSION"); STEP("vfs", read(g, z, 4), "read(group)");
	STEP("vfs", op(cp, O_RDWR, &c), "open(container)"); STEP("core", ioctl(c, VFIO_GET_API_VERSION), "GET_API_VERSION"); STEP("core", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU(TYPE1v2) without group"); struct vfio_iommu_type1_info ii = {.argsz = sizeof ii}; STEP("core", ioctl(c, VFIO_IOMMU_GET_INFO, &ii), "IOMMU_GET_INFO before SET_IOMMU"); struct vfio_iommu_type1_dma_map mm = {.argsz = sizeof mm, .flags = 3, .vaddr = (uintptr_t)(ram(), mem), .iova = IOVA, .size = NP * PG}; STEP("core", ioctl(c, VFIO_IOMMU_MAP_DMA, &mm), "MAP_DMA before SET_IOMMU"); for (int i = 0; i <= 12; i++) STEP("type1", ioctl(c, VFIO_CHECK_EXTENSION, i), "CHECK_EXTENSION(%d) no group", i);
	STEP("core", setc(g, c), "SET_CONTAINER"); STEP("core", gstat(g, 8), "GET_STATUS"); STEP("core", setc(g, c), "SET_CONTAINER twice"); c2 = open(cp, O_RDWR); STEP("core", setc(g, c2), "SET_CONTAINER other"); STEP("core", setc(g, nul), "SET_CONTAINER(/dev/null) when set"); STEP("core", gdev(g, BDF, 0), "GET_DEVICE_FD before SET_IOMMU"); STEP("core", gdev(g, "0000:ff:1f.7", 0), "GET_DEVICE_FD(unknown)"); static const int t[] = {0, 2, 4, 5, 7, 8, 10, 99}; for (int i = 0; i < 8; i++) STEP("core", ioctl(c, VFIO_SET_IOMMU, t[i]), "SET_IOMMU(%d)", t[i]);
	STEP("core", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU(TYPE1v2)"); STEP("core", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU twice"); for (int i = 0; i <= 12; i++) STEP("type1", ioctl(c, VFIO_CHECK_EXTENSION, i), "CHECK_EXTENSION(%d) type1v2 set", i); STEP("type1", ioctl(c, VFIO_IOMMU_MAP_DMA, &mm), "MAP_DMA");
	STEP("core", gdev(g, "0000:ff:1f.7", 0), "GET_DEVICE_FD(unknown)"); STEP("core", gdev(g, "", 0), "GET_DEVICE_FD(\"\")"); static char lng[5000]; memset(lng, 'a', 4999); STEP("core", gdev(g, lng, 0), "GET_DEVICE_FD(4999 chars)"); lng[4095] = 0; STEP("core", gdev(g, lng, 0), "GET_DEVICE_FD(4095 chars)"); snprintf(lng, 99, "%s ", BDF); STEP("pci", gdev(g, lng, 0), "GET_DEVICE_FD(BDF + space)"); snprintf(lng, 99, "%s vf_token=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", BDF); STEP("pci", gdev(g, lng, 0), "GET_DEVICE_FD(BDF + vf_token, no VF)"); snprintf(lng, 99, "%s junk=1", BDF); STEP("pci", gdev(g, lng, 0), "GET_DEVICE_FD(BDF + junk=1)"); snprintf(lng, 99, "%sx", BDF); STEP("pci", gdev(g, lng, 0), "GET_DEVICE_FD(BDF + x)"); 
	STEP("core", gdev(g, BDF, &d), "GET_DEVICE_FD"); STEP("core", gdev(g, BDF, &d2), "GET_DEVICE_FD twice"); STEP("pci", ginfo(d), "GET_INFO"); STEP("pci", ginfo(d2), "GET_INFO on second fd"); STEP("core", bindx(d, 16, 0, ifd), "BIND on group device fd"); STEP("core", bindx(d, 12, 0, ifd), "BIND argsz=12 on group device fd"); STEP("pci", attx(d, 12, 0, 1), "ATTACH on group device fd"); STEP("pci", detx(d, 8, 0), "DETACH on group device fd"); STEP("core", mig_set(d, 5, 0), "SET(RUNNING_P2P) via first fd"); STEP("core", mig_get(d2), "GET via second fd"); STEP("core", ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "UNSET_CONTAINER with device open");
	int cd; STEP("vfs", op(cdev_of(BDF), O_RDWR, &cd), "open(cdev) while group device open"); STEP("core", bindx(cd, 16, 0, ifd), "BIND(cdev) while group open"); STEP("core", bindx(cd, 16, 0, nul), "BIND(cdev, /dev/null) while group open"); close(d); STEP("core", mig_get(d2), "GET via second fd after first closed"); close(g); STEP("core", op(gp, O_RDWR, &g2), "open(group) after close(group), device fd still open"); STEP("pci", ginfo(d2), "GET_INFO"); close(c); close(c2); STEP("pci", ginfo(d2), "GET_INFO after close(container)"); STEP("core", bindx(cd, 16, 0, ifd), "BIND(cdev): device fd from group still open"); close(d2); STEP("core", bindx(cd, 16, 0, ifd), "BIND(cdev) after everything closed");
	STEP("core", op(gp, O_RDWR, &g), "open(group) while cdev bound"); close(cd); STEP("core", op(gp, O_RDWR, &g), "open(group) after close(cdev)"); c = open(cp, O_RDWR); STEP("core", setc(g, c), "SET_CONTAINER"); STEP("core", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU"); STEP("core", ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "UNSET_CONTAINER"); STEP("core", ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "UNSET_CONTAINER twice"); STEP("core", ioctl(c, VFIO_IOMMU_GET_INFO, &ii), "IOMMU_GET_INFO after last group left"); STEP("core", setc(g, c), "SET_CONTAINER"); STEP("core", gdev(g, BDF, 0), "GET_DEVICE_FD: container lost its IOMMU"); STEP("core", ioctl(c, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), "SET_IOMMU(TYPE1)"); STEP("core", gdev(g, BDF, &d), "GET_DEVICE_FD"); close(c); STEP("pci", ginfo(d), "GET_INFO after close(container)"); close(d); STEP("core", gstat(g, 8), "GET_STATUS after close(container)"); STEP("core", ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "UNSET_CONTAINER"); 
	STEP("core", setc(g, ifd), "SET_CONTAINER(iommufd)"); STEP("core", gstat(g, 8), "GET_STATUS"); STEP("core", setc(g, ifd), "SET_CONTAINER(iommufd) twice"); STEP("core", gdev(g, BDF, &d), "GET_DEVICE_FD (iommufd compat, no SET_IOMMU)"); if (d >= 0) { STEP("pci", ginfo(d), "GET_INFO"); STEP("core", attx(d, 12, 0, 1), "ATTACH on compat device fd"); STEP("core", ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "UNSET_CONTAINER(iommufd) with device open"); STEP("pci", ginfo(d), "GET_INFO"); close(d); } STEP("core", ioctl(g, VFIO_GROUP_UNSET_CONTAINER), "UNSET_CONTAINER(iommufd) again"); close(g); close(ifd); close(nul);
}

/* ------------------------------------------------------------------ 5. info, irqs, regions */
static void info_device(void) {
	struct dev d = fresh(BDF); u8 z[64]; static const u32 sz[] = {0, 15, 16, 19, 20, 24, 64, 0xffffffff};
	for (int i = 0; i < 8; i++) { memset(z, 0xee, 64); *(u32 *)z = sz[i]; struct vfio_device_info *p = (void *)z; STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_INFO, z) ?: (x(" argsz=%u flags=0x%x regions=%u irqs=%u cap_offset=0x%x pad=0x%x", p->argsz, p->flags, p->num_regions, p->num_irqs, p->cap_offset, *(u32 *)(z + 20)), 0), "GET_INFO argsz=%u tail 0xee", sz[i]); }
	STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_INFO, 0), "GET_INFO(NULL)"); struct vfio_device_info i2 = {.argsz = 16, .flags = 0xffffffff}; STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_INFO, &i2) ?: (x(" flags=0x%x", i2.flags), 0), "GET_INFO flags in=0xffffffff"); rofill(&i2, 20); STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_INFO, ro), "GET_INFO(read-only)"); done(&d);
	if (*RBDF) { d = fresh(RBDF); struct vfio_device_info i3 = {.argsz = sizeof i3}; STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_INFO, &i3) ?: (x(" flags=0x%x", i3.flags), 0), "GET_INFO on the device with reset"); done(&d); }
}
static void info_region(void) {
	struct dev d = fresh(BDF); static const u32 sz[] = {0, 31, 32, 33, 64, 0xffffffff};
	for (u32 i = 0; i <= 12; i++) { struct vfio_region_info r = {.argsz = 32, .index = i, .flags = 0xee, .cap_offset = 0xee, .size = 0xee, .offset = 0xee}; STEP(i == 0 ? "hw" : "pci", ioctl(d.fd, VFIO_DEVICE_GET_REGION_INFO, &r), "%s", ({ static char s[64]; sprintf(s, "GET_REGION_INFO index=%u", i); s; })); STEP("pci", (x(" argsz=%u flags=0x%x cap_offset=0x%x size=0x%llx offset=0x%llx", r.argsz, r.flags, r.cap_offset, (long long)r.size, (long long)r.offset), 0), "region %u returned struct", i); }
	static const u32 ix[] = {0x100, 0x7fffffff, 0xffffffff}; for (int i = 0; i < 3; i++) { struct vfio_region_info r = {.argsz = 32, .index = ix[i]}; STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_REGION_INFO, &r), "GET_REGION_INFO index=0x%x", ix[i]); }
	for (int i = 0; i < 6; i++) { struct vfio_region_info r[3] = {{.argsz = sz[i], .index = 0}}; memset(r + 1, 0xee, 64); STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_REGION_INFO, r) ?: (x(" argsz=%u flags=0x%x cap_offset=%u", r->argsz, r->flags, r->cap_offset), 0), "GET_REGION_INFO index=0 argsz=%u tail 0xee", sz[i]); } STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_REGION_INFO, 0), "GET_REGION_INFO(NULL)"); done(&d);
}
static void info_irq(void) {
	struct dev d = fresh(BDF); static const u32 sz[] = {0, 15, 16, 17, 64};
	for (u32 i = 0; i <= 7; i++) { struct vfio_irq_info r = {.argsz = 16, .index = i, .flags = 0xee, .count = 0xee}; STEP("pci", ({int q = ioctl(d.fd, VFIO_DEVICE_GET_IRQ_INFO, &r); x(" flags=0x%x count=%u", r.flags, r.count); q;}), "GET_IRQ_INFO index=%u", i); }
	for (int i = 0; i < 5; i++) { struct vfio_irq_info r[5] = {{.argsz = sz[i]}}; STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_IRQ_INFO, r), "GET_IRQ_INFO index=0 argsz=%u", sz[i]); } struct vfio_irq_info r = {.argsz = 16, .index = 0xffffffff}; STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_IRQ_INFO, &r), "GET_IRQ_INFO index=0xffffffff"); STEP("pci", ioctl(d.fd, VFIO_DEVICE_GET_IRQ_INFO, 0), "GET_IRQ_INFO(NULL)"); done(&d);
}
static int irqs(int fd, u32 argsz, u32 flags, u32 index, u32 start, u32 count, const void *data, size_t n) { u8 z[256] = {0}; struct vfio_irq_set *s = (void *)z; *s = (struct vfio_irq_set){argsz, flags, index, start, count}; if (n) memcpy(s->data, data, n); return ioctl(fd, VFIO_DEVICE_SET_IRQS, s); }
static int evn(int e) { u64 v = 0; if (read(e, &v, 8) != 8) return -1; return v; }
#define DN VFIO_IRQ_SET_DATA_NONE
#define DB VFIO_IRQ_SET_DATA_BOOL
#define DE VFIO_IRQ_SET_DATA_EVENTFD
#define AM VFIO_IRQ_SET_ACTION_MASK
#define AU VFIO_IRQ_SET_ACTION_UNMASK
#define AT VFIO_IRQ_SET_ACTION_TRIGGER
static const char *fl(u32 f) { static char b[64]; sprintf(b, "%s%s%s%s%s%s", f & 1 ? "|NONE" : "", f & 2 ? "|BOOL" : "", f & 4 ? "|EVENTFD" : "", f & 8 ? "|MASK" : "", f & 16 ? "|UNMASK" : "", f & 32 ? "|TRIGGER" : ""); if (f & ~63u) sprintf(b + strlen(b), "|0x%x", f & ~63u); return *b ? b + 1 : "0"; }
#define IRQ(sz, f, i, s, c, p, n) STEP("pci", irqs(d.fd, sz, f, i, s, c, p, n), "SET_IRQS(argsz=%u,%s,index=%u,start=%u,count=%u%s)", (unsigned)(sz), fl(f), (unsigned)(i), (unsigned)(s), (unsigned)(c), !(n) ? "" : (void *)(p) == &e ? ",eventfd" : (void *)(p) == &m1 ? ",fd -1" : (void *)(p) == &bad ? ",fd 999" : (void *)(p) == &nul ? ",/dev/null" : (void *)(p) == &one ? ",1" : (void *)(p) == &zero ? ",0" : (void *)(p) == two ? ",2 eventfds" : "")
static void irq_edges(void) {
	struct dev d = fresh(BDF); int e = eventfd(0, EFD_NONBLOCK), m1 = -1, nul = open("/dev/null", 2), bad = 999; int two[2] = {e, e}; u8 one = 1, zero = 0;
	IRQ(0, DN | AT, 0, 0, 1, 0, 0); IRQ(19, DN | AT, 0, 0, 1, 0, 0); IRQ(20, 0, 0, 0, 1, 0, 0); IRQ(20, DN, 0, 0, 1, 0, 0); IRQ(20, AT, 0, 0, 1, 0, 0); IRQ(20, DN | DB | AT, 0, 0, 1, 0, 0); IRQ(20, DN | AM | AU, 0, 0, 1, 0, 0); IRQ(20, DN | AM | AT, 0, 0, 1, 0, 0); IRQ(20, DN | AT | 64, 0, 0, 1, 0, 0); IRQ(20, DN | AT, 5, 0, 0, 0, 0); IRQ(20, DN | AT, 0xffffffff, 0, 0, 0, 0); STEP("pci", ioctl(d.fd, VFIO_DEVICE_SET_IRQS, 0), "SET_IRQS(NULL)");
	for (u32 i = 0; i < 5; i++) { IRQ(20, DN | AT, i, 0, 0, 0, 0); IRQ(20, DN | AT, i, 0, 1, 0, 0); IRQ(20, DN | AT, i, 1, 0, 0, 0); IRQ(20, DN | AT, i, 0, 2, 0, 0); IRQ(20, DN | AM, i, 0, 1, 0, 0); IRQ(20, DN | AU, i, 0, 1, 0, 0); IRQ(24, DE | AT, i, 0, 1, &m1, 4); IRQ(21, DB | AT, i, 0, 1, &one, 1); STEP("pci", irqs(d.fd, 20, DN | AT, i, 0, 0, 0, 0), "SET_IRQS(NONE|TRIGGER,index=%u,count=0) tear down", i); }
	IRQ(20, DE | AT, 0, 0, 1, &e, 4); IRQ(23, DE | AT, 0, 0, 1, &e, 4); IRQ(24, DE | AT, 0, 0, 1, &bad, 4); IRQ(24, DE | AT, 0, 0, 1, &nul, 4); IRQ(24, DE | AT, 0, 0, 0, &e, 4); IRQ(24, DE | AT, 0, 0, 0xffffffff, &e, 4); IRQ(24, DE | AT, 0, 1, 0xfffffffe, &e, 4);
	STEP("pci", irqs(d.fd, 24, DE | AT, 0, 0, 1, &e, 4), "INTx: set eventfd"); IRQ(24, DE | AT, 0, 0, 1, &e, 4); IRQ(20, DN | AT, 0, 0, 1, 0, 0); STEP("pci", evn(e), "read(eventfd)"); STEP("pci", evn(e), "read(eventfd)"); IRQ(21, DB | AT, 0, 0, 1, &one, 1); STEP("pci", evn(e), "read(eventfd)"); IRQ(21, DB | AT, 0, 0, 1, &zero, 1); STEP("pci", evn(e), "read(eventfd)");
	IRQ(20, DN | AM, 0, 0, 1, 0, 0); IRQ(20, DN | AT, 0, 0, 1, 0, 0); STEP("pci", evn(e), "read(eventfd) after loopback trigger while masked"); IRQ(20, DN | AU, 0, 0, 1, 0, 0); IRQ(21, DB | AM, 0, 0, 1, &one, 1); IRQ(24, DE | AM, 0, 0, 1, &e, 4); IRQ(24, DE | AU, 0, 0, 1, &e, 4); IRQ(24, DE | AU, 0, 0, 1, &m1, 4); IRQ(20, DN | AM, 0, 0, 0, 0, 0); IRQ(20, DN | AU, 0, 0, 1, 0, 0);
	w4(&d, 0x60, 1); usleep(20000); STEP("hw", evn(e), "read(eventfd) after device raised INTx"); w4(&d, 0x64, 1); STEP("pci", evn(e), "read(eventfd)"); w4(&d, 0x60, 1); usleep(20000); STEP("pci", evn(e), "read(eventfd): second INTx while auto-masked"); IRQ(20, DN | AU, 0, 0, 1, 0, 0); usleep(20000); STEP("pci", evn(e), "read(eventfd) after UNMASK with line high"); w4(&d, 0x64, 1);
	IRQ(24, DE | AT, 1, 0, 1, &e, 4); IRQ(20, DN | AT, 1, 0, 0, 0, 0); IRQ(24, DE | AT, 0, 0, 1, &m1, 4); IRQ(20, DN | AT, 0, 0, 1, 0, 0); IRQ(20, DN | AT, 0, 0, 0, 0, 0); IRQ(20, DN | AT, 0, 0, 0, 0, 0); IRQ(20, DN | AM, 0, 0, 1, 0, 0);
	STEP("pci", irqs(d.fd, 24, DE | AT, 1, 0, 1, &e, 4), "MSI: set eventfd"); IRQ(28, DE | AT, 1, 0, 2, two, 8); IRQ(24, DE | AT, 1, 0, 1, &e, 4); IRQ(20, DN | AT, 1, 0, 1, 0, 0); STEP("pci", evn(e), "read(eventfd)"); IRQ(20, DN | AM, 1, 0, 1, 0, 0); IRQ(24, DE | AT, 0, 0, 1, &e, 4); w4(&d, 0x60, 1); usleep(20000); STEP("hw", evn(e), "read(eventfd) after device raised MSI"); w4(&d, 0x64, 1); IRQ(24, DE | AT, 1, 0, 1, &m1, 4); IRQ(20, DN | AT, 1, 0, 1, 0, 0); IRQ(24, DE | AT, 1, 0, 1, &bad, 4); IRQ(20, DN | AT, 1, 0, 0, 0, 0); IRQ(20, DN | AT, 1, 0, 0, 0, 0);
	STEP("pci", irqs(d.fd, 24, DE | AT, 4, 0, 1, &e, 4), "REQ: set eventfd"); IRQ(20, DN | AT, 4, 0, 1, 0, 0); STEP("pci", evn(e), "read(eventfd)"); IRQ(21, DB | AT, 4, 0, 1, &one, 1); STEP("pci", evn(e), "read(eventfd)"); IRQ(20, DN | AT, 4, 0, 0, 0, 0); IRQ(20, DN | AT, 4, 0, 1, 0, 0); IRQ(20, DB | AT, 4, 0, 0, 0, 0); IRQ(24, DE | AT, 4, 0, 1, &m1, 4); close(e); done(&d);
}
static long rw(struct dev *d, int w, u64 off, size_t n) { u8 b[512]; memset(b, 0, 512); if (w) return pwrite(d->fd, b, n, off); memset(b, 0xcc, 512); long r = pread(d->fd, b, n, off); int e = errno; if (r > 0 && r <= 16) { x(" data="); for (int i = 0; i < r; i++) x("%02x", b[i]); } errno = e; return r; }
#define RG(i) ((u64)(i) << 40)
static void region_rw(void) {
	struct dev d = fresh(BDF); static const struct { u64 o; size_t n; } t[] = {{0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 8}, {1, 4}, {2, 4}, {4, 4}, {4, 8}, {0x80, 4}, {0x80, 8}, {0x84, 8}, {0x98, 4}, {0x98, 8}, {0xffffc, 4}, {0xffffc, 8}, {0xffffe, 4}, {0xfffff, 1}, {0x100000, 0}, {0x100000, 1}, {0x100000, 4}, {0x7fffffffffull, 4}, {0xffffffffffull, 1}};
	for (int i = 0; i < 25; i++) STEP("hw", rw(&d, 0, d.bar0 + t[i].o, t[i].n), "pread(BAR0+0x%llx,%zu)", (long long)t[i].o, t[i].n);
	static const struct { u64 o; size_t n; } w[] = {{0, 0}, {0, 4}, {4, 1}, {4, 4}, {0x80, 4}, {0x80, 8}, {0x98, 1}, {0x98, 2}, {0x98, 4}, {0x98, 8}, {0x90, 12}, {0x94, 8}, {0x9a, 2}, {0xffffc, 8}, {0x100000, 4}}; for (int i = 0; i < 15; i++) STEP(w[i].o <= 0x98 && w[i].o + w[i].n > 0x98 ? "drv" : "hw", rw(&d, 1, d.bar0 + w[i].o, w[i].n), "pwrite(BAR0+0x%llx,%zu zeros)", (long long)w[i].o, w[i].n);
	for (int i = 1; i < 12; i++) if (i != 7) { STEP("pci", rw(&d, 0, RG(i), 4), "pread(region %d,4)", i); STEP("pci", rw(&d, 1, RG(i), 4), "pwrite(region %d,4)", i); STEP("pci", rw(&d, 0, RG(i), 0), "pread(region %d,0)", i); }
	STEP("pci", pread(d.fd, 0, 4, d.bar0), "pread(NULL buf,4,BAR0)"); STEP("pci", pread(d.fd, BAD, 4, d.bar0), "pread(unmapped buf,4,BAR0)"); STEP("pci", pwrite(d.fd, BAD, 4, d.bar0), "pwrite(unmapped buf,4,BAR0)"); STEP("drv", pwrite(d.fd, BAD, 4, d.bar0 + 0x98), "pwrite(unmapped buf,4,BAR0+0x98)"); STEP("pci", pread(d.fd, guard + PG - 4, 8, d.bar0 + 0x80), "pread(8 into 4 mapped bytes,BAR0+0x80)"); STEP("pci", pread(d.fd, guard + PG - 4, 12, d.bar0), "pread(12 into 4 mapped bytes,BAR0)"); STEP("pci", pread(d.fd, BAD, 4, d.cfg), "pread(unmapped buf,4,config)"); STEP("vfs", pread(d.fd, buf, 4, -1), "pread(4,-1)"); STEP("pci", pread(d.fd, buf, 4, 0x7fffffffffffffff), "pread(4,2^63-1)"); STEP("pci", pread(d.fd, buf, 4, 0x7ffffffffffffff0), "pread(4,2^63-16)");
	STEP("vfs", lseek(d.fd, 0, SEEK_CUR), "lseek(0,CUR)"); STEP("core", ({long q = read(d.fd, buf, 4); x(" data=%08x", *(u32 *)buf); q;}), "read(4), file position 0"); STEP("core", ({long q = read(d.fd, buf, 4); x(" data=%08x", *(u32 *)buf); q;}), "read(4): position advanced"); STEP("core", ({long q = pread(d.fd, buf, 4, 0); x(" data=%08x", *(u32 *)buf); q;}), "pread(4,0)"); STEP("vfs", lseek(d.fd, 0, SEEK_CUR), "lseek(0,CUR)"); STEP("vfs", lseek(d.fd, d.cfg, SEEK_SET) == d.cfg ? 0 : -1, "lseek(config,SET)"); STEP("core", write(d.fd, buf, 4), "write(4) at position 8"); STEP("vfs", pollx(d.fd), "poll(device)"); STEP("vfs", ftruncate(d.fd, 0), "ftruncate"); done(&d);
}
static void region_config(void) {
	struct dev d = fresh(BDF); static const struct { u64 o; size_t n; } t[] = {{0, 0}, {0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 3}, {1, 2}, {1, 4}, {2, 2}, {4, 2}, {6, 2}, {8, 4}, {0xc, 4}, {0x10, 4}, {0x14, 4}, {0x2c, 4}, {0x30, 4}, {0x34, 1}, {0x3c, 4}, {0x40, 4}, {0x40, 8}, {0xfc, 4}, {0xfc, 8}, {0xff, 1}, {0xff, 4}, {0x100, 0}, {0x100, 4}, {0xfff, 1}, {0x1000, 4}, {0, 256}, {0, 257}, {0, 512}};
	for (int i = 0; i < 32; i++) STEP(t[i].n <= 16 && t[i].n ? "hw" : "pci", rw(&d, 0, d.cfg + t[i].o, t[i].n), "pread(config+0x%llx,%zu)", (long long)t[i].o, t[i].n);
	static const struct { u64 o; u32 v; size_t n; const char *w; } w[] = {{0, 0xffffffff, 4, "ids"}, {4, 0, 2, "COMMAND=0"}, {4, 0x0002, 2, "COMMAND=MEM"}, {4, 0x0406, 2, "COMMAND=MEM|MASTER|INTX_DIS"}, {4, 0xffff, 2, "COMMAND=0xffff"}, {4, 6, 2, "COMMAND=6"}, {6, 0xffff, 2, "STATUS"}, {8, 0xffffffff, 4, "class/rev"}, {0xc, 0xff, 1, "cacheline"}, {0x10, 0xffffffff, 4, "BAR0 sizing"}, {0x14, 0xffffffff, 4, "BAR1 sizing"}, {0x30, 0xffffffff, 4, "ROM sizing"}, {0x3c, 0x5, 1, "irq line"}, {0x3d, 0xff, 1, "irq pin"}, {0x42, 0xffff, 2, "MSI control"}, {0x44, 0xfee00000, 4, "MSI addr"}, {0xfc, 0, 8, "straddle end"}, {0x100, 0, 4, "past end"}};
	for (int i = 0; i < 18; i++) { STEP("pci", pwrite(d.fd, &w[i].v, w[i].n, d.cfg + w[i].o), "pwrite(config+0x%llx,%zu %s)", (long long)w[i].o, w[i].n, w[i].w); if (w[i].o < 0x100) STEP("pci", rw(&d, 0, d.cfg + w[i].o, w[i].n > 4 ? 4 : w[i].n), "pread(config+0x%llx)", (long long)w[i].o); if (w[i].o == 4) STEP("hw", rw(&d, 0, d.bar0, 4), "pread(BAR0,4) with that COMMAND"); }
	done(&d);
}
static void region_mmap(void) {
	struct dev d = fresh(BDF); 
	for (int i = 0; i < 11; i++) STEP("pci", mmap(0, 4096, 3, MAP_SHARED, d.fd, RG(i)) == MAP_FAILED ? -1 : 0, "mmap(region %d,4096,RW,SHARED)", i); STEP("pci", mmap(0, 4096, 1, MAP_SHARED, d.fd, 0) == MAP_FAILED ? -1 : 0, "mmap(BAR0,R,SHARED)"); STEP("pci", mmap(0, 4096, 3, MAP_PRIVATE, d.fd, 0) == MAP_FAILED ? -1 : 0, "mmap(BAR0,RW,PRIVATE)"); STEP("vfs", mmap(0, 0, 3, MAP_SHARED, d.fd, 0) == MAP_FAILED ? -1 : 0, "mmap(BAR0,len 0)"); STEP("vfs", mmap(0, 4096, 3, MAP_SHARED, d.fd, 100) == MAP_FAILED ? -1 : 0, "mmap(BAR0,offset 100)"); STEP("pci", mmap(0, 2 << 20, 3, MAP_SHARED, d.fd, 0) == MAP_FAILED ? -1 : 0, "mmap(BAR0,2M)"); STEP("pci", mmap(0, 4096, 3, MAP_SHARED, d.fd, 0xfffff00000000000) == MAP_FAILED ? -1 : 0, "mmap(huge offset)"); STEP("vfs", mmap(0, 4096, 3, MAP_SHARED, d.iommu, 0) == MAP_FAILED ? -1 : 0, "mmap(iommufd)"); done(&d);
}
static int ioev(int fd, u32 sz, u32 f, u64 off, u64 data, int e) { struct vfio_device_ioeventfd i = {.argsz = sz, .flags = f, .offset = off, .data = data, .fd = e}; return ioctl(fd, VFIO_DEVICE_IOEVENTFD, &i); }
static void misc_ioctls(void) {
	struct dev d = fresh(BDF); int e = eventfd(0, EFD_NONBLOCK); static const u32 f[] = {0, 1, 2, 3, 4, 8, 15, 16, 20}; for (int i = 0; i < 9; i++) STEP("pci", ioev(d.fd, 32, f[i], d.bar0 + 8, 1, e), "IOEVENTFD(flags=%u,BAR0+8,fd)", f[i]); STEP("pci", ioev(d.fd, 32, 4, d.bar0 + 8, 1, e), "IOEVENTFD again"); STEP("pci", ioev(d.fd, 27, 4, d.bar0 + 8, 1, e), "IOEVENTFD argsz=27"); STEP("pci", ioev(d.fd, 28, 4, d.bar0 + 8, 1, e), "IOEVENTFD argsz=28 (again)"); STEP("pci", ioev(d.fd, 32, 4, d.bar0 + 9, 1, e), "IOEVENTFD misaligned"); STEP("pci", ioev(d.fd, 32, 4, d.bar0 + (1 << 20), 1, e), "IOEVENTFD past BAR"); STEP("pci", ioev(d.fd, 32, 4, d.cfg, 1, e), "IOEVENTFD config"); STEP("pci", ioev(d.fd, 32, 4, RG(20), 1, e), "IOEVENTFD region 20"); STEP("pci", ioev(d.fd, 32, 4, d.bar0 + 8, 1, -2), "IOEVENTFD fd=-2"); STEP("pci", ioev(d.fd, 32, 4, d.bar0 + 8, 1, 999), "IOEVENTFD fd=999"); STEP("pci", ioev(d.fd, 32, 4, d.bar0 + 8, 1, -1), "IOEVENTFD fd=-1 (remove)"); STEP("pci", ioev(d.fd, 32, 4, d.bar0 + 8, 1, -1), "IOEVENTFD fd=-1 again");
	for (int k = 0; k < 2; k++) { if (k && !*RBDF) break; if (k) { done(&d); d = fresh(RBDF); } static const u32 sz[] = {0, 11, 12, 19, 20, 24, 256}; for (int i = 0; i < 7; i++) { u8 z[256] = {0}; struct vfio_pci_hot_reset_info *h = (void *)z; h->argsz = sz[i]; STEP("pci", ({int r = ioctl(d.fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, h); x(" flags=0x%x count=%u", h->flags, h->count); r;}), "%s: HOT_RESET_INFO argsz=%u", k ? "rp" : "root bus", sz[i]); }
		u8 z[64] = {0}; struct vfio_pci_hot_reset *h = (void *)z; static const struct { u32 a, f, c; } q[] = {{11, 0, 0}, {12, 1, 0}, {12, 0, 1}, {16, 0, 1}, {12, 0, 0}}; for (int i = 0; i < 5; i++) { h->argsz = q[i].a; h->flags = q[i].f; h->count = q[i].c; STEP("pci", ioctl(d.fd, VFIO_DEVICE_PCI_HOT_RESET, h), "%s: PCI_HOT_RESET argsz=%u flags=%u count=%u", k ? "rp" : "root bus", q[i].a, q[i].f, q[i].c); } STEP("core", mig_get(d.fd), "MIG GET"); }
	static const unsigned c[] = {VFIO_DEVICE_QUERY_GFX_PLANE, VFIO_DEVICE_GET_GFX_DMABUF, VFIO_GROUP_GET_STATUS, VFIO_GET_API_VERSION, VFIO_IOMMU_MAP_DMA, IOMMU_IOAS_ALLOC, 0, 0xffffffff}; for (int i = 0; i < 8; i++) { memset(buf, 0, 256); STEP("pci", ioctl(d.fd, c[i], buf), "ioctl(0x%x, zeros)", c[i]); } close(e); done(&d);
}

/* ------------------------------------------------------------------ main */
static const struct { const char *n; void (*f)(void); } T[] = {
#define R(n) {#n, n}
	R(fsm_running), R(fsm_running_p2p), R(fsm_pre_copy), R(fsm_pre_copy_p2p), R(fsm_stop), R(fsm_stop_copy), R(fsm_resuming_empty), R(fsm_resuming_loaded), R(fsm_struct), R(fsm_datafd_stopcopy), R(fsm_datafd_precopy), R(fsm_datafd_resuming), R(fsm_noattach), R(fsm_doorbell), R(fsm_reset_unsupported), R(fsm_reset), R(fsm_error),
	R(feat_table), R(feat_args), R(feat_lowpower),
	R(log_start_pagesize), R(log_start_ranges), R(log_control), R(log_report_args), R(log_report_basic), R(log_report_pagesize), R(log_report_unaligned), R(log_report_bitmap_ptr), R(log_ranges_content), R(log_and_fsm),
	R(open_cdev_unbound), R(open_bind), R(open_attach), R(open_group), R(info_device), R(info_region), R(info_irq), R(irq_edges), R(region_rw), R(region_config), R(region_mmap), R(misc_ioctls)};
int main(int c, char **v) {
	for (int i = 1; i < c; i++) if (strchr(v[i], '=')) putenv(v[i]); else setenv("ORACLE_BDF", v[i], 1);
	BDF = E("ORACLE_BDF", "0000:00:03.0"); RBDF = E("ORACLE_RBDF", ""); bind_drv(BDF, E("ORACLE_DRV", "vfio-edu")); if (*RBDF) bind_drv(RBDF, E("ORACLE_DRV", "vfio-edu"));
	char only[1024]; snprintf(only, sizeof only, ",%s,", E("ORACLE_ONLY", ""));
	printf("# scenario\tstep\tcall\tresult\torigin\n");
	for (int i = 0; i < sizeof T / sizeof *T; i++) { char k[64]; snprintf(k, 64, ",%s,", T[i].n); if (only[2] && !strstr(only, k)) continue; scen = T[i].n; stepno = 0; fflush(stdout);
		if (getenv("ORACLE_NOFORK")) { ram(); T[i].f(); continue; } int st; pid_t p = fork(); if (!p) { alarm(120); ram(); T[i].f(); fflush(stdout); _exit(0); } waitpid(p, &st, 0); if (st) printf("%s\t999\tscenario ended with status 0x%x\tABNORMAL\tsetup\n", scen, st); fflush(stdout); }
	return 0;
}
