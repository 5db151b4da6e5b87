//! Records: pages, filters, order, writing; and the metadata that describes them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Demo, Reply};

const UPDATE: &str = "mutation UpdateOnePerson($id: UUID!, $input: PersonUpdateInput!) { updatePerson(id: $id, data: $input) { id name { firstName lastName } updatedAt } }";
const CREATE: &str = "mutation CreateOnePerson($input: PersonCreateInput!) { createPerson(data: $input) { id name { firstName lastName } createdAt updatedAt deletedAt } }";
const DELETE: &str =
    "mutation DeleteOnePerson($id: UUID!) { deletePerson(id: $id) { id deletedAt } }";

/// A server, and a person who is signed in.
struct Signed {
    demo: Demo,
    access: String,
}

impl Signed {
    async fn start() -> Self {
        let demo = Demo::start().await;
        let access = demo.sign_in().await.access;
        Self { demo, access }
    }

    async fn ask(&self, query: &str, variables: Value) -> Reply {
        self.demo
            .graphql(query)
            .variables(variables)
            .bearer(&self.access)
            .send()
            .await
    }

    async fn data(&self, query: &str, variables: Value) -> Value {
        let reply = self.ask(query, variables).await;
        assert!(reply.body.get("errors").is_none(), "{}", reply.text);
        reply.body["data"].clone()
    }

    async fn count(&self, plural: &str, filter_type: &str, filter: Value) -> u64 {
        let query = format!(
            "query($filter: {filter_type}) {{ {plural}(filter: $filter) {{ totalCount }} }}"
        );
        self.data(&query, json!({ "filter": filter })).await[plural]["totalCount"]
            .as_u64()
            .expect("a count")
    }
}

#[tokio::test]
async fn pages_have_the_shape_of_twentys() {
    let signed = Signed::start().await;
    let people = "query FindManyPeople($first: Int) { people(first: $first) { edges { cursor node { id createdAt name { firstName lastName } emails { primaryEmail } jobTitle company { id name } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";
    let reply = signed.ask(people, json!({ "first": 3 })).await;
    let after = &reply.is("people").body["data"]["people"]["pageInfo"]["endCursor"];
    let page = "query P($first: Int, $after: String) { people(first: $first, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";
    signed
        .ask(page, json!({ "first": 3, "after": after }))
        .await
        .is("people, page 2");
    signed
        .ask(page, json!({ "first": 3, "after": "garbage" }))
        .await
        .message();
    let companies = "query FindManyCompanies($first: Int) { companies(first: $first) { edges { cursor node { id name domainName { primaryLinkUrl } employees } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";
    signed
        .ask(companies, json!({ "first": 2 }))
        .await
        .is("companies");
    let edges = "{ people { edges { node { id } } } }";
    assert_eq!(
        signed.data(edges, json!({})).await["people"]["edges"]
            .as_array()
            .map(Vec::len),
        Some(60)
    );
}

#[tokio::test]
async fn a_query_that_finds_nothing_or_is_wrong_is_answered_as_by_twenty() {
    let signed = Signed::start().await;
    let nobody =
        json!({ "id": "00000000-0000-4000-8000-000000000000", "input": { "jobTitle": "x" } });
    let person = "query($id: UUID!) { person(filter: { id: { eq: $id } }) { id } }";
    signed
        .ask(person, nobody.clone())
        .await
        .is("no such person");
    signed
        .ask(UPDATE, nobody.clone())
        .await
        .is("no such person to change");
    let two = "query($id: UUID!) { a: people(first: 1) { edges { node { id } } } b: person(filter: { id: { eq: $id } }) { id } }";
    signed.ask(two, nobody).await.is("two roots, one fails");
    signed
        .ask(person, json!({ "id": "not-a-uuid" }))
        .await
        .is("bad identifier");
    signed
        .ask(
            "{ people(first: 2, after: \"garbage\") { edges { node { id } } } }",
            json!({}),
        )
        .await
        .is("bad cursor");
    signed
        .ask("{ people(first: -1) { edges { node { id } } } }", json!({}))
        .await
        .is("fewer than none");
    let regex =
        "{ people(filter: { name: { firstName: { regex: \"[\" } } }) { edges { node { id } } } }";
    signed.ask(regex, json!({})).await.is("bad operator");
    signed
        .ask("{ objects { edges { node { id } } } }", json!({}))
        .await
        .is("objects without a page");
}

