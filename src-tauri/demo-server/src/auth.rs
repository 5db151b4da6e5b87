//! Sign-in, rotation of refresh tokens, and the check of every bearer.

pub(crate) mod application;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use graphql_session_testing::rotation::{Exchange, FamilyChange, Grace, OnReuse, Rotation, Token};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::accounts::{self, Account, DEMO, Membership, Workspace};
use crate::clock::{Clock, iso};
use crate::error::Error;
use crate::refusal::Refusal;
use crate::store::Store;
use crate::switch_state::SwitchState;
use crate::tokens::{Claims, Kind, Signer};

/// Seconds that a login token is good for, Twenty's default.
const LOGIN_LIFETIME_SECONDS: i64 = 15 * 60;

/// Who sent a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) account: &'static Account,
    /// None for the workspace-agnostic token that `signIn` gives: it sees the user, but no workspace.
    pub(crate) membership: Option<&'static Membership>,
}

/// Who gets tokens, and in which workspace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) account: &'static Account,
    pub(crate) membership: Option<&'static Membership>,
}

/// Which link of which chain a refresh token is, for the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) chain: i64,
    pub(crate) generation: i64,
}

/// The place where a renewal leaves its link, also when it is refused.
pub(crate) type LinkSeen = Arc<Mutex<Option<Link>>>;

/// Everything about tokens.
pub(crate) struct Auth {
    store: Arc<Store>,
    signer: Signer,
    clock: Clock,
    state: watch::Receiver<SwitchState>,
    port: u16,
    /// Access tokens with this `iat` or an earlier one have been expired by the switch.
    expired_up_to: AtomicI64,
    /// The latest `iat` given out.
    last_issued: AtomicI64,
}

impl Auth {
    pub(crate) fn open(
        store: Arc<Store>,
        clock: Clock,
        state: watch::Receiver<SwitchState>,
        port: u16,
    ) -> Result<Self, Error> {
        let (secret, expired_up_to) = prepare(&store.lock())?;
        Ok(Self {
            store,
            signer: Signer::new(secret),
            clock,
            state,
            port,
            expired_up_to: AtomicI64::new(expired_up_to),
            last_issued: AtomicI64::new(expired_up_to),
        })
    }

    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// The workspace's full origin.
    pub(crate) fn origin(&self, workspace: &Workspace) -> String {
        workspace.origin(self.port)
    }

    /// Checks the bearer of any call, public operations included.
    pub(crate) fn caller(&self, bearer: &str) -> Result<Caller, Refusal> {
        let claims = self.signer.verify(
            bearer,
            &[
                Kind::Access,
                Kind::WorkspaceAgnostic,
                Kind::ApplicationAccess,
            ],
            self.now() / 1_000,
        )?;
        if claims.iat <= self.expired_up_to.load(Ordering::Relaxed) {
            return Err(Refusal::token("Token has expired."));
        }
        let Subject {
            account,
            membership,
        } = subject_of(&claims).ok_or_else(Refusal::user_not_found)?;
        Ok(Caller {
            account,
            membership,
        })
    }

    pub(crate) fn check_user_exists(&self, email: &str) -> Result<Value, Refusal> {
        let signs = email.matches('@').count();
        if signs != 1 {
            return Err(Refusal::internal(format!(
                "Invalid email format ({signs} @) {email}"
            )));
        }
        let account = accounts::by_email(email);
        Ok(json!({
            "exists": account.is_some(),
            "availableWorkspacesCount": account.map_or(0, |account| account.memberships.len()),
            "isEmailVerified": account.is_some(),
        }))
    }

    pub(crate) fn login_token(
        &self,
        email: &str,
        password: &str,
        origin: &str,
    ) -> Result<Value, Refusal> {
        let workspace = self.workspace_at(origin)?;
        let account = authenticate(email, password)?;
        // To people with several workspaces the server's own address is no workspace's: they are asked which one.
        if workspace == &DEMO && account.memberships.len() > 1 {
            return Err(Refusal::workspace_not_found());
        }
        let membership = account
            .membership(workspace)
            .ok_or_else(Refusal::not_a_member)?;
        let (token, expires_at) = self.sign_login(account, membership)?;
        Ok(json!({ "loginToken": { "token": token, "expiresAt": expires_at } }))
    }

