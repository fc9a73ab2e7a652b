/* SPDX-License-Identifier: MIT */
#include "base/uapi_iommufd.h"
