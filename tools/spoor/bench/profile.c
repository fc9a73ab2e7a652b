/* SPDX-License-Identifier: MIT */
/*
 * A profile that grows, and what it is of.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bench.h"
#include "tools/spoor/profile_file.h"

static struct spoor_profile_tracker *find(const struct spoor_profile *p,
					  const struct bench_tracker *k)
{
	struct spoor_profile_tracker want = { .attached = k->attached,
					      .nr_attached = k->nr_attached };

	memcpy(want.name, k->name, sizeof(want.name));
	for (size_t i = 0; i < p->nr_trackers; i++)
		if (profile_tracker_same(&p->trackers[i], &want))
			return &p->trackers[i];
	return NULL;
}

struct spoor_profile_page *bench_page(const struct spoor_profile *p,
				      const struct bench_tracker *k,
				      uint64_t page_size)
{
	struct spoor_profile_tracker *t = find(p, k);

	for (size_t i = 0; t && i < t->nr_pages; i++)
		if (t->pages[i].page_size == page_size)
			return &t->pages[i];
	return NULL;
}

static struct spoor_profile_tracker *add_tracker(struct spoor_profile *p,
						 const struct bench_tracker *k)
{
	struct spoor_profile_tracker *more, *t;

	more = reallocarray(p->trackers, p->nr_trackers + 1, sizeof(*more));
	if (!more)
		return NULL;
	p->trackers = more;
	t = &more[p->nr_trackers];
	*t = (struct spoor_profile_tracker){ .kind = k->kind,
					     .set_bytes = k->set_bytes };
	memcpy(t->name, k->name, sizeof(t->name));
	if (k->nr_attached) {
		t->attached = calloc(k->nr_attached, sizeof(*t->attached));
		if (!t->attached)
			return NULL;
		memcpy(t->attached, k->attached,
		       k->nr_attached * sizeof(*t->attached));
		t->nr_attached = k->nr_attached;
	}
	p->nr_trackers++;
	return t;
}

int bench_put_page(struct spoor_profile *p, const struct bench_tracker *k,
		   const struct spoor_profile_page *page)
{
	struct spoor_profile_tracker *t = find(p, k);
	struct spoor_profile_page *more;
	size_t at;

	if (!t)
		t = add_tracker(p, k);
	more = t ? reallocarray(t->pages, t->nr_pages + 1, sizeof(*more))
		 : NULL;
	if (!more) {
		free(page->dirty);
		return -ENOMEM;
	}
	t->pages = more;
	for (at = t->nr_pages; at; at--) {
		if (more[at - 1].page_size < page->page_size)
			break;
		more[at] = more[at - 1];
	}
	more[at] = *page;
	t->nr_pages++;
	return 0;
}

int bench_put_zeroes(struct spoor_profile *p,
		     const struct spoor_zero_point *points, size_t nr)
{
	struct spoor_zero_point *copy = calloc(nr + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	memcpy(copy, points, nr * sizeof(*copy));
	free(p->zero_later);
	p->zero_later = copy;
	p->nr_zero_later = nr;
	return 0;
}

struct spoor_profile_device *bench_device(const struct spoor_profile *p,
					  const char *name)
{
	for (size_t i = 0; i < p->nr_devices; i++)
		if (!strcmp(p->devices[i].name, name))
			return &p->devices[i];
	return NULL;
}

int bench_put_device(struct spoor_profile *p,
		     const struct spoor_profile_device *d)
{
	struct spoor_profile_device *more;

	more = reallocarray(p->devices, p->nr_devices + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->devices = more;
	more[p->nr_devices++] = *d;
	return 0;
}

static uint64_t add_hash(uint64_t hash, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3ull;
	return hash;
}

/* What the machine file says, and what else changes what is measured. */
static int hash_machine(uint64_t *ret, const char *path, const struct opts *o)
{
	const char *kernel = getenv("SOFTVFIO_KERNEL");
	uint64_t hash = 0xcbf29ce484222325ull;
	FILE *file = fopen(path, "re");
	char buf[4096];
	size_t n;

	if (!file)
		return -errno;
	while ((n = fread(buf, 1, sizeof(buf), file)))
		hash = add_hash(hash, buf, n);
	fclose(file);
	if (kernel)
		hash = add_hash(hash, kernel, strlen(kernel));
	if (o->cpu_tracker)
		hash = add_hash(hash, o->cpu_tracker, strlen(o->cpu_tracker));
	*ret = hash;
	return 0;
}

/* Devices that were measured there may be as virtual as the host. */
#define VIRTUAL ", a virtual machine"

/* What is said of the first CPU is said of them all. */
static void name_cpu(char *ret, size_t len, const char *otherwise)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	const int room = (int)(len - sizeof(VIRTUAL));
	bool is_virtual = false;
	char name[96] = "";
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 1) {
		const char *at = strchr(line, ':');

		line[strcspn(line, "\n")] = 0;
		if (!at)
			continue;
		at += 1 + strspn(at + 1, " \t");
		if (!strncmp(line, "model name", 10))
			snprintf(name, sizeof(name), "%.95s", at);
		else if (!strncmp(line, "flags", 5))
			is_virtual = strstr(at, " hypervisor");
	}
	snprintf(ret, len, "%.*s%s", room, name[0] ? name : otherwise,
		 is_virtual ? VIRTUAL : "");
	free(line);
	if (file)
		fclose(file);
}

int bench_identify(struct spoor_profile *p, const struct opts *o,
		   const struct machine_file *mf)
{
	/* Of a device by itself there is no file with a name. */
	const bool alone = !strncmp(mf->path, "/proc/", 6) && mf->nr_devices &&
			   mf->devices[0].vfio[0];
	const char *path = alone ? mf->devices[0].vfio : mf->path;
	const char *slash = strrchr(path, '/');
	struct utsname u;

	if (uname(&u))
		return -errno;
	snprintf(p->host, sizeof(p->host), "%.63s", u.nodename);
	snprintf(p->kernel, sizeof(p->kernel), "%.30s %.64s", u.sysname,
		 u.release);
	name_cpu(p->cpu, sizeof(p->cpu), u.machine);
	snprintf(p->machine, sizeof(p->machine), "%.127s",
		 slash ? slash + 1 : path);
	p->memory_bytes = 0;
	for (size_t i = 0; i < mf->nr_memory; i++)
		p->memory_bytes += mf->memory[i].size;
	return hash_machine(&p->machine_hash, mf->path, o);
}

const char *bench_differs(const struct spoor_profile *a,
			  const struct spoor_profile *b)
{
	if (strcmp(a->host, b->host) != 0)
		return "it was measured on another host";
	if (strcmp(a->kernel, b->kernel) != 0)
		return "it was measured on another kernel";
	if (a->machine_hash != b->machine_hash)
		return "it is of another machine, or the machine's file has "
		       "changed";
	return NULL;
}
