//! The people who can sign in. Everything here is public on purpose: it is a demo on the loopback address.

/// E-mail of the demo account.
pub const DEMO_EMAIL: &str = "ada@demo.holdfast.example";
/// Password of the demo account.
pub const DEMO_PASSWORD: &str = "demo-holdfast";
/// E-mail of a second account of the same workspace, to show what happens when somebody else signs in.
pub const SECOND_EMAIL: &str = "ben@demo.holdfast.example";
/// Password of the second account.
pub const SECOND_PASSWORD: &str = "demo-holdfast-2";
/// Display name of the only workspace.
pub const WORKSPACE_NAME: &str = "Demo";

pub(crate) const WORKSPACE_ID: &str = "5d1f6a44-1c3e-4b0b-9a55-6b2f0a7d9e10";

/// One person with a password.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) email: &'static str,
    password: &'static str,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) user_id: &'static str,
    pub(crate) member_id: &'static str,
    pub(crate) user_workspace_id: &'static str,
}

impl Account {
    pub(crate) fn accepts(&self, password: &str) -> bool {
        self.password == password
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

pub(crate) static ACCOUNTS: [Account; 2] = [
    Account {
        email: DEMO_EMAIL,
        password: DEMO_PASSWORD,
        first_name: "Ada",
        last_name: "Marlow",
        user_id: "8a0c2f1e-5b7d-4c39-8f10-2d6e4b9a7c01",
        member_id: "c5e7b3d9-0f42-4a6b-b8d1-7e2a9c4f6d01",
        user_workspace_id: "e1b4d6f8-3a25-47c9-a0e3-9b8c7d6e5f01",
    },
    Account {
        email: SECOND_EMAIL,
        password: SECOND_PASSWORD,
        first_name: "Ben",
        last_name: "Okafor",
        user_id: "8a0c2f1e-5b7d-4c39-8f10-2d6e4b9a7c02",
        member_id: "c5e7b3d9-0f42-4a6b-b8d1-7e2a9c4f6d02",
        user_workspace_id: "e1b4d6f8-3a25-47c9-a0e3-9b8c7d6e5f02",
    },
];

pub(crate) fn by_email(email: &str) -> Option<&'static Account> {
    ACCOUNTS
        .iter()
        .find(|account| account.email.eq_ignore_ascii_case(email))
}

pub(crate) fn by_user_id(user_id: &str) -> Option<&'static Account> {
    ACCOUNTS.iter().find(|account| account.user_id == user_id)
}
