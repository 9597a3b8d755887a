#!/usr/bin/env bash
# Installs what the local stack needs; with `test` also what only the tests need, with `bench` what the benchmarks need. Skips
# what is already installed.
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

# A folder of Python tools. It is created again when its list changes.
tools() {
  local folder=.local/$1 list=scripts/requirements/$1.txt
  cmp -s "$list" "$folder/installed.txt" && return
  say "installing Python tools into $folder"
  rm -rf "$folder"
  python3 -m venv "$folder" 2>/dev/null || { install python3-venv; python3 -m venv "$folder"; }
  "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
  cp "$list" "$folder/installed.txt"
}

command -v cargo >/dev/null || { say "install Rust from https://rustup.rs and run this again"; exit 1; }
if ! command -v cc >/dev/null || ! command -v c++ >/dev/null || ! command -v make >/dev/null; then
  install build-essential
fi
command -v python3 >/dev/null || install python3 python3-venv
command -v setpriv >/dev/null || install util-linux
# Optional: without a network, the samples' base image is built from busybox, and a test uses kcat. Without permission to
# install packages, everything else still works on an existing container engine.
if [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; then
  [ -x /bin/busybox ] || install busybox-static
  command -v kcat >/dev/null || install kcat
fi
if ! docker info >/dev/null 2>&1 && ! { command -v podman && command -v runc; } >/dev/null; then
  install podman runc
fi
tools emulator
tools tools
# Only benchmarks need their peers.
if [ "${1-}" = bench ]; then tools bench; fi
# Only the proof of permissions needs a simulator of IAM. Its data are pinned too: they change with AWS.
if [ "${1-}" = test ]; then
  command -v npm >/dev/null || install nodejs npm
  simulator=(@cloud-copilot/iam-{simulate@0.1.173,data@0.21.202609261,policy@0.1.109,utils@0.1.82})
  folder=.local/iam-simulate
  if [ "$(cat "$folder/installed.txt" 2>/dev/null)" != "${simulator[*]}" ]; then
    say "installing the IAM simulator into $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && npm install --silent --no-audit --no-fund --ignore-scripts "${simulator[@]}" >/dev/null)
    echo "${simulator[*]}" >"$folder/installed.txt"
  fi
fi
