#!/usr/bin/env bash
# Every check that reads the sources without running the product. Each failure says how to fix it.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
# Package lists can be missing on a fresh machine.
install() { apt-get install -y -qq "$@" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$@" >/dev/null; }; }

step "format"
cargo fmt --all --check || fail "fix it with: cargo fmt --all"

step "words"
scripts/words.sh

step "clippy"
cargo clippy --workspace --all-targets --features product-tests/stack --quiet -- -D warnings || fail "fix what clippy names"

step "shell scripts"
command -v shellcheck >/dev/null || install shellcheck
git ls-files | xargs -r grep -lE '^#!/(bin/sh|bin/bash|usr/bin/env bash)' | xargs shellcheck || fail "fix what shellcheck names"

step "template"
.local/tools/bin/cfn-lint template.yaml || fail "fix what cfn-lint names"
AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 .local/tools/bin/sam validate --lint || fail "fix what sam names"

step "state machines"
command -v npm >/dev/null || install nodejs npm
mkdir -p .local/asl-validator
(cd .local/asl-validator && { [ -d node_modules/asl-validator ] || npm install --silent --no-audit --no-fund asl-validator@4.0.0 >/dev/null; })
for definition in statemachine/*.asl.json; do
  # Deployment replaces the substitutions. Here, values of the right shape are enough.
  sed -E 's/\$\{Partition\}/aws/g; s/"\$\{(Build|Train)Resource\}"/"arn:aws:states:us-east-1:123456789012:activity:\1"/; s/\$\{[A-Za-z]+\}/1/g' \
    "$definition" >".local/asl-validator/$(basename "$definition")"
  .local/asl-validator/node_modules/.bin/asl-validator --json-path ".local/asl-validator/$(basename "$definition")" ||
    fail "fix what asl-validator names in $definition"
done

step "dependencies"
if ! .local/cargo/bin/cargo-deny --version 2>/dev/null | grep -q 0.20.2; then
  # Unoptimised: it compiles in half the time, and runs for a second.
  env -u CARGO_BUILD_TARGET cargo install --quiet --locked --debug --root .local/cargo --version 0.20.2 cargo-deny
fi
deny() { .local/cargo/bin/cargo-deny --log-level error check "$@" || fail "fix what cargo-deny names; deny.toml says what is allowed"; }
deny bans licenses sources
if .local/cargo/bin/cargo-deny --log-level off fetch db 2>/dev/null; then
  deny --disable-fetch advisories
else
  echo "advisories: skipped, the advisory database cannot be reached"
fi
echo "lint: all checks passed"
