#!/usr/bin/env bash
# The whole check, the cheapest answers first. Each stage writes target/test-logs/<stage>.log; what its test runner
# counted is shown, and the end of the log where it failed. Closes with a table of minutes.
#
#   scripts/test.sh                 every stage
#   scripts/test.sh STAGE...        only these, in the order given
#   scripts/test.sh "A & B C"       A beside B and then C
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

target=${CARGO_TARGET_DIR:-$PWD/target}
logs=$PWD/target/test-logs
# Built into the target folder, so that it is compiled once and the person's own programs stay as they are.
deny_version=0.20.2
deny_root=$target/tools/cargo-deny-$deny_version
# Lines of a failed stage's log to show.
shown_lines=60

export CARGO_TERM_COLOR=never NO_COLOR=1 NO_UPDATE_NOTIFIER=1

# Two lanes around `&` run side by side: tests mostly wait, for sockets and processes, and leave the cores to a build.
stages=(prepare format doc-links circles eslint ts-circles types screens guest-js screens-build
    cargo-deny advisories 'core-and-server & clippy rustdoc' instructions 'plugin & app' examples desktop)

stage_prepare() { scripts/prepare.sh test; }
stage_format() { scripts/format.sh --check; }
stage_doc-links() { node scripts/doc-links.mjs; }
# Crates whose files import each other in one direction only.
stage_circles() { node scripts/module-circles.mjs renewal core:11 plugin testing demo-server; }

stage_eslint() { for folder in ui src-tauri/plugin; do in_folder $folder npm run -s lint; done; }
# Files that import each other: dependency-cruiser, over the screens and the page's side of the plugin.
stage_ts-circles() { for folder in ui src-tauri/plugin; do in_folder $folder npm run -s circles; done; }
stage_types() { for folder in ui src-tauri/plugin; do in_folder $folder npm run -s typecheck; done; }
stage_screens() { in_folder ui npm run -s test; }
stage_guest-js() { in_folder src-tauri/plugin npm run -s test; }
# Before anything of Rust that compiles an application: it embeds the result. The examples and the bench check their types
# here; they take the npm package as it is published, so that is built first.
stage_screens-build() {
    in_folder ui npm run -s build
    in_folder src-tauri/plugin npm run -s build
    in_folder examples/minimal npm run -s build
    in_folder examples/clients npm run -s build
    in_folder examples/oauth npm run -s build
    in_folder benches/window npm run -s build
}

stage_cargo-deny() {
    prepare_cargo_deny
    "$deny_root/bin/cargo-deny" --locked check bans licenses sources
}
# Advisories about the crates and the npm packages. Fails where there is one. Where nobody could be asked, it says so, here and
# at the end: such a run has proven nothing about them.
stage_advisories() {
    prepare_cargo_deny
    local status=0
    if "$deny_root/bin/cargo-deny" --locked fetch db; then
        "$deny_root/bin/cargo-deny" --locked check advisories
    else
        note "advisories about CRATES were NOT checked: the advisory database could not be fetched"
    fi
    node scripts/advisories.mjs || status=$?
    case $status in
        0) ;;
        3) note "advisories about NPM PACKAGES were NOT checked: the registry did not answer for each folder" ;;
        *) return "$status" ;;
    esac
}
prepare_cargo_deny() {
    # Unoptimised: it compiles in a third of the time and checks this project in four seconds.
    [ -x "$deny_root/bin/cargo-deny" ] ||
        CARGO_TARGET_DIR=$deny_root/build cargo install --locked --debug --root "$deny_root" --version "=$deny_version" cargo-deny
    rm -rf "$deny_root/build"
}

# Everything is checked with one set of features, so that nothing is checked twice.
stage_clippy() {
    cargo clippy --locked --workspace --all-targets --features custom-protocol,graphql-session/parsers -- -D warnings
}
stage_rustdoc() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --features custom-protocol; }

# Without Tauri, these two answer minutes before the application is built. In one command, so that tokio, hyper and what
# else they share are compiled once.
without_tauri=(-p graphql-session-renewal -p graphql-session -p graphql-session-testing -p demo-server
    --features graphql-session/parsers)
stage_core-and-server() {
    # These tests wait for sockets, processes and threads more than they compute: two at a time left two cores idle, and took
    # 5.0 min in place of 2.6.
    export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
    cargo test --locked "${without_tauri[@]}"
    # The scenarios once more over OAuth 2, but those that are about Twenty's own words, requests and files. The same packages,
    # or tokio and what else they share would be compiled once more.
    GRAPHQL_SESSION_TEST_PROTOCOL=oauth2 cargo test --locked "${without_tauri[@]}" --test core -- \
        budget:: defects:: early_attempts:: endings:: lost_answers:: one_renewal:: outages:: replay:: retry_after:: \
        sharing:: sign_out:: state_folder:: storage:: subscriptions:: uploads:: waiting:: \
        --skip a_renewal_carries_no_authorization_no_cookie --skip a_server_that_moved_its_authentication \
        --skip a_new_sign_in_in_one_process --skip a_sign_out_is_immediate_here \
        --skip at_a_server_without_a_sign_out --skip after_a_sign_out_no_file_names --skip the_files_of_an_older_version
}

