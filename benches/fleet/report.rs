//! The text of `docs/fleet.md`.

use std::fmt::Write as _;

use crate::counts::{mean, quantile};
use graphql_session_renewal::sim::EARLY_ATTEMPTS_APART;

use crate::simulation::{LIFETIME, SECOND, bytes_per_client};
use crate::{
    ACTING_WAIT_AT_MOST, AFTER, AWAY, BEFORE, Counts, DEFAULT_PAUSE, NETWORK_WAIT_AT_MOST, OUTAGE,
    PEAK_AT_MOST, RECOVERED, Runs, STEADY, WAIT_AT_MOST, after, peak, steady_peak, working_peak,
};

/// The whole document.
pub(crate) fn write(runs: &Runs) -> String {
    let mut text = String::new();
    let ours = &runs.ours;
    let _ = write!(
        text,
        "# A million clients and an outage

Written by `make fleet`, which simulates it on virtual time and gives the same numbers in every run. It fails when one of
the limits below is missed.

1,000,000 clients of one server, of which 20 % are in use: their people make a burst of calls every 20 s on average, at
random. Access tokens last {lifetime} min and their ages are those of a steady state. After {before} min the server is
away for {outage} min: connections are refused. Then it is back for {after} min, which covers the echo one token's life
later. Every client is a real `State` of {bytes} bytes, and the real `step` decides for it. Lock, vault and files
answer at once, the network in 50 ms. Clients that are not in use renew nothing, so the simulation leaves their timers out.
{returning} of them are opened again in the ten minutes after the outage.

| limit | measured |
|---|---|
| After the outage, clients whose token works renew at no more than {limit:.0} times the steady peak | {ratio:.2} times: {working} against {steady} per second |
| 99 of 100 people whose token has expired are served within {wait_limit:.0} s of the recovery | {p99:.1} s |
| A person who acts after the recovery, and whose token has expired, is served within {acts_limit:.0} s (half of them) and {acts_p99_limit:.0} s (99 of 100) of that action | {acts:.1} s and {acts_p99:.1} s |
| 99 of 100 people whose token has expired are served within {network_limit:.0} s of the return of their network | {network:.1} s |

![Renewals per second before, during and after the outage, for three policies](fleet-renewals.svg)

",
        lifetime = LIFETIME / SECOND / 60,
        before = BEFORE / 60,
        outage = OUTAGE / 60,
        after = AFTER / 60,
        bytes = bytes_per_client(),
        returning = ours.returned_waits.len(),
        limit = PEAK_AT_MOST,
        ratio = working_peak(ours) / steady_peak(ours),
        working = working_peak(ours),
        steady = steady_peak(ours),
        wait_limit = WAIT_AT_MOST,
        p99 = quantile(&ours.waits, 0.99),
        acts_limit = ACTING_WAIT_AT_MOST.0,
        acts_p99_limit = ACTING_WAIT_AT_MOST.1,
        acts = quantile(&ours.acting_waits, 0.5),
        acts_p99 = quantile(&ours.acting_waits, 0.99),
        network_limit = NETWORK_WAIT_AT_MOST,
        network = quantile(&runs.offline.waits, 0.99),
    );
    policies(&mut text, runs);
    outages(&mut text, runs);
    acting(&mut text, runs);
    waits(&mut text, runs);
    probes(&mut text, ours);
    text
}

fn policies(text: &mut String, runs: &Runs) {
    text.push_str(
        "## Three policies

All numbers are the busiest second. \"Works\" counts the renewals of clients whose token worked when the server came back;
\"all\" also those of people whose token had expired by then, who are in a hurry.

| policy | renewals, steady | during | after, works | after, all | sign-ins | wait p50 | p99 | longest |
|---|---|---|---|---|---|---|---|---|
",
    );
    row(text, "ours", &runs.ours);
    row(text, "no jitter", &runs.no_jitter);
    let no_wait = "a sign-in | a sign-in | a sign-in";
    row_with_wait(text, "log everyone out", &runs.log_out, no_wait);
    let signed_out: u32 = runs.log_out.sign_ins.iter().sum();
    let _ = write!(
        text,
        "
- **Ours.** While the access token works, nothing needs a renewal at once. An early one that failed is tried again in the
  last quarter of what is left of the token's life, and none is tried while the server is known to be away. A client that
  noticed the outage draws such a point anew when it reaches the server; neither a served call nor a probe brings it
  forward. Because it is a share of what is left, these points are as spread as the tokens' ends are. Only people
  whose token has expired are in a hurry: exponential backoff with full jitter, at most {DEFAULT_PAUSE} s.
- **No jitter.** The same with every draw in the middle of its range. People who act at random spread a fleet by
  themselves, so that the recovery looks alike; but those who were in a hurry then are in step one token's life later.
  A fleet that signed in together within 10 s, as after a logout of everybody, stays in step: its next renewals come at
  up to {together_no_jitter} per second without jitter, and at up to {together} with it.
- **Log everyone out.** What many clients do: each renews at its time, outage or not; one that fails signs the person
  out, who signs in again with the next action after the outage. {signed_out} people had to, for nothing. A sign-in costs a server far more than a renewal:
  it checks a password.

",
        together = peak(&runs.together.renewals(), whole(&runs.together)),
        together_no_jitter = peak(
            &runs.together_no_jitter.renewals(),
            whole(&runs.together_no_jitter)
        ),
    );
}

