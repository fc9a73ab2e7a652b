#!/bin/sh
# What is installed is enough: the first hour's program builds with what
# pkg-config says, and runs; the command finds softvfio.
set -eu
build=$1 examples=$2 prefix=$3
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
meson install -C "$build" --no-rebuild --quiet --destdir "$dest" >&2
root=$dest$prefix
pc=$(dirname "$(find "$root" -name spoor.pc)")
export PKG_CONFIG_PATH="$pc" PKG_CONFIG_SYSROOT_DIR="$dest"
# shellcheck disable=SC2046,SC2086
$CC -o "$dest/embed" "$examples/embed.c" $(pkg-config --cflags --libs spoor) \
	-pthread
export LD_LIBRARY_PATH="${pc%/pkgconfig}"
"$root/bin/softvfio" run "$examples/embed.json" -- "$dest/embed" >&2
"$root/bin/spoor" probe "$examples/embed.json" >&2
