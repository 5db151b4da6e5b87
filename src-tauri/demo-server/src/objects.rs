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
    /// Twenty uses this object itself: its pages do not list it, and its search leaves it out.
    pub(crate) is_system: bool,
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
    /// No two records may have the same value; of a composite field, see [`Kind::unique_part`].
    pub(crate) unique: bool,
    /// Twenty fills this field itself: its pages do not let people edit it.
    pub(crate) is_system: bool,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Uuid,
    Text,
    Number,
    Boolean,
    DateTime,
    /// A number by which a list that nobody sorted is ordered: people drag a record between two others, and it gets a
    /// number between theirs.
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
    /// Who created a record, and by which of the [`ACTOR_SOURCES`].
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

/// What a single column holds: it decides the column's type in SQL and, inside a composite, in GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Text,
    Uuid,
    Number,
    /// A whole number too long for a GraphQL Int, such as an amount in millionths. In GraphQL it is Twenty's type of this
    /// name, and so is a [`Self::Number`] inside a composite.
    BigFloat,
    Boolean,
    DateTime,
    Json,
    /// A value of a GraphQL enum.
    Enum,
    /// Several values of a GraphQL enum, stored as a JSON list.
    EnumList,
}

/// One column of an object's table. Its name is built from definitions only, never from what a client sent.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its name in SQL, in quotes, such as `"city"`. A part of a composite field has the name of both with a dot between,
    /// such as `"emails.primaryEmail"`: one name, since inside quotes a dot does not separate a table from its column.
    pub(crate) quoted_name: String,
    pub(crate) column_type: ColumnType,
    /// Key in a record's JSON: the field, or for a relation `<field>Id`.
    pub(crate) key: String,
    /// Key inside a composite field.
    pub(crate) part: Option<&'static str>,
    /// Where no two records may have the same value: the label of the field, with which a refusal names it.
    pub(crate) label_if_unique: Option<&'static str>,
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
    pub(crate) fn composite(self) -> Option<(&'static str, &'static [(&'static str, ColumnType)])> {
        Some(match self {
            Self::FullName => (
                "FullName",
                &[
                    ("firstName", ColumnType::Text),
                    ("lastName", ColumnType::Text),
                ],
            ),
            Self::Emails => (
                "Emails",
                &[
                    ("primaryEmail", ColumnType::Text),
                    ("additionalEmails", ColumnType::Json),
                ],
            ),
            Self::Links => (
                "Links",
                &[
                    ("primaryLinkLabel", ColumnType::Text),
                    ("primaryLinkUrl", ColumnType::Text),
                    ("secondaryLinks", ColumnType::Json),
                ],
            ),
            Self::Phones => (
                "Phones",
                &[
                    ("primaryPhoneNumber", ColumnType::Text),
                    ("primaryPhoneCountryCode", ColumnType::Text),
                    ("primaryPhoneCallingCode", ColumnType::Text),
                    ("additionalPhones", ColumnType::Json),
                ],
            ),
            Self::Currency => (
                "Currency",
                &[
                    ("amountMicros", ColumnType::BigFloat),
                    ("currencyCode", ColumnType::Text),
                ],
            ),
            Self::Address => (
                "Address",
                &[
                    ("addressStreet1", ColumnType::Text),
                    ("addressStreet2", ColumnType::Text),
                    ("addressCity", ColumnType::Text),
                    ("addressPostcode", ColumnType::Text),
                    ("addressState", ColumnType::Text),
                    ("addressCountry", ColumnType::Text),
                    ("addressLat", ColumnType::Number),
                    ("addressLng", ColumnType::Number),
                ],
            ),
            Self::Actor => (
                "Actor",
                &[
                    ("source", ColumnType::Enum),
                    ("workspaceMemberId", ColumnType::Uuid),
                    ("name", ColumnType::Text),
                    ("context", ColumnType::Json),
                ],
            ),
            _ => return None,
        })
    }

    /// The part of a composite that no two records may share, if the field is unique.
    fn unique_part(self) -> Option<&'static str> {
        match self {
            Self::Emails => Some("primaryEmail"),
            Self::Links => Some("primaryLinkUrl"),
            Self::Phones => Some("primaryPhoneNumber"),
            _ => None,
        }
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

    /// What the column of a field without parts holds, if it has one.
    fn column_type(self) -> Option<ColumnType> {
        Some(match self {
            Self::Uuid | Self::One { .. } => ColumnType::Uuid,
            Self::Text => ColumnType::Text,
            Self::Number | Self::Position => ColumnType::Number,
            Self::Boolean => ColumnType::Boolean,
            Self::DateTime => ColumnType::DateTime,
            Self::Select(_) | Self::Rating => ColumnType::Enum,
            Self::MultiSelect(_) => ColumnType::EnumList,
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
        let label_if_unique = self.unique.then_some(self.label);
        if let Some((_, parts)) = self.kind.composite() {
            return parts
                .iter()
                .map(|(part, column_type)| Column {
                    quoted_name: format!("\"{}.{part}\"", self.name),
                    column_type: *column_type,
                    key: self.name.to_owned(),
                    part: Some(*part),
                    label_if_unique: label_if_unique
                        .filter(|_| self.kind.unique_part() == Some(part)),
                })
                .collect();
        }
        let Some(column_type) = self.kind.column_type() else {
            return Vec::new();
        };
        vec![Column {
            quoted_name: format!("\"{}\"", self.key()),
            column_type,
            key: self.key(),
            part: None,
            label_if_unique,
        }]
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

/// How a record can have come into the workspace: the values of `source` in a [`Kind::Actor`] field.
pub(crate) const ACTOR_SOURCES: [&str; 6] =
    ["MANUAL", "API", "IMPORT", "EMAIL", "CALENDAR", "WEBHOOK"];

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
