//! The demo's records: made from lists of names by fixed steps, so that every fresh database is the same. No person or
//! company in it exists, and every address ends in `.example`.

use std::ops::Range;

use rusqlite::Connection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::{ACCOUNTS, Account, HARBOR, Membership, Workspace};
use crate::clock::iso;
use crate::objects::object;
use crate::records::{self, create_tables};
use crate::refusal::Refusal;

/// Which of the records that can be made a workspace has.
struct Plan {
    people: Range<usize>,
    companies: Range<usize>,
    opportunities: Range<usize>,
    /// Those who made the records, in turn.
    owners: Vec<Owner>,
}

/// A member who has made records.
type Owner = (&'static Account, &'static Membership);

/// Of a workspace's members, so many have made its records: those of the first edition, whose demo is the same today.
const OWNERS: usize = 2;

impl Plan {
    fn of(workspace: &Workspace) -> Self {
        let owners = members(workspace).take(OWNERS).collect();
        // No record is in both.
        if workspace == &HARBOR {
            Self {
                people: 1_000..1_060,
                companies: 500..530,
                opportunities: 40..48,
                owners,
            }
        } else {
            Self {
                people: 0..1_000,
                companies: 0..500,
                opportunities: 0..40,
                owners,
            }
        }
    }

    fn owner(&self, index: usize) -> Owner {
        self.owners[index % self.owners.len()]
    }

    fn employer(&self, person: usize) -> usize {
        self.companies.start + spread(person, 271, self.companies.len())
    }
}

fn members(workspace: &Workspace) -> impl Iterator<Item = Owner> {
    ACCOUNTS.iter().filter_map(move |account| {
        let membership = account.membership(workspace)?;
        Some((account, membership))
    })
}

/// 2025-01-06, a Monday, 08:00 UTC: the time of the first record.
const BEGINNING: i64 = 1_736_150_400_000;
/// Milliseconds between two records, so that sorting by time has something to sort.
const STEP: i64 = 7 * 60 * 60 * 1_000 + 13 * 60 * 1_000;
/// Name space of all ids, so that an id depends only on kind and number.
const NAMESPACE: Uuid = Uuid::from_u128(0x6a0b_7f52_9c14_4d3e_8a77_1f0e_5b2c_9d64);

