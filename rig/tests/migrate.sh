#!/bin/sh
# SPDX-License-Identifier: MIT
# migrate.sh iommufd|type1: a machine of two edu devices, whose guest has them
# write memory, and a writing CPU, moves to two others, verified.  What each
# source's tracker reported is what its driver logged, page for page.
set -eu
for side in source destination; do
	sed "s/\"iommufd\"/\"$1\"/" "/tests/edu-$side.json" >"/tmp/$side.json"
done

# counter ADDRESS NAME
counter() { cat "/sys/bus/pci/devices/$1/edu/$2"; }

counters()
{
	for a in 0000:01:00.0 0000:02:00.0; do
		counter $a marks
		counter $a granules_reported
	done
}

before=$(counters)
spoor migrate --json --quiet /tmp/source.json \
	--dest-machine /tmp/destination.json >/tmp/events
tail -n 1 /tmp/events >/tmp/result
for want in '"ok":true' '"verified":true' '"running":"destination"' \
	'"name":"edu0","tracker":"device"' '"name":"edu1","tracker":"device"'; do
	grep -q "$want" /tmp/result || {
		echo "no $want in:"
		cat /tmp/result
		exit 1
	}
done

set -- $before $(counters) $(sed 's/"dirty_pages":/\n&/g' /tmp/result |
	sed -n 's/^"dirty_pages":\([0-9]*\).*/\1/p')
echo "marks $(($5 - $1)) $(($7 - $3)), reported $(($6 - $2)) $(($8 - $4)), dirty pages $9 ${10}"
[ "$9" -gt 0 ] && [ "${10}" -gt 0 ]
[ "$9" = $(($6 - $2)) ] && [ "${10}" = $(($8 - $4)) ]
[ "$9" = $(($5 - $1)) ] && [ "${10}" = $(($7 - $3)) ]
