//! The manual in `lib.rs` names the test that guards each invariant, `docs/faults.md` the one for each fault,
//! `docs/threat-model.md` the one for each defence, and `compare/README.md` the one for each case of the comparison. Each must exist. And `docs/signed-out.md` explains every word
//! of the journal and every cause.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MANUAL: &str = include_str!("../../src-tauri/core/src/lib.rs");
const FAULTS: &str = include_str!("../../docs/faults.md");
const THREATS: &str = include_str!("../../docs/threat-model.md");
const COMPARISON: &str = include_str!("../../compare/README.md");
const COMPARED_CASES: &str = include_str!("../../compare/src/cases.rs");
const SIGNED_OUT: &str = include_str!("../../docs/signed-out.md");
const CAUSE: &str = include_str!("../../src-tauri/renewal/src/cause.rs");
const REASONS: &str = include_str!("../../src-tauri/renewal/src/reasons.rs");
const NOTE: &str = include_str!("../../src-tauri/renewal/src/note.rs");

/// I1 to I17.
const INVARIANTS: usize = 17;

/// The head of every table of faults.
const HEAD: &str = "| case | what happens | guarded by |";

/// The head of every table of defences.
const DEFENCE_HEAD: &str = "| what it could want | the defence | guarded by |";

/// The head of the table of the comparison's cases.
const COMPARED_HEAD: &str = "| case | guarded by |";

/// Fewer rows than this, and the document was not read to its end.
const FAULTS_AT_LEAST: usize = 80;

/// The same for the defences.
const DEFENCES_AT_LEAST: usize = 30;

/// The longest name of a test, in characters: one scenario and its outcome, in a line of rustfmt's 100 columns with
/// `async fn` and its brace.
const NAME_AT_MOST: usize = 80;

/// Fewer tests than this, and not all folders were read.
const TESTS_AT_LEAST: usize = 400;

#[test]
fn every_invariant_names_tests_that_exist() {
    let rows: Vec<_> = MANUAL
        .lines()
        .filter(|line| line.starts_with("//! | I"))
        .collect();
    assert_eq!(rows.len(), INVARIANTS);
    rows.into_iter().for_each(assert_guarded);
}

#[test]
fn every_fault_names_tests_that_exist() {
    let rows = guarded_rows(FAULTS, HEAD);
    assert!(rows >= FAULTS_AT_LEAST, "only {rows} rows were found");
}

#[test]
fn every_defence_names_tests_that_exist() {
    let rows = guarded_rows(THREATS, DEFENCE_HEAD);
    assert!(rows >= DEFENCES_AT_LEAST, "only {rows} rows were found");
}

#[test]
fn every_cause_is_explained_and_no_other_word() {
    let known = &words_of(CAUSE) | &words_of(REASONS);
    assert_eq!(explained("| cause | what it means | what to do |"), known);
}

#[test]
fn every_word_of_the_journal_is_explained_and_no_other() {
    let mut known = words_of(NOTE);
    known.insert("renewal".to_owned());
    assert_eq!(
        explained("| word | on the screen | what happened | facts |"),
        known
    );
}

#[test]
fn every_compared_case_names_tests_that_exist() {
    let mut lines = COMPARISON.lines();
    assert!(lines.any(|line| line == COMPARED_HEAD), "no table of cases");
    let rows: Vec<_> = lines
        .skip(1)
        .take_while(|row| row.starts_with('|'))
        .collect();
    let guarded: Vec<_> = rows
        .iter()
        .map(|row| row.split('|').nth(1).expect("a cell").trim())
        .collect();
    assert_eq!(guarded, compared_cases());
    rows.into_iter().for_each(assert_guarded);
}

#[test]
fn no_test_has_a_name_of_more_than_80_characters() {
    let top = top();
    let mut files = rust_files_below(&top.join("tests"));
    for entry in fs::read_dir(top.join("src-tauri")).expect("a folder") {
        let sources = entry.expect("an entry").path().join("src");
        if sources.is_dir() {
            files.extend(rust_files_below(&sources));
        }
    }
    let mut tests = 0;
    for file in files {
        let source = fs::read_to_string(&file).expect("UTF-8");
        for name in names_of_functions(&source).filter(|name| has_test(&source, name)) {
            let place = file.display();
            assert!(name.len() <= NAME_AT_MOST, "{place}: {name}");
            tests += 1;
        }
    }
    assert!(tests >= TESTS_AT_LEAST, "only {tests} tests were found");
}

