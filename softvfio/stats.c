/* SPDX-License-Identifier: MIT */
/*
 * SOFTVFIO_STATS.  Invariant: whoever opens the file finds one whole
 * snapshot: it is written beside and renamed over.  Threads: any; writers
 * queue, so that a later snapshot is never replaced by an earlier one.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/config.h"
#include "softvfio/device.h"
#include "softvfio/real.h"
#include "softvfio/shim.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *state_name(uint8_t state)
{
	/* enum vfio_device_mig_state */
	static const char *const names[] = {
		"ERROR",    "STOP",	   "RUNNING",  "STOP_COPY",
		"RESUMING", "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state]
							: "UNKNOWN";
}

static void put_string(FILE *out, const char *s)
{
	putc('"', out);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ')
			fprintf(out, "\\u%04x", c);
		else
			putc(c, out);
	}
	putc('"', out);
}

static void put_states(FILE *out, struct sv_device *dev)
{
	SPOOR_AUTO_HEAP struct sv_state_seen *seen = NULL;
	size_t nr = 0, cap;

	/* More may come while we ask. */
	do {
		struct sv_state_seen *grown;

		cap = nr + 64;
		grown = realloc(seen, cap * sizeof(*grown));
		if (!grown)
			return;
		seen = grown;
		nr = sv_device_states(dev, seen, cap);
	} while (nr > cap);
	fputs(", \"states\": [", out);
	for (size_t i = 0; i < nr; i++)
		fprintf(out, "%s\"%s\"", i ? ", " : "",
			state_name(seen[i].state));
	fputs("], \"entered_ns\": [", out);
	for (size_t i = 0; i < nr; i++)
		fprintf(out, "%s%" PRIu64, i ? ", " : "", seen[i].ns);
	fputs("]", out);
}

static void put_counters(FILE *out, const struct model_counters *c)
{
	fprintf(out,
		"\"dma_writes\": %" PRIu64 ", \"dma_bytes\": %" PRIu64
		", \"marks\": %" PRIu64 ", \"reports\": %" PRIu64
		", \"pages_reported\": %" PRIu64 ", \"discarded\": %" PRIu64
		", \"dropped\": %" PRIu64 ", \"faults\": %" PRIu64
		", \"violations\": %" PRIu64 ", \"backlog_dropped\": %" PRIu64
		", \"peer_writes\": %" PRIu64 ", \"late_writes\": %" PRIu64
		", \"pages_saved\": %" PRIu64,
		c->dma_writes, c->dma_bytes, c->marks, c->reports,
		c->pages_reported, c->discarded, c->dropped, c->faults,
		c->violations, c->backlog_dropped, c->peer_writes,
		c->late_writes, c->pages_saved);
}

static void put_truth(FILE *out, const struct sv_figures *f)
{
	fprintf(out,
		", \"loaded\": %" PRIu64 ", \"ran\": %s, \"ran_on\": %s, "
		"\"truth\": {\"checks\": %" PRIu64 ", \"checked\": %" PRIu64
		", \"pages_lost\": %" PRIu64 ", \"overwritten\": %" PRIu64
		", \"check_at\": %" PRIu64 ", \"check_ns\": %" PRIu64
		", \"lost\": [",
		f->loaded, f->ran ? "true" : "false",
		f->ran_on ? "true" : "false", f->checks, f->checked, f->lost,
		f->overwritten, f->check_at, f->check_ns);
	for (size_t i = 0; i < f->nr_named; i++)
		fprintf(out, "%s{\"iova\": \"0x%" PRIx64 "\", \"len\": 4096}",
			i ? ", " : "", f->lost_at[i]);
	fputs("]}", out);
}

static void put_figures(FILE *out, const struct sv_figures *f)
{
	fprintf(out,
		", \"report_ns\": %" PRIu64 ", \"irqs\": %" PRIu64
		", \"state_bytes\": {\"saved\": %" PRIu64
		", \"loaded\": %" PRIu64 "}, \"stopped\": {\"times\": %" PRIu64
		", ",
		f->report_ns, f->irqs, f->state_saved, f->state_loaded,
		f->stopped.nr);
	put_counters(out, &f->stopped.at);
	putc('}', out);
	put_truth(out, f);
}

