//! The people who can sign in, and their workspaces. Everything here is public on purpose: it is a demo on the loopback
//! address.

/// E-mail of the demo account.
pub const DEMO_EMAIL: &str = "ada@demo.holdfast.example";
/// Password of the demo account.
pub const DEMO_PASSWORD: &str = "demo-holdfast";
/// E-mail of a second account of the same workspace, to show what happens when somebody else signs in.
pub const SECOND_EMAIL: &str = "ben@demo.holdfast.example";
/// Password of the second account.
pub const SECOND_PASSWORD: &str = "demo-holdfast-2";
/// E-mail of an account with a second factor: its sign-in asks for [`ONE_TIME_CODE`], too.
pub const ONE_TIME_CODE_EMAIL: &str = "otto@demo.holdfast.example";
/// Password of the account with a second factor.
pub const ONE_TIME_CODE_PASSWORD: &str = "demo-holdfast-3";
/// The code of the account with a second factor. Always the same: nobody needs an authenticator for the demo.
pub const ONE_TIME_CODE: &str = "246810";
/// E-mail of an account with two workspaces: its sign-in asks which one.
pub const TWO_WORKSPACES_EMAIL: &str = "cleo@demo.holdfast.example";
/// Password of the account with two workspaces.
pub const TWO_WORKSPACES_PASSWORD: &str = "demo-holdfast-4";
/// Display name of the workspace of all accounts.
pub const WORKSPACE_NAME: &str = "Demo";
/// Display name of the workspace that only [`TWO_WORKSPACES_EMAIL`] is a member of besides.
pub const SECOND_WORKSPACE_NAME: &str = "Harbor";

/// One workspace with records of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Workspace {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) subdomain: &'static str,
    /// The names of this computer by which it is addressed; the first is its own.
    hosts: &'static [&'static str],
}

impl Workspace {
    /// Its address: `http://HOST:PORT`, without a slash at the end.
    pub(crate) fn origin(&self, port: u16) -> String {
        format!("http://{}:{port}", self.hosts[0])
    }

    fn answers_at(&self, origin: &str, port: u16) -> bool {
        let mut hosts = self.hosts.iter();
        hosts.any(|host| origin == format!("http://{host}:{port}"))
    }
}

/// The workspace at the server's own address.
pub(crate) static DEMO: Workspace = Workspace {
    id: "5d1f6a44-1c3e-4b0b-9a55-6b2f0a7d9e10",
    name: WORKSPACE_NAME,
    subdomain: "demo",
    hosts: &["127.0.0.1", "localhost"],
};

/// The workspace at a subdomain of the server's address, as at a Twenty with several workspaces.
pub(crate) static HARBOR: Workspace = Workspace {
    id: "5d1f6a44-1c3e-4b0b-9a55-6b2f0a7d9e20",
    name: SECOND_WORKSPACE_NAME,
    subdomain: "harbor",
    hosts: &["harbor.localhost"],
};

pub(crate) static WORKSPACES: [&Workspace; 2] = [&DEMO, &HARBOR];

/// A person's place in one workspace.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) workspace: &'static Workspace,
    pub(crate) member_id: &'static str,
    pub(crate) user_workspace_id: &'static str,
}

/// One person with a password.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) email: &'static str,
    pub(crate) password: &'static str,
    /// Asked for after the password, where there is one.
    pub(crate) one_time_code: Option<&'static str>,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    pub(crate) user_id: &'static str,
    pub(crate) memberships: &'static [Membership],
}

impl Account {
    pub(crate) fn accepts(&self, password: &str) -> bool {
        self.password == password
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    /// The person's place in this workspace, if they are a member.
    pub(crate) fn membership(&self, workspace: &Workspace) -> Option<&'static Membership> {
        let mut memberships = self.memberships.iter();
        memberships.find(|membership| membership.workspace == workspace)
    }
}