fn outages(text: &mut String, runs: &Runs) {
    text.push_str(
        "## Other outages

The same ten minutes, with our policy.

| what clients see | renewals, steady | during | after, works | after, all | sign-ins | wait p50 | p99 | longest |
|---|---|---|---|---|---|---|---|---|
",
    );
    let (lost, renewals_only) = (&runs.answers_lost, &runs.renewals_only);
    row(text, "connections are refused", &runs.ours);
    row(text, "requests are taken, no answer comes", lost);
    row(
        text,
        "HTTP 503 for renewals, calls are served",
        renewals_only,
    );
    row(
        text,
        "no network, and it returns to all at once",
        &runs.offline,
    );
    text.push_str(
        "
- HTTP 502, 503 and 504 from something in front of the server count as no answer, and do the same as refused connections.
- Where answers are lost, the server may have replaced the refresh token, and takes the old one only within its grace
  time. Those few clients follow the schedule inside it, whatever that does to the rate. In this run, the requests were
  accepted and never passed on.
- Where the network was away, the systems report its return, and each session that needs a renewal starts an attempt 0.2 to
  0.8 s later. In this run it returns to the whole fleet in the same instant, as after the outage of one provider.
- Where calls are served and only renewals fail, no client can know that there is an outage: each finds out by its own
  attempts, and none draws its early renewal anew when it ends.",
    );
    let ratio = working_peak(&runs.renewals_only) / steady_peak(&runs.renewals_only);
    let _ = write!(
        text,
        " The busiest second of clients whose token works is
  {ratio:.1} times the steady peak then.

"
    );
}

fn acting(text: &mut String, runs: &Runs) {
    let _ = write!(
        text,
        "## A person who acts

A call that needs a renewal starts an attempt early if the last one of its machine failed at least {apart} s ago; before, it
brings the next one forward to then. The wait counts from the person's first action after the recovery to the served call, of
those whose token had still expired at that action.

| what clients see | people | wait p50 | p99 | longest |
|---|---|---|---|---|
",
        apart = EARLY_ATTEMPTS_APART / SECOND,
    );
    for (name, counts) in [
        ("connections are refused", &runs.ours),
        ("requests are taken, no answer comes", &runs.answers_lost),
        (
            "HTTP 503 for renewals, calls are served",
            &runs.renewals_only,
        ),
    ] {
        let people = counts.acting_waits.len();
        let waited = waited(&counts.acting_waits);
        let _ = writeln!(text, "| {name} | {people} | {waited} |");
    }
    text.push('\n');
}

fn waits(text: &mut String, runs: &Runs) {
    text.push_str(
        "## The peak against the wait

The one setting that trades them is `limits.maxBackoffMs`, the longest pause of those who need a renewal; pauses between probes
follow it. It changes nothing for clients whose token works. The peaks are those of the three minutes after the outage. The
wait counts from the recovery, or from the person's first action after it, to the served call.

| longest pause | after, works | after, all | wait p50 | p99 | longest |
|---|---|---|---|---|---|
",
    );
    for (pause, counts) in runs.curve() {
        let is_default = if pause == DEFAULT_PAUSE {
            ", the default"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {pause} s{is_default} | {} | {} | {} |",
            peak(&counts.working, RECOVERED),
            peak(&counts.renewals(), RECOVERED),
            waited(&counts.waits),
        );
    }
    let _ = write!(
        text,
        "
![The busiest second of the recovery against the 99th percentile of the wait](fleet-wait.svg)

People who had left the client idle, and come back after the outage with an expired token, need no pause at all: 99 of 100
are served within {:.1} s of their first action.

",
        quantile(&runs.ours.returned_waits, 0.99),
    );
}

fn probes(text: &mut String, ours: &Counts) {
    let _ = write!(
        text,
        "## Probes

A client whose call got no answer probes the server, so that the person learns of its return without doing anything. With
pauses of at most 45 s these are {probes:.0} per second once the outage lasts, against {calls:.0} calls per second in a
steady state. The busiest second of probes is {probe_peak}, while everybody finds out: the first probes follow soon,
because most outages are short. The busiest second of calls after the recovery is {call_peak}: screens ask again.

![Calls and probes per second](fleet-probes.svg)
",
        probes = mean(&ours.probes, (AWAY.0 + 120, AWAY.1)),
        calls = mean(&ours.calls, STEADY),
        probe_peak = peak(&ours.probes, whole(ours)),
        call_peak = peak(&ours.calls, after(ours)),
    );
}

fn row(text: &mut String, name: &str, counts: &Counts) {
    row_with_wait(text, name, counts, &waited(&counts.waits));
}

fn row_with_wait(text: &mut String, name: &str, counts: &Counts, wait: &str) {
    let renewals = counts.renewals();
    let _ = writeln!(
        text,
        "| {name} | {} | {} | {} | {} | {} | {wait} |",
        steady_peak(counts),
        peak(&renewals, AWAY),
        working_peak(counts),
        peak(&renewals, after(counts)),
        peak(&counts.sign_ins, whole(counts)),
    );
}

/// The cells of the wait.
fn waited(waits: &[u64]) -> String {
    if waits.is_empty() {
        return "none | none | none".to_owned();
    }
    let wait = |share| quantile(waits, share);
    let (median, p99, longest) = (wait(0.5), wait(0.99), wait(1.0));
    format!("{median:.1} s | {p99:.1} s | {longest:.1} s")
}

fn whole(counts: &Counts) -> (u64, u64) {
    (0, counts.calls.len() as u64)
}