    /// Exchanges a login token for a pair, where the person has no second factor or `one_time_code` is theirs.
    pub(crate) async fn exchange_login_token(
        &self,
        login_token: &str,
        one_time_code: Option<&str>,
        origin: &str,
    ) -> Result<Value, Refusal> {
        let claims = self
            .signer
            .verify(login_token, &[Kind::Login], self.now() / 1_000)?;
        let workspace = self.workspace_at(origin)?;
        if claims.workspace_id.as_deref() != Some(workspace.id) {
            return Err(Refusal::workspace_not_found());
        }
        let account = accounts::by_email(&claims.sub).ok_or_else(Refusal::user_not_found)?;
        match (account.one_time_code, one_time_code) {
            (Some(_), None) => return Err(Refusal::second_factor_required()),
            (own, Some(given)) if own != Some(given) => return Err(Refusal::wrong_code()),
            _ => {}
        }
        let subject = Subject {
            account,
            membership: account.membership(workspace),
        };
        let pair = self.issue(subject, Kind::Access, None).await?;
        Ok(json!({ "tokens": pair }))
    }

    /// The sign-in that asks for no workspace: tokens that see only the user, and a login token for each workspace.
    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<Value, Refusal> {
        let account = authenticate(email, password)?;
        let subject = Subject {
            account,
            membership: None,
        };
        let pair = self.issue(subject, Kind::WorkspaceAgnostic, None).await?;
        let mut available = Vec::new();
        for membership in account.memberships {
            let workspace = membership.workspace;
            let (login_token, _) = self.sign_login(account, membership)?;
            available.push(json!({
                "id": workspace.id,
                "displayName": workspace.name,
                "loginToken": login_token,
                "workspaceUrls": { "subdomainUrl": format!("{}/", self.origin(workspace)), "customUrl": null },
                "logo": null,
            }));
        }
        Ok(json!({
            "tokens": pair,
            "availableWorkspaces": {
                "availableWorkspacesForSignIn": available,
                "availableWorkspacesForSignUp": [],
            },
        }))
    }

    /// Exchanges a refresh token. The used one is marked before the next one is made, as at Twenty.
    pub(crate) async fn renew(
        &self,
        refresh_token: &str,
        seen: &LinkSeen,
    ) -> Result<Value, Refusal> {
        let claims = self.verify_refresh(refresh_token)?;
        let jti = claims
            .jti
            .clone()
            .ok_or_else(|| Refusal::unusable("This refresh token is malformed"))?;
        // As at Twenty 1.6, where a reuse after the grace time ends every session of that person.
        let rotation = Rotation {
            grace: Grace::FromLatestUse(signed(self.state.borrow().grace_ms)),
            on_reuse: OnReuse::SpendFamily,
        };
        let now = self.now();
        let used = self
            .store
            .run(move |connection| use_refresh_token(connection, &jti, now, rotation))
            .await?;
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(used.link);
        if used.is_rejected {
            return Err(Refusal::suspicious());
        }
        let subject = subject_of(&claims).ok_or_else(|| Refusal::unusable("User not found"))?;
        let target = claims.targeted_token_type.unwrap_or(Kind::Access);
        let pair = self.issue(subject, target, Some(used.link)).await?;
        Ok(json!({ "tokens": pair }))
    }

    /// Revokes the whole chain of this refresh token.
    pub(crate) async fn sign_out(&self, refresh_token: &str) -> Result<(), Refusal> {
        let claims = self.verify_refresh(refresh_token)?;
        let (jti, now) = (claims.jti.unwrap_or_default(), self.now());
        self.store
            .run(move |connection| {
                connection.execute(
                    "UPDATE refresh_token SET revoked_at = ?2
                     WHERE revoked_at IS NULL AND chain = (SELECT chain FROM refresh_token WHERE jti = ?1)",
                    params![jti, now],
                )?;
                Ok(())
            })
            .await
    }

    pub(crate) async fn expire_access_tokens(&self) -> Result<(), Error> {
        let cutoff = self
            .last_issued
            .load(Ordering::Relaxed)
            .max(self.now() / 1_000);
        self.expired_up_to.fetch_max(cutoff, Ordering::Relaxed);
        self.store
            .run(move |connection| {
                connection.execute(
                    "UPDATE setting SET value = ?1 WHERE key = 'expired_up_to'",
                    [cutoff],
                )?;
                Ok(())
            })
            .await
            .map_err(|refusal| Error::Database(refusal.message))
    }

    pub(crate) async fn revoke_refresh_tokens(&self) -> Result<(), Error> {
        let now = self.now();
        self.store
            .run(move |connection| {
                connection.execute(
                    "UPDATE refresh_token SET revoked_at = ?1 WHERE revoked_at IS NULL",
                    [now],
                )?;
                Ok(())
            })
            .await
            .map_err(|refusal| Error::Database(refusal.message))
    }

