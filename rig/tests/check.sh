#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh iommufd|type1: edu's variant driver conforms, and the verdict is about
# all of it: states, streams, log and reset.
set -eu
spoor check 0000:01:00.0 --backend "$1" --quiet >/tmp/verdict || {
	cat /tmp/verdict
	exit 1
}
for want in fsm.arcs stream.end resume.whole log.complete log.exact \
	reset.states; do
	grep -q "^ *holds *$want" /tmp/verdict || {
		echo "$want does not hold:"
		cat /tmp/verdict
		exit 1
	}
done
tail -n 1 /tmp/verdict
