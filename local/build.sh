#!/usr/bin/env bash
# Builds the functions as a deployment does, only quickly instead of small, and then the local stack.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="$PWD/.local/tools/bin:$PATH" SAM_CLI_TELEMETRY=0
export CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
log=.local/build.log

echo "building the functions with sam build (minutes the first time, seconds after that)"
if ! sam build 2>&1 | tee "$log" | sed --unbuffered -n 's|^Building codeuri: .*/functions/\([a-z-]*\) .*|  \1|p'; then
  cat "$log" >&2
  exit 1
fi
echo "building the local stack"
cargo build --quiet --package local
