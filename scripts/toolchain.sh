# Sourced by the other scripts: which Rust and Node this project needs, and one way to stop with advice.

rust_needed=1.90   # tauri 2.12
rust_needed_to_compare=1.94.1   # aws-smithy-runtime 1.16
node_needed=20.19  # vite 8
npm_needed=10      # both 10 and 11 read the lock files

stop() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Stops with the exact command where something is missing or too old.
#
#   check_toolchain [RUST]    RUST or newer; what all but the comparison needs, unless said
check_toolchain() {
    local rust_needed=${1:-$rust_needed}
    # rustup puts cargo here and tells only new shells.
    command -v cargo >/dev/null || PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
    local found
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        stop "Rust is missing. Install Rust $rust_needed or newer, then open a new shell:" \
            "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    fi
    found=$(rustc --version | cut -d' ' -f2)
    if ! at_least "$found" "$rust_needed"; then
        if command -v rustup >/dev/null; then
            stop "Rust $found is too old: $rust_needed or newer is needed.  rustup update stable && rustup default stable"
        fi
        stop "Rust $found is too old: $rust_needed or newer is needed. Install it with rustup, ahead of the system's:" \
            "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    fi
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        stop "Node.js is missing, or comes without npm. Install Node.js $node_needed or newer, for example on Debian:" \
            "  curl -fsSL https://deb.nodesource.com/setup_22.x | sudo -E bash - && sudo apt-get install -y nodejs"
    fi
    found=$(node --version | tr -d v)
    at_least "$found" "$node_needed" ||
        stop "Node.js $found is too old: $node_needed or newer is needed. For example on Debian:" \
            "  curl -fsSL https://deb.nodesource.com/setup_22.x | sudo -E bash - && sudo apt-get install -y nodejs"
    found=$(npm --version 2>/dev/null)
    at_least "$found" "$npm_needed" || stop "npm $found is too old: $npm_needed or newer is needed.  npm install -g npm@11"
    export PATH
}

at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}
