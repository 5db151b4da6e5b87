//! The text of `docs/comparison.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cases::{CASES, Case, HUNG};
use crate::clients::{CLIENTS, Client, root};
use crate::speed::{CALLERS, Compared, Middle, TURN_LIMIT, WAITERS, Waiters, bare_name};
use crate::tally::Tally;
use crate::{Speeds, Tallies, Versions, machine, plot, tallies_of, targets};

/// Writes the document and its plots.
pub(crate) fn write(tallies: &Tallies, speeds: &Speeds, versions: &Versions) {
    let docs = root().join("docs");
    let text = document(tallies, speeds, versions);
    save(&docs.join("comparison.md"), &text);
    plot::draw(&docs, tallies, speeds).expect("plots that can be drawn");
}

fn save(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// For people who watch the run.
pub(crate) fn print_cases(tallies: &Tallies) {
    println!("{}", matrix(tallies));
}

/// For people who watch the run.
pub(crate) fn print_speeds(speeds: &Speeds) {
    println!("{}", speed_tables(speeds));
}

fn document(tallies: &Tallies, speeds: &Speeds, versions: &Versions) -> String {
    let mut text = format!(
        "# Ours beside the others

Written by `make compare`, which plays the same cases to every client and measures each, in one run, on one machine. On
{date}: {machine}.

Every client is set up as its own documentation shows, Apollo Client as in Twenty's front end. We wrote what the
documentation leaves to the application: [clients/js](../compare/clients/js/README.md) and
[clients/rust](../compare/clients/rust/README.md) have the setup of each client, the page that it follows, and all that we
decided. The server is the scriptable one of our own tests, and counts what it sees. Each client talks to it in the form that
it knows (Twenty's GraphQL, OAuth 2, Supabase Auth); the tokens are the same. Ours keeps its credentials in a real keyring, the
others in a file. In JavaScript each window has a client of its own, over one store. In Rust, ours included, the windows of a
process share one client.

{short}
Bold is what costs people their session, their work or their patience. A client passes a case without: a person signed out
although the session was good; a mutation that ran more often than it was called; a call that had not settled after
{hung} s; a call that failed although the session was good and the server there; more renewals than were needed. Where
a case says that calls may fail, a call that fails with an error counts as no problem. Each case was played once: where it
matters which of two answers comes first, another run may count a few more or fewer failures.

We chose the cases from what has broken real clients, and ours was made to survive them. Clients that only look at the clock
do not claim to notice a server that refuses a token early (late refusal, renewal refused, refused mutation). Where a server
accepts a used refresh token again, as Twenty does for 60 s, a second renewal in another window does no harm; the strict cases
show what it costs elsewhere. google-cloud-auth is made for a server that does not rotate refresh tokens, and drops a new one.
smithy's cache leaves the exchange, the store and the sign-out to the application, so those are ours, after the model of its
SDK. oidc-client-ts has no single flight: the code that lets the calls of a window share one renewal and its failure is ours,
too. Twenty itself would refuse every renewal of urql, which sends its expired access token along; the server of these cases
does not look at it. A wrong logout is a window that says that the person is signed out, a process left without credentials,
or a session that the server has revoked, although the session was good.

![Every case and every client](comparison-cases.svg)

",
        date = machine::today(),
        machine = machine::describe(),
        short = short_table(tallies, speeds),
        hung = HUNG.as_secs(),
    );
    text.push_str("## The cases\n\n");
    text.push_str(&matrix(tallies));
    for case in &CASES {
        one_case(&mut text, case, tallies);
    }
    text.push_str("\n## What it costs\n\n");
    text.push_str(&speed_tables(speeds));
    text.push_str("\n![Added time per call, and many waiters](comparison-speed.svg)\n");
    text.push_str(&targets::section());
    text.push_str(&versions_table(versions));
    text
}

// ── The cases ───────────────────────────────────────────────────────────────────────────────────────────────────

/// A line per client: what went wrong in all cases together, and what it costs.
fn short_table(tallies: &Tallies, speeds: &Speeds) -> String {
    let mut text = format!(
        "| | cases passed | wrong logouts | calls hung | calls failed | run twice | renewals too many | the bare request | a call, beside it | {} calls that wait for a renewal, beside as many |
|---|---|---|---|---|---|---|---|---|---|
",
        thousands(WAITERS[1])
    );
    for (client, _) in present(tallies) {
        let mut passed = 0;
        let (mut logouts, mut hung, mut failed, mut twice, mut renewals) = (0, 0, 0, 0, 0);
        for (case, tally) in tallies_of(client, tallies) {
            passed += u64::from(tally.problems(case).is_empty());
            logouts += tally.wrong_logouts(case);
            hung += tally.hung;
            failed += if case.calls_may_fail { 0 } else { tally.failed };
            twice += tally.run_twice(case);
            renewals += tally.renewals_too_many(case);
        }
        let speed = speeds.get(client.name);
        let call = speed.and_then(|speed| speed.calls.first());
        let waiters = speed.and_then(|speed| speed.waiters.last().copied());
        let _ = writeln!(
            text,
            "| {} | {passed} of {} | {logouts} | {hung} | {failed} | {twice} | {renewals} | {} | {} | {} |",
            name(client),
            CASES.len(),
            bare_name(client),
            call.map_or("-".into(), |call| times(&call.ratio)),
            waiters.map_or("-".into(), |waiters| match waiters {
                Waiters::Through(of) => times(&of.ratio),
                Waiters::Failed { .. } => "calls fail".into(),
                Waiters::TooSlow => too_slow(),
            }),
        );
    }
    text
}

/// A line per case, a column per client.
fn matrix(tallies: &Tallies) -> String {
    let clients: Vec<_> = present(tallies).collect();
    let titles: Vec<_> = clients.iter().map(|(client, _)| name(client)).collect();
    let mut text = format!(
        "| | {} |\n|---|{}\n",
        titles.join(" | "),
        "---|".repeat(titles.len())
    );
    for case in &CASES {
        let cells: Vec<_> = clients
            .iter()
            .map(|(_, of_client)| {
                of_client
                    .get(case.title)
                    .map_or("-".into(), |tally| cell(tally, case))
            })
            .collect();
        let _ = writeln!(text, "| {} | {} |", case.title, cells.join(" | "));
    }
    text
}

fn cell(tally: &Tally, case: &Case) -> String {
    let problems = tally.problems(case);
    if problems.is_empty() {
        return tally.praise();
    }
    let said = problems.iter().map(|problem| match problem.is_grave {
        true => format!("**{}**", problem.text),
        false => problem.text.clone(),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// All that was counted.
fn one_case(text: &mut String, case: &Case, tallies: &Tallies) {
    let _ = write!(
        text,
        "\n### {}\n\n{}{}\n\n| | renewals | succeeded | failed | hung | wrong logouts | run twice | remarks |\n|---|---|---|---|---|---|---|---|\n",
        capitalized(case.title),
        case.story,
        if case.calls_may_fail {
            " Calls may fail."
        } else {
            ""
        },
    );
    for (client, of_client) in present(tallies) {
        let Some(tally) = of_client.get(case.title) else {
            continue;
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            name(client),
            tally.renewals,
            tally.succeeded + tally.partial,
            tally.failed,
            tally.hung,
            tally.wrong_logouts(case),
            tally.run_twice(case),
            remarks(tally, case),
        );
    }
}

fn remarks(tally: &Tally, case: &Case) -> String {
    let mut remarks: Vec<_> = tally
        .problems(case)
        .into_iter()
        .map(|problem| problem.text)
        .collect();
    if let Some(recovery) = tally.recovery {
        remarks.push(format!(
            "served {:.1} s after the server's return",
            recovery.as_secs_f64()
        ));
    }
    if tally.aborted > 0 {
        remarks.push(format!("{} taken back", tally.aborted));
    }
    remarks.join("; ")
}

// ── Speed ───────────────────────────────────────────────────────────────────────────────────────────────────────

fn speed_tables(speeds: &Speeds) -> String {
    let mut text = String::from(
        "Each client and its bare side take turns in one process, on one thread, the server in another, with at most 32 connections
for each side. Medians, with the 95 % interval over the turns. With a valid token: what is added to the time of a turn by its
calls, the ratio of these times, and what is added to the CPU time of a call. With several callers at once this is what the
client takes of the process, not how much longer a caller waits:

| | beside | 1 caller | 8 callers | 64 callers |
|---|---|---|---|---|
",
    );
    for client in CLIENTS
        .iter()
        .filter(|client| speeds.contains_key(client.name))
    {
        let speed = &speeds[client.name];
        let cells: Vec<_> = (0..CALLERS.len())
            .map(|at| added(&speed.calls[at], &speed.cpu[at]))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            name(client),
            bare_name(client),
            cells.join(" | ")
        );
    }
    let [few, many] = WAITERS;
    let _ = write!(
        text,
        "\nCalls at once with an expired token: the time until all have their replies, beside one renewal and as many bare requests.
Some clients learn of an expiry by refusals only; the server refuses each of their calls first, and those of their bare side,
too. The last column is the time from a refusal to the replay, as the server sees it, beside a renewal and a request without
any client. By then ours has taken a lock, marked and saved its tokens in the keyring, and written its state file:

| | {few} calls | {many} calls | refusal to replay |
|---|---|---|---|
",
        few = thousands(few),
        many = thousands(many),
    );
    for client in CLIENTS
        .iter()
        .filter(|client| speeds.contains_key(client.name))
    {
        let speed = &speeds[client.name];
        let waiters: Vec<_> = speed
            .waiters
            .iter()
            .map(|of| match *of {
                Waiters::Through(of) => whole(of),
                Waiters::Failed { failed, calls } => {
                    format!("{} of {} failed", thousands(failed), thousands(calls))
                }
                Waiters::TooSlow => too_slow(),
            })
            .collect();
        let replay = speed.replay.map_or("does not replay".into(), |replay| {
            format!(
                "{:.2} ms, bare {:.2} ms",
                replay.client.median / 1e3,
                replay.bare.median / 1e3
            )
        });
        let _ = writeln!(
            text,
            "| {} | {} | {replay} |",
            name(client),
            waiters.join(" | ")
        );
    }
    text
}

fn added(time: &Compared, cpu: &Compared) -> String {
    let Middle { median, low, high } = time.added;
    format!(
        "{median:+.0} µs ({low:+.0} to {high:+.0}), {}; CPU {:+.1} µs ({:+.1} to {:+.1})",
        times_between(&time.ratio),
        cpu.added.median,
        cpu.added.low,
        cpu.added.high,
    )
}

fn whole(of: Compared) -> String {
    format!("{:.0} ms, {}", of.client.median, times_between(&of.ratio))
}

fn too_slow() -> String {
    format!("over {} s", TURN_LIMIT.as_secs())
}

/// With a comma before the last three digits, as people write it.
pub(crate) fn thousands(number: u64) -> String {
    match number {
        1_000.. => format!("{},{:03}", number / 1_000, number % 1_000),
        _ => number.to_string(),
    }
}

fn times_between(ratio: &Middle) -> String {
    format!("{} ({:.2} to {:.2})", times(ratio), ratio.low, ratio.high)
}

fn times(ratio: &Middle) -> String {
    format!("{:.2} times", ratio.median)
}

// ── The rest ────────────────────────────────────────────────────────────────────────────────────────────────────

fn versions_table(versions: &Versions) -> String {
    let mut text = String::from("\n## Versions\n\n| | |\n|---|---|\n");
    for client in CLIENTS
        .iter()
        .filter(|client| versions.contains_key(client.name))
    {
        let packages = versions[client.name].iter();
        let packages: Vec<_> = packages
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        let _ = writeln!(text, "| {} | {} |", client.title, packages.join(", "));
    }
    text
}

/// In the order of [`CLIENTS`].
fn present(tallies: &Tallies) -> impl Iterator<Item = (&'static Client, &BTreeMap<String, Tally>)> {
    CLIENTS
        .iter()
        .filter_map(|client| Some((client, tallies.get(client.name)?)))
}

fn name(client: &Client) -> String {
    if client.is_ours() {
        format!("**{}**", client.title)
    } else {
        client.title.to_owned()
    }
}

fn capitalized(title: &str) -> String {
    let mut letters = title.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}
