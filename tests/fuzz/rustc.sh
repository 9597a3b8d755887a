#!/usr/bin/env bash
# Compiles a crate: `RUSTC_WRAPPER` of the fuzz targets. Only what reads hostile input counts its coverage. libFuzzer looks at
# all counters after each execution, and those of the AWS SDKs and of the HTTP stack, which are most, say nothing about the
# input. Without debug information, which cargo-fuzz asks for, a target has a tenth of the size.
set -euo pipefail

case ${CARGO_PKG_NAME-} in
  '') exec "$@" ;;
  archive | csv | csv-core | diagnose | dockerfile | domain | fuzz | intake | outputs | redact | scoring | serde_json | \
    submission-api | tar | zip) arguments=("$@") ;;
  *)
    arguments=()
    for argument; do
      case $argument in
        -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage-*) ;;
        *) arguments+=("$argument") ;;
      esac
    done
    ;;
esac
exec "${arguments[@]}" -Cdebuginfo=0 -Cstrip=debuginfo
