/* SPDX-License-Identifier: MIT */
/* What an ELF file says of how it is loaded; see elf.c. */
#ifndef SOFTVFIO_TOOL_ELF_FILE_H
#define SOFTVFIO_TOOL_ELF_FILE_H

#include <elf.h>
#include <stdbool.h>

/* Does a dynamic loader run it? */
bool elf_has_interpreter(int fd, const Elf64_Ehdr *e);
/* Is it glibc's loader itself? */
bool elf_is_loader(int fd, const Elf64_Ehdr *e);

#endif /* SOFTVFIO_TOOL_ELF_FILE_H */
