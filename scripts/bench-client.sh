#!/usr/bin/env bash
# The client's memory with two windows and its start with a stored session, beside an empty Tauri application: builds both
# in release and runs them for about four minutes, on a display, a session bus and a keyring of their own. Prints a table
# and writes target/compare/client.json. Starts are timed, so the figures are those of a quiet machine only.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

check_toolchain
scripts/prepare.sh test
(cd ui && npm run -s build)
# One selection for both commands: so the client and the empty application have the same features of the same crates.
selection=(--locked -p holdfast -p empty-window --features custom-protocol,holdfast/measured)
cargo build --release "${selection[@]}" --bins --bench client
exec scripts/private-desktop.sh cargo bench "${selection[@]}" --bench client
