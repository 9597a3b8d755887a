#!/usr/bin/env bash
# Installs what the local stack needs; with `test` also what only the tests need, with `bench` what the benchmarks need. With
# `simulate` or `fuzz`, installs only what the simulation or fuzzing needs. Skips what is already installed.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

# Installs Debian packages, as root or with sudo.
install() {
  local apt=(apt-get)
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "install these packages as root and run this again: $*"; exit 1; }
    apt=(sudo apt-get)
  fi
  command -v apt-get >/dev/null || { say "install these (named as in Debian) and run this again: $*"; exit 1; }
  say "installing $*"
  if ! "${apt[@]}" install -y -qq "$@" >/dev/null 2>&1; then
    "${apt[@]}" update -qq
    "${apt[@]}" install -y -qq "$@" >/dev/null
  fi
}

# A folder of Python tools. It is created again when its list changes, and when it was moved: its programs name their
# interpreter by its path.
tools() {
  mkdir -p .local
  local folder list=scripts/requirements/$1.txt
  folder=$(cd .local && pwd -P)/$1
  cmp -s "$list" "$folder/installed.txt" && grep -qF "#!$folder/" "$folder/bin/pip" && return
  say "installing Python tools into $folder"
  rm -rf "$folder"
  python3 -m venv "$folder" 2>/dev/null || { install python3-venv; python3 -m venv "$folder"; }
  "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
  cp "$list" "$folder/installed.txt"
}

# A folder of packages from npm, without their scripts. It is created again when its list changes.
node_packages() {
  local folder=.local/$1
  shift
  [ "$(cat "$folder/installed.txt" 2>/dev/null)" = "$*" ] && return
  command -v npm >/dev/null || install nodejs npm
  say "installing packages from npm into $folder"
  rm -rf "$folder"
  mkdir -p "$folder"
  (cd "$folder" && npm install --silent --no-audit --no-fund --ignore-scripts "$@" >/dev/null)
  echo "$*" >"$folder/installed.txt"
}

# The version of JSONata that Step Functions names as its own:
# https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
jsonata() { node_packages jsonata jsonata@2.0.6; }

command -v cargo >/dev/null || { say "install Rust from https://rustup.rs and run this again"; exit 1; }
if ! command -v cc >/dev/null || ! command -v c++ >/dev/null || ! command -v make >/dev/null; then
  install build-essential
fi
if [ "${1-}" = simulate ]; then
  jsonata
  exit
fi
command -v python3 >/dev/null || install python3 python3-venv
if [ "${1-}" = fuzz ]; then
  # The programs that unpack what fuzzing found.
  for need in unzip bsdtar:libarchive-tools go:golang-go; do
    command -v "${need%:*}" >/dev/null || install "${need#*:}"
  done
  # Unoptimised: it compiles in half the time, and only starts the compiler.
  .local/cargo/bin/cargo-fuzz --version 2>/dev/null | grep -qF 0.13.1 ||
    env -u CARGO_BUILD_TARGET cargo install --quiet --locked --debug --root .local/cargo --version 0.13.1 cargo-fuzz
  exit
fi
command -v setpriv >/dev/null || install util-linux
# Archives are unpacked with it, as on CodeBuild.
command -v unzip >/dev/null || install unzip
# Optional: without a network, the samples' base image is built from busybox, and a test uses kcat. Without permission to
# install packages, everything else still works on an existing container engine.
if [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; then
  [ -x /bin/busybox ] || install busybox-static
  command -v kcat >/dev/null || install kcat
fi
# Submissions are built and run in an enclosure. Without the permission to make one, an existing engine does for those that
# are trusted.
for need in podman runc nft:nftables slirp4netns mkfs.ext4:e2fsprogs ip:iproute2; do
  command -v "${need%:*}" >/dev/null && continue
  if [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || ! docker info >/dev/null 2>&1; then install "${need#*:}"; fi
done
tools emulator
tools tools
# Only benchmarks need their peers.
if [ "${1-}" = bench ]; then tools bench; fi
# Only tests need a simulator of IAM, whose data change with AWS, and JSONata.
if [ "${1-}" = test ]; then
  node_packages iam-simulate @cloud-copilot/iam-{simulate@0.1.173,data@0.21.202609261,policy@0.1.109,utils@0.1.82}
  jsonata
fi
