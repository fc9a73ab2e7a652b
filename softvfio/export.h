/* SPDX-License-Identifier: MIT */
/* Names that a program sees; everything else is hidden. */
#ifndef SOFTVFIO_EXPORT_H
#define SOFTVFIO_EXPORT_H

#define SV_EXPORT __attribute__((visibility("default")))

#endif /* SOFTVFIO_EXPORT_H */
