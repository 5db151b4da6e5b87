#!/usr/bin/env bash
# Runs a command on a desktop of its own: a display that nobody sees, a session bus, and an unlocked keyring. Nothing
# of the person's own desktop is read or changed, and everything ends with the command.
#
#   scripts/private-desktop.sh COMMAND [ARGUMENT...]
set -euo pipefail

# Larger than any window that the tests ask for.
screen=1400x1000x24
# Seconds in which each service starts even on a busy machine; usually it takes a tenth of one.
start_limit=30

# Rust must be found although the folders below hide the person's own.
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}

rooms=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-desktop.XXXXXX")
services=() command=''
leave() {
    trap '' INT TERM HUP
    # The command with all that it started, then the services, the newest first.
    if [ -n "$command" ]; then kill -TERM -- "-$command" 2>/dev/null || true; fi
    for ((at = ${#services[@]} - 1; at >= 0; at--)); do
        kill "${services[at]}" 2>/dev/null || true
        wait "${services[at]}" 2>/dev/null || true
    done
    rm -rf "$rooms"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Starts a service and waits for the line that it writes to descriptor 3 when it is ready. Should this script be killed
# without warning, the system ends the service.
line=''
serve() {
    local name=$1
    shift
    mkfifo "$rooms/$name"
    setpriv --pdeathsig TERM "$@" 3>"$rooms/$name" >"$rooms/$name.log" 2>&1 &
    services+=($!)
    line=''
    read -r -t "$start_limit" line <"$rooms/$name" || true
    [ -n "$line" ] && return
    cat "$rooms/$name.log" >&2
    echo "The $name did not start." >&2
    exit 1
}

mkdir -m 700 "$rooms/runtime"
mkdir "$rooms/home"
export HOME=$rooms/home XDG_RUNTIME_DIR=$rooms/runtime
export XDG_DATA_HOME=$HOME/data XDG_CONFIG_HOME=$HOME/config XDG_CACHE_HOME=$HOME/cache XDG_STATE_HOME=$HOME/state
# The services get no display: a keyring that could ask for a password would wait for an answer that nobody gives.
unset DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS GNOME_KEYRING_CONTROL SSH_AUTH_SOCK

serve bus dbus-daemon --session --nofork --print-address=3
export DBUS_SESSION_BUS_ADDRESS=$line
gnome-keyring-daemon --foreground --unlock --components=secrets <<<"only for this run" >"$rooms/keyring.log" 2>&1 &
services+=($!)
gdbus wait --session --timeout "$start_limit" org.freedesktop.secrets
# The display has no GPU. WebKitGTK 2.50 would paint with Mesa's emulation of one, on a thread that now and then crashes
# (`SkiaGPUWorker`, once in some 300 starts), and the page's process with it.
export WEBKIT_SKIA_ENABLE_CPU_RENDERING=1
serve display Xvfb -displayfd 3 -screen 0 "$screen" -nolisten tcp -noreset
export DISPLAY=:$line

# A process group of its own, so that it can be ended as a whole.
set -m
setpriv --pdeathsig TERM "$@" &
command=$!
set +m
wait "$command" && status=0 || status=$?
exit "$status"