static void put_device(FILE *out, struct sv_device *dev)
{
	static struct sv_figures figures; /* large; snapshots queue */
	struct model *m = __atomic_load_n(&dev->model, __ATOMIC_ACQUIRE);
	struct model_counters c = { 0 };

	if (m)
		model_counters(m, &c);
	sv_device_figures(dev, &figures);
	fputs("{\"name\": ", out);
	put_string(out, dev->config->model.name);
	fputs(", ", out);
	put_counters(out, &c);
	put_figures(out, &figures);
	put_states(out, dev);
	putc('}', out);
}

struct spaces {
	FILE *out;
	const char *comma;
};

static void put_space(void *ctx, const struct sv_space_counters *c)
{
	struct spaces *s = ctx;

	fprintf(s->out, "%s{\"name\": ", s->comma);
	put_string(s->out, c->name);
	fprintf(s->out,
		", \"marks\": %" PRIu64 ", \"dirty_reads\": %" PRIu64
		", \"pages_reported\": %" PRIu64 ", \"discarded\": %" PRIu64
		", \"write_faults\": %" PRIu64 ", \"read_ns\": %" PRIu64 "}",
		c->marks, c->dirty_reads, c->pages_reported, c->discarded,
		c->write_faults, c->read_ns);
	s->comma = ", ";
}

static int format(const struct sv_config *config, char **ret, size_t *ret_len)
{
	struct spaces spaces = { .comma = "" };
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);
	bool bad;

	if (!out)
		return -ENOMEM;
	fputs("{\"devices\": [", out);
	for (unsigned int i = 0; i < config->nr_devices; i++) {
		struct sv_device *dev =
			sv_device_by_index(config->devices[i].index);

		if (i)
			fputs(", ", out);
		if (dev)
			put_device(out, dev);
	}
	fputs("], \"spaces\": [", out);
	spaces.out = out;
	sv_spaces_each(put_space, &spaces);
	fputs("]}\n", out);
	bad = ferror(out);
	/* Not libc's own: a sanitizer that saw the opening must see the end. */
	if (fclose(out) || bad) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

/* "%p" is the process. */
static int expand(const char *pattern, char *ret)
{
	size_t n = 0;

	for (const char *p = pattern; *p; p++) {
		if (p[0] == '%' && p[1] == 'p') {
			n += (size_t)snprintf(ret + n, PATH_MAX - n, "%d",
					      (int)getpid());
			p++;
		} else if (n < PATH_MAX) {
			ret[n++] = *p;
		}
		if (n >= PATH_MAX)
			return -ENAMETOOLONG;
	}
	ret[n] = '\0';
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = REAL(write)(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int replace(const char *path, const char *text, size_t len)
{
	char beside[PATH_MAX];
	int fd, r;

	if ((size_t)snprintf(beside, sizeof(beside), "%s.%d.tmp", path,
			     (int)getpid()) >= sizeof(beside))
		return -ENAMETOOLONG;
	fd = REAL(open)(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (REAL(close)(fd) && r == 0)
		r = -errno;
	if (r == 0 && rename(beside, path))
		r = -errno;
	if (r)
		unlink(beside);
	return r;
}

int sv_stats_write_now(void)
{
	const struct sv_config *config = sv_config();
	SPOOR_AUTO_HEAP char *text = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	if (!config || !config->stats || sv_process_is_orphan())
		return 0;
	r = expand(config->stats, path);
	if (r)
		return r;
	SV_NOT_CANCELLED();
	SPOOR_LOCKED(&lock);
	r = format(config, &text, &len);
	return r ? r : replace(path, text, len);
}

/* Nobody waits for a snapshot, so nobody is told by its errno: said once. */
void sv_stats_write(void)
{
	static bool said;
	int r = sv_stats_write_now();
	char text[PATH_MAX + 80];
	int n;

	if (!r || __atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		return;
	n = snprintf(text, sizeof(text), "softvfio: SOFTVFIO_STATS: %s: %s\n",
		     sv_config()->stats, strerror(-r));
	if (n > 0 && (size_t)n < sizeof(text))
		write_all(STDERR_FILENO, text, (size_t)n);
}
