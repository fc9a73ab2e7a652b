# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# QEMU and what comes out of it.  Sourced by rig/run.

# boot TARGET SECONDS COMMAND...: run it in a guest; its output is the first
# serial port's, the kernel's messages go to $work/TARGET.console.
boot()
{
	target=$1 seconds=$2
	shift 2
	get_kernel "$target"
	[ -e "$work/$target.cpio" ] || base_image "$target"
	job_image "$work/$target.job" "$@"
	cat "$work/$target.cpio" "$work/$target.job" >"$work/$target.initrd"
	iommu="-device intel-iommu,intremap=on"
	case "$target" in
	*-mock) iommu= ;;
	esac
	edu=
	for slot in 10 11 12 13 14; do
		edu="$edu -device edu,addr=0x$slot.0,dma_mask=0xffffffffff"
	done
	rm -f "$work/$target.status"
	# shellcheck disable=SC2086
	{ qemu_limit=$seconds run_qemu \
		-machine q35,kernel-irqchip=split -accel tcg -cpu max -smp 1 \
		-m 1G -nodefaults -display none -no-reboot -monitor none \
		-chardev stdio,id=out,signal=off -serial chardev:out \
		-serial "file:$work/$target.console" $iommu $edu \
		-kernel "$kernel" -initrd "$work/$target.initrd" \
		-append "console=ttyS1 intel_iommu=on panic=-1 oops=panic \
init_on_alloc=0 quiet" </dev/null 2>"$work/$target.qemu" ||
		echo "qemu $?" >"$work/$target.status"; } |
		awk -v status="$work/$target.status" '
			/^rig-exit: / { print "guest", $2 >status
				close(status); next }
			{ print; fflush() }'
	who=none ended=125
	[ ! -e "$work/$target.status" ] || read -r who ended <"$work/$target.status"
	[ "$who" != guest ] || return "$ended"
	if [ "$ended" = 124 ] || [ "$ended" = 137 ]; then
		ended=124
		say "$target: out of time ($seconds s); the kernel's last words:"
	else
		say "$target: the guest died; QEMU's and the kernel's last words:"
		cat "$work/$target.qemu" >&2
	fi
	tail -n 40 "$work/$target.console" >&2
	return "$ended"
}
