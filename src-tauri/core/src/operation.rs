//! What a GraphQL request does: a query may be repeated, anything else may not.

use std::borrow::Cow;
use std::iter::Peekable;

use apollo_parser::{Lexer, Token, TokenKind};
use bytes::Bytes;
use futures_util::{FutureExt, stream};
use multer::Multipart;
use serde::Deserialize;

/// How far into an upload its operations are looked for, in bytes. They come first, and a request without its files has
/// some kilobytes; the parser copies this much, and the files behind it can be 25 MiB.
const OPERATIONS_MAX: usize = 1 << 20;

/// Longest document that is looked into, in bytes: 1 MiB takes 15 ms, and people write some kilobytes.
const DOCUMENT_MAX: usize = 1 << 20;

/// Deepest nesting of braces and brackets. Servers allow some dozens.
const DEPTH_MAX: usize = 500;

/// What a GraphQL request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads; may be repeated after a lost answer.
    Query,
    /// Writes, or is not understood; never repeated once it may have run.
    Mutation,
    /// A stream of events.
    Subscription,
}

impl OperationKind {
    /// Reads the kind from a request body. What cannot be read is a [`Mutation`](OperationKind::Mutation): a batch, a
    /// persisted query, a document that is broken or longer than 1 MiB, an `operationName` that is not there.
    pub fn of(body: &[u8]) -> Self {
        Self::find(body).unwrap_or(Self::Mutation)
    }

    /// The same of an upload in the GraphQL multipart request form, by its `operations`. The form is as its specification
    /// has it: first `operations`, then `map`, so that no second `operations` can mean something else. Any other one, and
    /// operations of more than a megabyte, count as a [`Mutation`](OperationKind::Mutation).
    pub fn of_form(content_type: &str, body: &Bytes) -> Self {
        let operations = multer::parse_boundary(content_type)
            .ok()
            // All of it is there, so that nothing is ever waited for.
            .and_then(|boundary| operations_of(boundary, body).now_or_never()?);
        operations.map_or(Self::Mutation, |operations| Self::of(&operations))
    }

    fn find(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            query: Cow<'a, str>,
            #[serde(borrow, rename = "operationName")]
            operation_name: Option<Cow<'a, str>>,
        }
        let body: Body = serde_json::from_slice(body).ok()?;
        if body.query.len() > DOCUMENT_MAX {
            return None;
        }
        let wanted = body.operation_name.filter(|name| !name.is_empty());
        let mut document = Document::new(&body.query);
        let mut found = None;
        while document.has_more() {
            let Some((kind, name)) = document.definition()? else {
                continue;
            };
            if wanted.is_some() && name != wanted.as_deref() {
                continue;
            }
            // Two candidates and no name: the server will refuse it, and we do not guess.
            if found.is_some() {
                return None;
            }
            found = Some(kind);
        }
        found
    }
}

/// A GraphQL document, read only as far as its operations have to be told apart: token after token, without a tree, whose
/// errors alone would take hundreds of megabytes. What is inside of braces is for the server to judge. Where it refuses that,
/// nothing runs.
struct Document<'a> {
    lexer: Peekable<Lexer<'a>>,
}

/// The kind and the name of an operation.
type Operation<'a> = (OperationKind, Option<&'a str>);

