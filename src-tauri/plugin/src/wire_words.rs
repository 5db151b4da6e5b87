//! Compares every word that crosses the wire: what Rust can say, what the page's side declares, and what the screens of
//! the desktop client have a text for.

use std::collections::BTreeSet;

use graphql_session::journal::Outcome;
use graphql_session::{
    Cause, EndingReason, LockedReason, Phase, RenewalReason, ServerRefusal, SignInMethod,
    SignInStep, Storage, TokenFate, Unreachable, VaultError,
};
use graphql_session_renewal::{Exchange, Note};
use serde::de::value::Error as ListingError;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde_json::{Value, json};

use crate::error::{CommandError, PluginCode};
use crate::framing::Message;

const TYPES: &str = include_str!("../guest-js/types.ts");
const SUBSCRIBE: &str = include_str!("../guest-js/subscribe.ts");
const SCREENS: &str = include_str!("../../../ui/src/messages.ts");

type Words = BTreeSet<String>;

/// One value of each variant. Does not compile where a variant is missing.
macro_rules! every {
    ($type:ident { $($variant:ident $(($($value:expr),+))? $({ $($field:tt)+ })?),+ $(,)? }) => {{
        let _ = |value: &$type| match value {
            $($type::$variant { .. } => (),)+
        };
        [$($type::$variant $(($($value),+))? $({ $($field)+ })?),+]
    }};
}