/// Makes tables, and what is missing of the workspace's records. Records that somebody has deleted do not come back.
pub(crate) fn seed(connection: &mut Connection, workspace: &Workspace) -> Result<(), Refusal> {
    create_tables(connection)?;
    let plan = Plan::of(workspace);
    let transaction = connection.transaction()?;
    let exists = "SELECT EXISTS (SELECT 1 FROM \"workspaceMember\")";
    let seeded: bool = transaction.query_row(exists, [], |row| row.get(0))?;
    for (index, (account, membership)) in members(workspace).enumerate() {
        // A database of an older version has fewer members.
        let is_there = "SELECT EXISTS (SELECT 1 FROM \"workspaceMember\" WHERE id = ?1)";
        if transaction.query_row(is_there, [membership.member_id], |row| row.get(0))? {
            continue;
        }
        let data = json!({
            "id": membership.member_id,
            "name": { "firstName": account.first_name, "lastName": account.last_name },
            "colorScheme": "System", "locale": "en", "userEmail": account.email, "position": index,
        });
        insert(&transaction, &plan, "workspaceMember", index, data)?;
    }
    if !seeded {
        for index in plan.companies.clone() {
            insert(&transaction, &plan, "company", index, company(&plan, index))?;
        }
        for index in plan.people.clone() {
            insert(&transaction, &plan, "person", index, person(&plan, index))?;
        }
        for index in plan.opportunities.clone() {
            let data = opportunity(&plan, index);
            insert(&transaction, &plan, "opportunity", index, data)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// An id that is the same in every database.
pub(crate) fn fixed_id(kind: &str, name: &str) -> String {
    Uuid::new_v5(&NAMESPACE, format!("{kind}/{name}").as_bytes()).to_string()
}

fn insert(
    connection: &Connection,
    plan: &Plan,
    kind: &str,
    index: usize,
    mut data: Value,
) -> Result<(), Refusal> {
    let at = BEGINNING + STEP * i64::try_from(index).unwrap_or(0);
    if data.get("id").is_none() {
        data["id"] = id(kind, index).into();
    }
    data["createdAt"] = iso(at).into();
    data["updatedAt"] = iso(at).into();
    data["position"] = index.into();
    let (account, membership) = plan.owner(index);
    let source = ["MANUAL", "IMPORT", "API", "EMAIL"][index % 4];
    let created_by = json!({
        "source": source, "workspaceMemberId": membership.member_id, "name": account.full_name(), "context": null,
    });
    records::insert(connection, object(kind), &data, at, &created_by)?;
    Ok(())
}

fn id(kind: &str, index: usize) -> String {
    fixed_id(kind, &index.to_string())
}

fn company(plan: &Plan, index: usize) -> Value {
    let (name, slug) = company_name(index);
    let (city, country) = CITIES[spread(index, 11, CITIES.len())];
    // Many small ones, few large ones.
    let employees = 3 + spread(index, 37, 97) * [1, 1, 2, 9, 60][index % 5];
    let currency = ["", "USD", "EUR"][index % 3];
    let revenue = if index.is_multiple_of(3) {
        Value::Null
    } else {
        json!(employees as u64 * 84_000 * 1_000_000)
    };
    json!({
        "name": name,
        "domainName": { "primaryLinkLabel": "", "primaryLinkUrl": format!("https://{slug}.example"), "secondaryLinks": null },
        "linkedinLink": { "primaryLinkLabel": "", "primaryLinkUrl": format!("https://network.example/company/{slug}") },
        "employees": if index % 17 == 16 { Value::Null } else { employees.into() },
        "annualRecurringRevenue": {
            "amountMicros": revenue, "currencyCode": currency,
        },
        "address": {
            "addressStreet1": format!("{} {}", 1 + spread(index, 53, 140), STREETS[spread(index, 5, STREETS.len())]),
            "addressCity": city, "addressCountry": country,
        },
        "idealCustomerProfile": index % 4 == 1,
        "accountOwnerId": plan.owner(index).1.member_id,
        "tagline": format!("{} for {}", OFFERS[spread(index, 3, OFFERS.len())], MARKETS[spread(index, 7, MARKETS.len())]),
    })
}

fn person(plan: &Plan, index: usize) -> Value {
    // 1,009 is prime to the number of pairs: every pair of names comes once before any comes again.
    let pair = spread(index, 1_009, FIRST_NAMES.len() * LAST_NAMES.len());
    let (first, last) = (
        FIRST_NAMES[pair % FIRST_NAMES.len()],
        LAST_NAMES[pair / FIRST_NAMES.len()],
    );
    let employer = plan.employer(index);
    let (_, company_slug) = company_name(employer);
    let slug = format!("{}.{}", ascii(first), ascii(last));
    let (city, _) = CITIES[spread(employer, 11, CITIES.len())];
    let rating = if index.is_multiple_of(6) {
        Value::Null
    } else {
        json!(format!("RATING_{}", 1 + index % 5))
    };
    let preferences: &[&str] = match index % 5 {
        0 => &[],
        1 => &["ON_SITE"],
        2 => &["HYBRID"],
        3 => &["HYBRID", "REMOTE_WORK"],
        _ => &["REMOTE_WORK"],
    };
    json!({
        "name": { "firstName": first, "lastName": last },
        "emails": { "primaryEmail": format!("{slug}@{company_slug}.example"), "additionalEmails": null },
        "companyId": id("company", employer),
        // Numbers that are reserved for stories.
        "phones": {
            "primaryPhoneNumber": format!("555 01{:02}", index % 100),
            "primaryPhoneCountryCode": "US", "primaryPhoneCallingCode": "+1", "additionalPhones": null,
        },
        "whatsapp": { "primaryPhoneNumber": "", "primaryPhoneCountryCode": "", "primaryPhoneCallingCode": "" },
        "jobTitle": JOBS[spread(index, 13, JOBS.len())],
        "city": city,
        "linkedinLink": { "primaryLinkLabel": "", "primaryLinkUrl": format!("https://network.example/in/{slug}") },
        "xLink": { "primaryLinkLabel": "", "primaryLinkUrl": "" },
        "intro": if index.is_multiple_of(5) { format!("Met at the {} fair", MARKETS[index % MARKETS.len()]) } else { String::new() },
        "workPreference": preferences,
        "performanceRating": rating,
    })
}

fn opportunity(plan: &Plan, index: usize) -> Value {
    let contact = plan.people.start + spread(index, 23, plan.people.len());
    let employer = plan.employer(contact);
    let (name, _) = company_name(employer);
    let stage = ["NEW", "SCREENING", "MEETING", "PROPOSAL", "CUSTOMER"][index % 5];
    json!({
        "name": format!("{name}: {}", OFFERS[spread(index, 3, OFFERS.len())]),
        "amount": {
            "amountMicros": (4 + spread(index, 29, 90)) as u64 * 1_250 * 1_000_000,
            "currencyCode": if index.is_multiple_of(2) { "EUR" } else { "USD" },
        },
        "closeDate": iso(BEGINNING + 500 * STEP + STEP * 3 * i64::try_from(index).unwrap_or(0)),
        "stage": stage,
        "companyId": id("company", employer),
        "pointOfContactId": id("person", contact),
    })
}

/// A company's name and its form in addresses.
fn company_name(index: usize) -> (String, String) {
    let pair = spread(index, 331, COMPANY_STARTS.len() * COMPANY_ENDS.len());
    let (start, end) = (
        COMPANY_STARTS[pair % COMPANY_STARTS.len()],
        COMPANY_ENDS[pair / COMPANY_STARTS.len()],
    );
    (
        format!("{start} {end}"),
        format!("{}-{}", ascii(start), ascii(end)),
    )
}

/// Steps through `0..length` in strides, so that neighbours differ.
fn spread(index: usize, stride: usize, length: usize) -> usize {
    (index * stride + stride / 2) % length
}

fn ascii(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            'á' | 'ä' | 'å' | 'ã' => Some('a'),
            'é' | 'è' => Some('e'),
            'í' => Some('i'),
            'ö' | 'ø' | 'ó' => Some('o'),
            'ü' => Some('u'),
            'ł' => Some('l'),
            'ń' => Some('n'),
            _ if character.is_ascii_alphanumeric() => Some(character.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[rustfmt::skip]
const FIRST_NAMES: [&str; 64] = [
    "Aisha", "Alma", "Amara", "Anders", "Anouk", "Arjun", "Astrid", "Beatriz", "Björn", "Camille", "Carlos", "Chiara",
    "Dalia", "Daniel", "Deniz", "Diego", "Elena", "Elif", "Emeka", "Emil", "Farah", "Felix", "Fiona", "Gabriel",
    "Hana", "Hugo", "Ida", "Imani", "Inés", "Ivan", "Jana", "Jonas", "Julia", "Kaia", "Kofi", "Lars",
    "Leila", "Lena", "Liam", "Lucía", "Maja", "Marco", "Mateo", "Maya", "Milan", "Mira", "Nadia", "Nils",
    "Noor", "Olga", "Omar", "Paula", "Pavel", "Priya", "Rafael", "Ravi", "Rosa", "Samir", "Sofia", "Tariq",
    "Tessa", "Tomás", "Yara", "Zofia",
];

#[rustfmt::skip]
const LAST_NAMES: [&str; 64] = [
    "Abara", "Albrecht", "Almeida", "Andersen", "Baptiste", "Barros", "Bellini", "Bergström", "Boateng", "Castell",
    "Chandra", "Conti", "Dahl", "Delacroix", "Demir", "Drummond", "Eklund", "Fabre", "Falk", "Farrow",
    "Fischer", "Fontaine", "Galán", "Greenwood", "Haddad", "Halloran", "Hoffmann", "Ibarra", "Iyer", "Jansen",
    "Kaplan", "Kowalska", "Kruger", "Lindqvist", "Lombardi", "Maalouf", "Marchetti", "Mbeki", "Mehta", "Moreau",
    "Müller", "Nakata", "Navarro", "Novák", "Nyberg", "Oduya", "Okonjo", "Olsen", "Petrova", "Quintero",
    "Rahman", "Ribeiro", "Rossi", "Saito", "Santoro", "Schreiber", "Sørensen", "Tanaka", "Teixeira", "Vargas",
    "Vogel", "Whitlock", "Yilmaz", "Zieliński",
];

#[rustfmt::skip]
const COMPANY_STARTS: [&str; 40] = [
    "Alder", "Amber", "Anchor", "Arbor", "Aster", "Beacon", "Birch", "Bluewater", "Bright", "Cedar",
    "Cinder", "Clearfield", "Copper", "Crescent", "Drift", "Eastgate", "Ember", "Fern", "Foxglove", "Granite",
    "Harbour", "Hazel", "Heron", "Iron", "Juniper", "Kestrel", "Lantern", "Larch", "Maple", "Meridian",
    "Northwind", "Oak", "Orchard", "Pebble", "Quarry", "Raven", "Sable", "Tidal", "Willow", "Zephyr",
];

#[rustfmt::skip]
const COMPANY_ENDS: [&str; 25] = [
    "Analytics", "Bakery", "Bearings", "Biotech", "Ceramics", "Cycles", "Dynamics", "Energy", "Foods", "Freight",
    "Furniture", "Garden", "Instruments", "Labs", "Logistics", "Marine", "Media", "Optics", "Paper", "Partners",
    "Robotics", "Software", "Studios", "Textiles", "Works",
];

#[rustfmt::skip]
const JOBS: [&str; 24] = [
    "Account manager", "Architect", "Buyer", "Chief executive", "Chief financial officer", "Chief technology officer",
    "Controller", "Customer success lead", "Data analyst", "Designer", "Head of marketing", "Head of operations",
    "Head of people", "Head of sales", "Logistics planner", "Office manager", "Plant manager", "Product manager",
    "Project lead", "Quality engineer", "Research engineer", "Sales representative", "Software engineer", "Support lead",
];

#[rustfmt::skip]
const CITIES: [(&str, &str); 20] = [
    ("Lisbon", "Portugal"), ("Rotterdam", "Netherlands"), ("Gothenburg", "Sweden"), ("Lyon", "France"),
    ("Leipzig", "Germany"), ("Bologna", "Italy"), ("Valencia", "Spain"), ("Bristol", "United Kingdom"),
    ("Cork", "Ireland"), ("Graz", "Austria"), ("Basel", "Switzerland"), ("Aarhus", "Denmark"),
    ("Bergen", "Norway"), ("Gdańsk", "Poland"), ("Brno", "Czechia"), ("Tallinn", "Estonia"),
    ("Porto Alegre", "Brazil"), ("Halifax", "Canada"), ("Portland", "United States"), ("Wellington", "New Zealand"),
];

const STREETS: [&str; 12] = [
    "Canal Street",
    "Mill Lane",
    "Station Road",
    "Harbour Row",
    "Market Square",
    "Linden Way",
    "Bridge Street",
    "Orchard Road",
    "Tower Hill",
    "Garden Terrace",
    "Foundry Lane",
    "Quay Side",
];

const OFFERS: [&str; 10] = [
    "Planning",
    "Spare parts",
    "Training",
    "Yearly service",
    "Forecasting",
    "Packaging",
    "Inspection",
    "Hosting",
    "Consulting",
    "Delivery",
];

const MARKETS: [&str; 9] = [
    "ports",
    "hospitals",
    "schools",
    "bakeries",
    "railways",
    "farms",
    "museums",
    "breweries",
    "workshops",
];
