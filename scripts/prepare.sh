#!/usr/bin/env bash
# Gets a machine ready: checks Rust and Node, installs the system packages that are missing, and the npm packages.
#
#   scripts/prepare.sh run        what building and opening the client needs
#   scripts/prepare.sh test       that, and what the tests and the walk without a display need
#   scripts/prepare.sh compare    that, and the clients in JavaScript that `make compare` sets beside ours
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

# Debian's names. Each stands for one thing that is asked for below on systems without apt.
build_packages=(build-essential pkg-config libwebkit2gtk-4.1-dev libxdo-dev libssl-dev libayatana-appindicator3-dev librsvg2-dev)
test_packages=(xvfb dbus gnome-keyring libglib2.0-bin webkit2gtk-driver imagemagick util-linux iproute2 procps valgrind
    chromium chromium-driver xdg-utils strace)
build_libraries=(webkit2gtk-4.1 ayatana-appindicator3-0.1 librsvg-2.0 openssl)
test_programs=(Xvfb dbus-run-session gnome-keyring-daemon gdbus WebKitWebDriver import setpriv prlimit unshare ip ps valgrind chromium chromedriver xdg-open strace)

main() {
    local purpose=${1:?run, test or compare}
    check_toolchain
    case $(uname -s) in
        Linux) system_packages "$purpose" ;;
        Darwin) xcode-select -p >/dev/null 2>&1 || stop "Apple's compiler is missing. Install it with:  xcode-select --install" ;;
    esac
    npm_packages src-tauri/plugin
    npm_packages ui
    [ "$purpose" = run ] && return
    npm_packages examples/minimal
    npm_packages examples/clients
    npm_packages examples/oauth
    # Also the server of tests/real.
    npm_packages examples/oauth/server
    npm_packages benches/window
    [ "$purpose" = test ] && return
    npm_packages compare/clients/js
}

system_packages() {
    local packages=("${build_packages[@]}") missing=()
    [ "$1" = run ] || packages+=("${test_packages[@]}")
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        without_apt "$1"
        return
    fi
    for package in "${packages[@]}"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    echo "Installing system packages: ${missing[*]}"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            stop "System packages are missing and sudo is not here. As root:  apt-get install ${missing[*]}"
        root=(sudo)
    fi
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# Looks for the things themselves, since every distribution names its packages in its own way.
without_apt() {
    local missing=()
    command -v cc >/dev/null || missing+=("a C compiler")
    command -v pkg-config >/dev/null || stop "pkg-config is missing: install it with your system's package manager."
    for library in "${build_libraries[@]}"; do
        pkg-config --exists "$library" || missing+=("the library $library with its headers")
    done
    if [ "$1" != run ]; then
        for program in "${test_programs[@]}"; do
            command -v "$program" >/dev/null || missing+=("the program $program")
        done
    fi
    [ ${#missing[@]} -eq 0 ] && return
    {
        echo "Missing on this system:"
        printf '  - %s\n' "${missing[@]}"
        echo "For building:"
        echo "  Fedora:  sudo dnf install gcc make pkgconf webkit2gtk4.1-devel openssl-devel libappindicator-gtk3-devel librsvg2-devel libxdo-devel"
        echo "  Arch:    sudo pacman -S --needed base-devel webkit2gtk-4.1 openssl libayatana-appindicator librsvg xdotool"
        [ "$1" = run ] || echo "For the tests, what these Debian packages hold: ${test_packages[*]}"
    } >&2
    exit 1
}

# npm writes the inner lock file last: where it is newer than both of ours, nothing has changed since.
npm_packages() {
    local done_mark="$1/node_modules/.package-lock.json"
    [ "$done_mark" -nt "$1/package-lock.json" ] && [ "$done_mark" -nt "$1/package.json" ] && return
    echo "Installing npm packages in $1"
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
}

main "$@"