# Compiles the core once more, as it is released.
stage_instructions() { scripts/instructions.sh; }

# The application's package is named along with the plugin's only for its features: another set of them would compile
# the whole of GTK a second time.
with_tauri=(-p tauri-plugin-graphql-session -p holdfast --features custom-protocol)
stage_plugin() {
    cargo test --locked "${with_tauri[@]}" --lib --test plugin --test upload_memory
    cargo test --locked "${with_tauri[@]}" --doc
}

# As `make run` builds it: the window's tests try the very program that people get.
stage_app() { cargo build --locked --features custom-protocol --bins --examples --tests; }
# The client's package is named for its features, and its examples for those of its tests: another set would compile GTK
# once more.
stage_examples() {
    cargo build --locked -p holdfast -p example-minimal -p example-clients -p example-oauth --features custom-protocol --bins --examples
    rm -rf target/examples
    scripts/private-desktop.sh cargo test --locked --features custom-protocol --test examples
}
stage_desktop() {
    rm -rf target/desktop
    scripts/private-desktop.sh cargo test --locked --features custom-protocol --test desktop
}

main() {
    check_toolchain
    local asked=("$@") stage done=() started=$SECONDS
    [ ${#asked[@]} -gt 0 ] || asked=("${stages[@]}")
    mkdir -p "$logs"
    for stage in "${asked[@]}"; do
        run_lanes "$stage"
        done+=(${stage//&/})
    done
    printf '\n%-16s %8s\n' stage minutes
    for stage in "${done[@]}"; do printf '%-16s %8s\n' "$stage" "$(cat "$logs/$stage.minutes")"; done
    printf '%-16s %8s\n' total "$(minutes $((SECONDS - started)))"
    # Once more, because a stage's own note has scrolled away by now.
    for stage in "${done[@]}"; do grep -h '^NOTE: ' "$logs/$stage.log" || true; done
}

# One stage; or two lanes of stages, of which the first one's output follows when both are done.
run_lanes() {
    local beside=${1%%&*} then=${1#*&} output=$logs/beside.log status=0 lane
    if [ "$beside" = "$1" ]; then
        run_lane $1 || exit 1
        return
    fi
    run_lane $beside >"$output" 2>&1 &
    lane=$!
    run_lane $then || status=1
    wait "$lane" || status=1
    cat "$output"
    [ $status -eq 0 ] || exit 1
}

run_lane() {
    local stage
    for stage; do
        declare -F "stage_$stage" >/dev/null || stop "No stage $stage. The stages: ${stages[*]}"
        run_stage "$stage" || return 1
    done
}

run_stage() {
    local stage=$1 log=$logs/$1.log begun=$SECONDS
    printf '== %s\n' "$stage"
    # In a shell of its own with errexit: inside a condition bash would ignore a failure in the middle of a stage. A child
    # that is started anew does not know that it is inside one.
    local status=0
    bash scripts/test.sh --only "$stage" >"$log" 2>&1 </dev/null || status=$?
    summary "$log"
    if [ $status -ne 0 ]; then
        printf -- '-- the end of %s\n' "${log#"$PWD"/}"
        tail -n "$shown_lines" "$log"
        printf -- '-- failed: %s, after %s min\n' "$stage" "$(minutes $((SECONDS - begun)))"
        return 1
    fi
    minutes $((SECONDS - begun)) >"$logs/$stage.minutes"
    printf '   %s: %s min\n' "$stage" "$(cat "$logs/$stage.minutes")"
}

# The lines in which a test runner counts, and the notes of a stage.
summary() {
    awk '
        /^ +(Running|Doc-tests) / { sub(/ \(.*/, ""); sub(/^ +(Running )?(unittests )?/, ""); suite = $0 }
        /^test result: / { print $0 "  [" suite "]" }
        /^ +(Test Files|Tests) +[0-9]/ || /^(advisories|bans) (ok|FAILED)/ || /^NOTE: / { print }
    ' "$1"
}

note() { printf 'NOTE: %s\n' "$1"; }
in_folder() { (cd "$1" && "${@:2}"); }
minutes() { awk -v seconds="$1" 'BEGIN { printf "%.1f", seconds / 60 }'; }

if [ "${1-}" = --only ]; then
    # One stage, for run_stage.
    "stage_$2"
else
    main "$@"
fi
