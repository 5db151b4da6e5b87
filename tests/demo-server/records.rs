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
        let (demo, tokens) = Demo::signed_in().await;
        let access = tokens.access;
        Self { demo, access }
    }

    async fn ask(&self, query: &str, variables: Value) -> Reply {
        let ask = self.demo.graphql(query).variables(variables);
        ask.bearer(&self.access).send().await
    }

    async fn data(&self, query: &str, variables: Value) -> Value {
        data(self.ask(query, variables).await)
    }

    /// What `/metadata` answers to its field `objects`.
    async fn objects(&self, query: &str, variables: Value) -> Value {
        let ask = self.demo.metadata(query).variables(variables);
        data(ask.bearer(&self.access).send().await)["objects"].clone()
    }

    async fn people(&self, filter: Value) -> u64 {
        self.count("people", "PersonFilterInput", filter).await
    }

    async fn count(&self, plural: &str, filter_type: &str, filter: Value) -> u64 {
        let query = format!(
            "query($filter: {filter_type}) {{ {plural}(filter: $filter) {{ totalCount }} }}"
        );
        let data = self.data(&query, json!({ "filter": filter })).await;
        data[plural]["totalCount"].as_u64().expect("a count")
    }
}

fn data(reply: Reply) -> Value {
    assert!(reply.body.get("errors").is_none(), "{}", reply.text);
    reply.body["data"].clone()
}

fn edges(connection: &Value) -> &[Value] {
    connection["edges"].as_array().expect("edges")
}

#[tokio::test]
async fn pages_have_the_shape_of_twentys() {
    let signed = Signed::start().await;
    let people = "query FindManyPeople($first: Int) { people(first: $first) { edges { cursor node { id createdAt name { firstName lastName } emails { primaryEmail } jobTitle company { id name } } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";
    let reply = signed.ask(people, json!({ "first": 3 })).await;
    let after = &reply.is("people").body["data"]["people"]["pageInfo"]["endCursor"];
    let page = "query P($first: Int, $after: String) { people(first: $first, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";
    let next = json!({ "first": 3, "after": after });
    signed.ask(page, next).await.is("people, page 2");
    let garbage = json!({ "first": 3, "after": "garbage" });
    signed.ask(page, garbage).await.is("bad cursor");
    let companies = "query FindManyCompanies($first: Int) { companies(first: $first) { edges { cursor node { id name domainName { primaryLinkUrl } employees } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }";
    let reply = signed.ask(companies, json!({ "first": 2 })).await;
    reply.is("companies");
    let people = "{ people { edges { node { id } } } }";
    let data = signed.data(people, json!({})).await;
    assert_eq!(edges(&data["people"]).len(), 60);
}

#[tokio::test]
async fn a_query_that_finds_nothing_or_is_wrong_is_answered_as_by_twenty() {
    let signed = Signed::start().await;
    let nobody =
        json!({ "id": "00000000-0000-4000-8000-000000000000", "input": { "jobTitle": "x" } });
    let person = "query($id: UUID!) { person(filter: { id: { eq: $id } }) { id } }";
    let two = "query($id: UUID!) { a: people(first: 1) { edges { node { id } } } b: person(filter: { id: { eq: $id } }) { id } }";
    let bad_id = json!({ "id": "not-a-uuid" });
    let bad_cursor = "{ people(first: 2, after: \"garbage\") { edges { node { id } } } }";
    let fewer = "{ people(first: -1) { edges { node { id } } } }";
    let regex =
        "{ people(filter: { name: { firstName: { regex: \"[\" } } }) { edges { node { id } } } }";
    let objects = "{ objects { edges { node { id } } } }";
    for (query, variables, fixture) in [
        (person, &nobody, "no such person"),
        (UPDATE, &nobody, "no such person to change"),
        (two, &nobody, "two roots, one fails"),
        (person, &bad_id, "bad identifier"),
        (bad_cursor, &json!({}), "bad cursor"),
        (fewer, &json!({}), "fewer than none"),
        (regex, &json!({}), "bad operator"),
        (objects, &json!({}), "objects without a page"),
    ] {
        signed.ask(query, variables.clone()).await.is(fixture);
    }
}

