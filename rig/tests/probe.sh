#!/bin/sh
# SPDX-License-Identifier: MIT
# What probe says of real devices: the variant driver's log, tried and exact;
# states as this kernel has them; and of the device that nobody tracks, why.
set -eu

fail()
{
	echo "$1, in:"
	cat /tmp/probe
	exit 1
}

# has TEXT: the one device probed says so
has() { grep -q -e "$1" /tmp/probe || fail "no $1"; }

case "$(uname -r)" in
6.1.*)
	states=
	iommu='type1 reads no dirty bits'
	;;
*)
	states=PRE_COPY
	iommu='its IOMMU has none'
	;;
esac

spoor probe 0000:01:00.0 >/tmp/probe
has "states: RUNNING STOP STOP_COPY RESUMING RUNNING_P2P *$states"
has '^ *device *yes 4K 8K .*tried: exact'
has "^ *iommu *no .*$iommu"

spoor probe 0000:05:00.0 >/tmp/probe
has 'states: RUNNING$'
has '^ *device *no .*its driver logs no DMA'
has 'missing: its driver does not migrate it'

# Without a name: every device that is bound to VFIO, five edu and one more.
spoor probe --json --quiet >/tmp/probe
[ "$(grep -c '"event":"device"' /tmp/probe)" = 6 ] || fail "not six devices"
