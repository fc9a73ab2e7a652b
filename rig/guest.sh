# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What goes into the guest: our programs, linked statically, the kernel
# modules, and an init.  Sourced by rig/run.

# As wide as QEMU's edu devices get it, and as their driver is told.
edu_mask=0xffffffffff

# The rig's tests and the command, into $build/rig; without symbols, $work/bin.
build_programs()
{
	BUILD=$build targets=rig "$root/dev" build >"$cache/programs.log" 2>&1 || {
		tail -n 30 "$cache/programs.log" >&2
		die "the programs do not build: $cache/programs.log"
	}
	mkdir "$work/bin"
	for file in "$build"/rig/*; do
		[ -f "$file" ] && [ -x "$file" ] || continue
		strip -o "$work/bin/${file##*/}" "$file"
	done
	strip -o "$work/bin/spoor" "$build/spoor-static"
}

# get_modules TARGET: its modules in order of loading, into $work/TARGET.ko
get_modules()
{
	into=$work/$1.ko
	mkdir -p "$into"
	n=10
	for m in irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core \
		vfio-pci mdev mtty; do
		# Built in, or unknown to this version.
		file=$(find "$modules" -name "$m.ko" -print -quit)
		[ -n "$file" ] || continue
		cp "$file" "$into/$n-$m.ko"
		n=$((n + 1))
	done
	[ ! -e "$rig/module/Makefile" ] && return 0
	build_module "$1"
	for file in "$module"/*.ko; do
		cp "$file" "$into/$n-${file##*/}"
		echo "dma_mask=$edu_mask" >"$into/$n-${file##*/}.args"
		n=$((n + 1))
	done
}

# The variant driver, against $kbuild; outside the checkout, as the build
# writes beside its sources.
build_module()
{
	module=$cache/module-${1%-mock}
	mkdir -p "$module"
	for file in "$rig"/module/*; do
		cmp -s "$file" "$module/${file##*/}" && continue
		rm -f "$module/done"
		cp "$file" "$module/"
	done
	# make takes a second to find that there is nothing to do.
	[ -z "$(find "$module" -name 'done' -newer "$kernel")" ] || return 0
	need_host make libelf-dev
	make -s -C "$kbuild" M="$module" CONFIG_DEBUG_INFO_BTF_MODULES= modules \
		>"$module/build.log" 2>&1 || {
		cat "$module/build.log" >&2
		die "rig/module does not build for $1"
	}
	: >"$module/done"
}

# base_image TARGET: the initramfs, less the job
base_image()
{
	tree=$work/$1.tree
	mkdir -p "$tree/bin" "$tree/modules" "$tree/tests" "$tree/proc" \
		"$tree/sys" "$tree/dev" "$tree/tmp" "$tree/root"
	cp "$busybox" "$tree/bin/"
	cp "$rig/guest/init" "$tree/init"
	cp "$rig/guest/suite" "$tree/bin/"
	cp -r "$work/$1.ko/." "$tree/modules"
	cp "$work/bin"/* "$tree/bin/"
	find "$rig/tests" -name '*.sh' -exec cp {} "$tree/tests/" \;
	find "$rig/tests" -name '*.json' -exec cp {} "$tree/tests/" \;
	chmod -R +x "$tree/init" "$tree/bin" "$tree/tests"
	pack "$tree" "$work/$1.cpio"
}

# pack TREE IMAGE
pack()
{
	(cd "$1" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$2"
}

# quote WORD...: as a shell reads them back
quote()
{
	for word in "$@"; do
		printf "'%s' " "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
	done
	echo
}

# job_image IMAGE COMMAND...: the command and the files that it names
job_image()
{
	image=$1 tree=$1.tree
	shift
	rm -rf "$tree"
	mkdir -p "$tree/root"
	quote "$@" >"$tree/job.sh"
	for word in "$@"; do
		[ -f "$word" ] || continue
		case "$word" in
		/*) into=$tree$word ;;
		*) into=$tree/root/$word ;;
		esac
		mkdir -p "${into%/*}"
		cp -p "$word" "$into"
	done
	pack "$tree" "$image"
}
