#!/bin/sh
# train.sh SPEC RESULTS EPOCHS [WEIGHTS]: train until EPOCHS, from WEIGHTS on if they are given.
set -eu
here=$(dirname "$0")
weights=${4:-}
mkdir -p "$2"
exec awk -v results="$2" -v last="$3" -f "$here/spec.awk" -f "$here/softmax.awk" \
    -f "$here/train.awk" "$1" ${weights:+"$weights"}
