/* SPDX-License-Identifier: MIT */
/*
 * Bytes and frames over a socket.  Invariants in the header.
 *
 * Non-blocking calls and poll(), by MSG_DONTWAIT rather than by the socket's
 * flags: those belong to the caller.  A sender also listens: a peer that gives
 * up says why and stops reading, and a sender that only writes would learn of
 * it as a timeout.
 *
 * Threads: one per stream.
 */
#include "migrate/stream_io.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/error.h"
#include "migrate/machine_priv.h"
#include "migrate/stream_wait.h"

/* How long a frame may take to be finished once the run was cancelled. */
#define CANCEL_GRACE_NS 1000000000ull
#define ABORT_NS	1000000000ull
#define DRAIN_NS	2000000000ull
#define IOV_MAX_USED	4

int spoor_stream_init(struct spoor_stream *s, int fd, uint64_t silence_ns)
{
	*s = (struct spoor_stream){ .fd = fd,
				    .cancel_fd = -1,
				    .end_ns = UINT64_MAX };
	spoor_stream_set_silence(s, silence_ns);
	s->sent_ns = spoor_now_ns();
	s->ahead = malloc(SPOOR_STREAM_READAHEAD);
	s->payload = malloc(SPOOR_PAYLOAD_MAX);
	if (s->ahead && s->payload)
		return 0;
	spoor_stream_clear(s);
	return spoor_fail(ENOMEM, "stream: out of memory");
}

void spoor_stream_clear(struct spoor_stream *s)
{
	free(s->ahead);
	free(s->payload);
	s->ahead = NULL;
	s->payload = NULL;
	s->fd = -1;
}

void spoor_stream_set_silence(struct spoor_stream *s, uint64_t silence_ns)
{
	s->silence_ns = silence_ns;
	s->ping_ns = silence_ns / 4;
}

void spoor_stream_end_by(struct spoor_stream *s, uint64_t more_ns)
{
	uint64_t patience;

	s->end_ns = UINT64_MAX;
	patience = spoor_wait_patience(s);
	if (more_ns < UINT64_MAX - patience)
		s->end_ns = patience + more_ns;
}

/* recv() into two places at most; 0 bytes is the peer's end. */
static int recv_some(struct spoor_stream *s, struct iovec *iov, size_t nr,
		     size_t *ret_len, bool may_cancel)
{
	const uint64_t deadline = spoor_wait_silence(s, s->limit_ns);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr };

	for (;;) {
		const ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT);
		int err;

		if (n > 0) {
			*ret_len = (size_t)n;
			s->bytes_received += (uint64_t)n;
			return 0;
		}
		if (n == 0)
			return spoor_fail(ECONNRESET,
					  "stream: the connection ended");
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return spoor_fail_errno("stream: receive");
		err = spoor_wait_for(s, POLLIN, deadline, may_cancel);
		if (err == -EINTR)
			return spoor_fail(ECANCELED, "cancelled");
		if (err == -ETIMEDOUT && deadline == s->limit_ns)
			return spoor_fail(ETIMEDOUT,
					  "stream: the other side lives, but "
					  "what is waited for does not come");
		if (err == -ETIMEDOUT)
			return spoor_fail(
				ETIMEDOUT,
				"stream: the other side was silent "
				"for %llu ms",
				(unsigned long long)(s->silence_ns / 1000000u));
		if (err < 0)
			return err;
	}
}

