/* SPDX-License-Identifier: MIT */
/*
 * The hand-over: LOADED, READY, COMMIT, DONE, ABORT between a source and a
 * destination, either of which may be killed, over a connection that may end
 * at any moment.  docs/hand-over.md has the table that this checks.
 *
 * Checked, whatever fails:
 *   never both       the machine never runs on both sides
 *   never a surprise the destination runs only after COMMIT, and the source
 *                    runs on only if it did not send COMMIT
 *   never nowhere    what was committed is not discarded
 *   every end        both sides come to an end (no deadlock), and each end is
 *                    one that the table allows
 * and with -DNO_FAULTS (no kill, no cut, no failed verification, no cancel):
 *   it moves         the destination runs and the source knows
 *
 * Mutations that must be caught:
 *   -DMUTATE_COMMIT_BEFORE_READY   the source commits without waiting
 *   -DMUTATE_RESTART_AFTER_COMMIT  the source runs on when DONE stays away
 *
 * A message is delivered whole or not at all: a frame that was cut is none.
 * What was sent before the connection ended may still arrive (it is in the
 * socket); what is sent afterwards does not.  Waiting ends with a message or
 * with nothing: once the connection has ended or the other was killed, and, if
 * there are faults, at any time (in the code: the silence allowed is over).
 */
#ifdef NO_FAULTS
#define PATIENCE_ENDS false
#else
#define PATIENCE_ENDS true
#endif

mtype = { LOADED, READY, COMMIT, DONE, ABORT };
mtype:side = { WORKING, RUNS, HOLDS, DISCARDED, OVER, DEAD };

chan to_dst = [3] of { mtype };
chan to_src = [3] of { mtype };

bool cut = false; /* the connection has ended */
bool src_left = false, dst_left = false; /* closed its end, or was killed */
bool sent_commit = false;
bool got_commit = false;
bool sent_ready = false;
bool got_done = false;

/* The source's machine is paused when the model begins. */
mtype:side src = WORKING;
mtype:side dst = WORKING;

inline say(ch, msg)
{
	/* Into a connection that ended goes nothing. */
	atomic {
		if
		:: !cut -> ch!msg
		:: cut -> skip
		fi
	}
}

proctype source()
{
	mtype m;

	{
		/* LOADED, then READY or ABORT; or the connection ends. */
		if
		:: to_src?m
		:: empty(to_src) && (cut || dst_left) -> goto run_on
		:: PATIENCE_ENDS -> say(to_dst, ABORT); goto run_on
		fi;
		if
		:: m == LOADED -> skip
		:: else -> goto run_on
		fi;

#ifndef MUTATE_COMMIT_BEFORE_READY
		if
		:: to_src?m
		:: empty(to_src) && (cut || dst_left) -> goto run_on
		:: PATIENCE_ENDS -> say(to_dst, ABORT); goto run_on
		fi;
		if
		:: m == READY -> skip
		:: else -> goto run_on
		fi;
#endif
#ifndef NO_FAULTS
		/* A cancel, or a failure here: the last chance. */
		if
		:: say(to_dst, ABORT); goto run_on
		:: skip
		fi;
#endif
		/* send() fails and the machine runs on, or COMMIT is out. */
		atomic {
			if
			:: cut -> goto run_on
			:: !cut -> to_dst!COMMIT; sent_commit = true
			fi
		};
		do
		:: to_src?m ->
			if
			:: m == DONE -> got_done = true; src = OVER; goto end
#ifdef MUTATE_COMMIT_BEFORE_READY
			:: m == READY -> skip
#endif
			:: else -> goto hold
			fi
		:: empty(to_src) && (cut || dst_left) -> goto hold
		:: PATIENCE_ENDS -> goto hold
		od;
run_on:
		src = RUNS;
		goto end;
hold:
#ifdef MUTATE_RESTART_AFTER_COMMIT
		src = RUNS;
#else
		src = HOLDS;
#endif
end:
		src_left = true
	} unless { src == DEAD }
}

proctype destination()
{
	mtype m;

	{
		say(to_src, LOADED);
#ifndef NO_FAULTS
		/* Verification fails, a device refuses its state. */
		if
		:: say(to_src, ABORT); goto discard
		:: skip
		fi;
#endif
		/* READY that cannot be sent was not seen: discard. */
		atomic {
			if
			:: cut -> goto discard
			:: !cut -> to_src!READY; sent_ready = true
			fi
		};
		if
		:: to_dst?m ->
			if
			:: m == COMMIT -> got_commit = true
			:: m == ABORT -> goto discard
			fi
		:: empty(to_dst) && (cut || src_left) ->
			dst = HOLDS;
			goto end
		:: PATIENCE_ENDS -> dst = HOLDS; goto end
		fi;
		dst = RUNS;
		say(to_src, DONE);
		goto end;
discard:
		dst = DISCARDED;
end:
		dst_left = true
	} unless { dst == DEAD }
}

#ifndef NO_FAULTS
proctype faults()
{
	/* Each of them at any time, or never. */
	if
	:: cut = true
	:: skip
	fi;
	if
	:: atomic { src = DEAD; src_left = true }
	:: atomic { dst = DEAD; dst_left = true }
	:: skip
	fi;
	if
	:: cut = true
	:: skip
	fi
}
#endif

init {
	atomic {
		run source();
		run destination();
#ifndef NO_FAULTS
		run faults()
#endif
	}
}

/* Never both. */
ltl never_both { [] !(src == RUNS && dst == RUNS) }
/* It starts there only on COMMIT; it runs on here only without. */
ltl no_surprise { [] ((dst == RUNS -> got_commit) &&
		      (src == RUNS -> !sent_commit) &&
		      (got_commit -> sent_commit && sent_ready)) }
/* What was committed is nobody's to throw away. */
ltl never_nowhere { [] !(sent_commit && dst == DISCARDED) }
/* A source that says it moved was told so. */
ltl known_end { [] (src == OVER -> got_done && got_commit) }
#ifdef NO_FAULTS
ltl it_moves { <> (dst == RUNS && src == OVER && got_done) }
#endif
