#!/bin/sh
# SPDX-License-Identifier: MIT
# Check the model of the hand-over: every property holds, and each mutation is
# caught.  77: no spin here.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null || { echo "spin is not installed"; exit 77; }
command -v cc >/dev/null || { echo "there is no C compiler"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# verdict LTL|- DEFINES...: prints "holds" or "broken"
verdict() {
	property=$1
	shift
	rm -f pan* ./*.trail
	spin -a "$@" "$here/handover.pml" >spin.log 2>&1 ||
		{ cat spin.log; exit 1; }
	if [ "$property" = - ]; then
		# Ends and deadlocks: safety, without the claims.
		cc -O1 -w -DSAFETY -DNOCLAIM -o pan pan.c
		./pan -m100000 >pan.log 2>&1
	else
		cc -O1 -w -o pan pan.c
		./pan -a -f -m100000 -N "$property" >pan.log 2>&1
	fi
	grep -q 'max search depth too small\|out of memory' pan.log &&
		{ cat pan.log; exit 1; }
	case $(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log) in
	0) echo holds ;;
	[1-9]*) echo broken ;;
	*) cat pan.log; exit 1 ;;
	esac
}

failed=0
expect() {
	want=$1
	shift
	got=$(verdict "$@") || { echo "$got"; exit 1; }
	echo "$*: $got"
	[ "$got" = "$want" ] || { echo "  expected: $want"; failed=1; }
}

expect holds -
expect holds never_both
expect holds no_surprise
expect holds never_nowhere
expect holds known_end
expect holds - -DNO_FAULTS
expect holds never_both -DNO_FAULTS
expect holds it_moves -DNO_FAULTS
expect broken never_nowhere -DMUTATE_COMMIT_BEFORE_READY
expect broken never_both -DMUTATE_RESTART_AFTER_COMMIT
exit $failed