/// Checks all rows of the tables with this head, and counts them.
fn guarded_rows(document: &str, head: &str) -> usize {
    let mut rows = 0;
    let mut lines = document.lines();
    while lines.by_ref().any(|line| line == head) {
        for row in lines
            .by_ref()
            .skip(1)
            .take_while(|row| row.starts_with('|'))
        {
            assert_eq!(row.matches(" | ").count(), 2, "not three cells: {row}");
            assert_guarded(row);
            rows += 1;
        }
    }
    rows
}

/// The titles of the cases, in their order: each is the first argument of a line that begins a case.
fn compared_cases() -> Vec<&'static str> {
    let lines: Vec<_> = COMPARED_CASES.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "..usual(" || pair[0] == "..tried_twice(")
        .map(|pair| pair[1].trim_matches(['"', ',']))
        .collect()
}

/// The first cells of a table of `docs/signed-out.md`, without their backticks.
fn explained(head: &str) -> BTreeSet<String> {
    let mut lines = SIGNED_OUT.lines();
    assert!(lines.any(|line| line == head), "no table {head}");
    let rows = lines.skip(1).take_while(|row| row.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).expect("a word").to_owned())
        .collect()
}

/// The words that a source file gives to its values: `Self::Dns => "dns"`, and `"http_{status}"` in a `write!`.
fn words_of(source: &str) -> BTreeSet<String> {
    let (source, _) = source.split_once("#[cfg(test)]").unwrap_or((source, ""));
    source
        .lines()
        .filter_map(|line| line.split_once("=> "))
        .filter_map(|(_, value)| value.split('"').nth(1))
        .map(str::to_owned)
        .collect()
}

/// The row names at least one test, and each exists: as `folder/file::test` below `tests`, or by its path from the top.
fn assert_guarded(row: &str) {
    let guards: Vec<_> = row
        .split('`')
        .filter(|text| text.contains("::") && !text.starts_with(' '))
        .collect();
    assert!(!guards.is_empty(), "no test guards this: {row}");
    for guard in guards {
        let (file, test) = guard.split_once("::").expect("file::test");
        let source = fs::read_to_string(path_of(file))
            .unwrap_or_else(|_| panic!("there is no file for {guard}"));
        assert!(has_test(&source, test), "there is no test {guard}");
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rust_files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn names_of_functions(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let (_, signature) = line.split_once("fn ")?;
        signature.split('(').next()
    })
}

fn path_of(file: &str) -> PathBuf {
    let top = top();
    if file.contains('.') {
        top.join(file)
    } else {
        top.join("tests").join(file).with_extension("rs")
    }
}

/// A function with an attribute that makes it a test, and none that makes the runner leave it out; or a test of the
/// pages by its sentence.
fn has_test(source: &str, name: &str) -> bool {
    let mut is_run = false;
    source.lines().any(|line| {
        let line = line.trim();
        let is_named = line.contains(&format!("fn {name}(")) && is_run
            || line.starts_with(&format!("it({name:?}"))
            || is_table_of_tests(line) && line.contains(&format!(")({name:?}"));
        let makes_a_test = line.starts_with("#[") && line.contains("test");
        let goes_on = is_run && line.starts_with("#[");
        is_run = (makes_a_test || goes_on) && !line.starts_with("#[ignore");
        is_named
    })
}

/// The end of `it.each([ … ])("a sentence", …)`, which may stand on a line of its own.
fn is_table_of_tests(line: &str) -> bool {
    line.starts_with("it.each(") || line.starts_with("])(")
}

#[test]
fn a_test_that_is_ignored_or_only_named_guards_nothing() {
    let run = "#[tokio::test]\n#[cfg(unix)]\nasync fn a_case() {\n";
    assert!(has_test(run, "a_case"));
    for of_a_page in ["it(", "it.each([1, 2])(", "  ])("] {
        assert!(has_test(
            &format!("{of_a_page}\"does it\", () => {{"),
            "does it"
        ));
    }
    for not_run in [
        "fn a_case() {\n",
        "// a_case()\n",
        "describe(\"a_case\", () => {\n",
        "#[test]\n#[ignore = \"a test of another machine\"]\nfn a_case() {\n",
        "#[test]\nfn another_case() {\n}\nfn a_case() {\n",
    ] {
        assert!(!has_test(not_run, "a_case"), "{not_run}");
    }
}
