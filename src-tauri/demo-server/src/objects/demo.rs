//! The objects of the demo workspace: what Twenty sets up in a new one, without its rarer fields.

use std::sync::{LazyLock, OnceLock};

use super::{Choice, Field, Kind, Object};

/// The objects of the demo workspace, in the order in which the metadata lists them.
pub(crate) static OBJECTS: LazyLock<Vec<Object>> =
    LazyLock::new(|| vec![person(), company(), opportunity(), workspace_member()]);

/// The object with this singular name. Only definitions ask, so it exists.
pub(crate) fn object(singular: &str) -> &'static Object {
    OBJECTS
        .iter()
        .find(|object| object.singular == singular)
        .unwrap_or(&OBJECTS[0])
}

static STAGES: &[Choice] = &[
    Choice {
        value: "NEW",
        label: "New",
        color: "red",
    },
    Choice {
        value: "SCREENING",
        label: "Screening",
        color: "purple",
    },
    Choice {
        value: "MEETING",
        label: "Meeting",
        color: "sky",
    },
    Choice {
        value: "PROPOSAL",
        label: "Proposal",
        color: "turquoise",
    },
    Choice {
        value: "CUSTOMER",
        label: "Customer",
        color: "yellow",
    },
];

static WORK_PREFERENCES: &[Choice] = &[
    Choice {
        value: "ON_SITE",
        label: "On site",
        color: "green",
    },
    Choice {
        value: "HYBRID",
        label: "Hybrid",
        color: "turquoise",
    },
    Choice {
        value: "REMOTE_WORK",
        label: "Remote work",
        color: "sky",
    },
];

fn person() -> Object {
    let fields = vec![
        required("name", "Name", "IconUser", Kind::FullName),
        Field {
            unique: true,
            ..optional("emails", "Emails", "IconMail", Kind::Emails)
        },
        optional(
            "company",
            "Company",
            "IconBuildingSkyscraper",
            Kind::One { target: "company" },
        ),
        optional("phones", "Phones", "IconPhone", Kind::Phones),
        optional("jobTitle", "Job Title", "IconBriefcase", Kind::Text),
        optional("city", "City", "IconMap", Kind::Text),
        optional("linkedinLink", "Linkedin", "IconBrandLinkedin", Kind::Links),
        optional("xLink", "X", "IconBrandX", Kind::Links),
        optional("whatsapp", "Whatsapp", "IconBrandWhatsapp", Kind::Phones),
        optional("intro", "Intro", "IconNote", Kind::Text),
        optional(
            "workPreference",
            "Work Preference",
            "IconHome",
            Kind::MultiSelect(WORK_PREFERENCES),
        ),
        optional(
            "performanceRating",
            "Performance Rating",
            "IconStars",
            Kind::Rating,
        ),
        system(optional(
            "avatarUrl",
            "Avatar",
            "IconFileUpload",
            Kind::Text,
        )),
        optional(
            "pointOfContactForOpportunities",
            "Opportunities",
            "IconTargetArrow",
            Kind::Many {
                target: "opportunity",
                by: "pointOfContact",
            },
        ),
    ];
    Object {
        singular: "person",
        plural: "people",
        type_name: "Person",
        label_singular: "Person",
        label_plural: "People",
        description: "A person",
        icon: "IconUser",
        is_system: false,
        label_field: "name",
        fields: with_base_fields(fields),
        columns: OnceLock::new(),
    }
}

