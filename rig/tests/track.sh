#!/bin/sh
# SPDX-License-Identifier: MIT
# track.sh iommufd|type1: a running machine of two edu devices, whose guest has
# them write memory, and a writing CPU.  The pages that spoor track tells of each
# device's log are those its driver reported, and as many as it wrote, but for
# what was written after the last look.
set -eu
sed "s/\"iommufd\"/\"$1\"/" /tests/edu-source.json >/tmp/machine.json

# counter ADDRESS NAME
counter() { cat "/sys/bus/pci/devices/$1/edu/$2"; }

counters()
{
	for a in 0000:01:00.0 0000:02:00.0; do
		counter $a marks
		counter $a granules_reported
	done
}

# pages TRACKER: of all looks together
pages()
{
	sed -n "s/.*\"tracker\":\"$1\",[^}]*\"pages\":\([0-9]*\).*/\1/p" \
		/tmp/events | awk '{ n += $1 } END { print n + 0 }'
}

before=$(counters)
spoor track --json --quiet --seconds 3 /tmp/machine.json >/tmp/events
tail -n 1 /tmp/events | grep -q '"ok":true' || {
	cat /tmp/events
	exit 1
}
looks=$(grep -c '"event":"track"' /tmp/events)
# shellcheck disable=SC2046,SC2086
set -- $before $(counters) $(pages edu0.device) $(pages edu1.device) \
	$(pages cpu.process)
echo "$looks looks: marks $(($5 - $1)) $(($7 - $3)), reported $(($6 - $2)) $(($8 - $4)), pages $9 ${10}, of the CPU ${11}"
[ "$looks" -ge 2 ]
[ "$9" -gt 5 ] && [ "${10}" -gt 5 ] && [ "${11}" -gt 50 ]
[ "$9" = $(($6 - $2)) ] && [ "${10}" = $(($8 - $4)) ]
[ $(($5 - $1 - $9)) -ge 0 ] && [ $(($5 - $1 - $9)) -le 5 ]
[ $(($7 - $3 - ${10})) -ge 0 ] && [ $(($7 - $3 - ${10})) -le 5 ]
