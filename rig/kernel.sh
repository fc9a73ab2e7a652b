# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# The kernels.  For each target: $kernel (what QEMU boots), $modules (a folder
# with their .ko files), $kbuild (what external modules build against).
# Sourced by rig/run.

# get_kernel_debian TARGET IMAGE HEADERS: Debian's own, as it is, which these
# metapackages stand for.
get_kernel_debian()
{
	dir=$cache/linux-$1
	kernel=$dir/vmlinux
	version=${1%-stock}
	if [ ! -e "$dir/done" ]; then
		say "fetching Debian's $version"
		need_host xz-utils zstd
		apt_lists
		image=$(dependency "$2" "linux-image-$version\..*")
		headers=$(dependency "$3" "linux-headers-$version\..*")
		[ -n "$image" ] && [ -n "$headers" ] ||
			die "no Linux $version found"
		unpack "$dir" "$image" "$headers" \
			"$(dependency "$headers" 'linux-headers-.*-common')" \
			"$(dependency "$headers" 'linux-kbuild-.*')"
		# The headers name each other by where Debian installs them.
		grep -rlIs '/usr/src/linux-headers' "$dir"/usr/src/*-amd64/Makefile |
			xargs -r sed -i "s|/usr/src/linux-headers|$dir&|g"
		relink "$dir"
		extract_vmlinux "$dir"/boot/vmlinuz-* >"$kernel"
		# A tenth of a percent of them is of use here.
		find "$dir/lib/modules" -name '*.ko*' ! -path '*/vfio/*' \
			! -name 'irqbypass.ko*' -delete
		find "$dir/lib/modules" -name '*.ko.xz' -exec xz -d {} +
		: >"$dir/done"
	fi
	kbuild=$(echo "$dir"/usr/src/linux-headers-*-amd64)
	modules=$(echo "$dir"/lib/modules/*/kernel)
}

# Uncompressed it boots at once; where it lies the boot protocol says.
extract_vmlinux()
{
	sects=$(field "$1" 0x1f1 1)
	at=$(((sects + 1) * 512 + $(field "$1" 0x248 4)))
	len=$(field "$1" 0x24c 4)
	magic=$(od -An -t x1 -j "$at" -N 4 "$1" | tr -d ' ')
	# Behind it stands its size.
	tail -c +$((at + 1)) "$1" | head -c $((len - 4)) |
		case "$magic" in
		28b52ffd) zstd -dc ;;
		*) xz -dc --single-stream ;;
		esac
}

# field FILE OFFSET BYTES: a little-endian number
field()
{
	od -An -v -t "u$3" -j "$(($2))" -N "$3" "$1" | tr -d ' '
}

# Links to /usr/... lead into the unpacked tree.
relink()
{
	find "$1" -type l -lname '/*' | while read -r link; do
		ln -sfn "$1$(readlink "$link")" "$link"
	done
}

# 6.12, small, with iommufd and its tests: built here, once.
get_kernel_6_12()
{
	dir=$cache/linux-6.12
	kernel=$dir/build/vmlinux
	kbuild=$dir/build
	modules=$dir/build
	cmp -s "$rig/kernel.config" "$dir/done" || build_6_12
}

build_6_12()
{
	need_host flex bison m4 bc cpio libelf-dev make xz-utils
	rm -f "$dir/done"
	if [ ! -e "$dir/source/done" ]; then
		say "fetching the source of Linux 6.12"
		apt_lists
		unpack "$dir.deb" linux-source-6.12
		rm -rf "$dir"
		mkdir -p "$dir/source"
		# Half of it is of no use here.
		tar -C "$dir/source" --strip-components=1 \
			--exclude='*/drivers/gpu/drm/amd/include' \
			--exclude='*/boot/dts' --exclude='*/tools/testing' \
			--exclude='*/Documentation/devicetree' \
			-xJf "$dir.deb/usr/src/linux-source-6.12.tar.xz"
		rm -rf "$dir.deb"
		: >"$dir/source/done"
	fi
	say "building Linux 6.12: some minutes, once"
	(
		cd "$dir/source"
		make -s O="$kbuild" tinyconfig
		scripts/kconfig/merge_config.sh -m -O "$kbuild" \
			"$kbuild/.config" "$rig/kernel.config" >/dev/null
		make -s O="$kbuild" olddefconfig
		nice make -s O="$kbuild" -j"$(nproc)" vmlinux modules
	) >"$dir/build.log" 2>&1 || {
		tail -n 30 "$dir/build.log" >&2
		die "Linux 6.12 does not build: $dir/build.log"
	}
	cp "$rig/kernel.config" "$dir/done"
}