/* Exactly @len bytes; what comes beyond is kept for the next call. */
static int recv_exact(struct spoor_stream *s, void *buf, size_t len,
		      bool may_cancel)
{
	uint8_t *p = buf;

	while (len) {
		const size_t kept = s->ahead_len - s->ahead_pos;
		struct iovec iov[2] = {
			{ .iov_base = p, .iov_len = len },
			{ .iov_base = s->ahead,
			  .iov_len = SPOOR_STREAM_READAHEAD },
		};
		size_t n = 0;
		int err;

		if (kept) {
			n = kept < len ? kept : len;
			memcpy(p, s->ahead + s->ahead_pos, n);
			s->ahead_pos += n;
			p += n;
			len -= n;
			continue;
		}
		s->ahead_pos = 0;
		s->ahead_len = 0;
		err = recv_some(s, iov, 2, &n, may_cancel);
		if (err)
			return err;
		if (n > len) {
			s->ahead_len = n - len;
			n = len;
		}
		p += n;
		len -= n;
	}
	return 0;
}

/* A frame's payload, whose header is in @f and @head. */
static int recv_payload(struct spoor_stream *s, const struct spoor_frame *f,
			const uint8_t *head, spoor_place_fn place, void *opaque)
{
	struct iovec iov[2] = { { .iov_base = s->payload,
				  .iov_len = (size_t)f->len } };
	struct spoor_range run;
	size_t nr = 1;
	int err;

	if (f->type == SPOOR_FRAME_PAGES) {
		err = recv_exact(s, s->payload, SPOOR_RUN_HEADER, true);
		if (!err)
			err = spoor_run_decode(&run, s->payload);
		if (err)
			return err;
		if (run.len != f->len - SPOOR_RUN_HEADER)
			return spoor_fail(EPROTO,
					  "stream: a PAGES frame of %llu bytes "
					  "for a run of %#llx",
					  (unsigned long long)f->len,
					  (unsigned long long)run.len);
		iov[0].iov_len = SPOOR_RUN_HEADER;
		iov[1].iov_base = place ? place(opaque, &run) : NULL;
		iov[1].iov_len = (size_t)run.len;
		if (!iov[1].iov_base)
			return spoor_fail(EPROTO,
					  "stream: a run of %#llx bytes at "
					  "%#llx has no place here",
					  (unsigned long long)run.len,
					  (unsigned long long)run.iova);
		nr = 2;
	}
	err = recv_exact(s, iov[nr - 1].iov_base, iov[nr - 1].iov_len, true);
	if (err)
		return err;
	if (spoor_frame_check(head, iov, nr) != f->check)
		return spoor_fail(EBADMSG, "stream: %s frame %u is corrupt",
				  spoor_frame_name(f->type), f->seq);
	return 0;
}

int spoor_stream_recv(struct spoor_stream *s, struct spoor_frame *ret,
		      const uint8_t **ret_payload, spoor_place_fn place,
		      void *opaque)
{
	uint8_t head[SPOOR_FRAME_HEADER];
	struct spoor_frame f;
	int err;

	s->limit_ns = spoor_wait_patience(s);
	for (;;) {
		if (spoor_wait_cancelled(s))
			return spoor_fail(ECANCELED, "cancelled");
		err = recv_exact(s, head, sizeof(head), true);
		if (!err)
			err = spoor_frame_decode(&f, head);
		if (err)
			return err;
		if (f.channel || f.seq != s->seq_in)
			return spoor_fail(EPROTO,
					  "stream: frame %u of channel %u "
					  "where %u of 0 was due",
					  f.seq, f.channel, s->seq_in);
		s->seq_in++;
		err = recv_payload(s, &f, head, place, opaque);
		if (err)
			return err;
		if (f.type != SPOOR_FRAME_PING &&
		    f.type <= SPOOR_FRAME_TYPE_LAST)
			break;
	}
	*ret = f;
	*ret_payload = s->payload;
	return 0;
}

/*
 * A sender looks whether the peer has spoken.  PING is passed over; ABORT and
 * REFUSE end it; anything else is out of turn.
 */
