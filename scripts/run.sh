#!/usr/bin/env bash
# Builds the desktop client and opens it. Where there is no display, the walk through the demo is shown instead, on a
# display of its own, with screenshots in target/demo/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

check_toolchain
if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then display=''; else display=yes; fi

scripts/prepare.sh "$([ -n "$display" ] && echo run || echo test)"
(cd ui && npm run -s build)
# The examples come along in both cases: with them the features, and so all compiled crates, are those of the tests.
cargo build --locked --features custom-protocol --bins --examples
programs=${CARGO_TARGET_DIR:-target}/debug

if [ -n "$display" ]; then
    echo "The demo's people, with their passwords and one-time code: src-tauri/demo-server/README.md"
    exec "$programs/holdfast"
fi
echo "There is no display, so the client walks through its demo by itself."
rm -rf target/demo
scripts/private-desktop.sh "$programs/examples/walk" target/demo