#[test]
fn rust_typescript_and_the_screens_know_the_same_words() {
    let codes = &words_of::<graphql_session::Code>() | &plugin_codes();
    let phases = words_of::<Phase>();
    let not_saved = words_of::<VaultError>();
    let locked = words_of::<LockedReason>();
    let endings = words_of::<EndingReason>();
    let mut differences = Vec::new();
    let mut compare = |what: &str, rust: &Words, other: Words| {
        let missing: Vec<_> = rust.difference(&other).cloned().collect();
        let unknown: Vec<_> = other.difference(rust).cloned().collect();
        if !missing.is_empty() || !unknown.is_empty() {
            differences.push(format!(
                "{what}: missing {missing:?}, unknown to Rust {unknown:?}"
            ));
        }
    };

    compare("Code", &codes, union(TYPES, "Code"));
    compare("Phase", &phases, union(TYPES, "Phase"));
    let methods = words_of::<SignInMethod>();
    compare("SignInMethod", &methods, union(TYPES, "SignInMethod"));
    compare("JournalWord", &journal_words(), union(TYPES, "JournalWord"));
    compare("Message", &message_kinds(), kinds(SUBSCRIBE, "Message"));
    compare("SignInStep", &step_kinds(), kinds(TYPES, "SignInStep"));
    for (interface, name, rust) in [
        ("Status", "unreachable", &words_of::<Unreachable>()),
        ("Status", "locked", &locked),
        ("Storage", "state", &storage_states()),
        ("Storage", "reason", &not_saved),
        ("Ending", "reason", &endings),
        ("RenewalFacts", "why", &renewal_reasons()),
        ("RenewalFacts", "outcome", &outcomes()),
        ("RenewalAttempt", "token", &words_of::<TokenFate>()),
    ] {
        let declared = field(TYPES, interface, name);
        compare(&format!("{interface}.{name}"), rust, declared);
    }

    for (texts, rust) in [
        ("errors", &codes),
        ("notSaved", &not_saved),
        ("locked.reasons", &locked),
        ("endings", &endings),
        ("journal.words", &journal_words()),
    ] {
        compare(texts, rust, keys(SCREENS, texts));
    }
    // The indicator has texts beside those of the phases.
    let shown = &keys(SCREENS, "indicator") & &phases;
    compare("indicator", &phases, shown);

    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn plugin_codes() -> Words {
    let codes = every!(PluginCode {
        Cancelled,
        AlreadyRan,
        TooManyCalls,
        NotConfirmed,
        UploadBroken,
    });
    codes.iter().map(|code| text(json!(code))).collect()
}

fn storage_states() -> Words {
    let states = every!(Storage {
        Saved,
        NotSaved(VaultError::TooLong),
    });
    let states = states
        .iter()
        .map(|state| text(json!(state)["state"].take()));
    states.collect()
}

fn renewal_reasons() -> Words {
    let reasons = every!(RenewalReason {
        Expired,
        Refused,
        Ahead,
    });
    reasons.iter().map(|reason| text(json!(reason))).collect()
}

fn outcomes() -> Words {
    let outcomes = every!(Outcome {
        Renewed,
        Adopted,
        Ended,
        SignedOut,
        Locked,
        Unreachable,
    });
    outcomes
        .iter()
        .map(|outcome| text(json!(outcome)))
        .collect()
}

/// The words of the notes, and the one of a whole renewal.
fn journal_words() -> Words {
    let notes = every!(Note {
        Opened,
        SignedIn,
        SignedOut,
        AttemptSent {
            reason: RenewalReason::Expired,
            attempt: 1,
            generation: 1,
            waiters: 0,
        },
        Answered {
            exchange: Exchange::Rejected {
                ambiguous: false,
                cause: Cause::Timeout,
            },
            took: 0,
        },
        Renewed {
            generation: 2,
            waiters: 0,
        },
        Adopted,
        Saved,
        SaveFailed(VaultError::Failed),
        EntryLost,
        Removed(true),
        WaitersTold {
            waiters: 0,
            cause: None,
        },
        Ended(EndingReason::Rejected, Cause::Timeout),
        Revoked(true),
        LockWaited { ms: 0 },
        LockNotTaken(Cause::LockHeld),
        FileNotWritten(Cause::LockHeld),
        ServerChecked { other: false },
        SignInSent { other: false },
        ServerRefused(ServerRefusal::TooOften),
    });
    let notes = notes.iter().map(Note::word).chain(["renewal"]);
    notes.map(str::to_owned).collect()
}

fn message_kinds() -> Words {
    let messages = every!(Message {
        Open,
        Next {
            payload: String::new(),
        },
        Lost { retry_after_ms: 0 },
        Reconnected,
        Complete,
        Failed {
            error: CommandError::new(PluginCode::Cancelled, ""),
        },
    });
    let kinds = messages
        .iter()
        .map(|message| text(json!(message)["kind"].take()));
    kinds.collect()
}

/// `SignInStep` is `non_exhaustive`, so the compiler does not see where one is missing here.
fn step_kinds() -> Words {
    let url = String::new;
    let steps = [
        SignInStep::Password,
        SignInStep::Browser {
            url: url(),
            expires_in_seconds: 0,
        },
        SignInStep::OneTimeCode { was_wrong: false },
        SignInStep::Choose { workspaces: vec![] },
        SignInStep::Device {
            user_code: String::new(),
            verification_url: url(),
            complete_url: None,
            expires_in_seconds: 0,
        },
    ];
    let kinds = steps.iter().map(|step| text(json!(step)["kind"].take()));
    kinds.collect()
}

fn text(value: Value) -> String {
    value.as_str().expect("a word").to_owned()
}

/// The words of an enum without data, from what `Deserialize` tells its format: the list is complete by construction,
/// also where the enum is `non_exhaustive`.
fn words_of<T: for<'de> Deserialize<'de>>() -> Words {
    let mut lister = Lister(&[]);
    let stopped = T::deserialize(&mut lister).is_err();
    assert!(stopped && !lister.0.is_empty(), "not an enum without data");
    lister.0.iter().map(|&word| word.to_owned()).collect()
}

/// A format that holds nothing and only learns the names of the variants.
struct Lister(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Lister {
    type Error = ListingError;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, ListingError> {
        self.0 = variants;
        Err(ListingError::custom("the names are known"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, ListingError> {
        Err(ListingError::custom("not an enum"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The words of `export type Name = "a" | "b";`.
fn union(source: &str, name: &str) -> Words {
    quoted(between(source, &format!("export type {name} ="), ";"))
}

/// The words of a field of an interface: `name?: "a" | "b";`.
fn field(source: &str, interface: &str, name: &str) -> Words {
    let source = without_comments(source);
    let fields = between(&source, &format!("export interface {interface} {{"), "}");
    let declared = fields.split(';').find_map(|field| {
        let (declared, words) = field.split_once(':')?;
        (declared.trim().trim_end_matches('?') == name).then_some(words)
    });
    quoted(declared.unwrap_or_else(|| panic!("{interface} has no {name}")))
}

/// The words of `type Name = | { kind: "a" } | { kind: "b"; ... };`.
fn kinds(source: &str, name: &str) -> Words {
    let union = between(source, &format!("type {name} ="), ";\n\n");
    union
        .split("kind:")
        .skip(1)
        .flat_map(|kind| quoted(kind).into_iter().take(1))
        .collect()
}

/// The keys of a `const` that is an object, or of an object inside of one: `locked.reasons`.
fn keys(source: &str, path: &str) -> Words {
    let source = without_comments(source);
    let (name, inner) = path.split_once('.').unwrap_or((path, ""));
    let mut object = after(&source, &format!("const {name}"));
    object = after(object, "= {");
    if !inner.is_empty() {
        object = after(object, &format!("{inner}: {{"));
    }
    keys_of_object(object)
}

/// The keys before the brace that closes the object. What is inside of strings and brackets is passed over.
fn keys_of_object(inside: &str) -> Words {
    let mut keys = Words::new();
    let mut depth = 1;
    let mut name = String::new();
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' | '\'' | '`' => while characters.next().is_some_and(|next| next != character) {},
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            ':' if depth == 1 && !name.is_empty() => drop(keys.insert(std::mem::take(&mut name))),
            ',' if depth == 1 => name.clear(),
            _ if depth == 1 && (character.is_alphanumeric() || character == '_') => {
                name.push(character);
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    keys
}

fn quoted(text: &str) -> Words {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn between<'a>(source: &'a str, start: &str, end: &str) -> &'a str {
    let (inside, _) = after(source, start)
        .split_once(end)
        .unwrap_or_else(|| panic!("`{start}` has no end"));
    inside
}

fn after<'a>(source: &'a str, start: &str) -> &'a str {
    let (_, rest) = source
        .split_once(start)
        .unwrap_or_else(|| panic!("there is no `{start}`"));
    rest
}

/// Without `/* ... */`; the files have no other comments inside of what is compared.
fn without_comments(source: &str) -> String {
    source
        .split("/*")
        .enumerate()
        .map(|(index, part)| match index {
            0 => part,
            _ => part.split_once("*/").map_or("", |(_, code)| code),
        })
        .collect()
}
