//! The manual in `lib.rs` names the test that guards each invariant. Each must exist.

use std::fs;
use std::path::Path;

const MANUAL: &str = include_str!("../../src-tauri/core/src/lib.rs");

/// I1 to I12.
const INVARIANTS: usize = 12;

#[test]
fn every_invariant_names_tests_that_exist() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let rows: Vec<_> = MANUAL
        .lines()
        .filter(|line| line.starts_with("//! | I"))
        .collect();
    assert_eq!(rows.len(), INVARIANTS);
    for row in rows {
        let guards: Vec<_> = row
            .split('`')
            .filter(|text| text.contains("::") && text.contains('/'))
            .collect();
        assert!(!guards.is_empty(), "no test guards this: {row}");
        for guard in guards {
            let (file, test) = guard.split_once("::").expect("folder/file::test");
            let source = fs::read_to_string(tests.join(file).with_extension("rs"))
                .unwrap_or_else(|_| panic!("there is no file for {guard}"));
            assert!(
                source.contains(&format!("fn {test}(")),
                "there is no test {guard}"
            );
        }
    }
}
