//! What a workspace consists of: one definition per object, from which tables, schema and metadata all follow.

mod demo;

use std::sync::OnceLock;

pub(crate) use demo::{OBJECTS, object};

/// An object, as Twenty calls a kind of record.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) singular: &'static str,
    pub(crate) plural: &'static str,
    /// Name of its GraphQL type.
    pub(crate) type_name: &'static str,
    pub(crate) label_singular: &'static str,
    pub(crate) label_plural: &'static str,
    pub(crate) description: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) system: bool,
    /// The field by which a person recognises a record.
    pub(crate) label_field: &'static str,
    pub(crate) fields: Vec<Field>,
    columns: OnceLock<Vec<Column>>,
}

/// A field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) unique: bool,
    pub(crate) system: bool,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Uuid,
    Text,
    Number,
    Boolean,
    DateTime,
    Position,
    Select(&'static [Choice]),
    MultiSelect(&'static [Choice]),
    Rating,
    FullName,
    Emails,
    Links,
    Phones,
    Currency,
    Address,
    Actor,
    /// One record of another object. Stored as its id in the column `<name>Id`.
    One {
        target: &'static str,
    },
    /// All records of another object whose relation `by` names this record. Not stored.
    Many {
        target: &'static str,
        by: &'static str,
    },
}

/// A value that a select field can take.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) value: &'static str,
    pub(crate) label: &'static str,
    pub(crate) color: &'static str,
}

/// What a single column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Text,
    Uuid,
    Number,
    /// A whole number too long for a GraphQL Int, such as an amount in millionths.
    Big,
    Boolean,
    DateTime,
    Json,
    /// One of a fixed set of words.
    Word,
    /// Several of a fixed set of words, as a JSON list.
    Words,
}

/// One column of an object's table. Its name is built from definitions only, never from what a client sent.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Quoted for SQL.
    pub(crate) sql: String,
    pub(crate) base: Base,
    /// Key in a record's JSON: the field, or for a relation `<field>Id`.
    pub(crate) key: String,
    /// Key inside a composite field.
    pub(crate) part: Option<&'static str>,
    pub(crate) unique_label: Option<&'static str>,
}

impl Kind {
    /// The name in metadata.
    pub(crate) fn metadata_name(self) -> &'static str {
        match self {
            Self::Uuid => "UUID",
            Self::Text => "TEXT",
            Self::Number => "NUMBER",
            Self::Boolean => "BOOLEAN",
            Self::DateTime => "DATE_TIME",
            Self::Position => "POSITION",
            Self::Select(_) => "SELECT",
            Self::MultiSelect(_) => "MULTI_SELECT",
            Self::Rating => "RATING",
            Self::FullName => "FULL_NAME",
            Self::Emails => "EMAILS",
            Self::Links => "LINKS",
            Self::Phones => "PHONES",
            Self::Currency => "CURRENCY",
            Self::Address => "ADDRESS",
            Self::Actor => "ACTOR",
            Self::One { .. } | Self::Many { .. } => "RELATION",
        }
    }

    /// Name of the composite GraphQL type, and its parts with their columns.
    pub(crate) fn composite(self) -> Option<(&'static str, &'static [(&'static str, Base)])> {
        Some(match self {
            Self::FullName => (
                "FullName",
                &[("firstName", Base::Text), ("lastName", Base::Text)],
            ),
            Self::Emails => (
                "Emails",
                &[
                    ("primaryEmail", Base::Text),
                    ("additionalEmails", Base::Json),
                ],
            ),
            Self::Links => (
                "Links",
                &[
                    ("primaryLinkLabel", Base::Text),
                    ("primaryLinkUrl", Base::Text),
                    ("secondaryLinks", Base::Json),
                ],
            ),
            Self::Phones => (
                "Phones",
                &[
                    ("primaryPhoneNumber", Base::Text),
                    ("primaryPhoneCountryCode", Base::Text),
                    ("primaryPhoneCallingCode", Base::Text),
                    ("additionalPhones", Base::Json),
                ],
            ),
            Self::Currency => (
                "Currency",
                &[("amountMicros", Base::Big), ("currencyCode", Base::Text)],
            ),
            Self::Address => (
                "Address",
                &[
                    ("addressStreet1", Base::Text),
                    ("addressStreet2", Base::Text),
                    ("addressCity", Base::Text),
                    ("addressPostcode", Base::Text),
                    ("addressState", Base::Text),
                    ("addressCountry", Base::Text),
                    ("addressLat", Base::Big),
                    ("addressLng", Base::Big),
                ],
            ),
            Self::Actor => (
                "Actor",
                &[
                    ("source", Base::Word),
                    ("workspaceMemberId", Base::Uuid),
                    ("name", Base::Text),
                    ("context", Base::Json),
                ],
            ),
            _ => return None,
        })
    }

    /// All composite kinds, once each.
    pub(crate) const COMPOSITES: [Self; 7] = [
        Self::FullName,
        Self::Emails,
        Self::Links,
        Self::Phones,
        Self::Currency,
        Self::Address,
        Self::Actor,
    ];

    /// The choices of a field that has them.
    pub(crate) fn choices(self) -> &'static [Choice] {
        match self {
            Self::Select(choices) | Self::MultiSelect(choices) => choices,
            Self::Rating => RATINGS,
            _ => &[],
        }
    }

    fn base(self) -> Option<Base> {
        Some(match self {
            Self::Uuid | Self::One { .. } => Base::Uuid,
            Self::Text => Base::Text,
            Self::Number | Self::Position => Base::Number,
            Self::Boolean => Base::Boolean,
            Self::DateTime => Base::DateTime,
            Self::Select(_) | Self::Rating => Base::Word,
            Self::MultiSelect(_) => Base::Words,
            _ => return None,
        })
    }
}

