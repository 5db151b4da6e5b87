#!/usr/bin/env bash
# Builds examples/oauth and opens it, beside its authorization server on port 4310. Both end together.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

check_toolchain
scripts/prepare.sh test
(cd src-tauri/plugin && npm run -s build)
(cd examples/oauth/server && exec node server.mjs) &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
(cd examples/oauth && npm run -s tauri dev)
