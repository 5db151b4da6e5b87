#!/usr/bin/env bash
# Counts the instructions of a call through the session with callgrind, and compares them with the recorded ones in
# benches/instructions/baseline.json. They are the same on a busy machine, where time says nothing.
#
#   scripts/instructions.sh            fails where a call takes more, or fewer, than recorded
#   scripts/instructions.sh --record   records them; the commit's message says why they changed
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

check_toolchain
if [ "$(uname -s)" != Linux ]; then
    echo "NOTE: instructions were NOT compared: the baseline is of Linux"
    exit
fi
command -v valgrind >/dev/null || stop "valgrind is missing.  scripts/prepare.sh test  installs it."
cargo build --locked --profile instructions -p bench-instructions
exec "${CARGO_TARGET_DIR:-target}/instructions/instructions" "$@"
