//! What it costs to judge a call's reply: the search for errors in one that begins with its data, and the envelope to its
//! end of one that does not, beside a parser that builds all of it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use graphql_session::{Data, Envelope};
use serde_json::{Value, json};

/// Lengths of the replies, in bytes: one record, a page of a list, all object metadata twice over, an export.
const LENGTHS: [usize; 4] = [1_000, 100_000, 1_000_000, 10_000_000];

criterion_group!(envelope, verdicts);
criterion_main!(envelope);

fn verdicts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reply");
    for length in LENGTHS {
        let body = people(length);
        let outside = Envelope::read(&body).expect("a GraphQL reply");
        assert_eq!(outside.data, Data::Present);
        assert!(Envelope::is_only_data(&body));
        group.throughput(Throughput::Bytes(body.len() as u64));
        let id = |what| BenchmarkId::new(what, length);
        group.bench_function(id("only data"), |bencher| {
            bencher.iter(|| Envelope::is_only_data(black_box(&body)));
        });
        group.bench_function(id("envelope to its end"), |bencher| {
            bencher.iter(|| Envelope::read(black_box(&body)));
        });
        group.bench_function(id("full parse"), |bencher| {
            bencher.iter(|| serde_json::from_slice::<Value>(black_box(&body)));
        });
    }
    group.finish();
}

/// A list of people as Twenty answers with it, of about this length.
fn people(length: usize) -> Vec<u8> {
    let mut edges = Vec::new();
    let mut written = 0;
    while edges.is_empty() || written < length {
        let edge = person(edges.len());
        written += edge.to_string().len() + 1;
        edges.push(edge);
    }
    let people = json!({
        "edges": edges,
        "pageInfo": { "hasNextPage": true, "endCursor": "eyJpZCI6IjIwMjAyMDIwIn0=" },
        "totalCount": 10_000,
    });
    json!({ "data": { "people": people } })
        .to_string()
        .into_bytes()
}

fn person(number: usize) -> Value {
    let id = format!("20202020-{:04x}-4c3d-9e1f-{number:012x}", number % 65_536);
    json!({
        "cursor": format!("eyJwb3NpdGlvbiI6{number},ImlkIjoi{id}In0="),
        "node": {
            "__typename": "Person",
            "id": id,
            "name": { "__typename": "FullName", "firstName": "Zoë", "lastName": format!("O'Neill \"{number}\"") },
            "emails": { "primaryEmail": format!("person.{number}@example.com"), "additionalEmails": null },
            "phones": { "primaryPhoneNumber": "1234567", "primaryPhoneCallingCode": "+33", "additionalPhones": [] },
            "linkedinLink": { "primaryLinkLabel": "", "primaryLinkUrl": "https://linkedin.com/in/person", "secondaryLinks": [] },
            "jobTitle": "Head of Sales\nand Marketing",
            "city": "São Paulo",
            "avatarUrl": "",
            "position": number as f64 + 0.5,
            "createdAt": "2025-09-01T08:30:00.000Z",
            "updatedAt": "2025-09-02T09:31:01.001Z",
            "deletedAt": null,
            "company": { "__typename": "Company", "id": "20202020-3ec3-4fe3-8997-b76aa0bfa408", "name": "Linkedin" },
            "companyId": "20202020-3ec3-4fe3-8997-b76aa0bfa408",
        },
    })
}
