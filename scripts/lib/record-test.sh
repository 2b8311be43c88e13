#!/usr/bin/env bash
# What scripts/test has cargo start in place of each test program: it notes the program with its
# arguments, its folder and its environment in a file, to be read by bash. Must never run it.
#
#   scripts/lib/record-test.sh FOLDER PROGRAM [ARGUMENT…]
set -euo pipefail

folder=$1
shift
{
    export -p
    printf 'cd %q\n' "$PWD"
    printf 'program=('
    printf '%q ' "$@"
    printf ')\n'
} >"$folder/${1##*/}.run"
