/* SPDX-License-Identifier: MIT */
/*
 * A machine that is held: nobody here knows whether the other side runs it.
 * A person, or a script on the control socket, must say.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd.h"
#include "session.h"

int session_control_open(struct session *s)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	/* It would be bound to a name that nobody can say. */
	if (!*s->o->control) {
		output_complain("--control: must be a path, it is empty");
		return EXIT_USAGE;
	}
	if (strlen(s->o->control) >= sizeof(addr.sun_path)) {
		output_complain("--control %s: path too long", s->o->control);
		return EXIT_USAGE;
	}
	memcpy(addr.sun_path, s->o->control, strlen(s->o->control) + 1);
	s->control_listen =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->control_listen < 0 ||
	    bind(s->control_listen, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(s->control_listen, 4)) {
		output_complain("--control %s: %s", s->o->control,
				strerror(errno));
		/* The path is somebody else's. */
		if (s->control_listen >= 0)
			close(s->control_listen);
		s->control_listen = -1;
		return EXIT_USAGE;
	}
	return 0;
}

void session_control_close(struct session *s)
{
	if (s->control.fd >= 0)
		close(s->control.fd);
	s->control.fd = -1;
	if (s->control_listen >= 0) {
		close(s->control_listen);
		unlink(s->o->control);
	}
	s->control_listen = -1;
}

static bool told(const struct session *s)
{
	if (s->order)
		return true;
	/* Without a socket, the end of stdin means nobody is there. */
	return s->control_listen < 0 && s->input.eof;
}

/* The question, for scripts. */
static void tell_held(struct session *s, const char *why)
{
	json_t *event = json_pack("{s:s, s:s, s:[s,s], s:s?}", "event", "held",
				  "text", why, "orders", "resume", "discard",
				  "control", s->o->control);

	if (event)
		output_event(&s->out, event);
	json_decref(event);
}

static void ask(struct session *s, const char *why)
{
	tell_held(s, why);
	output_clear_bar(&s->out);
	fprintf(stderr,
		"%s\nThe machine is held here, stopped. Find out whether it "
		"runs on the other side, then say\n"
		"  resume   it does not run there: run it here\n"
		"  discard  it runs there: forget it here\n",
		why);
	if (s->control_listen >= 0)
		fprintf(stderr, "here, or on the socket %s\n", s->o->control);
}

const char *session_hold(struct session *s, const char *why)
{
	unsigned int before = s->interrupts;

	s->order = NULL;
	s->held = true;
	s->input = (struct lines_text){ .fd = STDIN_FILENO };
	ask(s, why);
	/* Nothing but a machine is left to lose: one signal is no answer. */
	if (!session_wait(s, told, UINT64_MAX, true) &&
	    s->interrupts - before < 2) {
		ask(s, "Interrupted; a second time ends the held machine");
		session_wait(s, told, UINT64_MAX, true);
	}
	s->input.fd = -1;
	s->held = false;
	if (!s->order)
		fprintf(stderr, "%s: the held machine ends with this process\n",
			told(s) ? "Nobody is there to say (stdin has ended)"
				: "Interrupted again");
	return s->order;
}
