/* SPDX-License-Identifier: MIT */
/*
 * Where QEMU enters (PVH: 32-bit protected mode, flat, no paging, ebx at its
 * hvm_start_info), and where interrupts do.
 */
	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	guest_entry

	.text
	.globl	guest_entry
guest_entry:
	cli
	cld
	movl	$guest_stack_end, %esp
	lgdt	gdt_at
	ljmp	$0x08, $1f
1:	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movl	$guest_bss, %edi
	movl	$guest_bss_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb
	pushl	$0
	pushl	$0
	pushl	$0			/* the stack is 16-aligned at a call */
	pushl	%ebx
	call	guest_main
2:	cli
	hlt
	jmp	2b

/* One each 16 bytes; all leave struct apic_frame on the stack. */
	.globl	guest_stubs
	.balign	16
guest_stubs:
	.set	nr, 0
	.rept	64
	.balign	16
	.if !((nr == 8) || (nr >= 10 && nr <= 14) || (nr == 17) || (nr == 21))
	pushl	$0
	.endif
	pushl	$nr
	jmp	stub
	.set	nr, nr + 1
	.endr

stub:
	pushl	%eax
	pushl	%ecx
	pushl	%edx
	cld
	movl	%esp, %eax
	pushl	%eax
	call	apic_interrupt
	addl	$4, %esp
	popl	%edx
	popl	%ecx
	popl	%eax
	addl	$8, %esp
	iret

	.section .rodata
	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	/* 0x08: code, 4 GiB */
	.quad	0x00cf92000000ffff	/* 0x10: data */
gdt_at:	.word	. - gdt - 1
	.long	gdt

	.section .note.GNU-stack, "", @progbits