#[tokio::test]
async fn a_person_is_made_changed_deleted_restored_and_destroyed() {
    let signed = Signed::start().await;
    let id = "3fd58365-4b86-4cee-b5e7-7927b793abba";
    let input =
        json!({ "id": id, "name": { "firstName": "Wire", "lastName": "Test" }, "city": "Cork" });
    signed
        .ask(CREATE, json!({ "input": input }))
        .await
        .is("person made");
    signed.demo.pass(Duration::from_secs(1));
    let change = json!({ "id": id, "input": { "jobTitle": "Tester", "name": { "firstName": "Wire", "lastName": "Updated" } } });
    signed.ask(UPDATE, change).await.is("person changed");
    let person = "query($id: UUID!) { person(filter: { id: { eq: $id } }) { city jobTitle createdAt updatedAt createdBy { source name } } }";
    assert_eq!(
        signed.data(person, json!({ "id": id })).await["person"],
        json!({
            "city": "Cork", "jobTitle": "Tester",
            "createdAt": "2027-01-15T08:00:00.500Z", "updatedAt": "2027-01-15T08:00:01.500Z",
            "createdBy": { "source": "MANUAL", "name": "Ada Marlow" },
        })
    );
    for _ in 0..2 {
        signed
            .ask(DELETE, json!({ "id": id }))
            .await
            .is("person deleted");
        signed
            .ask(person, json!({ "id": id }))
            .await
            .is("no such person");
    }
    assert_eq!(
        signed
            .count(
                "people",
                "PersonFilterInput",
                json!({ "deletedAt": { "is": "NOT_NULL" } })
            )
            .await,
        1
    );
    let restore = "mutation($id: UUID!) { restorePerson(id: $id) { deletedAt } }";
    assert_eq!(
        signed.data(restore, json!({ "id": id })).await["restorePerson"]["deletedAt"],
        Value::Null
    );
    assert_eq!(
        signed
            .count("people", "PersonFilterInput", Value::Null)
            .await,
        1_001
    );
    let destroy = "mutation DestroyOnePerson($id: UUID!) { destroyPerson(id: $id) { id } }";
    signed
        .ask(destroy, json!({ "id": id }))
        .await
        .is("person destroyed");
    assert_eq!(
        signed.ask(DELETE, json!({ "id": id })).await.message(),
        "Record not found"
    );
}

