#!/usr/bin/env bash
# Deploys an environment of samconfig.toml to AWS, with the parameters of .env and the environment. Further arguments go to
# `sam deploy`.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=${1:?name an environment of samconfig.toml}
parameters=$(.local/tools/bin/python3 scripts/parameters.py "$environment")
mapfile -t overrides <<<"$parameters"
exec sam deploy --config-env "$environment" --parameter-overrides "${overrides[@]}" "${@:2}"
