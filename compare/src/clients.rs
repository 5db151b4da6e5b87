//! Who is compared, and what each can do.

use std::path::PathBuf;

/// The program of those in Rust, ours among them; built as this one is.
const RUST: &str = if cfg!(debug_assertions) {
    "compare/clients/rust/target/debug/compare-rust-clients"
} else {
    "compare/clients/rust/target/release/compare-rust-clients"
};

/// The program of those in JavaScript.
const JAVASCRIPT: &str = "compare/clients/js/drive.js";

/// A client that people use, in the setup that its own documentation shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// How the drivers call it.
    pub(crate) name: &'static str,
    /// How people call it.
    pub(crate) title: &'static str,
    pub(crate) language: Language,
    /// Whether it notices that the server refuses its token. The others look at the clock alone.
    pub(crate) notices_refusals: bool,
    /// Whether it takes a refusal from the HTTP status alone, and not from a GraphQL error.
    pub(crate) needs_401: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Ours,
    JavaScript,
    Rust,
}

/// Ours first, then in the order of the columns.
pub(crate) const CLIENTS: [Client; 9] = [
    Client {
        name: "holdfast",
        title: "Holdfast",
        language: Language::Ours,
        notices_refusals: true,
        needs_401: false,
    },
    javascript("urql", "urql, authExchange", true, false),
    javascript("apollo", "Apollo Client, shared promise", true, false),
    javascript(
        "apollo-link-token-refresh",
        "apollo-link-token-refresh",
        false,
        false,
    ),
    javascript("axios-auth-refresh", "axios-auth-refresh", true, true),
    javascript("supabase", "Supabase auth-js", false, true),
    javascript("oidc-client-ts", "oidc-client-ts", false, true),
    rust("smithy", "aws-smithy lazy identity cache"),
    rust("google", "google-cloud-auth"),
];

const fn javascript(
    name: &'static str,
    title: &'static str,
    notices_refusals: bool,
    needs_401: bool,
) -> Client {
    Client {
        name,
        title,
        language: Language::JavaScript,
        notices_refusals,
        needs_401,
    }
}

const fn rust(name: &'static str, title: &'static str) -> Client {
    Client {
        name,
        title,
        language: Language::Rust,
        notices_refusals: false,
        needs_401: true,
    }
}

impl Client {
    /// The program that drives it, with its arguments.
    pub(crate) fn command(&self) -> (PathBuf, Vec<String>) {
        let name = self.name.to_owned();
        let root = root();
        match self.language {
            Language::Ours | Language::Rust => (root.join(RUST), vec![name]),
            Language::JavaScript => {
                let program = root.join(JAVASCRIPT).display().to_string();
                ("node".into(), vec![program, name])
            }
        }
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.language == Language::Ours
    }
}

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.join("..").canonicalize().expect("the repository")
}