#[tokio::test]
async fn an_update_replaces_a_composite_field_as_a_whole() {
    let signed = Signed::start().await;
    // The field, its parts, all of their values, and the one part that the update names.
    let fields = [
        (
            "name",
            "firstName lastName",
            json!({ "firstName": "Mary Jane", "lastName": "Watsen" }),
            json!({ "lastName": "Watson" }),
            json!({ "firstName": "", "lastName": "Watson" }),
        ),
        (
            "emails",
            "primaryEmail additionalEmails",
            json!({ "primaryEmail": "mj@example.com", "additionalEmails": ["m@example.com"] }),
            json!({ "primaryEmail": "mary@example.com" }),
            json!({ "primaryEmail": "mary@example.com", "additionalEmails": null }),
        ),
        (
            "linkedinLink",
            "primaryLinkLabel primaryLinkUrl secondaryLinks",
            json!({
                "primaryLinkLabel": "Mary", "primaryLinkUrl": "example.com/mary",
                "secondaryLinks": [{ "label": "Other", "url": "example.com/other" }],
            }),
            json!({ "primaryLinkUrl": "example.com/mj" }),
            json!({ "primaryLinkLabel": "", "primaryLinkUrl": "example.com/mj", "secondaryLinks": null }),
        ),
        (
            "phones",
            "primaryPhoneNumber primaryPhoneCountryCode primaryPhoneCallingCode additionalPhones",
            json!({
                "primaryPhoneNumber": "5550001", "primaryPhoneCountryCode": "GB", "primaryPhoneCallingCode": "+44",
                "additionalPhones": [{ "number": "5550002", "callingCode": "+44", "countryCode": "GB" }],
            }),
            json!({ "primaryPhoneNumber": "5550003" }),
            json!({
                "primaryPhoneNumber": "5550003", "primaryPhoneCountryCode": "", "primaryPhoneCallingCode": "",
                "additionalPhones": null,
            }),
        ),
    ];
    for (field, parts, whole, part, after) in fields {
        let create = format!(
            "mutation($input: PersonCreateInput!) {{ createPerson(data: $input) {{ id {field} {{ {parts} }} }} }}"
        );
        let update = format!(
            "mutation($id: UUID!, $input: PersonUpdateInput!) {{ updatePerson(id: $id, data: $input) {{ {field} {{ {parts} }} }} }}"
        );
        let made = signed
            .data(&create, json!({ "input": { field: whole } }))
            .await["createPerson"]
            .clone();
        assert_eq!(made[field], whole);
        let changed = signed
            .data(
                &update,
                json!({ "id": made["id"], "input": { field: part } }),
            )
            .await;
        assert_eq!(changed["updatePerson"][field], after);
    }
}

#[tokio::test]
async fn an_email_address_in_use_is_refused_until_its_owner_is_deleted() {
    let signed = Signed::start().await;
    let first = signed
        .data(
            "{ people(first: 1) { edges { node { id emails { primaryEmail } } } } }",
            json!({}),
        )
        .await;
    let node = &first["people"]["edges"][0]["node"];
    let input = json!({ "input": { "emails": node["emails"] } });
    signed.ask(CREATE, input.clone()).await.is("e-mail taken");
    signed.data(DELETE, json!({ "id": node["id"] })).await;
    signed.ask(CREATE, input).await.is("person made");
    let restore = "mutation($id: UUID!) { restorePerson(id: $id) { id } }";
    assert!(
        signed
            .ask(restore, json!({ "id": node["id"] }))
            .await
            .message()
            .starts_with("Duplicate Emails")
    );
    // Two people may have no address.
    for _ in 0..2 {
        signed
            .ask(CREATE, json!({ "input": {} }))
            .await
            .is("person made");
    }
}

/// Walks forward and backward over all pages, in orders with ties and with nulls at either end.
#[tokio::test]
async fn every_order_shows_every_record_once_in_both_directions() {
    let signed = Signed::start().await;
    let forward = "query($at: String, $order: [PersonOrderByInput]) { people(first: 170, after: $at, orderBy: $order) { edges { node { id } } pageInfo { hasNextPage endCursor } } }";
    let backward = "query($at: String, $order: [PersonOrderByInput]) { people(last: 230, before: $at, orderBy: $order) { edges { node { id } } pageInfo { hasPreviousPage startCursor } } }";
    let mut orders = vec![
        json!(null),
        json!([{ "name": { "lastName": "DescNullsFirst", "firstName": "AscNullsLast" } }]),
    ];
    for direction in [
        "AscNullsFirst",
        "AscNullsLast",
        "DescNullsFirst",
        "DescNullsLast",
    ] {
        orders.push(json!([{ "performanceRating": direction }, { "createdAt": "DescNullsLast" }]));
    }
    for order in orders {
        let mut walks = Vec::new();
        for (query, more, cursor) in [
            (forward, "hasNextPage", "endCursor"),
            (backward, "hasPreviousPage", "startCursor"),
        ] {
            let (mut at, mut ids) = (Value::Null, Vec::new());
            loop {
                let page = signed
                    .data(query, json!({ "at": at, "order": order }))
                    .await["people"]
                    .clone();
                let found: Vec<String> = page["edges"]
                    .as_array()
                    .expect("edges")
                    .iter()
                    .map(|edge| edge["node"]["id"].to_string())
                    .collect();
                if more == "hasNextPage" {
                    ids.extend(found)
                } else {
                    ids.splice(0..0, found).for_each(drop)
                }
                at = page["pageInfo"][cursor].clone();
                if page["pageInfo"][more] == json!(false) {
                    break;
                }
            }
            walks.push(ids);
        }
        assert_eq!(
            walks[0].iter().collect::<BTreeSet<_>>().len(),
            1_000,
            "{order}"
        );
        assert_eq!(walks[0], walks[1], "{order}");
    }
}