#[tokio::test]
async fn a_person_is_made_changed_deleted_restored_and_destroyed() {
    let signed = Signed::start().await;
    let id = "3fd58365-4b86-4cee-b5e7-7927b793abba";
    let name = json!({ "firstName": "Wire", "lastName": "Test" });
    let create = json!({ "input": { "id": id, "name": name, "city": "Cork" } });
    signed.ask(CREATE, create).await.is("person made");
    let id = json!({ "id": id });
    signed.demo.pass(Duration::from_secs(1));
    let name = json!({ "firstName": "Wire", "lastName": "Updated" });
    let change = json!({ "id": id["id"], "input": { "jobTitle": "Tester", "name": name } });
    signed.ask(UPDATE, change).await.is("person changed");
    let person = "query($id: UUID!) { person(filter: { id: { eq: $id } }) { city jobTitle createdAt updatedAt createdBy { source name } } }";
    assert_eq!(
        signed.data(person, id.clone()).await["person"],
        json!({
            "city": "Cork", "jobTitle": "Tester",
            "createdAt": "2027-01-15T08:00:00.500Z", "updatedAt": "2027-01-15T08:00:01.500Z",
            "createdBy": { "source": "MANUAL", "name": "Ada Marlow" },
        })
    );
    for _ in 0..2 {
        signed.ask(DELETE, id.clone()).await.is("person deleted");
        signed.ask(person, id.clone()).await.is("no such person");
    }
    let deleted = json!({ "deletedAt": { "is": "NOT_NULL" } });
    assert_eq!(signed.people(deleted).await, 1);
    let restore = "mutation($id: UUID!) { restorePerson(id: $id) { deletedAt } }";
    let restored = signed.data(restore, id.clone()).await;
    assert_eq!(restored["restorePerson"]["deletedAt"], Value::Null);
    assert_eq!(signed.people(Value::Null).await, 1_001);
    let destroy = "mutation DestroyOnePerson($id: UUID!) { destroyPerson(id: $id) { id } }";
    let destroyed = signed.ask(destroy, id.clone()).await;
    destroyed.is("person destroyed");
    let again = signed.ask(DELETE, id).await;
    assert_eq!(again.message(), "Record not found");
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
    let first = "{ people(first: 1) { edges { node { id emails { primaryEmail } } } } }";
    let first = signed.data(first, json!({})).await;
    let node = &first["people"]["edges"][0]["node"];
    let id = json!({ "id": node["id"] });
    let input = json!({ "input": { "emails": node["emails"] } });
    signed.ask(CREATE, input.clone()).await.is("e-mail taken");
    signed.data(DELETE, id.clone()).await;
    signed.ask(CREATE, input).await.is("person made");
    let restore = "mutation($id: UUID!) { restorePerson(id: $id) { id } }";
    let reply = signed.ask(restore, id).await;
    assert!(reply.message().starts_with("Duplicate Emails"));
    // Two people may have no address.
    for _ in 0..2 {
        let reply = signed.ask(CREATE, json!({ "input": {} })).await;
        reply.is("person made");
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
                let variables = json!({ "at": at, "order": order });
                let data = signed.data(query, variables).await;
                let page = &data["people"];
                let found: Vec<String> = edges(page)
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
        let different: BTreeSet<_> = walks[0].iter().collect();
        assert_eq!(different.len(), 1_000, "{order}");
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
        let order = json!({ "order": [{ "performanceRating": direction }] });
        let data = signed.data(ratings, order).await;
        let rating = |place: usize| &edges(&data["people"])[place]["node"]["performanceRating"];
        assert_eq!((rating(0), rating(999)), (&first, &last), "{direction}");
    }
}