pub(crate) static ACCOUNTS: [Account; 4] = [
    Account {
        email: DEMO_EMAIL,
        password: DEMO_PASSWORD,
        one_time_code: None,
        first_name: "Ada",
        last_name: "Marlow",
        user_id: "8a0c2f1e-5b7d-4c39-8f10-2d6e4b9a7c01",
        memberships: &[Membership {
            workspace: &DEMO,
            member_id: "c5e7b3d9-0f42-4a6b-b8d1-7e2a9c4f6d01",
            user_workspace_id: "e1b4d6f8-3a25-47c9-a0e3-9b8c7d6e5f01",
        }],
    },
    Account {
        email: SECOND_EMAIL,
        password: SECOND_PASSWORD,
        one_time_code: None,
        first_name: "Ben",
        last_name: "Okafor",
        user_id: "8a0c2f1e-5b7d-4c39-8f10-2d6e4b9a7c02",
        memberships: &[Membership {
            workspace: &DEMO,
            member_id: "c5e7b3d9-0f42-4a6b-b8d1-7e2a9c4f6d02",
            user_workspace_id: "e1b4d6f8-3a25-47c9-a0e3-9b8c7d6e5f02",
        }],
    },
    Account {
        email: ONE_TIME_CODE_EMAIL,
        password: ONE_TIME_CODE_PASSWORD,
        one_time_code: Some(ONE_TIME_CODE),
        first_name: "Otto",
        last_name: "Lindgren",
        user_id: "8a0c2f1e-5b7d-4c39-8f10-2d6e4b9a7c03",
        memberships: &[Membership {
            workspace: &DEMO,
            member_id: "c5e7b3d9-0f42-4a6b-b8d1-7e2a9c4f6d03",
            user_workspace_id: "e1b4d6f8-3a25-47c9-a0e3-9b8c7d6e5f03",
        }],
    },
    Account {
        email: TWO_WORKSPACES_EMAIL,
        password: TWO_WORKSPACES_PASSWORD,
        one_time_code: None,
        first_name: "Cleo",
        last_name: "Brandt",
        user_id: "8a0c2f1e-5b7d-4c39-8f10-2d6e4b9a7c04",
        memberships: &[
            Membership {
                workspace: &DEMO,
                member_id: "c5e7b3d9-0f42-4a6b-b8d1-7e2a9c4f6d04",
                user_workspace_id: "e1b4d6f8-3a25-47c9-a0e3-9b8c7d6e5f04",
            },
            Membership {
                workspace: &HARBOR,
                member_id: "c5e7b3d9-0f42-4a6b-b8d1-7e2a9c4f6d05",
                user_workspace_id: "e1b4d6f8-3a25-47c9-a0e3-9b8c7d6e5f05",
            },
        ],
    },
];

/// Who can sign in, one person a line, for a terminal.
pub fn people() -> String {
    let mut lines = String::new();
    for account in &ACCOUNTS {
        lines += &format!("  {}  {}", account.email, account.password);
        if let Some(code) = account.one_time_code {
            lines += &format!("  one-time code {code}");
        }
        if account.memberships.len() > 1 {
            let names = account.memberships.iter().map(|own| own.workspace.name);
            lines += &format!("  workspaces {}", names.collect::<Vec<_>>().join(", "));
        }
        lines.push('\n');
    }
    lines
}

pub(crate) fn by_email(email: &str) -> Option<&'static Account> {
    ACCOUNTS
        .iter()
        .find(|account| account.email.eq_ignore_ascii_case(email))
}

pub(crate) fn by_user_id(user_id: &str) -> Option<&'static Account> {
    ACCOUNTS.iter().find(|account| account.user_id == user_id)
}

/// The workspace that is addressed by `origin`, at a server on this port.
pub(crate) fn workspace_at(origin: &str, port: u16) -> Option<&'static Workspace> {
    let origin = origin.strip_suffix('/').unwrap_or(origin);
    let mut workspaces = WORKSPACES.into_iter();
    workspaces.find(|workspace| workspace.answers_at(origin, port))
}

pub(crate) fn workspace_by_id(id: &str) -> Option<&'static Workspace> {
    WORKSPACES.into_iter().find(|workspace| workspace.id == id)
}
