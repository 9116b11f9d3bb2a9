#!/usr/bin/env bash
# Writes every lock file anew from the requirements that people edit. Run by `make lock`, after a change to them; with
# the argument `transformers` that of the engines for models of a hub, too.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() { # OUTPUT INPUT...
  local output=$1; shift
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-header \
    --no-annotate --no-emit-package pip --fork-strategy fewest "$@" --output-file "$output"
}
runtime=(layers/deps/requirements.txt sfu/requirements.txt localstack/requirements-build.in)
lock requirements.lock "${runtime[@]}"
lock requirements-dev.lock "${runtime[@]}" tests/requirements.txt --constraint requirements.lock
# Packages that are in both environments have the same versions, since nodes and functions share the code.
lock localstack/requirements-inference.txt layers/deps/requirements.txt functions/workers/inference/requirements.txt \
  --constraint requirements.lock
# The torch that computes on processors is in an index of its own (UV_EXTRA_INDEX_URL), and locked for one platform.
if [ "${1:-}" = transformers ]; then
  .venv/bin/uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes \
    --no-strip-extras --no-header --no-annotate --no-emit-package pip --no-emit-index-url --index-strategy unsafe-best-match \
    layers/deps/requirements.txt functions/workers/inference/requirements.txt \
    functions/workers/inference/requirements-transformers.txt --constraint localstack/requirements-inference.txt \
    --output-file localstack/requirements-transformers.txt
fi
for name in ministack servers sam otlp; do
  lock "localstack/requirements-$name.txt" "localstack/requirements-$name.in"
done
