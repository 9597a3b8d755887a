#!/usr/bin/env bash
# Fuzzes each target for some seconds, as many at once as there are cores, then unpacks the archives that fuzzing found with
# other programs. Prints seconds, executions and coverage of each target. Fails if there is a finding; with `planted`, if a
# target does not find its planted bug.
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

# One target. How often a branch is taken does not count: it would fill the corpus with inputs that get no further. A planted
# bug must not leave its inputs in the corpus.
# shellcheck disable=SC2317 # xargs calls it
fuzz() {
  local target=$1 corpus=$found/$1 longest=4096
  case $target in
    # Redaction takes milliseconds for a long text.
    redaction | failures) longest=512 ;;
    # An event has several messages.
    records) longest=16384 ;;
  esac
  [ -z "$planted" ] || corpus=$results/$target/corpus
  mkdir -p "$results/$target" "$corpus"
  local began=$SECONDS
  "$binaries/$target" -max_total_time="$seconds" -use_counters=0 -len_control=100 -max_len="$longest" -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="$results/$target/" "$corpus" "$saved/$target" >"$results/$target/log" 2>&1 ||
    touch "$results/$target/found"
  echo $((SECONDS - began)) >"$results/$target/seconds"
  echo "  $target: done"
}
export -f fuzz
export seconds planted found results saved binaries
targets=$(find "$saved" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort)
echo "fuzzing each target for $seconds seconds"
xargs -P "$(nproc)" -I{} bash -c 'fuzz {}' <<<"$targets"

failed=0
printf '%-14s %8s %12s %10s %8s  %s\n' target seconds executions coverage inputs result
for target in $targets; do
  log=$results/$target/log
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  last=$(grep -aE '^#[0-9]+.* cov: ' "$log" | tail -1)
  coverage=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last") inputs=$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' <<<"$last")
  result='no finding'
  if [ -e "$results/$target/found" ]; then
    result=$(grep -a -m1 -A1 -E 'panicked at|^ERROR|: timeout|out-of-memory' "$log" | tr '\n' ' ' | cut -c1-200 || true)
  fi
  is_planted=''
  if [ -e "$results/$target/found" ] && grep -aqF 'the planted bug is reached' "$log"; then
    result='found the planted bug' is_planted=1
  fi
  printf '%-14s %8s %12s %10s %8s  %s\n' "$target" "$(<"$results/$target/seconds")" "${executions:-?}" "${coverage:-?}" "${inputs:-?}" "$result"
  if [ -n "$planted" ]; then
    [ -n "$is_planted" ] || { echo "$target did not find its planted bug" >&2; failed=1; }
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
