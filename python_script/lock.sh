#!/usr/bin/env bash
# Writes requirements.lock (or the file named): exact versions with hashes, no addresses, from uv.lock.
set -euo pipefail
cd "$(dirname "$0")/.."
uv export --quiet --no-emit-project --no-dev --no-header --no-annotate \
    --format requirements.txt --output-file "${1:-requirements.lock}"
