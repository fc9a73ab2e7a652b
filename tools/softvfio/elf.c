/* SPDX-License-Identifier: MIT */
/*
 * What an ELF file says of how it is loaded.  Nothing in it is believed: every
 * length is bounded, and a file that makes no sense is of no kind.
 */
#include <string.h>
#include <unistd.h>

#include "elf_file.h"

#define MAX_DYNAMIC 256u

static bool header(int fd, const Elf64_Ehdr *e, unsigned int i, Elf64_Phdr *ret)
{
	off_t at = (off_t)(e->e_phoff + (uint64_t)i * e->e_phentsize);

	return pread(fd, ret, sizeof(*ret), at) == (ssize_t)sizeof(*ret);
}

static bool find(int fd, const Elf64_Ehdr *e, uint32_t type, Elf64_Phdr *ret)
{
	for (unsigned int i = 0; i < e->e_phnum; i++) {
		if (!header(fd, e, i, ret))
			return false;
		if (ret->p_type == type)
			return true;
	}
	return false;
}

bool elf_has_interpreter(int fd, const Elf64_Ehdr *e)
{
	Elf64_Phdr p;

	return find(fd, e, PT_INTERP, &p);
}

/* Where in the file is what will be at @addr? */
static bool offset_of(int fd, const Elf64_Ehdr *e, uint64_t addr, off_t *ret)
{
	for (unsigned int i = 0; i < e->e_phnum; i++) {
		Elf64_Phdr p;

		if (!header(fd, e, i, &p))
			return false;
		if (p.p_type != PT_LOAD || addr < p.p_vaddr ||
		    addr - p.p_vaddr >= p.p_filesz)
			continue;
		*ret = (off_t)(p.p_offset + (addr - p.p_vaddr));
		return true;
	}
	return false;
}

/* Its DT_SONAME. */
static bool soname(int fd, const Elf64_Ehdr *e, char *ret, size_t len)
{
	uint64_t name = UINT64_MAX, strings = 0;
	Elf64_Phdr p;
	off_t at;
	ssize_t n;

	if (!find(fd, e, PT_DYNAMIC, &p))
		return false;
	for (unsigned int i = 0; i < MAX_DYNAMIC; i++) {
		Elf64_Dyn d;

		at = (off_t)(p.p_offset + i * sizeof(d));
		if (pread(fd, &d, sizeof(d), at) != (ssize_t)sizeof(d) ||
		    d.d_tag == DT_NULL)
			break;
		if (d.d_tag == DT_SONAME)
			name = d.d_un.d_val;
		if (d.d_tag == DT_STRTAB)
			strings = d.d_un.d_ptr;
	}
	if (name == UINT64_MAX || !offset_of(fd, e, strings + name, &at))
		return false;
	n = pread(fd, ret, len - 1, at);
	ret[n > 0 ? n : 0] = 0;
	return n > 0;
}

bool elf_is_loader(int fd, const Elf64_Ehdr *e)
{
	static const char begin[] = "ld-linux";
	char name[64];

	return soname(fd, e, name, sizeof(name)) &&
	       !strncmp(name, begin, sizeof(begin) - 1);
}
