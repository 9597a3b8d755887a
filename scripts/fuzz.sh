#!/usr/bin/env bash
# Fuzzes each target for some seconds, as many at once as there are cores, then unpacks the archives that fuzzing found with
# other programs. Prints executions and coverage of each target. Fails if there is a finding; with `planted`, if a target does
# not find its planted bug.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1 planted=${2-}

# Inputs that fuzzing found are kept from run to run; findings and logs are in a folder of their own.
found=$PWD/target/fuzz/corpus results=$PWD/target/fuzz/${planted:-results}
saved=$PWD/tests/fuzz/corpus binaries=$PWD/target/fuzz/$(rustc --print host-tuple)/release
rm -rf "$results"
mkdir -p "$results"

echo "building the targets"
build() {
  cd tests/fuzz
  export PATH="$PWD/../../.local/cargo/bin:$PATH" CARGO_INCREMENTAL=0 RUSTC_WRAPPER=$PWD/rustc.sh
  # The real code runs: dependencies must not leave out checksums because they are fuzzed.
  cargo fuzz build --sanitizer none --no-cfg-fuzzing --debug-assertions --fuzz-dir . \
    --target-dir ../../target/fuzz --features "fuzzer${planted:+,planted}"
}
(build) 2>"$results/build.log" || { cat "$results/build.log" >&2; exit 1; }

# One target. Comparisons guide it, too (value profile). A planted bug must not leave its inputs in the corpus.
# shellcheck disable=SC2317 # xargs calls it
fuzz() {
  local target=$1 corpus=$found/$1 longest=4096
  # Redaction takes milliseconds for a long text.
  case $target in redaction | failures) longest=512 ;; esac
  [ -z "$planted" ] || corpus=$results/$target/corpus
  mkdir -p "$results/$target" "$corpus"
  "$binaries/$target" -max_total_time="$seconds" -use_value_profile=1 -timeout=10 -rss_limit_mb=1024 -max_len="$longest" -print_final_stats=1 \
    -artifact_prefix="$results/$target/" "$corpus" "$saved/$target" >"$results/$target/log" 2>&1 || touch "$results/$target/found"
}
export -f fuzz
export seconds planted found results saved binaries
targets=$(find "$saved" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort)
echo "fuzzing each target for $seconds seconds"
xargs -P "$(nproc)" -I{} bash -c 'fuzz {}' <<<"$targets"

failed=0
printf '%-14s %14s %10s %10s  %s\n' target executions coverage inputs result
for target in $targets; do
  log=$results/$target/log
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  last=$(grep -E '^#[0-9]+' "$log" | tail -1)
  coverage=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last") inputs=$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' <<<"$last")
  result='no finding'
  if [ -e "$results/$target/found" ]; then
    result=$(grep -m1 -A1 -E 'panicked at|^ERROR|: timeout|out-of-memory' "$log" | tr '\n' ' ' | cut -c1-200 || true)
  fi
  printf '%-14s %14s %10s %10s  %s\n' "$target" "${executions:-?}" "${coverage:-?}" "${inputs:-?}" "$result"
  if [ -n "$planted" ]; then
    [ -e "$results/$target/found" ] || { echo "$target did not find its planted bug" >&2; failed=1; }
  elif [ -e "$results/$target/found" ]; then
    failed=1
  fi
done
if [ -z "$planted" ]; then
  echo "unpacking accepted archives with other programs"
  FUZZ_CORPUS=$found/archives CARGO_BUILD_TARGET=$(rustc --print host-tuple) \
    cargo test --workspace --features product-tests/stack --quiet --test unpack -- --ignored --nocapture || failed=1
  [ "$failed" = 0 ] || echo "findings and logs are in $results; after fixing one, copy its input to tests/fuzz/corpus/TARGET" >&2
fi
exit "$failed"
