/* SPDX-License-Identifier: MIT */
/*
 * Numbers as machine files and options write them: sizes in powers of 1024,
 * rates in bytes a second, link rates in decimal bits a second, addresses.
 *
 * Each function returns 0 or -EINVAL, and leaves its output untouched then.
 */
#ifndef SPOOR_TOOL_UNITS_H
#define SPOOR_TOOL_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* "4096", "64K", "1G" */
int units_size(const char *text, uint64_t *ret);
/* "50M/s": bytes a second */
int units_rate(const char *text, uint64_t *ret);
/* "10G": 10^10 bit/s; in bytes a second */
int units_link_rate(const char *text, uint64_t *ret);
/* "0x100000000" */
int units_address(const char *text, uint64_t *ret);
/* A decimal number. */
int units_number(const char *text, uint64_t *ret);

/* "1.5 GiB", "16K": for people. */
char *units_format_bytes(char *buf, size_t len, uint64_t bytes);
char *units_format_page(char *buf, size_t len, uint64_t bytes);

#endif /* SPOOR_TOOL_UNITS_H */
