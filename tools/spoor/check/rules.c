/* SPDX-License-Identifier: MIT */
/*
 * The rules, in the order in which they are tried: what is asked of a device,
 * in our words, and the part of vfio.h that asks it.
 */
#include "check.h"

#define STATES	 "enum vfio_device_mig_state"
#define STATE	 "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE"
#define PRECOPY	 "VFIO_MIG_GET_PRECOPY_INFO"
#define START	 "VFIO_DEVICE_FEATURE_DMA_LOGGING_START"
#define REPORT	 "VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT"
#define RESET	 "VFIO_DEVICE_RESET"
#define MIGRATES CHECK_NEEDS_MIGRATION
#define PRE	 (CHECK_NEEDS_MIGRATION | CHECK_NEEDS_PRE_COPY)
#define LOG	 CHECK_NEEDS_LOG
#define DMA	 CHECK_NEEDS_DMA

const struct check_rule check_rules[] = {
	{ "fsm.caps", "VFIO_DEVICE_FEATURE_MIGRATION",
	  "a device that migrates has STOP_COPY; P2P and PRE_COPY come on top",
	  MIGRATES, check_fsm_caps },
	{ "fsm.begin", STATES, "a device that was opened is RUNNING", MIGRATES,
	  check_fsm_begin },
	{ "fsm.arcs", STATES,
	  "every arc between the states it has can be taken, and GET says so",
	  MIGRATES, check_fsm_arcs },
	{ "fsm.ways", STATES,
	  "from any state any other is reached in one SET, over the arcs "
	  "between; only STOP_COPY does not lead back to PRE_COPY",
	  MIGRATES, check_fsm_ways },
	{ "fsm.same", STATE,
	  "SET of the state it is in succeeds and gives no data fd", MIGRATES,
	  check_fsm_same },
	{ "fsm.refuses", STATE,
	  "ERROR, states it lacks and numbers that are none are refused, and "
	  "nothing changes",
	  MIGRATES, check_fsm_refuses },
	{ "fsm.data-fd", STATE,
	  "a data fd comes with STOP_COPY, RESUMING and the first PRE_COPY "
	  "state, with no other, and GET gives none",
	  MIGRATES, check_fsm_data_fd },
	{ "fsm.data-size", "VFIO_DEVICE_FEATURE_MIG_DATA_SIZE",
	  "the estimate of the state's length is there and not 0", MIGRATES,
	  check_fsm_data_size },

	{ "stream.end", STATES,
	  "read() of STOP_COPY's data ends with 0, and stays at 0", MIGRATES,
	  check_stream_end },
	{ "stream.pieces", STATES,
	  "a state read and written in pieces of any size is whole", MIGRATES,
	  check_stream_pieces },
	{ "stream.old-fd", STATE,
	  "a data fd whose session has ended gives an error, not data or an "
	  "end",
	  MIGRATES, check_stream_old_fd },
	{ "stream.direction", STATE,
	  "a saving fd takes no write(), a resuming one no read()", MIGRATES,
	  check_stream_direction },

	{ "resume.whole", STATES, "a state that was saved can be resumed",
	  MIGRATES, check_resume_whole },
	{ "resume.state", STATES,
	  "the device goes on as the one that was saved", MIGRATES | DMA,
	  check_resume_state },
	{ "resume.cut", STATES,
	  "RESUMING to STOP fails where data is missing at the end", MIGRATES,
	  check_resume_cut },
	{ "resume.corrupt", STATES,
	  "RESUMING to STOP, or the write(), fails where data is inconsistent",
	  MIGRATES, check_resume_corrupt },

	{ "precopy.begin", PRECOPY,
	  "it begins with initial bytes, and none that are dirty", PRE,
	  check_precopy_begin },
	{ "precopy.counts", PRECOPY,
	  "initial bytes become fewer as data is read, down to 0", PRE,
	  check_precopy_counts },
	{ "precopy.pause", PRECOPY,
	  "where there is nothing now, read() gives ENOMSG and not an end", PRE,
	  check_precopy_pause },
	{ "precopy.states", PRECOPY, "it is answered in pre-copy states only",
	  PRE, check_precopy_states },
	{ "precopy.argsz", PRECOPY, "an argsz that is too small is EINVAL", PRE,
	  check_precopy_argsz },
	{ "precopy.whole", STATES,
	  "STOP_COPY goes on with pre-copy's fd, and both parts make a state",
	  PRE, check_precopy_whole },

	{ "log.twice", START, "a second START is refused", LOG,
	  check_log_twice },
	{ "log.off", REPORT, "REPORT without START is refused", LOG,
	  check_log_off },
	{ "log.bounds", REPORT, "nothing outside the bitmap is written", LOG,
	  check_log_bounds },
	{ "log.or", REPORT, "bits are set; those that are set stay", LOG | DMA,
	  check_log_or },
	{ "log.complete", REPORT, "every page that the device wrote is told",
	  LOG | DMA, check_log_complete },
	{ "log.exact", REPORT,
	  "no page is told but those of granules that were written", LOG | DMA,
	  check_log_exact },
	{ "log.last-page", START,
	  "a range is tracked to its end: its first and last page", LOG | DMA,
	  check_log_last_page },
	{ "log.ranges", START, "many ranges are tracked, or START refuses",
	  LOG | DMA, check_log_ranges },
	{ "log.page-size", START,
	  "the page size that is returned is a power of two, and the one that "
	  "is tracked",
	  LOG | DMA, check_log_page_size },
	{ "log.clear", REPORT, "what was told is not told again", LOG | DMA,
	  check_log_clear },
	{ "log.outside", REPORT, "what lies outside the request stays dirty",
	  LOG | DMA, check_log_outside },
	{ "log.order", REPORT,
	  "a page is told after it was written: who reads it then has the data",
	  LOG | DMA, check_log_order },
	{ "log.fresh", "VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP",
	  "what was dirty at STOP is not dirty after the next START", LOG | DMA,
	  check_log_fresh },
	{ "log.at-stop", REPORT,
	  "what was written before the device stopped can be read when it has",
	  LOG | DMA | MIGRATES, check_log_at_stop },

	{ "stop.dma", STATES, "a device in STOP or STOP_COPY writes nothing",
	  MIGRATES | DMA, check_stop_dma },
	{ "p2p.peer", STATES, "in P2P states no DMA to a peer is done",
	  MIGRATES | CHECK_NEEDS_P2P | DMA | CHECK_NEEDS_PEER, check_p2p_peer },

	{ "reset.states", RESET, "a reset leads from any state to RUNNING",
	  MIGRATES | CHECK_NEEDS_RESET, check_reset_states },
	{ "reset.error", RESET,
	  "a reset makes a device usable after a failed resume",
	  MIGRATES | CHECK_NEEDS_RESET, check_reset_error },
	{ "reset.clean", RESET, "a reset forgets registers and work",
	  CHECK_NEEDS_RESET | DMA, check_reset_clean },
};
const size_t check_nr_rules = sizeof(check_rules) / sizeof(check_rules[0]);
