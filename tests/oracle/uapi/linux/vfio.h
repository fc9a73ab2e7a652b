/* SPDX-License-Identifier: MIT */
/* The system's header, completed with what came after Linux 6.1. */
#include_next <linux/vfio.h>
#include "base/uapi_vfio.h"
