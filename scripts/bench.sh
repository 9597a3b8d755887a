#!/usr/bin/env bash
# Measures the functions as they are deployed: sizes, intake against Node.js, fetch on large archives, scoring against scipy
# and scikit-learn. The table goes to standard output (--json: JSON), progress to standard error. Exit status 0 means that
# everything was measured, not that goals are met.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
# A program that ends when this script does.
run() { setpriv --pdeathsig TERM "$@"; }

case "${1-}" in '' | --json) ;; *) fail "usage: scripts/bench.sh [--json]" ;; esac
{ [ -x .local/tools/bin/cargo-lambda ] && command -v setpriv >/dev/null; } || fail "run scripts/setup.sh first"
export PATH="$PWD/.local/tools/bin:$PATH"
if ! command -v npm >/dev/null || [ "$(node --version | sed 's/v\([0-9]*\).*/\1/')" -lt 20 ]; then
  fail "install Node.js 20 with npm from https://nodejs.org (intake is measured against it) and run this again"
fi

scripts/setup.sh bench
commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
memory=$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)
method="$(nproc) cores, $memory of memory; $(rustc --version | cut -d' ' -f1-2), Node.js $(node --version); commit $commit"
say "$method"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
functions=(intake fetch claim diagnose report score submit)
# Settings of local builds, which are not those of a deployment.
unset CARGO_BUILD_TARGET "${!CARGO_PROFILE_RELEASE_@}"
for function in "${functions[@]}"; do
  say "building $function as it is deployed (the first takes minutes)"
  # As `sam build` does: with the features of this function only.
  run cargo lambda build --quiet --release --package "$function" >&2
  # A copy: local builds write to the same place.
  mkdir "$work/$function"
  cp "target/lambda/$function/bootstrap" "$work/$function/"
done

figures=$work/figures
say "measuring sizes"
run python3 bench/sizes.py --json "$work" "${functions[@]}" >"$figures"
say "measuring intake against Node.js (about a minute)"
run python3 bench/intake/bench.py --json --intake "$work/intake/bootstrap" >>"$figures"
say "measuring fetch on archives of 500 and 250 MB (about a minute)"
run python3 bench/fetch/bench.py --json --fetch "$work/fetch/bootstrap" >>"$figures"
say "measuring scoring against scipy and scikit-learn (about ten minutes)"
run .local/bench/bin/python bench/scoring/bench.py --json >>"$figures"
python3 bench/figures.py --method "$method" "$@" <"$figures"