    fn verify_refresh(&self, token: &str) -> Result<Claims, Refusal> {
        if token.is_empty() {
            return Err(Refusal::empty_argument("appToken"));
        }
        let claims = self.signer.verify(
            token,
            &[Kind::Refresh, Kind::ApplicationRefresh],
            self.now() / 1_000,
        )?;
        if claims.kind == Kind::Refresh {
            Ok(claims)
        } else {
            Err(Refusal::wrong_token_type())
        }
    }

    fn workspace_at(&self, origin: &str) -> Result<&'static Workspace, Refusal> {
        accounts::workspace_at(origin, self.port).ok_or_else(Refusal::workspace_not_found)
    }

    fn sign_login(
        &self,
        account: &Account,
        membership: &Membership,
    ) -> Result<(String, String), Refusal> {
        let now = self.now();
        let mut claims = Claims::new(
            Kind::Login,
            account.email,
            now / 1_000,
            LOGIN_LIFETIME_SECONDS,
        );
        claims.workspace_id = Some(membership.workspace.id.to_owned());
        Ok((
            self.signer.sign(&claims)?,
            iso(now + LOGIN_LIFETIME_SECONDS * 1_000),
        ))
    }

    /// A new pair: the first of a chain, or the child of `parent`.
    async fn issue(
        &self,
        subject: Subject,
        kind: Kind,
        parent: Option<Link>,
    ) -> Result<Value, Refusal> {
        let Lifetimes {
            access_ms,
            refresh_ms,
        } = self.lifetimes();
        let now = self.now();
        let seconds = now / 1_000;
        let user_id = subject.account.user_id;
        let iat = self.access_issued_at(seconds);

        let mut access = Claims::new(kind, user_id, iat, access_ms / 1_000);
        access.user_id = Some(user_id.to_owned());
        if let Some(membership) = subject.membership {
            access.workspace_id = Some(membership.workspace.id.to_owned());
            access.workspace_member_id = Some(membership.member_id.to_owned());
            access.user_workspace_id = Some(membership.user_workspace_id.to_owned());
        }

        let jti = Uuid::new_v4().to_string();
        let mut refresh = Claims::new(Kind::Refresh, user_id, seconds, refresh_ms / 1_000);
        refresh.user_id = Some(user_id.to_owned());
        refresh.workspace_id.clone_from(&access.workspace_id);
        refresh.targeted_token_type = Some(kind);
        refresh.jti = Some(jti.clone());

        let pair = json!({
            // Up to a second later than `exp`, as at Twenty.
            "access": {
                "token": self.signer.sign(&access)?,
                "expiresAt": iso(((iat - seconds) * 1_000 + now).saturating_add(access_ms)),
            },
            "refresh": { "token": self.signer.sign(&refresh)?, "expiresAt": iso(now.saturating_add(refresh_ms)) },
        });
        self.keep_refresh_token(jti, user_id, None, parent).await?;
        Ok(pair)
    }

    fn lifetimes(&self) -> Lifetimes {
        let state = self.state.borrow();
        Lifetimes {
            access_ms: signed(state.access_lifetime_ms),
            refresh_ms: signed(state.refresh_lifetime_ms),
        }
    }

    /// When an access token of now says that it was issued, in seconds. Later than every expired token, also within one
    /// second: or else the new token would be the expired text.
    fn access_issued_at(&self, seconds: i64) -> i64 {
        let iat = seconds.max(self.expired_up_to.load(Ordering::Relaxed).saturating_add(1));
        self.last_issued.fetch_max(iat, Ordering::Relaxed);
        iat
    }

    /// Writes a new refresh token down: of a sign-in with a password, or of an application's.
    async fn keep_refresh_token(
        &self,
        jti: String,
        user_id: &'static str,
        client_id: Option<String>,
        parent: Option<Link>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        self.store
            .run(move |connection| {
                connection.execute(
                    "INSERT INTO refresh_token (jti, user_id, client_id, chain, generation, issued_at)
                     VALUES (?1, ?2, ?3, coalesce(?4, (SELECT coalesce(max(chain), 0) + 1 FROM refresh_token)), ?5, ?6)",
                    params![
                        jti,
                        user_id,
                        client_id,
                        parent.map(|parent| parent.chain),
                        parent.map_or(0, |parent| parent.generation + 1),
                        now
                    ],
                )?;
                Ok(())
            })
            .await
    }
}

/// How long new tokens are good for, in milliseconds.
struct Lifetimes {
    access_ms: i64,
    refresh_ms: i64,
}

