#!/usr/bin/env bash
# Compiles examples/c/replay.c as a user would, against the staged package by pkg-config, and runs it.
#
#   TRACE   the trace to replay   (default: the excerpt that the project carries)
#   SPEED   times real time       (default: the program's own)
#   ARGS    more arguments for it
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

trace=${TRACE:-$root/examples/c/data/azure_llm_2023_conv_3000.csv}
[[ -r $trace ]] || die "cannot read the trace '$trace' (set TRACE to a file that exists)"
[[ -f $stage/lib/pkgconfig/reqbus.pc ]] || die "no staged package in $stage: run 'make demo'"

program=$target/examples/replay
mkdir -p "${program%/*}"
read -ra flags <<<"$(staged_pkg_config --cflags --libs reqbus)"
"${CC:-gcc}" -std=c11 -O2 -Wall -Wextra -pthread "$root/examples/c/replay.c" "${flags[@]}" -o "$program"

args=()
[[ -z ${SPEED:-} ]] || args+=(--speed "$SPEED")
read -ra more <<<"${ARGS:-}"
export LD_LIBRARY_PATH=$stage/lib
exec "$program" "${args[@]}" "${more[@]}" "$trace"
