/* SPDX-License-Identifier: MIT */
/*
 * One real side of a migration and one that is spoken by hand, frame by frame.
 */
#ifndef TESTS_MIGRATE_TALK_H
#define TESTS_MIGRATE_TALK_H

#include "pair.h"
#include "wire/hello.h"
#include "wire/message.h"

struct talk {
	struct pair p;
	struct guest *real; /* src or dst of the pair */
	int fd; /* the other end, ours */
	uint32_t seq;
	pthread_t thread;
};

/* The real one runs; say and hear. */
struct talk *talk_to_destination(void);
struct talk *talk_to_source(uint32_t silence_ms);
void say(struct talk *t, unsigned int type, unsigned int flags,
	 const void *data, size_t len);
/* Clears @b. */
void say_buf(struct talk *t, unsigned int type, unsigned int flags,
	     struct spoor_wbuf *b);
void say_run(struct talk *t, unsigned int type, uint64_t iova, uint64_t len);
/* Wait for a frame. */
void hear(struct talk *t, unsigned int type);
/* Pass over frames until one of this type and with these flags has come. */
void hear_until(struct talk *t, unsigned int type, unsigned int flags);
/* We say no more: wait until the real one has ended. */
struct guest *talk_wait(struct talk *t);
/* And how it ended for it; frees @t. */
void talk_end(struct talk *t, enum spoor_outcome outcome, const char *word);

#endif /* TESTS_MIGRATE_TALK_H */