#[tokio::test]
async fn filters_find_exactly_the_matching_records() {
    let signed = Signed::start().await;
    let companies = |filter: Value| signed.count("companies", "CompanyFilterInput", filter);
    let opportunities = signed.count("opportunities", "OpportunityFilterInput", json!({}));
    assert_eq!(opportunities.await, 40);

    let first_name = |filter: Value| json!({ "name": { "firstName": filter } });
    let aisha = first_name(json!({ "eq": "Aisha" }));
    let named_aisha = signed.people(aisha.clone()).await;
    assert!(named_aisha > 5);
    let muller = json!({ "name": { "lastName": { "ilike": "mÜLLER" } } });
    let named_muller = signed.people(muller).await;
    assert!(named_muller > 5);
    let both =
        json!({ "name": { "firstName": { "eq": "Aisha" }, "lastName": { "eq": "Müller" } } });
    let both = signed.people(both).await;
    let unrated = json!({ "performanceRating": { "is": "NULL" } });
    let unrated = signed.people(unrated).await;
    let rated_2 = json!({ "performanceRating": { "eq": "RATING_2" } });
    let with_2 = signed.people(rated_2.clone()).await;
    let (time, rest) = ("2025-06-01T00:00:00.000Z", "2025-06-01T02:00:00+02:00");
    let before = json!({ "createdAt": { "lt": time } });
    let before = signed.people(before).await;
    for (filter, count) in [
        (json!({}), 1_000),
        (json!({ "not": aisha }), 1_000 - named_aisha),
        (first_name(json!({ "neq": "Aisha" })), 1_000 - named_aisha),
        (first_name(json!({ "ilike": "aISH%" })), named_aisha),
        (first_name(json!({ "like": "aISH%" })), 0),
        (first_name(json!({ "startsWith": "Aish" })), named_aisha),
        (
            first_name(json!({ "in": ["Aisha", "Nobody"] })),
            named_aisha,
        ),
        (
            json!({ "or": [aisha, { "name": { "lastName": { "eq": "Müller" } } }] }),
            named_aisha + named_muller - both,
        ),
        (
            json!({ "performanceRating": { "is": "NOT_NULL" } }),
            1_000 - unrated,
        ),
        // As in SQL, a null is neither smaller nor greater.
        (json!({ "not": rated_2 }), 1_000 - unrated - with_2),
        (
            json!({ "workPreference": { "containsAny": ["HYBRID"] } }),
            400,
        ),
        (json!({ "createdAt": { "gte": rest } }), 1_000 - before),
    ] {
        assert_eq!(signed.people(filter.clone()).await, count, "{filter}");
    }

    let ideal = companies(json!({ "idealCustomerProfile": { "eq": true } })).await;
    let large = companies(json!({ "employees": { "gt": 100 } })).await;
    let small = companies(json!({ "employees": { "lte": 100 } })).await;
    for (filter, count) in [
        (json!({}), 500),
        (
            json!({ "idealCustomerProfile": { "eq": false } }),
            500 - ideal,
        ),
        (
            json!({ "employees": { "is": "NULL" } }),
            500 - large - small,
        ),
        // What is sent is a value, never SQL.
        (json!({ "name": { "eq": "x' OR '1'='1" } }), 0),
    ] {
        assert_eq!(companies(filter.clone()).await, count, "{filter}");
    }
    let rich = json!({ "annualRecurringRevenue": { "amountMicros": { "gte": 1_000_000 } } });
    assert!(companies(rich).await > 100);
}

#[tokio::test]
async fn a_coordinate_keeps_its_fraction_and_an_amount_all_of_its_digits() {
    let signed = Signed::start().await;
    let create = "mutation($data: CompanyCreateInput!) { createCompany(data: $data) { address { addressLat addressLng } annualRecurringRevenue { amountMicros } } }";
    let company = json!({
        "address": { "addressLat": 52.520_008, "addressLng": -13.5 },
        "annualRecurringRevenue": { "amountMicros": 9_007_199_254_740_993_i64 },
    });
    let made = signed.data(create, json!({ "data": company })).await;
    assert_eq!(made["createCompany"], company);
}

#[tokio::test]
async fn relations_can_be_followed_in_both_directions() {
    let signed = Signed::start().await;
    let query = "{ opportunities(first: 5) { edges { node { name stage company { id name people(first: 2) { totalCount edges { node { companyId company { name } } } } } pointOfContact { companyId company { name accountOwner { name { firstName } } } } } } } }";
    let data = signed.data(query, json!({})).await;
    for edge in edges(&data["opportunities"]) {
        let (node, company) = (&edge["node"], &edge["node"]["company"]);
        assert_eq!(node["pointOfContact"]["companyId"], company["id"]);
        assert_eq!(node["pointOfContact"]["company"]["name"], company["name"]);
        assert!(company["people"]["totalCount"].as_u64() >= Some(1));
        for person in edges(&company["people"]) {
            assert_eq!(person["node"]["company"]["name"], company["name"]);
        }
    }
}

#[tokio::test]
async fn a_full_page_of_people_has_the_size_of_a_real_one() {
    let signed = Signed::start().await;
    let query = "query FindManyPeople($first: Int) { people(first: $first) { edges { cursor node { name { firstName lastName } emails { primaryEmail additionalEmails } linkedinLink { primaryLinkLabel primaryLinkUrl secondaryLinks } jobTitle phones { primaryPhoneNumber primaryPhoneCallingCode } city avatarUrl position createdBy { source workspaceMemberId name context } id createdAt updatedAt deletedAt companyId workPreference performanceRating company { id name employees } } } pageInfo { hasNextPage endCursor } totalCount } }";
    let reply = signed.ask(query, json!({ "first": 60 })).await;
    let length = reply.text.len();
    assert!((10_000..110_000).contains(&length), "{length}");
}

#[tokio::test]
async fn every_fresh_server_has_the_same_records() {
    let (one, two) = (Signed::start().await, Signed::start().await);
    let query = "{ people(first: 1000) { edges { node { id name { firstName lastName } emails { primaryEmail } companyId } } } companies(first: 1000) { edges { node { id name domainName { primaryLinkUrl } } } } }";
    let first = one.data(query, json!({})).await;
    assert_eq!(first, two.data(query, json!({})).await);
    for (plural, count) in [("people", 1_000), ("companies", 500)] {
        let names = edges(&first[plural]).iter();
        let names: BTreeSet<_> = names.map(|edge| edge["node"]["name"].to_string()).collect();
        assert_eq!(names.len(), count, "{plural}: no name twice");
    }
}

