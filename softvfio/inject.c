/* SPDX-License-Identifier: MIT */
/*
 * Planned failures and notes.  Invariant: a planned failure happens once.
 * Threads: one leaf lock; nothing is called under it but libc.
 */
#include "softvfio/inject.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/config.h"
#include "softvfio/device.h"
#include "softvfio/shim.h"

#define MAX_NOTES 256

struct plan {
	unsigned int state_n, call_n[SV_NR_CALLS]; /* countdowns; 0: none */
	int state_err;
	bool state_to_error;
};

struct note {
	struct note *next;
	char text[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct plan *plans; /* one a configured device, made at first need */
static struct note *notes, **notes_end = &notes;
static unsigned int nr_notes;

static struct plan *make_plans(const struct sv_config *config)
{
	struct plan *made = calloc(config->nr_devices, sizeof(*made));

	for (unsigned int i = 0; made && i < config->nr_devices; i++)
		for (unsigned int j = 0; j < SV_NR_CALLS; j++)
			made[i].call_n[j] = config->devices[i].fail[j];
	return made;
}

static struct plan *plan_of(struct sv_device *dev)
{
	const struct sv_config *config = sv_config();

	if (!config)
		return NULL;
	if (!plans)
		plans = make_plans(config);
	return plans ? &plans[dev->config - config->devices] : NULL;
}

void sv_inject_set_state(struct sv_device *dev, unsigned int n, int err,
			 bool to_error)
{
	SPOOR_LOCKED(&lock);
	struct plan *p = plan_of(dev);

	if (!p)
		return;
	p->state_n = n;
	p->state_err = err;
	p->state_to_error = to_error;
}

void sv_inject_set_report(struct sv_device *dev, unsigned int n)
{
	SPOOR_LOCKED(&lock);
	struct plan *p = plan_of(dev);

	if (p)
		p->call_n[SV_CALL_LOG_REPORT] = n;
}

int sv_inject_state(struct sv_device *dev, bool *to_error)
{
	SPOOR_LOCKED(&lock);
	struct plan *p = plan_of(dev);

	*to_error = false;
	if (!p || !p->state_n || --p->state_n)
		return 0;
	*to_error = p->state_to_error;
	return p->state_err;
}

bool sv_inject_call(struct sv_device *dev, enum sv_call call)
{
	SPOOR_LOCKED(&lock);
	struct plan *p = plan_of(dev);

	return p && p->call_n[call] && !--p->call_n[call];
}

void sv_note_push(const char *text)
{
	size_t size = strlen(text) + 1;
	struct note *note = malloc(sizeof(*note) + size);

	if (!note)
		return;
	note->next = NULL;
	memcpy(note->text, text, size);
	SPOOR_LOCKED(&lock);
	*notes_end = note;
	notes_end = &note->next;
	if (++nr_notes > MAX_NOTES) {
		note = notes;
		notes = note->next;
		nr_notes--;
		free(note);
	}
}

char *sv_note_pop(void)
{
	struct note *note;
	char *text;

	SPOOR_LOCKED(&lock);
	note = notes;
	if (!note)
		return NULL;
	text = strdup(note->text);
	if (!text)
		return NULL; /* still first in line */
	notes = note->next;
	if (!notes)
		notes_end = &notes;
	nr_notes--;
	free(note);
	return text;
}