fn company() -> Object {
    let fields = vec![
        required("name", "Name", "IconBuildingSkyscraper", Kind::Text),
        Field {
            unique: true,
            ..optional("domainName", "Domain Name", "IconLink", Kind::Links)
        },
        optional("employees", "Employees", "IconUsers", Kind::Number),
        optional(
            "annualRecurringRevenue",
            "ARR",
            "IconMoneybag",
            Kind::Currency,
        ),
        optional("address", "Address", "IconMap", Kind::Address),
        required("idealCustomerProfile", "ICP", "IconTarget", Kind::Boolean),
        optional(
            "accountOwner",
            "Account Owner",
            "IconUserCircle",
            Kind::One {
                target: "workspaceMember",
            },
        ),
        optional("linkedinLink", "Linkedin", "IconBrandLinkedin", Kind::Links),
        optional("xLink", "X", "IconBrandX", Kind::Links),
        optional("tagline", "Tagline", "IconAdCircle", Kind::Text),
        optional(
            "people",
            "People",
            "IconUsers",
            Kind::Many {
                target: "person",
                by: "company",
            },
        ),
        optional(
            "opportunities",
            "Opportunities",
            "IconTargetArrow",
            Kind::Many {
                target: "opportunity",
                by: "company",
            },
        ),
    ];
    Object {
        singular: "company",
        plural: "companies",
        type_name: "Company",
        label_singular: "Company",
        label_plural: "Companies",
        description: "A company",
        icon: "IconBuildingSkyscraper",
        is_system: false,
        label_field: "name",
        fields: with_base_fields(fields),
        columns: OnceLock::new(),
    }
}

fn opportunity() -> Object {
    let fields = vec![
        required("name", "Name", "IconTargetArrow", Kind::Text),
        optional("amount", "Amount", "IconCurrencyDollar", Kind::Currency),
        optional(
            "closeDate",
            "Close date",
            "IconCalendarEvent",
            Kind::DateTime,
        ),
        required("stage", "Stage", "IconProgressCheck", Kind::Select(STAGES)),
        optional(
            "company",
            "Company",
            "IconBuildingSkyscraper",
            Kind::One { target: "company" },
        ),
        optional(
            "pointOfContact",
            "Point of Contact",
            "IconUser",
            Kind::One { target: "person" },
        ),
    ];
    Object {
        singular: "opportunity",
        plural: "opportunities",
        type_name: "Opportunity",
        label_singular: "Opportunity",
        label_plural: "Opportunities",
        description: "An opportunity",
        icon: "IconTargetArrow",
        is_system: false,
        label_field: "name",
        fields: with_base_fields(fields),
        columns: OnceLock::new(),
    }
}

fn workspace_member() -> Object {
    let fields = vec![
        required("name", "Name", "IconCircleUser", Kind::FullName),
        required("colorScheme", "Color Scheme", "IconColorSwatch", Kind::Text),
        required("locale", "Language", "IconLanguage", Kind::Text),
        optional("avatarUrl", "Avatar Url", "IconFileUpload", Kind::Text),
        required("userEmail", "User Email", "IconMail", Kind::Text),
    ];
    Object {
        singular: "workspaceMember",
        plural: "workspaceMembers",
        type_name: "WorkspaceMember",
        label_singular: "Workspace Member",
        label_plural: "Workspace Members",
        description: "A workspace member",
        icon: "IconUserCircle",
        is_system: true,
        label_field: "name",
        fields: with_base_fields(fields),
        columns: OnceLock::new(),
    }
}

fn with_base_fields(own: Vec<Field>) -> Vec<Field> {
    let mut fields = vec![system(required("id", "Id", "Icon123", Kind::Uuid))];
    fields.extend(own);
    fields.extend([
        optional(
            "createdBy",
            "Created by",
            "IconCreativeCommonsSa",
            Kind::Actor,
        ),
        required("createdAt", "Creation date", "IconCalendar", Kind::DateTime),
        required(
            "updatedAt",
            "Last update",
            "IconCalendarClock",
            Kind::DateTime,
        ),
        optional(
            "deletedAt",
            "Deleted at",
            "IconCalendarMinus",
            Kind::DateTime,
        ),
        system(required(
            "position",
            "Position",
            "IconHierarchy2",
            Kind::Position,
        )),
    ]);
    fields
}

fn optional(name: &'static str, label: &'static str, icon: &'static str, kind: Kind) -> Field {
    Field {
        name,
        label,
        icon,
        kind,
        nullable: true,
        unique: false,
        is_system: false,
    }
}

fn required(name: &'static str, label: &'static str, icon: &'static str, kind: Kind) -> Field {
    Field {
        nullable: false,
        ..optional(name, label, icon, kind)
    }
}

fn system(field: Field) -> Field {
    Field {
        is_system: true,
        ..field
    }
}
