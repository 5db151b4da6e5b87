#!/usr/bin/env bash
# What a call costs in the real window: builds benches/window in release and runs it, for about three minutes. Where there
# is no display, on one of its own. The figures are those of a quiet machine only.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

check_toolchain
if [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then display=''; else display=yes; fi

scripts/prepare.sh test
(cd src-tauri/plugin && npm run -s build)
(cd benches/window && npm run -s build)
# The client's package is named for its features: another set would compile GTK once more.
cargo build --release --locked -p holdfast -p bench-window --features custom-protocol --bin bench-window
program=${CARGO_TARGET_DIR:-target}/release/bench-window

if [ -n "$display" ]; then
    exec "$program"
fi
exec scripts/private-desktop.sh "$program"