#[tokio::test]
async fn sorting_puts_values_and_nulls_where_the_order_says() {
    let signed = Signed::start().await;
    let ratings = "query($order: [PersonOrderByInput]) { people(first: 1000, orderBy: $order) { edges { node { performanceRating name { firstName } } } } }";
    for (direction, first, last) in [
        ("AscNullsFirst", Value::Null, json!("RATING_5")),
        ("AscNullsLast", json!("RATING_1"), Value::Null),
        ("DescNullsFirst", Value::Null, json!("RATING_1")),
        ("DescNullsLast", json!("RATING_5"), Value::Null),
    ] {
        let page = signed
            .data(
                ratings,
                json!({ "order": [{ "performanceRating": direction }] }),
            )
            .await;
        let edges = page["people"]["edges"].as_array().expect("edges");
        let rating = |edge: &Value| edge["node"]["performanceRating"].clone();
        assert_eq!(
            (rating(&edges[0]), rating(&edges[999])),
            (first, last),
            "{direction}"
        );
    }
}

#[tokio::test]
async fn filters_find_exactly_the_matching_records() {
    let signed = Signed::start().await;
    let people = |filter: Value| signed.count("people", "PersonFilterInput", filter);
    let companies = |filter: Value| signed.count("companies", "CompanyFilterInput", filter);
    assert_eq!(people(json!({})).await, 1_000);
    assert_eq!(companies(json!({})).await, 500);
    assert_eq!(
        signed
            .count("opportunities", "OpportunityFilterInput", json!({}))
            .await,
        40
    );

    let aisha = json!({ "name": { "firstName": { "eq": "Aisha" } } });
    let named_aisha = people(aisha.clone()).await;
    assert!(named_aisha > 5);
    assert_eq!(people(json!({ "not": aisha })).await, 1_000 - named_aisha);
    assert_eq!(
        people(json!({ "name": { "firstName": { "neq": "Aisha" } } })).await,
        1_000 - named_aisha
    );
    assert_eq!(
        people(json!({ "name": { "firstName": { "ilike": "aISH%" } } })).await,
        named_aisha
    );
    assert_eq!(
        people(json!({ "name": { "firstName": { "like": "aISH%" } } })).await,
        0
    );
    assert_eq!(
        people(json!({ "name": { "firstName": { "startsWith": "Aish" } } })).await,
        named_aisha
    );
    assert_eq!(
        people(json!({ "name": { "firstName": { "in": ["Aisha", "Nobody"] } } })).await,
        named_aisha
    );
    let muller = people(json!({ "name": { "lastName": { "ilike": "mÜLLER" } } })).await;
    assert!(muller > 5);
    let both =
        json!({ "name": { "firstName": { "eq": "Aisha" }, "lastName": { "eq": "Müller" } } });
    let either = json!({ "or": [aisha, { "name": { "lastName": { "eq": "Müller" } } }] });
    assert_eq!(
        people(either).await,
        named_aisha + muller - people(both).await
    );

    let unrated = people(json!({ "performanceRating": { "is": "NULL" } })).await;
    assert_eq!(
        people(json!({ "performanceRating": { "is": "NOT_NULL" } })).await,
        1_000 - unrated
    );
    // As in SQL, a null is neither smaller nor greater.
    let rated_2 = json!({ "performanceRating": { "eq": "RATING_2" } });
    let with_2 = people(rated_2.clone()).await;
    assert_eq!(
        people(json!({ "not": rated_2 })).await,
        1_000 - unrated - with_2
    );
    assert_eq!(
        people(json!({ "workPreference": { "containsAny": ["HYBRID"] } })).await,
        400
    );
    let (time, rest) = ("2025-06-01T00:00:00.000Z", "2025-06-01T02:00:00+02:00");
    let before = people(json!({ "createdAt": { "lt": time } })).await;
    assert_eq!(
        people(json!({ "createdAt": { "gte": rest } })).await,
        1_000 - before
    );

    let ideal = companies(json!({ "idealCustomerProfile": { "eq": true } })).await;
    assert_eq!(
        companies(json!({ "idealCustomerProfile": { "eq": false } })).await,
        500 - ideal
    );
    let large = companies(json!({ "employees": { "gt": 100 } })).await;
    let small = companies(json!({ "employees": { "lte": 100 } })).await;
    assert_eq!(
        companies(json!({ "employees": { "is": "NULL" } })).await,
        500 - large - small
    );
    assert!(
        companies(json!({ "annualRecurringRevenue": { "amountMicros": { "gte": 1_000_000 } } }))
            .await
            > 100
    );
    let quote = json!({ "name": { "eq": "x' OR '1'='1" } });
    assert_eq!(
        companies(quote).await,
        0,
        "what is sent is a value, never SQL"
    );
}