impl<'a> Document<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lexer: Lexer::new(text).peekable(),
        }
    }

    fn has_more(&mut self) -> bool {
        self.peek().is_some()
    }

    /// Reads one definition. `Some(None)` for a fragment, `None` for what no request may hold.
    fn definition(&mut self) -> Option<Option<Operation<'a>>> {
        if self.next_is(TokenKind::LCurly) {
            self.group()?;
            return Some(Some((OperationKind::Query, None)));
        }
        let kind = match self.name()? {
            "query" => OperationKind::Query,
            "mutation" => OperationKind::Mutation,
            "subscription" => OperationKind::Subscription,
            "fragment" => {
                self.name()?;
                (self.name()? == "on").then_some(())?;
                self.name()?;
                self.selection()?;
                return Some(None);
            }
            _ => return None,
        };
        let is_named = self.next_is(TokenKind::Name);
        let name = if is_named { self.name() } else { None };
        if self.next_is(TokenKind::LParen) {
            self.group()?;
        }
        self.selection()?;
        Some(Some((kind, name)))
    }

    /// Directives, then what is selected.
    fn selection(&mut self) -> Option<()> {
        while self.next_is(TokenKind::At) {
            self.next()?;
            self.name()?;
            if self.next_is(TokenKind::LParen) {
                self.group()?;
            }
        }
        self.next_is(TokenKind::LCurly).then_some(())?;
        self.group()
    }

    /// From an opening brace, bracket or parenthesis to the one that closes it.
    fn group(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            let closing = match self.next()?.kind() {
                TokenKind::LCurly => TokenKind::RCurly,
                TokenKind::LParen => TokenKind::RParen,
                TokenKind::LBracket => TokenKind::RBracket,
                kind @ (TokenKind::RCurly | TokenKind::RParen | TokenKind::RBracket) => {
                    (open.pop() == Some(kind)).then_some(())?;
                    if open.is_empty() {
                        return Some(());
                    }
                    continue;
                }
                _ => continue,
            };
            (open.len() < DEPTH_MAX).then_some(())?;
            open.push(closing);
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        let token = self.next()?;
        (token.kind() == TokenKind::Name).then(|| token.data())
    }

    fn next_is(&mut self, kind: TokenKind) -> bool {
        matches!(self.peek(), Some(Ok(token)) if token.kind() == kind)
    }

    /// The next token; `None` at the end, and where there is none.
    fn next(&mut self) -> Option<Token<'a>> {
        self.peek()?;
        self.lexer.next()?.ok()
    }

    /// What is next after blanks, commas and comments, which say nothing.
    fn peek(&mut self) -> Option<&Result<Token<'a>, apollo_parser::Error>> {
        let says_nothing = |token: &Result<Token<'_>, _>| {
            use TokenKind::{Comma, Comment, Eof, Whitespace};
            let kind = token.as_ref().map(Token::kind);
            matches!(kind, Ok(Whitespace | Comment | Comma | Eof))
        };
        while self.lexer.next_if(says_nothing).is_some() {}
        self.lexer.peek()
    }
}

