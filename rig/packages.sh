# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Debian packages, unpacked into the cache: the host's package lists, sources
# and installed packages stay as they are.  Sourced by rig/run and by
# bench/qemu/fetch.sh.

release=
# Where lists and downloads lie; of another release, beside these.
apt=$cache/apt
# Packages that count as installed: this machine's, or a file.
status=
qemu_limit=
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The archive that this machine already uses, else Debian's own.
mirror()
{
	uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
		'Created-By: Packages' 2>/dev/null |
		awk -v want="$1" '$2 == want { print $1; exit }')
	echo "${uri:-$2}"
}

# apt of our own, preferring $release if that is set
private_apt()
{
	command=$1
	shift
	"$command" -qq \
		-o Dir::Etc::SourceList="$apt/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State::Lists="$apt/lists" \
		${status:+-o Dir::State::status="$status"} \
		-o Dir::Cache="$apt" \
		-o APT::Sandbox::User=root -o Debug::NoLocking=1 \
		${release:+-o APT::Default-Release="$release"} \
		-o Acquire::Retries=3 "$@"
}

# The mirror that has this machine's release, as $main.
find_mirror()
{
	main=$(mirror bookworm '')
	if [ -z "$main" ]; then
		# Before its lists are there, a source does not say its release.
		sudo=
		[ "$(id -u)" = 0 ] || sudo=sudo
		$sudo apt-get update -qq >&2
		main=$(mirror bookworm '')
	fi
	[ -n "$main" ] || {
		echo "rig: the package sources here name no bookworm" >&2
		exit 1
	}
}

# lists_of "URI RELEASE"...: package lists of these alone
lists_of()
{
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	for where in "$@"; do
		echo "deb [signed-by=$keyring] $where main"
	done >"$apt/sources.list"
	private_apt apt-get update
}

apt_lists()
{
	[ -z "${lists_fresh-}" ] || return 0
	find_mirror
	security=$(mirror bookworm-security "${main%/debian*}/debian-security")
	lists_of "$main bookworm" "$main bookworm-backports" \
		"$security bookworm-security"
	lists_fresh=1
}

# unpack DIRECTORY PACKAGE...: exactly these packages
unpack()
{
	into=$1
	shift
	rm -rf "$into.new" "$apt/download"
	mkdir -p "$into.new" "$apt/download"
	(cd "$apt/download" && private_apt apt-get download "$@")
	for deb in "$apt"/download/*.deb; do
		dpkg-deb -x "$deb" "$into.new"
	done
	rm -rf "$apt/download" "$into"
	mv "$into.new" "$into"
}

# Package names, of PACKAGE and what this machine lacks of its dependencies.
with_dependencies()
{
	private_apt apt-get install --print-uris --no-install-recommends \
		--reinstall "$@" | awk -F "'" '/^\x27/ { print $3 }' |
		awk '{ sub("_.*", "", $1); print $1 }'
}

# dependency PACKAGE PATTERN: the name that a metapackage stands for
dependency()
{
	private_apt apt-cache depends "$1" |
		sed -n "s/^ *Depends: \($2\)$/\1/p" | head -n 1
}

get_qemu()
{
	qemu=$cache/qemu
	if ! qemu_works; then
		say "fetching QEMU"
		apt_lists
		# shellcheck disable=SC2046
		release=bookworm-backports
		unpack "$qemu" $(with_dependencies qemu-system-x86 \
			qemu-system-common qemu-system-data seabios)
		release=
		qemu_works || die "QEMU does not start: $(run_qemu -version 2>&1)"
	fi
}

qemu_works()
{
	[ -x "$qemu/usr/bin/qemu-system-x86_64" ] &&
		run_qemu -version 2>/dev/null | grep -q 'version 1[0-9]'
}

# With its own libraries and firmware, for $qemu_limit seconds if that is set.
run_qemu()
{
	lib=lib/x86_64-linux-gnu
	LD_LIBRARY_PATH=$qemu/usr/$lib:$qemu/$lib \
		QEMU_MODULE_DIR=$qemu/usr/$lib/qemu \
		${qemu_limit:+timeout -k 5 "$qemu_limit"} \
		"$qemu/usr/bin/qemu-system-x86_64" \
		-L "$qemu/usr/share/qemu" -L "$qemu/usr/share/seabios" "$@"
}

get_busybox()
{
	busybox=$cache/busybox/bin/busybox
	[ ! -x "$busybox" ] || return 0
	say "fetching busybox"
	apt_lists
	unpack "$cache/busybox" busybox-static
}