static int listen_briefly(struct spoor_stream *s)
{
	s->limit_ns = spoor_wait_patience(s);
	for (;;) {
		struct pollfd fd = { .fd = s->fd, .events = POLLIN };
		uint8_t head[SPOOR_FRAME_HEADER];
		struct spoor_frame f;
		int err;

		if (s->ahead_pos == s->ahead_len &&
		    (poll(&fd, 1, 0) <= 0 || !(fd.revents & POLLIN)))
			return 0;
		err = recv_exact(s, head, sizeof(head), true);
		if (!err)
			err = spoor_frame_decode(&f, head);
		if (!err && (f.channel || f.seq != s->seq_in++))
			err = spoor_fail(EPROTO, "stream: frame out of order");
		if (!err)
			err = recv_payload(s, &f, head, NULL, NULL);
		if (err)
			return err;
		if (f.type == SPOOR_FRAME_PING)
			continue;
		if (f.type != SPOOR_FRAME_ABORT)
			return spoor_fail(EPROTO,
					  "stream: %s frame out of turn",
					  spoor_frame_name(f.type));
		err = spoor_reason_decode(&s->reason, s->payload,
					  (size_t)f.len);
		if (err)
			return err;
		s->got_abort = true;
		return spoor_fail(ECONNABORTED, "the other side gave up: %s",
				  s->reason.text);
	}
}

/*
 * The socket takes nothing now.  With @listen what the peer says meanwhile is
 * heard: a PING means that it is busy, and not gone.  0: try again.
 */
static int wait_to_send(struct spoor_stream *s, uint64_t *deadline,
			uint64_t limit, bool listen, bool may_cancel)
{
	int err = spoor_wait_for(s, listen ? POLLOUT | POLLIN : POLLOUT,
				 *deadline, may_cancel);

	if (err < 0)
		return err;
	if (!listen || !(err & POLLIN))
		return 0;
	err = listen_briefly(s);
	if (!err)
		*deadline = spoor_wait_silence(s, limit);
	return err == -ETIMEDOUT ? -EIO : err;
}

