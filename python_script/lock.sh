#!/usr/bin/env bash
# Writes requirements.lock (or the file named): exact versions with hashes, no addresses.
# Versions that the file already has are kept while they fit pyproject.toml; remove it to renew all.
set -euo pipefail
cd "$(dirname "$0")/.."
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --output-file "${1:-requirements.lock}" pyproject.toml
