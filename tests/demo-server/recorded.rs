//! The fixtures against recordings of a real server, if there is a folder with some.

use serde_json::Value;

use crate::fixtures::FIXTURES;

/// Names the folder of the recordings.
const FOLDER: &str = "HOLDFAST_WIRE";

#[test]
#[ignore = "needs recordings: HOLDFAST_WIRE=FOLDER cargo test -p demo-server --test demo_server recorded -- --ignored"]
fn fixtures_agree_with_the_recordings_of_a_real_server() {
    let folder = std::env::var_os(FOLDER).map(std::path::PathBuf::from);
    let folder = folder.expect("HOLDFAST_WIRE names a folder with recordings");
    let mut differences = Vec::new();
    let mut compared = 0;
    for fixture in FIXTURES.iter() {
        for name in &fixture.recorded {
            let text = std::fs::read_to_string(folder.join(format!("{name}.json")))
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let response =
                &serde_json::from_str::<Value>(&text).expect("a recording is JSON")["response"];
            let status = response["status_line"].as_str().expect("a status line")[9..12]
                .parse()
                .expect("a status");
            let headers = response["headers"].as_array().into_iter().flatten();
            let content_type = headers
                .filter_map(|header| header.as_str()?.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
                .map_or("", |(_, value)| value);
            let body = response["body"].as_str().unwrap_or_default();
            let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
            compared += 1;
            if let Some(difference) = fixture.difference(status, content_type, &body) {
                differences.push(format!("{} / {name}: {difference}", fixture.name));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 0, "no fixture names a recording");
    println!("{compared} recordings agree");
}
