# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# QEMU and what comes out of it.  Sourced by rig/run.

# The guests that run, and no others: each has its number in $work.  That folder
# is taken away first, so that one that is about to start finds nowhere to leave
# its number, and ends by itself.
end_guests()
{
	mv "$work" "$work.end"
	for job in $jobs; do
		kill "$job" 2>/dev/null || true
	done
	for file in "$work.end"/*.pid; do
		[ -e "$file" ] || continue
		# There, and not yet filled.
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			[ ! -s "$file" ] || break
			sleep 0.1
		done
		kill -KILL "$(cat "$file")" 2>/dev/null || true
	done
	rm -rf "$work.end"
}

# boot TARGET SECONDS COMMAND...: run it in a guest; its output is the first
# serial port's, the kernel's messages go to $work/$id.console.
boot()
{
	target=$1 seconds=$2
	shift 2
	get_kernel "$target"
	job_image "$work/$id.job" "$@"
	cat "$work/$target.cpio" "$work/$id.job" >"$work/$id.initrd"
	devices="-device intel-iommu,intremap=on"
	# Each behind a port of its own, so that Linux can reset it.
	for n in 1 2 3 4 5; do
		devices="$devices -device pcie-root-port,id=p$n,chassis=$n"
		devices="$devices -device edu,bus=p$n,dma_mask=$edu_mask"
	done
	# Memory that a device can reach as its peer's.
	devices="$devices -object memory-backend-ram,id=m,size=1M,share=on"
	devices="$devices -device ivshmem-plain,memdev=m,addr=0x1e"
	case "$target" in
	*-mock) devices= ;;
	esac
	rm -f "$work/$id.status"
	# shellcheck disable=SC2086
	{ qemu_limit=$seconds run_qemu \
		-machine q35,kernel-irqchip=split -accel tcg -cpu qemu64 -smp 1 \
		-m 1G -nodefaults -display none -no-reboot -monitor none \
		-pidfile "$work/$id.pid" \
		-chardev stdio,id=out,signal=off -serial chardev:out \
		-serial "file:$work/$id.console" $devices \
		-kernel "$kernel" -initrd "$work/$id.initrd" \
		-append "console=ttyS1 intel_iommu=on panic=-1 oops=panic \
init_on_alloc=0 mitigations=off no_timer_check acpi=noirq \
cryptomgr.notests pty.legacy_count=0 quiet" </dev/null 2>"$work/$id.qemu" || {
		code=$?
		[ ! -d "$work" ] || echo "qemu $code" >"$work/$id.status"
	}; } |
		awk -v status="$work/$id.status" '
			# Behind what a program left without an end of line.
			at = match($0, /rig-exit: [0-9]+$/) {
				print "guest", substr($0, at + 10) >status
				close(status)
				if (at > 1)
					print substr($0, 1, at - 1)
				next
			}
			{ print; fflush() }'
	rm -f "$work/$id.pid"
	who=none ended=125
	[ ! -e "$work/$id.status" ] || read -r who ended <"$work/$id.status"
	[ "$who" != guest ] || return "$ended"
	if [ "$ended" = 124 ] || [ "$ended" = 137 ]; then
		ended=124
		say "$target: out of time ($seconds s); the kernel's last words:"
	else
		say "$target: the guest died; QEMU's and the kernel's last words:"
		cat "$work/$id.qemu" >&2
	fi
	tail -n 40 "$work/$id.console" >&2
	return "$ended"
}
