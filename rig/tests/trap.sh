#!/bin/sh
# SPDX-License-Identifier: MIT
# A kernel without CONFIG_IOMMUFD has a device's log probed and started, and then
# refuses to report from it.  probe tries, and says so; plan does not trust it,
# whatever the policy prefers; and devices that write while they move, arrive.
set -eu

fail()
{
	echo "$1, in:"
	cat "$2"
	exit 1
}

# has TEXT FILE
has() { grep -q -e "$1" "$2" || fail "no $1" "$2"; }

for side in source destination; do
	sed 's/"iommufd"/"type1"/' "/tests/edu-$side.json" >"/tmp/$side.json"
done

# move POLICY: the exit status
move()
{
	status=0
	spoor migrate --json --quiet --policy "$1" /tmp/source.json \
		--dest-machine /tmp/destination.json >/tmp/events || status=$?
	tail -n 1 /tmp/events >/tmp/result
	return "$status"
}

writes() { cat /sys/bus/pci/devices/0000:0[12]:00.0/edu/dma_writes; }

why='DMA_LOGGING_REPORT.*takes START but not REPORT: it lacks CONFIG_IOMMUFD'
spoor probe 0000:01:00.0 >/tmp/probe
has 'states: .* PRE_COPY_P2P' /tmp/probe
has "^ *device *no .*$why" /tmp/probe
has '^ *pinned *yes .*reports everything that is mapped' /tmp/probe

# Insisted upon, it is refused before anything is moved.
code=0
move strict:device || code=$?
[ "$code" = 3 ] || fail "exit status $code, not 3" /tmp/events
has "$why" /tmp/result
has '"running":"source"' /tmp/result

before=$(writes)
move device || fail "exit status $?" /tmp/events
has "$why" /tmp/events
for want in '"ok":true' '"verified":true' '"running":"destination"' \
	'"name":"edu0","tracker":"all"' '"name":"edu1","tracker":"all"'; do
	has "$want" /tmp/result
done
# shellcheck disable=SC2046,SC2086
set -- $before $(writes)
echo "writes $(($3 - $1)) $(($4 - $2))"
[ "$3" -gt "$1" ] && [ "$4" -gt "$2" ]
