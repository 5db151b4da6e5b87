//! Signing in and out, renewing, and who one is: on both endpoints.

use std::sync::Arc;

use async_graphql::dynamic::{Field, FieldFuture, Object, ResolverContext, SchemaBuilder};
use serde_json::{Value, json};

use super::call::{Call, caller};
use super::parts::{argument, keyed, plain, shown, text, type_ref, with_arguments};
use crate::auth::{Auth, Caller};
use crate::refusal::Refusal;

pub(super) fn register(
    mut query: Object,
    mut mutation: Object,
    mut builder: SchemaBuilder,
    with_auth: bool,
    old_token_field: bool,
) -> (Object, Object, SchemaBuilder) {
    query = query.field(Field::new("currentUser", type_ref("User!"), |context| {
        FieldFuture::new(async move { Ok(shown(current_user(&context)?)?) })
    }));
    for object in user_types() {
        builder = builder.register(object);
    }
    if with_auth {
        query = query.field(check_user_exists());
        for field in [
            login_token(),
            exchange_login_token(),
            exchange_login_token_with_code(),
            sign_in(),
            renew(),
            sign_out(),
        ] {
            mutation = mutation.field(field);
        }
        for object in token_types(old_token_field) {
            builder = builder.register(object);
        }
    } else {
        // GraphQL wants at least one field, and Twenty has this one on every endpoint.
        mutation = mutation.field(Field::new("trackAnalytics", type_ref("Boolean"), |_| {
            FieldFuture::from_value(Some(true.into()))
        }));
    }
    (query, mutation, builder)
}

fn check_user_exists() -> Field {
    let field = Field::new(
        "checkUserExists",
        type_ref("CheckUserExistOutput!"),
        |context| {
            FieldFuture::new(async move {
                Ok(shown(
                    auth(&context)?.check_user_exists(&text(&context, "email"))?,
                )?)
            })
        },
    );
    with_arguments(field, &[("email", "String!"), ("captchaToken", "String")])
}

fn login_token() -> Field {
    let field = Field::new(
        "getLoginTokenFromCredentials",
        type_ref("LoginToken!"),
        |context| {
            FieldFuture::new(async move {
                let [email, password, origin] =
                    ["email", "password", "origin"].map(|name| text(&context, name));
                Ok(shown(
                    auth(&context)?.login_token(&email, &password, &origin)?,
                )?)
            })
        },
    );
    with_arguments(
        field,
        &[
            ("email", "String!"),
            ("password", "String!"),
            ("origin", "String!"),
            ("captchaToken", "String"),
            ("locale", "String"),
            ("verifyEmailRedirectPath", "String"),
        ],
    )
}

fn exchange_login_token() -> Field {
    let field = Field::new(
        "getAuthTokensFromLoginToken",
        type_ref("AuthTokens!"),
        |context| {
            FieldFuture::new(async move {
                let [login_token, origin] =
                    ["loginToken", "origin"].map(|name| text(&context, name));
                Ok(shown(
                    auth(&context)?
                        .exchange_login_token(&login_token, None, &origin)
                        .await?,
                )?)
            })
        },
    );
    with_arguments(field, &[("loginToken", "String!"), ("origin", "String!")])
}

fn exchange_login_token_with_code() -> Field {
    let field = Field::new("getAuthTokensFromOTP", type_ref("AuthTokens!"), |context| {
        FieldFuture::new(async move {
            let [code, login_token, origin] =
                ["otp", "loginToken", "origin"].map(|name| text(&context, name));
            let exchanged = auth(&context)?
                .exchange_login_token(&login_token, Some(&code), &origin)
                .await?;
            Ok(shown(exchanged)?)
        })
    });
    with_arguments(
        field,
        &[
            ("otp", "String!"),
            ("loginToken", "String!"),
            ("captchaToken", "String"),
            ("origin", "String!"),
        ],
    )
}

fn sign_in() -> Field {
    let field = Field::new(
        "signIn",
        type_ref("AvailableWorkspacesAndAccessTokensOutput!"),
        |context| {
            FieldFuture::new(async move {
                let [email, password] = ["email", "password"].map(|name| text(&context, name));
                Ok(shown(auth(&context)?.sign_in(&email, &password).await?)?)
            })
        },
    );
    with_arguments(
        field,
        &[
            ("email", "String!"),
            ("password", "String!"),
            ("captchaToken", "String"),
            ("locale", "String"),
        ],
    )
}

fn renew() -> Field {
    let field = Field::new("renewToken", type_ref("AuthTokens!"), |context| {
        FieldFuture::new(async move {
            let call = context.data::<Call>()?;
            Ok(shown(
                auth(&context)?
                    .renew(&text(&context, "appToken"), &call.link_seen)
                    .await?,
            )?)
        })
    });
    with_arguments(field, &[("appToken", "String!")])
}