#[tokio::test]
async fn relations_can_be_followed_in_both_directions() {
    let signed = Signed::start().await;
    let query = "{ opportunities(first: 5) { edges { node { name stage company { id name people(first: 2) { totalCount edges { node { companyId company { name } } } } } pointOfContact { companyId company { name accountOwner { name { firstName } } } } } } } }";
    let data = signed.data(query, json!({})).await;
    for edge in data["opportunities"]["edges"].as_array().expect("edges") {
        let (node, company) = (&edge["node"], &edge["node"]["company"]);
        assert_eq!(node["pointOfContact"]["companyId"], company["id"]);
        assert_eq!(node["pointOfContact"]["company"]["name"], company["name"]);
        assert!(company["people"]["totalCount"].as_u64() >= Some(1));
        for person in company["people"]["edges"].as_array().expect("people") {
            assert_eq!(person["node"]["company"]["name"], company["name"]);
        }
    }
}

#[tokio::test]
async fn a_full_page_of_people_has_the_size_of_a_real_one() {
    let signed = Signed::start().await;
    let query = "query FindManyPeople($first: Int) { people(first: $first) { edges { cursor node { name { firstName lastName } emails { primaryEmail additionalEmails } linkedinLink { primaryLinkLabel primaryLinkUrl secondaryLinks } jobTitle phones { primaryPhoneNumber primaryPhoneCallingCode } city avatarUrl position createdBy { source workspaceMemberId name context } id createdAt updatedAt deletedAt companyId workPreference performanceRating company { id name employees } } } pageInfo { hasNextPage endCursor } totalCount } }";
    let reply = signed.ask(query, json!({ "first": 60 })).await;
    assert!(
        (10_000..110_000).contains(&reply.text.len()),
        "{}",
        reply.text.len()
    );
}

