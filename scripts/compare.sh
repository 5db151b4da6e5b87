#!/usr/bin/env bash
# Ours beside the clients that people use. Checks the comparison's own programs first, because `make test` does not. Then
# builds everything in release, plays the cases, measures, and writes docs/comparison.md with its plots. Half an
# hour, and an hour with all that it compiles the first time. The figures are those of a quiet machine only.
#
#   scripts/compare.sh          all of that
#   scripts/compare.sh check    only the checks, and our own client in every case; writes no document
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

clients=compare/clients
# Always in this folder: the runner starts the programs from there.
rust_clients=(--locked --manifest-path $clients/rust/Cargo.toml --target-dir $clients/rust/target)
runner=(--locked --manifest-path compare/Cargo.toml)

main() {
    local purpose=${1:-all}
    case $purpose in
        all | check) ;;
        *) stop "usage: scripts/compare.sh [check]" ;;
    esac
    check_toolchain "$rust_needed_to_compare"
    [ "$(uname -s)" = Linux ] || stop "The comparison needs Linux: it starts a session bus and a keyring service of its own."
    scripts/prepare.sh compare
    check_programs
    if [ "$purpose" = check ]; then
        play_ours
    else
        compare_all
    fi
}

check_programs() {
    step "format"
    cargo fmt --manifest-path compare/Cargo.toml -- --check
    cargo fmt --manifest-path $clients/rust/Cargo.toml -- --check
    step "lint"
    in_folder $clients/js npm run -s format:check
    in_folder $clients/js npm run -s lint
    in_folder $clients/js npm run -s typecheck
    cargo clippy "${runner[@]}" --all-targets -- -D warnings
    cargo clippy "${rust_clients[@]}" --all-targets -- -D warnings
    step "test"
    in_folder $clients/js npm test
    cargo test "${rust_clients[@]}"
}

# With the debug program that the tests have built.
play_ours() {
    step "cases, ours"
    scripts/private-desktop.sh cargo run --quiet "${runner[@]}" -- cases holdfast
}

compare_all() {
    # The document is of one run: no step shows what an earlier one has left.
    rm -rf target/compare

    step "build"
    cargo build --release "${rust_clients[@]}"
    cargo build --release "${runner[@]}"
    cargo bench --locked -p graphql-session --bench session --no-run

    # First, because it can fail: then nothing has been measured for long.
    step "instructions"
    scripts/instructions.sh

    step "cases"
    scripts/private-desktop.sh cargo run --release --quiet "${runner[@]}" -- cases
    step "speed"
    scripts/private-desktop.sh cargo run --release --quiet "${runner[@]}" -- speed
    step "ours alone"
    cargo bench --quiet --locked -p graphql-session --bench session
    scripts/bench-client.sh
    step "report"
    cargo run --release --quiet "${runner[@]}" -- report
    echo "Written: docs/comparison.md and its plots"
}

step() { printf '== %s\n' "$1"; }
in_folder() { (cd "$1" && "${@:2}"); }

main "$@"
