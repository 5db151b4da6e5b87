#!/usr/bin/env bash
# Ours beside the clients that people use: builds everything in release, plays the cases, measures, and writes
# docs/comparison.md with its plots and the README's short table. Half an hour, and an hour with all that it compiles the
# first time. The figures are those of a quiet machine only.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

check_toolchain "$rust_needed_to_compare"
[ "$(uname -s)" = Linux ] || stop "The comparison needs Linux: it starts a session bus and a keyring service of its own."
scripts/prepare.sh test
clients=benches/compare/clients

step() { printf '== %s\n' "$1"; }

# The document is of one run: no step shows what an earlier one has left.
rm -rf target/compare

step "building"
# In a folder of its own wherever the project's is: its dependencies are another set.
cargo build --release --locked --manifest-path $clients/rust/Cargo.toml --target-dir $clients/rust/target
cargo bench --locked -p graphql-session --bench compare --bench session --no-run

# First, because it can fail: then nothing has been measured for long.
step "instructions"
scripts/instructions.sh

step "cases"
scripts/private-desktop.sh cargo bench --quiet --locked -p graphql-session --bench compare -- cases
step "speed"
scripts/private-desktop.sh cargo bench --quiet --locked -p graphql-session --bench compare -- speed
step "ours alone"
cargo bench --quiet --locked -p graphql-session --bench session
scripts/bench-client.sh
step "report"
cargo bench --quiet --locked -p graphql-session --bench compare -- report
echo "Written: docs/comparison.md, its plots, and the table in README.md"