async fn operations_of(boundary: String, body: &Bytes) -> Option<Bytes> {
    let beginning = body.slice(..body.len().min(OPERATIONS_MAX));
    let source = stream::once(std::future::ready(Ok::<_, multer::Error>(beginning)));
    let mut form = Multipart::new(source, boundary);
    let first = form.next_field().await.ok()??;
    if first.name() != Some("operations") {
        return None;
    }
    let operations = first.bytes().await.ok()?;
    let second = form.next_field().await.ok()??;
    (second.name() == Some("map")).then_some(operations)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::OperationKind::{self, Mutation, Query, Subscription};
    use super::*;

    fn kind(query: &str, name: Option<&str>) -> OperationKind {
        let body = serde_json::json!({ "query": query, "operationName": name });
        OperationKind::of(body.to_string().as_bytes())
    }

    #[test]
    fn the_kind_comes_from_the_parsed_document() {
        assert_eq!(kind("{ me { id } }", None), Query);
        assert_eq!(kind("query A { mutation }", None), Query);
        assert_eq!(kind("# query\nmutation { a }", None), Mutation);
        assert_eq!(kind("subscription S { a }", None), Subscription);
        assert_eq!(kind("fragment F on T { a } query Q { ...F }", None), Query);
        assert_eq!(
            kind("fragment query on T { a } mutation M { ...query }", None),
            Mutation
        );
    }

    #[test]
    fn comments_strings_and_a_byte_order_mark_do_not_hide_the_operation() {
        let block =
            "query Q { a(note: \"\"\"\n} mutation M { b } \\\"\"\" # no end\n\"\"\") { id } }";
        assert_eq!(kind(block, None), Query);
        assert_eq!(
            kind("mutation M { a(note: \"query { b }\") }", None),
            Mutation
        );
        assert_eq!(kind("# one\r\n,,,# two\n\tquery Q { a }", None), Query);
        assert_eq!(kind("query Q { a } # mutation M { b }", None), Query);
        assert_eq!(kind("\u{feff}query Q { a }", None), Query);
        assert_eq!(kind("\u{feff}mutation M { a }", None), Mutation);
        // In front of the JSON it is none: no server has to read it, and we do not guess.
        assert_eq!(
            OperationKind::of("\u{feff}{\"query\":\"{ a }\"}".as_bytes()),
            Mutation
        );
    }

    #[test]
    fn neither_depth_nor_length_overflows_and_what_is_too_deep_counts_as_a_mutation() {
        let nested =
            |depth: usize| format!("query {}a{}", "{ a ".repeat(depth), " }".repeat(depth));
        assert_eq!(kind(&nested(200), None), Query);
        let lists =
            |depth: usize| format!("{{ a(b: {}{}) }}", "[".repeat(depth), "]".repeat(depth));
        // A thread of a runtime has 2 MiB of stack; this one has less.
        let deep = move || {
            for document in [nested(100_000), lists(100_000), "{".repeat(100_000)] {
                assert_eq!(kind(&document, None), Mutation);
            }
            let variables = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            let body = format!(r#"{{"variables":{variables},"query":"{{ a }}"}}"#);
            assert_eq!(OperationKind::of(body.as_bytes()), Query);
        };
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        thread
            .spawn(deep)
            .expect("a thread")
            .join()
            .expect("no overflow");
        let long = format!("query Q {{ {} }}", "anotherField ".repeat(80_000));
        assert!(long.len() > 1_000_000);
        assert_eq!(kind(&long, None), Query);
        let two = format!("{long} mutation M {{ a }}");
        assert_eq!(kind(&two, Some("Q")), Query);
        assert_eq!(kind(&two, Some("M")), Mutation);
        let too_long = format!("{long} # {}", "x".repeat(DOCUMENT_MAX - long.len()));
        assert_eq!(kind(&too_long, None), Mutation);
    }

    /// A parser that built a tree took a minute and a half for 26 MiB of braces.
    #[test]
    fn a_document_of_any_content_is_read_in_linear_time() {
        for piece in [
            "{", "}", "{a ", "a(b:[", "\"", "\"\"\"", "#\n", "a ", "query ", "\\", "\u{1}", "{a} ",
        ] {
            let document = piece.repeat(DOCUMENT_MAX / 4 / piece.len());
            for document in [format!("query {{ {document}"), document] {
                assert!(cpu_time_to_read(&document) < LONG, "{piece:?}");
            }
        }
        assert!(cpu_time_to_read(&"{".repeat(4 * DOCUMENT_MAX)) < LONG);
    }

    /// Many times what such a document takes, without optimisation, too, and a fraction of quadratic time.
    const LONG: Duration = Duration::from_secs(5);

    /// Not the time that passes: that depends on what else the machine does.
    fn cpu_time_to_read(document: &str) -> Duration {
        let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
        let body = serde_json::json!({ "query": document }).to_string();
        let began = now();
        OperationKind::of(body.as_bytes());
        now() - began
    }

    #[test]
    fn what_a_request_may_not_hold_counts_as_a_mutation() {
        for document in [
            "",
            "# nothing",
            "type Query { a: Int }",
            "query",
            "query Q",
            "query Q(",
            "query Q($a: [Int) { a }",
            "query Q { a ] }",
            "query Q { a } }",
            "query Q mutation M { a }",
            "query Q @ { a }",
            "query Q { a(b: \"x) }",
            "fragment F { a } query { a }",
            "fragment F on T { a }",
            "{ a } query Q { a }",
            "\"a description\" query Q { a }",
            "subscription { a } mutation { b }",
        ] {
            assert_eq!(kind(document, None), Mutation, "{document}");
        }
        let full = "query Q($a: [Int!]! = [1] @d, $b: In = { c: \"}\" }) @e(f: {g: [1]}) @h { a(b: $b) @i { ...F ... on T { j } } } fragment F on T @k { l }";
        assert_eq!(kind(full, None), Query);
        assert_eq!(kind(full, Some("Q")), Query);
        assert_eq!(kind(full, Some("F")), Mutation);
    }

    #[test]
    fn the_kind_of_an_upload_comes_from_its_operations_field() {
        let kind = |form: &[(&str, &str)]| OperationKind::of_form(FORM, &form_of(form));
        let map = ("map", r#"{"0":["variables.file"]}"#);
        let file = ("0", "query { a }");
        let read = ("operations", r#"{"query":"query Q { a }"}"#);
        let write = ("operations", r#"{"query":"mutation M { a }"}"#);
        assert_eq!(kind(&[read, map, file]), Query);
        assert_eq!(kind(&[write, map, file]), Mutation);
        let named = r#"{"query":"query Q { a } mutation M { a }","operationName":"Q"}"#;
        assert_eq!(kind(&[("operations", named), map]), Query);
    }

    #[test]
    fn an_upload_in_another_form_counts_as_a_mutation() {
        let of = |form: &[(&str, &str)]| OperationKind::of_form(FORM, &form_of(form));
        let map = ("map", "{}");
        let read = ("operations", r#"{"query":"query Q { a }"}"#);
        let write = ("operations", r#"{"query":"mutation M { a }"}"#);
        assert_eq!(of(&[map, read]), Mutation);
        assert_eq!(of(&[read, write, map]), Mutation);
        assert_eq!(of(&[read]), Mutation);
        assert_eq!(of(&[("query", "{ a }"), map]), Mutation);
        assert_eq!(
            of(&[("operations", "[{\"query\":\"{ a }\"}]"), map]),
            Mutation
        );
        let long = format!("{{\"query\":\"{{ a }} # {}\"}}", "x".repeat(OPERATIONS_MAX));
        assert_eq!(of(&[("operations", &long), map]), Mutation);

        let form = form_of(&[read, map]);
        assert_eq!(OperationKind::of_form(FORM, &form), Query);
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=other",
            "application/json",
            "",
        ] {
            assert_eq!(OperationKind::of_form(content_type, &form), Mutation);
        }
        let cut = form.slice(..form.len() / 2);
        assert_eq!(OperationKind::of_form(FORM, &cut), Mutation);
        assert_eq!(OperationKind::of_form(FORM, &Bytes::new()), Mutation);
        let json = Bytes::from_static(br#"{"query":"{ a }"}"#);
        assert_eq!(OperationKind::of_form(FORM, &json), Mutation);
    }

    const FORM: &str = "multipart/form-data; boundary=xxx";

    fn form_of(parts: &[(&str, &str)]) -> Bytes {
        let mut form = String::new();
        for (name, content) in parts {
            form += &format!(
                "--xxx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n"
            );
        }
        Bytes::from(form + "--xxx--\r\n")
    }

    #[test]
    fn of_several_operations_the_named_one_counts() {
        let two = "query Read { a } mutation Write { a }";
        assert_eq!(kind(two, Some("Read")), Query);
        assert_eq!(kind(two, Some("Write")), Mutation);
        assert_eq!(kind(two, None), Mutation);
        assert_eq!(kind(two, Some("Gone")), Mutation);
    }

    #[test]
    fn an_operation_of_unknown_kind_counts_as_a_mutation() {
        assert_eq!(kind("query {", None), Mutation);
        assert_eq!(OperationKind::of(b"[{\"query\":\"{ a }\"}]"), Mutation);
        assert_eq!(OperationKind::of(b"{\"id\":\"persisted\"}"), Mutation);
        assert_eq!(OperationKind::of(b""), Mutation);
    }
}