fn sign_out() -> Field {
    let field = Field::new("signOut", type_ref("Boolean!"), |context| {
        FieldFuture::new(async move {
            auth(&context)?
                .sign_out(
                    argument(&context, "refreshToken")
                        .as_str()
                        .unwrap_or_default(),
                )
                .await?;
            Ok(shown(true.into())?)
        })
    });
    with_arguments(field, &[("refreshToken", "String!")])
}

fn auth<'a>(context: &ResolverContext<'a>) -> Result<&'a Arc<Auth>, Refusal> {
    context
        .ctx
        .data::<Arc<Auth>>()
        .map_err(|error| Refusal::internal(error.message))
}

fn current_user(context: &ResolverContext<'_>) -> Result<Value, Refusal> {
    let Caller {
        account,
        membership,
    } = caller(context)?;
    let (workspace, member) = match membership {
        None => (None, None),
        Some(membership) => {
            let workspace = membership.workspace;
            let origin = auth(context)?.origin(workspace);
            let shown = json!({
                "id": workspace.id,
                "displayName": workspace.name,
                "subdomain": workspace.subdomain,
                "logo": null,
                "activationStatus": "ACTIVE",
                "metadataVersion": 1,
                "workspaceUrls": { "subdomainUrl": format!("{origin}/"), "customUrl": null },
            });
            let member = json!({
                "id": membership.member_id,
                "name": { "firstName": account.first_name, "lastName": account.last_name },
                "colorScheme": "System",
                "locale": "en",
                "avatarUrl": "",
                "userEmail": account.email,
            });
            (Some(shown), Some(member))
        }
    };
    Ok(json!({
        "id": account.user_id,
        "firstName": account.first_name,
        "lastName": account.last_name,
        "email": account.email,
        "isEmailVerified": true,
        "locale": "en",
        "onboardingStatus": membership.map(|_| "COMPLETED"),
        "currentWorkspace": workspace,
        "workspaceMember": member,
    }))
}

fn user_types() -> Vec<Object> {
    vec![
        plain(
            "User",
            &[
                ("id", "UUID!"),
                ("firstName", "String!"),
                ("lastName", "String!"),
                ("email", "String!"),
                ("isEmailVerified", "Boolean!"),
                ("locale", "String!"),
                ("onboardingStatus", "String"),
                ("currentWorkspace", "Workspace"),
                ("workspaceMember", "CurrentWorkspaceMember"),
            ],
        ),
        plain(
            "Workspace",
            &[
                ("id", "UUID!"),
                ("displayName", "String"),
                ("subdomain", "String!"),
                ("logo", "String"),
                ("activationStatus", "String!"),
                ("metadataVersion", "Float!"),
                ("workspaceUrls", "WorkspaceUrls!"),
            ],
        ),
        plain(
            "WorkspaceUrls",
            &[("subdomainUrl", "String!"), ("customUrl", "String")],
        ),
        plain(
            "CurrentWorkspaceMember",
            &[
                ("id", "UUID!"),
                ("name", "MemberName!"),
                ("colorScheme", "String!"),
                ("locale", "String"),
                ("avatarUrl", "String"),
                ("userEmail", "String!"),
            ],
        ),
        plain(
            "MemberName",
            &[("firstName", "String!"), ("lastName", "String!")],
        ),
    ]
}

fn token_types(old_token_field: bool) -> Vec<Object> {
    let access = if old_token_field {
        "accessToken"
    } else {
        "accessOrWorkspaceAgnosticToken"
    };
    vec![
        plain(
            "CheckUserExistOutput",
            &[
                ("exists", "Boolean!"),
                ("availableWorkspacesCount", "Float!"),
                ("isEmailVerified", "Boolean!"),
            ],
        ),
        plain(
            "AuthToken",
            &[("token", "String!"), ("expiresAt", "DateTime!")],
        ),
        Object::new("AuthTokenPair")
            .field(keyed(access, "AuthToken!", "access"))
            .field(keyed("refreshToken", "AuthToken!", "refresh")),
        plain("AuthTokens", &[("tokens", "AuthTokenPair!")]),
        plain("LoginToken", &[("loginToken", "AuthToken!")]),
        plain(
            "AvailableWorkspacesAndAccessTokensOutput",
            &[
                ("tokens", "AuthTokenPair!"),
                ("availableWorkspaces", "AvailableWorkspaces!"),
            ],
        ),
        plain(
            "AvailableWorkspaces",
            &[
                ("availableWorkspacesForSignIn", "[AvailableWorkspace!]!"),
                ("availableWorkspacesForSignUp", "[AvailableWorkspace!]!"),
            ],
        ),
        plain(
            "AvailableWorkspace",
            &[
                ("id", "UUID!"),
                ("displayName", "String"),
                ("loginToken", "String"),
                ("workspaceUrls", "WorkspaceUrls!"),
                ("logo", "String"),
            ],
        ),
    ]
}
