#!/usr/bin/env bash
# Formats every source that has a formatter: Rust with rustfmt; TypeScript, JavaScript and CSS with Prettier.
#
#   scripts/format.sh            writes
#   scripts/format.sh --check    writes nothing, and fails if a file is not formatted
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

# The comparison has two workspaces of its own; scripts/compare.sh checks its JavaScript.
rust_workspaces=(Cargo.toml compare/Cargo.toml compare/clients/rust/Cargo.toml)
npm_folders=(ui src-tauri/plugin examples/minimal examples/clients examples/oauth benches/window)

rustfmt_options=() npm_script=format
case ${1:-} in
    "") ;;
    --check) rustfmt_options=(-- --check --color never) npm_script=format:check ;;
    *) echo "usage: scripts/format.sh [--check]" >&2 && exit 2 ;;
esac

for workspace in "${rust_workspaces[@]}"; do cargo fmt --manifest-path "$workspace" --all "${rustfmt_options[@]}"; done
for folder in "${npm_folders[@]}"; do
    [ -x "$folder/node_modules/.bin/prettier" ] || stop "Prettier is missing. Install it with:  (cd $folder && npm ci)"
    (cd "$folder" && npm run -s "$npm_script")
done
