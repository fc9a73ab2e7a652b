#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh VERSION: Debian's QEMU, 10.0 or 11.1, unpacked beside what the rig
# keeps; prints its directory.  10.0 is Debian 12's backport and runs on this
# machine's libraries; 11.1 is Debian 13's
# backport and comes with all of its own.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${SPOOR_RIG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/spoor-rig}

say() { echo "qemu: $*" >&2; }

die()
{
	say "$*"
	exit 77
}

. "$root/rig/packages.sh"

get_qemu_11()
{
	qemu=$cache/qemu-11
	[ ! -e "$qemu/done" ] || return 0
	say "fetching QEMU 11.1"
	apt=$cache/apt-trixie
	mkdir -p "$apt"
	find_mirror
	# Nothing that it needs counts as there.
	status=$apt/status
	: >"$status"
	release=trixie-backports
	lists_of "$main trixie" "$main trixie-backports"
	# shellcheck disable=SC2046
	unpack "$qemu" $(with_dependencies qemu-system-x86 qemu-system-data \
		seabios)
	lib=$qemu/usr/lib/x86_64-linux-gnu
	"$lib/ld-linux-x86-64.so.2" --library-path "$lib" \
		"$qemu/usr/bin/qemu-system-x86_64" -version |
		grep -q 'version 11\.' || die "QEMU 11.1 does not start"
	touch "$qemu/done"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
case "${1-}" in
10.0) get_qemu ;;
11.1) get_qemu_11 ;;
*)
	echo "usage: fetch.sh 10.0|11.1" >&2
	exit 2
	;;
esac
echo "$qemu"
