//! Every parser of bytes from outside, under mutated inputs: no panic, at most 50 ms of CPU time for 64 kB, and at most 16 times
//! the input in memory. `make test` tries 20,000 inputs for each from a fixed seed, `make fuzz` a million from another one each
//! time. What has failed once stands in [`corpus`] or in a test beside its parser.

mod corpus;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use graphql_session::parsers::{self, ServerTimeSource};
use graphql_session::{
    Answer, DeclaredProtocol, Dialect, Envelope, Expiry, OAuth2, OAuth2Settings, OperationKind,
    Origin, PRESETS, Protocol, Reading, SessionId, SystemClock, Tokens, Twenty,
};
use graphql_session_testing::{CountingAllocator, Fuzz};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Inputs for each parser, unless `FUZZ_INPUTS` says otherwise.
const INPUTS: u64 = 20_000;

/// The seed, unless `FUZZ_SEED` says otherwise.
const SEED: u64 = 13;

/// Longest event of a stream that is handed on, in bytes: less than an input can be.
const EVENT: usize = 16 << 10;

/// Most memory for a GraphQL document, in bytes for each of its own: the parser's tree has a node for each token. Measured: 280.
const TREE: usize = 512;

/// Most CPU time for a document of 64 kB, whose tree has a node for each of its bytes. Measured: about 50 ms.
const TREE_CPU: Duration = Duration::from_millis(200);

fn fuzz() -> Fuzz {
    Fuzz::new(SEED, INPUTS, env!("CARGO_TARGET_TMPDIR")).or_from_environment()
}

fn documents() -> Fuzz {
    fuzz().with_limits(TREE, TREE_CPU)
}

/// The first line, and what follows it.
fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    end.map_or((input, &[]), |end| (&input[..end], &input[end + 1..]))
}

#[test]
fn envelopes() {
    fuzz().run("envelope", corpus::REPLIES, corpus::JSON, |input| {
        let envelope = Envelope::read(input);
        let opens_with_data = Envelope::opens_with_data(input);
        // What begins with data and is read whole has data.
        if let Some(envelope) = envelope
            && opens_with_data
            && envelope.data == graphql_session::Data::Absent
        {
            panic!("data was overlooked");
        }
    });
}

#[test]
fn operations() {
    documents().run("operation", corpus::OPERATIONS, corpus::GRAPHQL, |input| {
        let _ = OperationKind::of(input);
    });
}

#[test]
fn uploads() {
    documents().run("multipart", corpus::FORMS, corpus::FORM, |input| {
        let (content_type, body) = first_line(input);
        let content_type = String::from_utf8_lossy(content_type);
        let _ = OperationKind::of_form(&content_type, &Bytes::copy_from_slice(body));
    });
}

#[test]
fn streams_of_events() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a runtime");
    fuzz().run("events", corpus::EVENTS, corpus::EVENT, |input| {
        let whole = vec![Bytes::copy_from_slice(input)];
        let (first, rest) = input.split_at(input.len() / 3);
        let pieces = [first, rest].map(Bytes::copy_from_slice).to_vec();
        let whole = runtime.block_on(parsers::events(whole, EVENT));
        let pieces = runtime.block_on(parsers::events(pieces, EVENT));
        if whole.is_some() && pieces.is_some() {
            assert_eq!(whole, pieces, "however it is cut");
        }
    });
}

#[test]
fn answers_to_renewals_and_their_tokens() {
    let settings = [("api_key", "k"), ("auth_url", "https://auth.example.com")];
    let declared = PRESETS.map(|(name, _)| DeclaredProtocol::preset(name, settings));
    let mut protocols: Vec<Box<dyn Protocol>> = vec![
        Box::new(Twenty::new()),
        Box::new(OAuth2::new(OAuth2Settings::default())),
    ];
    for protocol in declared {
        protocols.push(Box::new(protocol.expect("a preset is right")));
    }
    fuzz().run("renewal", corpus::RENEWALS, corpus::JSON, |input| {
        let answer = Answer::new(200, Bytes::copy_from_slice(input));
        // One after another, each by its share of the inputs.
        let protocol = &protocols[input.len() % protocols.len()];
        if let Reading::Renewed(tokens) = protocol.read_renewal(&answer, &Dialect::default()) {
            let _ = protocol.subject(&tokens);
        }
    });
}

#[test]
fn declared_protocols() {
    let files = PRESETS.map(|(_, file)| file.as_bytes());
    fuzz().run("declared", &files, corpus::JSON, |input| {
        let _ = DeclaredProtocol::from_json(&String::from_utf8_lossy(input), []);
    });
}

#[test]
fn access_tokens() {
    fuzz().run("jwt", corpus::JWTS, corpus::BASE64, |input| {
        let access = String::from_utf8_lossy(input).as_ref().into();
        let _ = Twenty::new().subject(&Tokens::of(access, Expiry::Unknown));
    });
}

#[test]
fn stored_records() {
    fuzz().run("record", corpus::RECORDS, corpus::JSON, |input| {
        parsers::stored_record(&String::from_utf8_lossy(input));
    });
}

#[test]
fn texts_of_secrets() {
    fuzz().run("secret_text", corpus::STRINGS, corpus::ESCAPES, |input| {
        let text = String::from_utf8_lossy(input);
        let read = parsers::secret_text(&text);
        let is_json = serde_json::from_str::<String>(&text).is_ok();
        // Only JSON's own strings are given to it; it must not lose one.
        assert!(read || !is_json || text.trim() != text, "a text was lost");
    });
}

#[test]
fn state_files() {
    fuzz().run("state", corpus::STATES, corpus::JSON, |input| {
        parsers::state_file(input);
    });
}

#[test]
fn lists_of_ended_sessions() {
    let mine = SessionId::of(1);
    let record = format!("\n{mine} signed_out\n");
    fuzz().run("ended", corpus::ENDED, corpus::ENDINGS, |input| {
        let mut list = input.to_vec();
        list.extend_from_slice(record.as_bytes());
        assert!(parsers::ended_list(&list, mine), "an ending was lost");
    });
}

#[test]
fn dates_and_pauses() {
    let clock = ServerTimeSource::new(Arc::new(SystemClock::new()));
    fuzz().run("pause", corpus::PAUSES, corpus::DATES, |input| {
        let (retry, date) = first_line(input);
        let (pause, _) = parsers::pause(retry, date, &clock);
        assert!(
            pause.is_none_or(|pause| pause.as_secs() <= 600),
            "{pause:?}"
        );
    });
}

#[test]
fn addresses_and_hosts() {
    fuzz().run("address", corpus::ADDRESSES, corpus::URLS, |input| {
        let text = String::from_utf8_lossy(input);
        if let Ok(origin) = Origin::parse(&text) {
            let again = Origin::parse(&origin.text());
            assert_eq!(again.ok(), Some(origin), "an origin is its own origin");
        }
        parsers::host(&text);
    });
}

#[test]
fn certificates() {
    fuzz().run("certificates", corpus::CERTIFICATES, corpus::PEM, |input| {
        parsers::certificates(&String::from_utf8_lossy(input));
    });
}
