#!/usr/bin/env bash
# Random faults over real processes, sockets and a real keyring, each ending checked against the server's ledger. The
# program makes a session bus and a home of its own; nothing of the person's desktop is read or changed.
#
#   scripts/soak.sh                    an hour
#   MINUTES=2 SEED=7 scripts/soak.sh   two minutes of a plan that is known
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

check_toolchain
[ "$(uname -s)" = Linux ] || stop "The soak needs Linux: it starts a session bus and a keyring service of its own."
scripts/prepare.sh test
cargo build --locked -p graphql-session --example soak
exec "${CARGO_TARGET_DIR:-target}/debug/examples/soak"