#[tokio::test]
async fn metadata_describes_the_objects_and_every_described_field_can_be_queried() {
    let signed = Signed::start().await;
    let query = "query ObjectMetadataItems { objects(paging: { first: 1000 }) { edges { node { id nameSingular namePlural labelSingular labelPlural icon isSystem isActive fieldsList { id type name label isNullable options relation { type targetObjectMetadata { nameSingular } } } } cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let objects = signed.objects(query, json!({})).await;
    let plurals: Vec<_> = edges(&objects)
        .iter()
        .map(|edge| text(&edge["node"]["namePlural"]))
        .collect();
    assert_eq!(
        plurals,
        ["people", "companies", "opportunities", "workspaceMembers"]
    );
    let mut types = BTreeSet::new();
    for (edge, plural) in edges(&objects).iter().zip(plurals) {
        let mut selection = String::new();
        for field in edge["node"]["fieldsList"].as_array().expect("fields") {
            let (name, ty) = (text(&field["name"]), text(&field["type"]));
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
            let has_choices = ["SELECT", "MULTI_SELECT", "RATING"].contains(&ty);
            assert_eq!(field["options"].is_array(), has_choices, "{name}");
            selection += &format!("{name}{below} ");
        }
        let query = format!("{{ {plural}(first: 2) {{ edges {{ node {{ {selection} }} }} }} }}");
        let found = signed.data(&query, json!({})).await;
        assert_eq!(edges(&found[plural]).len(), 2, "{plural}");
    }
    let basic =
        "FULL_NAME EMAILS LINKS PHONES TEXT NUMBER DATE_TIME BOOLEAN SELECT CURRENCY RELATION";
    for ty in basic.split(' ') {
        assert!(types.contains(ty), "{ty}");
    }
}

#[tokio::test]
async fn metadata_comes_in_pages() {
    let signed = Signed::start().await;
    let page = "query($after: ConnectionCursor) { objects(paging: { first: 3, after: $after }) { edges { node { nameSingular } } pageInfo { hasNextPage endCursor } } }";
    let first = signed.objects(page, json!({})).await;
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let after = json!({ "after": first["pageInfo"]["endCursor"] });
    let rest = signed.objects(page, after).await;
    let last = json!([{ "node": { "nameSingular": "workspaceMember" } }]);
    assert_eq!(rest["edges"], last);
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[tokio::test]
async fn a_query_for_more_records_than_two_long_pages_is_refused() {
    let server = Signed::start().await;
    let aliases = |count: usize, page: &str| {
        let alias = |number| format!("a{number}: people{page} {{ edges {{ node {{ id }} }} }} ");
        let head = if page.contains('$') {
            "query Q($n: Int)"
        } else {
            "query Q"
        };
        let aliases = (0..count).map(alias).collect::<String>();
        format!("{head} {{ {aliases} }}")
    };
    for (count, page, n) in [
        (3, "(first: 1000)", 0),
        (3, "(last: 1000)", 0),
        (3, "(first: $n)", 1_000),
        (34, "", 0),
    ] {
        let reply = server.ask(&aliases(count, page), json!({ "n": n })).await;
        let message = reply.body["errors"][0]["message"].as_str();
        let message = message.expect("an error");
        assert!(message.contains("too complex"), "{page}: {message}");
    }
    let counts = (0..201).map(|number| format!("a{number}: people {{ totalCount }} "));
    let counts = format!("{{ {} }}", counts.collect::<String>());
    let reply = server.ask(&counts, json!({})).await;
    assert!(reply.text.contains("too complex"), "{}", reply.text);
    for (count, page) in [(2, "(first: 1000)"), (33, "")] {
        let reply = server.ask(&aliases(count, page), json!({})).await;
        assert!(reply.body["errors"].is_null(), "{}", reply.body["errors"]);
    }
}

#[tokio::test]
async fn a_filter_that_the_database_cannot_take_is_refused_without_its_statement() {
    let server = Signed::start().await;
    let ids: Vec<_> = (0..40_000)
        .map(|number| format!("00000000-0000-4000-8000-{number:012}"))
        .collect();
    let query = "query Q($filter: PersonFilterInput) { people(filter: $filter) { totalCount } }";
    let filter = json!({ "filter": { "id": { "in": ids } } });
    let reply = server.ask(query, filter).await;
    let error = &reply.body["errors"][0];
    assert_eq!(error["message"], "Internal server error");
    for word in ["SQL", "SELECT", "variables"] {
        assert!(!reply.text.contains(word), "{}", reply.text);
    }
}