/* All bytes of @iov, which is used up; *began is set once some went out. */
static int send_all(struct spoor_stream *s, struct iovec *iov, size_t nr,
		    bool listen, bool *began)
{
	const uint64_t limit = spoor_wait_patience(s);
	uint64_t deadline = spoor_wait_silence(s, limit);
	bool graced = false;
	int err;

	while (nr) {
		struct msghdr msg = { .msg_iov = iov, .msg_iovlen = nr };
		ssize_t n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return spoor_fail_errno("stream: send");
		if (n < 0) {
			err = wait_to_send(s, &deadline, limit,
					   listen && !graced, !graced);
			if (err == -EINTR && !*began)
				return spoor_fail(ECANCELED, "cancelled");
			if (err == -EINTR) {
				graced = true;
				deadline = spoor_wait_ns(CANCEL_GRACE_NS);
				continue;
			}
			if (err == -ETIMEDOUT)
				return graced ? spoor_fail(ECANCELED,
							   "cancelled")
					      : spoor_fail(ETIMEDOUT,
							   "stream: the other "
							   "side takes "
							   "nothing");
			if (err < 0)
				return err;
			continue;
		}
		*began = true;
		s->bytes_sent += (uint64_t)n;
		if (!graced)
			deadline = spoor_wait_silence(s, limit);
		while (nr && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			nr--;
		}
		if (nr) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

static int send_frame(struct spoor_stream *s, enum spoor_frame_type type,
		      unsigned int flags, const struct iovec *payload,
		      size_t nr, bool listen)
{
	struct spoor_frame f = { .type = (uint16_t)type,
				 .flags = (uint16_t)flags,
				 .seq = s->seq_out };
	uint8_t head[SPOOR_FRAME_HEADER];
	struct iovec iov[IOV_MAX_USED] = { { .iov_base = head,
					     .iov_len = sizeof(head) } };
	bool began = false;
	int err;

	if (s->broken)
		return spoor_fail(EPIPE, "stream: broken");
	if (nr > IOV_MAX_USED - 1)
		return spoor_fail(EINVAL, "stream: too many pieces");
	for (size_t i = 0; i < nr; i++) {
		iov[i + 1] = payload[i];
		f.len += payload[i].iov_len;
	}
	spoor_frame_encode(&f, head);
	f.check = spoor_frame_check(head, payload, nr);
	spoor_frame_encode(&f, head);
	err = send_all(s, iov, nr + 1, listen, &began);
	if (err) {
		/*
		 * A frame that was begun can never be finished: the peer sees
		 * the end of the stream inside it, which is no frame.
		 */
		if (began) {
			s->broken = true;
			shutdown(s->fd, SHUT_WR);
		}
		return err;
	}
	s->seq_out++;
	s->sent_ns = spoor_now_ns();
	return 0;
}

uint64_t spoor_stream_queued(const struct spoor_stream *s)
{
	int bytes = 0;

	if (ioctl(s->fd, SIOCOUTQ, &bytes) || bytes < 0)
		return 0;
	return (uint64_t)bytes;
}

int spoor_stream_send(struct spoor_stream *s, enum spoor_frame_type type,
		      unsigned int flags, const struct iovec *payload,
		      size_t nr)
{
	int err;

	if (spoor_wait_cancelled(s))
		return spoor_fail(ECANCELED, "cancelled");
	err = listen_briefly(s);
	if (err)
		return err;
	err = send_frame(s, type, flags, payload, nr, true);
	/* The peer may have said why before it closed. */
	if (err == -EPIPE || err == -ECONNRESET) {
		const int why = listen_briefly(s);

		if (why == -ECONNABORTED)
			return why;
		spoor_fail(-err, "stream: the connection ended");
	}
	return err;
}

int spoor_stream_send_buf(struct spoor_stream *s, enum spoor_frame_type type,
			  unsigned int flags, const struct spoor_wbuf *b)
{
	struct iovec iov = { .iov_base = b->data, .iov_len = b->len };

	if (b->failed)
		return spoor_fail(ENOMEM, "stream: out of memory");
	return spoor_stream_send(s, type, flags, &iov, b->len ? 1 : 0);
}

int spoor_stream_tick(struct spoor_stream *s)
{
	if (s->broken || spoor_now_ns() - s->sent_ns < s->ping_ns)
		return 0;
	return send_frame(s, SPOOR_FRAME_PING, 0, NULL, 0, false);
}

void spoor_stream_abort(struct spoor_stream *s, int err, const char *text)
{
	struct spoor_reason reason = { .code = (uint32_t)(err < 0 ? -err : 0) };
	SPOOR_AUTO_WBUF b = { 0 };
	struct iovec iov;

	/* The run is over: a cancel must not keep the reason from going out. */
	s->cancelled = NULL;
	s->cancel_fd = -1;
	/* And a machine may wait to run on until it has. */
	if (s->silence_ns > ABORT_NS)
		s->silence_ns = ABORT_NS;
	if (!s->broken && !s->got_abort) {
		snprintf(reason.text, sizeof(reason.text), "%s", text);
		spoor_reason_encode(&reason, &b);
		iov = (struct iovec){ .iov_base = b.data, .iov_len = b.len };
		if (!b.failed)
			(void)send_frame(s, SPOOR_FRAME_ABORT, 0, &iov, 1,
					 false);
	}
	shutdown(s->fd, SHUT_WR);
}

void spoor_stream_drain(struct spoor_stream *s)
{
	const uint64_t deadline = spoor_now_ns() + DRAIN_NS;

	for (;;) {
		const ssize_t n = recv(s->fd, s->payload, SPOOR_PAYLOAD_MAX,
				       MSG_DONTWAIT);

		if (n == 0)
			return;
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK &&
		    errno != EINTR)
			return;
		if (n < 0 && spoor_wait_for(s, POLLIN, deadline, false) < 0)
			return;
		if (spoor_now_ns() >= deadline)
			return;
	}
}
