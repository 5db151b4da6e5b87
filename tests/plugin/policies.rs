//! The content security policies of the client and the examples, and the one that the documents tell people to copy.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// What each policy must have: pages load from the application only, and connect to it only.
const DIRECTIVES: [(&str, &str); 7] = [
    ("default-src", "'self'"),
    ("connect-src", "ipc: http://ipc.localhost"),
    ("base-uri", "'none'"),
    ("form-action", "'none'"),
    ("object-src", "'none'"),
    ("frame-src", "'none'"),
    ("frame-ancestors", "'none'"),
];

fn read(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(file)).unwrap_or_else(|problem| panic!("{file}: {problem}"))
}

#[test]
fn each_applications_policy_leaves_the_page_no_way_out() {
    for file in [
        "tauri.conf.json",
        "examples/minimal/src-tauri/tauri.conf.json",
        "examples/clients/src-tauri/tauri.conf.json",
        "examples/oauth/src-tauri/tauri.conf.json",
    ] {
        let config: Value = serde_json::from_str(&read(file)).expect("JSON");
        let policy = &config["app"]["security"]["csp"];
        for (directive, sources) in DIRECTIVES {
            assert_eq!(policy[directive], sources, "{file}: {directive}");
        }
    }
}

#[test]
fn the_policy_in_the_documents_is_the_one_of_the_examples() {
    for file in ["examples/minimal/README.md", "src-tauri/plugin/README.md"] {
        let text = read(file);
        for (directive, sources) in DIRECTIVES {
            let line = format!("\"{directive}\": \"{sources}\"");
            assert!(text.contains(&line), "{file}: {line}");
        }
    }
}
