/* SPDX-License-Identifier: MIT */
/*
 * Frames over a connected stream socket.
 *
 * Invariant: a frame is delivered only after its check was verified, the
 * exception being a run of memory, which is read where it belongs once its
 * address was approved; if its check then fails the stream is dead and so is
 * that memory.  No call waits for a silent peer longer than the silence
 * allowed, nor for one that only says PING longer than sixty of them, and none
 * raises SIGPIPE.  The socket's flags are left alone.
 *
 * Threads: one thread per stream; the cancel flag may be set by others.
 */
#ifndef SPOOR_MIGRATE_STREAM_IO_H
#define SPOOR_MIGRATE_STREAM_IO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"
#include "wire/message.h"

#define SPOOR_STREAM_READAHEAD (16u << 10)

struct spoor_stream {
	int fd; /* borrowed */
	int cancel_fd; /* readable once cancelled */
	const atomic_bool *cancelled; /* NULL: nothing cancels */
	uint64_t silence_ns; /* a peer silent for longer is gone */
	uint64_t ping_ns; /* be silent no longer than this */
	uint64_t sent_ns; /* when something was last sent */
	uint64_t limit_ns; /* when what is waited for now must have come */
	uint64_t end_ns; /* no wait goes on past this */
	bool no_pings; /* none is due: they do not prolong a wait */
	uint32_t seq_out, seq_in;
	uint64_t bytes_sent, bytes_received;
	bool broken; /* a frame was cut: nothing more can be sent */
	bool got_abort; /* the peer said ABORT; reason holds why */
	struct spoor_reason reason;

	uint8_t *ahead; /* bytes read beyond the last frame */
	size_t ahead_pos, ahead_len;
	uint8_t *payload; /* of the last frame, SPOOR_PAYLOAD_MAX bytes */
};

/* Approves a run before it is read: where its bytes go, or NULL. */
typedef void *(*spoor_place_fn)(void *opaque, const struct spoor_range *run);

int spoor_stream_init(struct spoor_stream *s, int fd, uint64_t silence_ns);
void spoor_stream_clear(struct spoor_stream *s);
/* The silence both sides agreed on. */
void spoor_stream_set_silence(struct spoor_stream *s, uint64_t silence_ns);

/* Bytes that the socket took and the peer's host has not; 0: nobody knows. */
uint64_t spoor_stream_queued(const struct spoor_stream *s);
/*
 * Send a frame.  Return: 0, or
 *   -ECANCELED     cancelled before it began
 *   -ECONNABORTED  the peer said ABORT or REFUSE
 *   -ETIMEDOUT     the peer took nothing for too long
 *   another        errno of the socket
 * Unless it returned 0 the peer cannot see the frame, now or later.
 */
int spoor_stream_send(struct spoor_stream *s, enum spoor_frame_type type,
		      unsigned int flags, const struct iovec *payload,
		      size_t nr);
int spoor_stream_send_buf(struct spoor_stream *s, enum spoor_frame_type type,
			  unsigned int flags, const struct spoor_wbuf *b);
/*
 * From now on all that is waited for together may take the patience of one
 * wait and @more_ns; UINT64_MAX: no such end.
 */
void spoor_stream_end_by(struct spoor_stream *s, uint64_t more_ns);
/* Busy with something else: a PING if it is time for one. */
int spoor_stream_tick(struct spoor_stream *s);

/*
 * The next frame; PING and what is optional and unknown are passed over.
 * *ret_payload is valid until the next call; for PAGES @place decided where
 * the bytes went, and *ret_payload is the run's header.  @place NULL refuses
 * PAGES.
 *
 * Return: 0, or -ECANCELED, -ETIMEDOUT, -ECONNRESET at the end of the stream,
 * -EPROTO, or errno of the socket.  ABORT is a frame as others.
 */
int spoor_stream_recv(struct spoor_stream *s, struct spoor_frame *ret,
		      const uint8_t **ret_payload, spoor_place_fn place,
		      void *opaque);

/* Send ABORT if that is still possible, then end this side of the stream. */
void spoor_stream_abort(struct spoor_stream *s, int err, const char *text);
/*
 * After ABORT towards a peer that is still sending: read and forget, until it
 * ends too or two seconds are over, so that no reset overtakes the reason.
 */
void spoor_stream_drain(struct spoor_stream *s);

#endif /* SPOOR_MIGRATE_STREAM_IO_H */
