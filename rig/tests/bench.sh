#!/bin/sh
# SPDX-License-Identifier: MIT
# bench.sh iommufd|type1: spoor bench measures a real VFIO device, with no model
# in the machine: its log at each page size, its states, tagged measured-hw, and
# the profile says that this host is a virtual machine; spoor plan predicts from
# it, by that tracker.
set -eu
sed "s/\"iommufd\"/\"$1\"/" /tests/edu-bench.json >/tmp/machine.json

fail()
{
	echo "$1, in:"
	cat "$2"
	exit 1
}

# has TEXT FILE
has() { grep -q -e "$1" "$2" || fail "no $1" "$2"; }

spoor bench --quick --json --quiet /tmp/machine.json -o /tmp/profile.json \
	>/tmp/events || fail "exit status $?" /tmp/events
has '"event":"result","ok":true' /tmp/events

# The profile, a line.
tr -d '\n' </tmp/profile.json | sed 's/\([:,[{]\) */\1/g' >/tmp/profile
has '"spoor_profile":1,' /tmp/profile
has "\"kernel\":\"Linux $(uname -r)\"" /tmp/profile
has '"cpu":"[^"]*, *a virtual machine"' /tmp/profile
has '"name":"edu0.device"' /tmp/profile
if grep -q '"name":"main\.' /tmp/profile; then
	fail "a tracker of a space that has none" /tmp/profile
fi

# figures NAME: of the events about edu0, or its log, all are of hardware but
# those of the CPU's own walk through the bitmap
figures()
{
	grep "\"event\":\"measured\",.*\"$1\"" /tmp/events |
		sed 's/"digest_ns":{[^}]*}//' >/tmp/figures
	has '"origin":"measured-hw"' /tmp/figures
	if grep -q -e '"origin":"measured-sw"' /tmp/figures; then
		fail "software's figures of $1" /tmp/figures
	fi
}

figures edu0
figures edu0.device
sizes=$(grep -o '"page_size":[0-9]*' /tmp/figures | tr '\n' ' ')
[ "$sizes" = '"page_size":4096 "page_size":16384 "page_size":65536 "page_size":2097152 ' ] ||
	fail "page sizes $sizes" /tmp/figures
for figure in start_ns stop_ns read_clean_ns bytes; do
	has "\"$figure\":{\"median\":[1-9]" /tmp/figures
done

spoor plan --json /tmp/machine.json --profile /tmp/profile.json >/tmp/plan ||
	fail "exit status $?" /tmp/plan
has '"name":"edu0","tracker":"device","page_size":[1-9]' /tmp/plan
has '"predicted":{.*"total_ms":[1-9]' /tmp/plan
if grep -q 'another host' /tmp/plan; then
	fail "of another host" /tmp/plan
fi
sed 's/.*"page_size":\([0-9]*\).*"total_ms":\([0-9.]*\).*/planned at \1: \2 ms/;1!d' /tmp/plan