impl Field {
    /// The key under which its own column stands in a record.
    pub(crate) fn key(&self) -> String {
        match self.kind {
            Kind::One { .. } => format!("{}Id", self.name),
            _ => self.name.to_owned(),
        }
    }

    /// Name of the enum type of a field with choices.
    pub(crate) fn enum_name(&self, object: &Object) -> String {
        let mut name = self.name.to_owned();
        name[..1].make_ascii_uppercase();
        format!("{}{name}Enum", object.type_name)
    }

    pub(crate) fn columns(&self) -> Vec<Column> {
        let unique_label = self.unique.then_some(self.label);
        if let Some((_, parts)) = self.kind.composite() {
            return parts
                .iter()
                .enumerate()
                .map(|(index, (part, base))| Column {
                    sql: format!("\"{}.{part}\"", self.name),
                    base: *base,
                    key: self.name.to_owned(),
                    part: Some(*part),
                    unique_label: unique_label.filter(|_| index == self.unique_part()),
                })
                .collect();
        }
        let Some(base) = self.kind.base() else {
            return Vec::new();
        };
        vec![Column {
            sql: format!("\"{}\"", self.key()),
            base,
            key: self.key(),
            part: None,
            unique_label,
        }]
    }

    /// Which part of a composite field must be unique: the address itself, which links have in second place.
    fn unique_part(&self) -> usize {
        usize::from(matches!(self.kind, Kind::Links))
    }
}

impl Object {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// All columns of its table.
    pub(crate) fn columns(&self) -> &[Column] {
        self.columns
            .get_or_init(|| self.fields.iter().flat_map(Field::columns).collect())
    }
}

/// Where a record came from.
pub(crate) const SOURCES: [&str; 6] = ["MANUAL", "API", "IMPORT", "EMAIL", "CALENDAR", "WEBHOOK"];

/// The choices of a rating.
static RATINGS: &[Choice] = &[
    Choice {
        value: "RATING_1",
        label: "1",
        color: "gray",
    },
    Choice {
        value: "RATING_2",
        label: "2",
        color: "gray",
    },
    Choice {
        value: "RATING_3",
        label: "3",
        color: "gray",
    },
    Choice {
        value: "RATING_4",
        label: "4",
        color: "gray",
    },
    Choice {
        value: "RATING_5",
        label: "5",
        color: "gray",
    },
];
