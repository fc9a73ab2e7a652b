/* SPDX-License-Identifier: MIT */
/*
 * Planted faults: bugs that drivers have had or may have, to prove that checks
 * find them.  One table, so that names and bits agree everywhere; a device
 * without any pays a test of a bit.
 *
 * Depends on libc only.
 */
#ifndef MODELS_MODEL_FAULTS_H
#define MODELS_MODEL_FAULTS_H

/* X(constant, name in files), in the order of their bits */
#define MODEL_FAULTS(X)                                                        \
	/* the log's mark and the IOPTE's, then the data */                    \
	X(MARK_BEFORE_DATA, "mark-before-data")                                \
	/* the last granule of each range is not tracked */                    \
	X(LOG_LAST_PAGE, "log-forgets-last-page")                              \
	/* a report clears what was not asked for, too */                      \
	X(LOG_CLEARS_OUTSIDE, "log-clears-outside")                            \
	/* a report leaves what it told dirty */                               \
	X(LOG_NEVER_CLEARS, "log-never-clears")                                \
	/* a report clears the program's bits that it does not set */          \
	X(LOG_OVERWRITES, "log-overwrites")                                    \
	/* says to track twice the page size that it does */                   \
	X(LOG_PAGE_SIZE, "log-wrong-page-size")                                \
	/* the next granule is marked too */                                   \
	X(LOG_NEIGHBOUR, "log-marks-neighbour")                                \
	/* what was dirty at STOP is dirty after the next START */             \
	X(LOG_SURVIVES, "log-survives-stop")                                   \
	/* what was dirty is forgotten when the device stops */                \
	X(LOG_LOST_AT_STOP, "log-lost-at-stop")                                \
	/* DMA to peers goes on in P2P states */                               \
	X(P2P_PEER_DMA, "p2p-peer-dma")                                        \
	/* DMA goes on for a while after the device is stopped */              \
	X(DMA_IN_STOP, "dma-in-stop")                                          \
	/* RESUMING ends well without the end of the state */                  \
	X(ACCEPTS_CUT, "accepts-cut-stream")                                   \
	/* whatever arrived, as long as it has an end */                       \
	X(ACCEPTS_CORRUPT, "accepts-corrupt-stream")                           \
	/* a state that was taken over leaves the device as new */             \
	X(LOSES_STATE, "loses-state")                                          \
	/* a reset leaves registers and work as they were */                   \
	X(RESET_LEAVES_STATE, "reset-leaves-state")                            \
	/* a data fd answers after its session has ended */                    \
	X(OLD_DATA_FD, "keeps-old-data-fd")                                    \
	/* GET_PRECOPY_INFO is answered in STOP_COPY */                        \
	X(PRECOPY_INFO, "precopy-info-in-stop-copy")                           \
	/* pre-copy has an end, not a pause */                                 \
	X(PRECOPY_EOF, "precopy-ends")                                         \
	/* GET_PRECOPY_INFO says 0 while there is data */                      \
	X(PRECOPY_NOTHING, "precopy-counts-nothing")

enum {
#define MODEL_FAULT_NUMBER(constant, name) MODEL_FAULT_NR_##constant,
	MODEL_FAULTS(MODEL_FAULT_NUMBER)
#undef MODEL_FAULT_NUMBER
		MODEL_NR_FAULTS
};

/* MODEL_FAULT_*: bits of struct model_config's faults */
enum {
#define MODEL_FAULT_BIT(constant, name)                                        \
	MODEL_FAULT_##constant = 1u << MODEL_FAULT_NR_##constant,
	MODEL_FAULTS(MODEL_FAULT_BIT)
#undef MODEL_FAULT_BIT
};

#define MODEL_FAULT_NAME(constant, name) name,
/* For a table of names that ends with NULL. */
#define MODEL_FAULT_NAMES		 MODEL_FAULTS(MODEL_FAULT_NAME) NULL

#endif /* MODELS_MODEL_FAULTS_H */
