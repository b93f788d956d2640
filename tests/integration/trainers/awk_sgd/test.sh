#!/bin/sh
# test.sh SPEC WEIGHTS: measure WEIGHTS on the rows that training has never seen.
set -eu
here=$(dirname "$0")
exec awk -f "$here/spec.awk" -f "$here/softmax.awk" -f "$here/test.awk" "$1" "$2"
