#!/usr/bin/env bash
# Builds the functions with `sam build`, as a deployment does but unoptimised, and the program `marathon`.
set -euo pipefail
cd "$(dirname "$0")/.."

export PATH="$PWD/.local/tools/bin:$PATH" SAM_CLI_TELEMETRY=0
# The same target, profile and features as `make test`: each crate is compiled once. Without --workspace, cargo would choose
# the features of dependencies for one function at a time and compile them again for the next.
CARGO_BUILD_TARGET=${CARGO_BUILD_TARGET:-$(rustc --print host-tuple)}
export CARGO_BUILD_TARGET SAM_BUILD_MODE=debug CARGO_LAMBDA_COMPILER=cargo CARGO_LAMBDA_COMPILER_EXTRA_ARGS=--workspace
log=.local/build.log

echo "compiling (minutes the first time, seconds after that)"
cargo build --quiet --workspace --bins
echo "building the functions with sam build"
if ! sam build >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
