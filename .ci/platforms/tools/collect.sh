#!/usr/bin/env bash
# collect.sh FILE PROGRAM [ARGUMENT...]: notes a program of tests, which Cargo would run, in FILE, to be run elsewhere.
set -euo pipefail
file=$1
shift
{
  printf '%q ' "$@"
  echo
} >>"$file"