#[tokio::test]
async fn every_fresh_server_has_the_same_records() {
    let (one, two) = (Signed::start().await, Signed::start().await);
    let query = "{ people(first: 1000) { edges { node { id name { firstName lastName } emails { primaryEmail } companyId } } } companies(first: 1000) { edges { node { id name domainName { primaryLinkUrl } } } } }";
    let (first, second) = (
        one.data(query, json!({})).await,
        two.data(query, json!({})).await,
    );
    assert_eq!(first, second);
    let texts = |path: &str| -> BTreeSet<String> {
        let edges = first[path]["edges"].as_array().expect("edges").iter();
        edges.map(|edge| edge["node"]["name"].to_string()).collect()
    };
    assert_eq!(
        (texts("people").len(), texts("companies").len()),
        (1_000, 500),
        "no name twice"
    );
}

#[tokio::test]
async fn metadata_describes_the_objects_and_every_described_field_can_be_queried() {
    let signed = Signed::start().await;
    let query = "query ObjectMetadataItems { objects(paging: { first: 1000 }) { edges { node { id nameSingular namePlural labelSingular labelPlural icon isSystem isActive fieldsList { id type name label isNullable options relation { type targetObjectMetadata { nameSingular } } } } cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let reply = signed
        .demo
        .metadata(query)
        .bearer(&signed.access)
        .send()
        .await;
    assert!(reply.body.get("errors").is_none(), "{}", reply.text);
    let objects = reply.body["data"]["objects"]["edges"]
        .as_array()
        .expect("objects")
        .clone();
    let names: Vec<_> = objects
        .iter()
        .map(|edge| edge["node"]["namePlural"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        ["people", "companies", "opportunities", "workspaceMembers"]
    );
    let mut types = BTreeSet::new();
    for edge in &objects {
        let mut selection = String::new();
        for field in edge["node"]["fieldsList"].as_array().expect("fields") {
            let (name, ty) = (
                field["name"].as_str().expect("a name"),
                field["type"].as_str().expect("a type"),
            );
            types.insert(ty.to_owned());
            let below = match ty {
                "FULL_NAME" => " { firstName lastName }",
                "EMAILS" => " { primaryEmail }",
                "LINKS" => " { primaryLinkUrl }",
                "PHONES" => " { primaryPhoneNumber }",
                "CURRENCY" => " { amountMicros currencyCode }",
                "ADDRESS" => " { addressCity }",
                "ACTOR" => " { name }",
                "RELATION" if field["relation"]["type"] == "ONE_TO_MANY" => " { totalCount }",
                "RELATION" => " { id }",
                _ => "",
            };
            assert_eq!(
                field["options"].is_array(),
                ["SELECT", "MULTI_SELECT", "RATING"].contains(&ty),
                "{name}"
            );
            selection += &format!("{name}{below} ");
        }
        let plural = edge["node"]["namePlural"].as_str().expect("a name");
        let found = signed
            .data(
                &format!("{{ {plural}(first: 2) {{ edges {{ node {{ {selection} }} }} }} }}"),
                json!({}),
            )
            .await;
        assert_eq!(
            found[plural]["edges"].as_array().map(Vec::len),
            Some(2),
            "{plural}"
        );
    }
    for ty in [
        "FULL_NAME",
        "EMAILS",
        "LINKS",
        "PHONES",
        "TEXT",
        "NUMBER",
        "DATE_TIME",
        "BOOLEAN",
        "SELECT",
        "CURRENCY",
        "RELATION",
    ] {
        assert!(types.contains(ty), "{ty}");
    }
    let page = "query($after: ConnectionCursor) { objects(paging: { first: 3, after: $after }) { edges { node { nameSingular } } pageInfo { hasNextPage endCursor } } }";
    let first = signed
        .demo
        .metadata(page)
        .bearer(&signed.access)
        .send()
        .await
        .body["data"]["objects"]
        .clone();
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let after = json!({ "after": first["pageInfo"]["endCursor"] });
    let rest = signed
        .demo
        .metadata(page)
        .variables(after)
        .bearer(&signed.access)
        .send()
        .await;
    assert_eq!(
        rest.body["data"]["objects"]["edges"],
        json!([{ "node": { "nameSingular": "workspaceMember" } }])
    );
}