/// Whose token this is, and for which workspace. None where the person, or their place in that workspace, is gone.
fn subject_of(claims: &Claims) -> Option<Subject> {
    let user_id = claims.user_id.as_deref().unwrap_or(&claims.sub);
    let account = accounts::by_user_id(user_id)?;
    let membership = match &claims.workspace_id {
        None => None,
        Some(id) => Some(account.membership(accounts::workspace_by_id(id)?)?),
    };
    Some(Subject {
        account,
        membership,
    })
}

/// Whose e-mail address and password these are.
pub(crate) fn authenticate(email: &str, password: &str) -> Result<&'static Account, Refusal> {
    let account = accounts::by_email(email).ok_or_else(Refusal::user_not_found)?;
    if account.accepts(password) {
        Ok(account)
    } else {
        Err(Refusal::wrong_password())
    }
}

/// What became of a refresh token that came in.
struct Use {
    link: Link,
    is_rejected: bool,
}

/// Exchanges the token with this `jti`, and writes down what that does to it, or to its family. A family is all tokens of
/// one person.
fn use_refresh_token(
    connection: &mut Connection,
    jti: &str,
    now: i64,
    rotation: Rotation,
) -> Result<Use, Refusal> {
    let transaction = connection.transaction()?;
    let row = transaction
        .query_row(
            "SELECT user_id, chain, generation, used_at, revoked_at FROM refresh_token WHERE jti = ?1",
            [jti],
            |row| {
                let link = Link { chain: row.get(1)?, generation: row.get(2)? };
                let (used_at, revoked_at) = (row.get::<_, Option<i64>>(3)?, row.get::<_, Option<i64>>(4)?);
                let token = used_at.map_or(Token::Fresh, Token::Used);
                Ok((row.get::<_, String>(0)?, link, token, revoked_at.is_some()))
            },
        )
        .optional()?;
    let Some((user_id, link, token, is_revoked)) = row else {
        return Err(Refusal::unusable("This refresh token doesn't exist"));
    };
    let exchange = rotation.exchange(token, is_revoked, now);
    match exchange {
        Exchange::Granted(token) => transaction.execute(
            "UPDATE refresh_token SET used_at = ?2 WHERE jti = ?1",
            params![jti, used_at(token)],
        )?,
        Exchange::Rejected {
            family: FamilyChange::Becomes(token),
            ..
        } => transaction.execute(
            "UPDATE refresh_token SET used_at = ?2 WHERE user_id = ?1",
            params![user_id, used_at(token)],
        )?,
        Exchange::Rejected {
            family: FamilyChange::Revoked,
            ..
        } => transaction.execute(
            "UPDATE refresh_token SET revoked_at = ?2 WHERE revoked_at IS NULL AND user_id = ?1",
            params![user_id, now],
        )?,
        Exchange::Rejected {
            family: FamilyChange::Unchanged,
            ..
        } => 0,
    };
    transaction.commit()?;
    Ok(Use {
        link,
        is_rejected: matches!(exchange, Exchange::Rejected { .. }),
    })
}

fn used_at(token: Token) -> Option<i64> {
    match token {
        Token::Used(since) => Some(since),
        Token::Fresh | Token::Unknown => None,
    }
}

/// Makes the tables of this module, and reads the secret and the cutoff.
fn prepare(connection: &Connection) -> Result<(String, i64), Error> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS setting (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS refresh_token (
             jti TEXT PRIMARY KEY, user_id TEXT NOT NULL, chain INTEGER NOT NULL, generation INTEGER NOT NULL,
             issued_at INTEGER NOT NULL, used_at INTEGER, revoked_at INTEGER, client_id TEXT
         ) STRICT, WITHOUT ROWID;",
    )?;
    // A database of before there were applications.
    let knows_clients: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('refresh_token') WHERE name = 'client_id')",
        [],
        |row| row.get(0),
    )?;
    if !knows_clients {
        connection.execute_batch("ALTER TABLE refresh_token ADD COLUMN client_id TEXT")?;
    }
    let fresh = format!(
        "{:032x}{:032x}",
        rand::random::<u128>(),
        rand::random::<u128>()
    );
    connection.execute(
        "INSERT OR IGNORE INTO setting (key, value) VALUES ('secret', ?1), ('expired_up_to', 0)",
        [fresh],
    )?;
    let read = |key: &str| format!("SELECT value FROM setting WHERE key = '{key}'");
    Ok((
        connection.query_row(&read("secret"), [], |row| row.get(0))?,
        connection.query_row(&read("expired_up_to"), [], |row| row.get(0))?,
    ))
}

fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX)
}
