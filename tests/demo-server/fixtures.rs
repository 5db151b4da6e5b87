//! Answers of a Twenty server, written down from observation. In texts `*` stands for any text; a lone `*` also for a
//! number. The keys must be the same: an absent `data` differs from a null one.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::pattern::differs;

/// The answer to one request.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    /// Names of the recordings of a real server from which it was written.
    pub(crate) recorded: &'static [&'static str],
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Value,
}

impl Fixture {
    /// The first difference, if there is one.
    pub(crate) fn difference(
        &self,
        status: u16,
        content_type: &str,
        body: &Value,
    ) -> Option<String> {
        if status != self.status {
            return Some(format!("status {status} instead of {}", self.status));
        }
        if content_type != self.content_type {
            return Some(format!(
                "content type {content_type} instead of {}",
                self.content_type
            ));
        }
        differs(&self.body, body, "$")
    }
}

pub(crate) fn fixture(name: &str) -> &'static Fixture {
    FIXTURES
        .iter()
        .find(|fixture| fixture.name == name)
        .unwrap_or_else(|| panic!("no fixture {name}"))
}

pub(crate) static FIXTURES: LazyLock<Vec<Fixture>> = LazyLock::new(all);

const JSON: &str = "application/json; charset=utf-8";
const BARE: &str = "application/json";
const PLAIN: &str = "An error occurred.";

fn all() -> Vec<Fixture> {
    let mut fixtures = sign_in();
    fixtures.extend(bearers());
    fixtures.extend(renewals());
    fixtures.extend(data());
    fixtures.extend(http());
    fixtures
}

fn sign_in() -> Vec<Fixture> {
    let token = json!({ "token": "*", "expiresAt": "*.???Z" });
    vec![
        ok(
            "known user",
            &[
                "1-graphql-checkUserExists-known",
                "1-metadata-checkUserExists-known",
            ],
            json!({ "checkUserExists": { "exists": true, "availableWorkspacesCount": "*", "isEmailVerified": true } }),
        ),
        ok(
            "unknown user exists not",
            &[
                "1-graphql-checkUserExists-unknown",
                "1-metadata-checkUserExists-unknown",
            ],
            json!({ "checkUserExists": { "exists": false, "availableWorkspacesCount": 0, "isEmailVerified": false } }),
        ),
        refused(
            "bad e-mail",
            &["1-graphql-checkUserExists-bad-email-format"],
            "Invalid email format (0 @) *",
            &[],
            "INTERNAL_SERVER_ERROR",
        ),
        ok(
            "login token",
            &["1-graphql-login-good", "1-metadata-login-good"],
            json!({ "getLoginTokenFromCredentials": { "loginToken": token } }),
        ),
        Fixture {
            body: json!({
                "errors": [{
                    "message": "Wrong password",
                    "extensions": {
                        "subCode": "FORBIDDEN_EXCEPTION",
                        "userFriendlyMessage": "Wrong password",
                        "code": "FORBIDDEN",
                    },
                }],
                "data": null,
            }),
            ..refused(
                "wrong password",
                &[
                    "1-graphql-login-wrong-password",
                    "1-metadata-login-wrong-password",
                ],
                "",
                &[],
                "",
            )
        },
        refused(
            "unknown user",
            &[
                "1-graphql-login-unknown-user",
                "1-metadata-login-unknown-user",
            ],
            "User not found",
            &["USER_NOT_FOUND"],
            "UNAUTHENTICATED",
        ),
        refused(
            "wrong origin",
            &[
                "1-multiworkspace-graphql-login-origin-ip",
                "1-multiworkspace-graphql-login-origin-unknown-subdomain",
            ],
            "Workspace not found",
            &["WORKSPACE_NOT_FOUND"],
            "UNAUTHENTICATED",
        ),
        ok(
            "tokens for a login token",
            &[
                "1-graphql-authTokensFromLoginToken-good",
                "1-graphql-authTokensFromLoginToken-reused",
            ],
            json!({ "getAuthTokensFromLoginToken": { "tokens": pair() } }),
        ),
        rejected(
            "garbage login token",
            &["1-graphql-authTokensFromLoginToken-garbage"],
            "No payload",
        ),
        rejected(
            "expired login token",
            &["1-graphql-authTokensFromLoginToken-expired"],
            "Token has expired.",
        ),
        ok(
            "sign-in without a workspace",
            &[],
            json!({ "signIn": { "tokens": pair(), "availableWorkspaces": { "availableWorkspacesForSignIn": [{
                "id": "*", "displayName": "*", "loginToken": "*",
                "workspaceUrls": { "subdomainUrl": "http://*/", "customUrl": null },
            }] } } }),
        ),
    ]
}

fn bearers() -> Vec<Fixture> {
    let before = |name, recorded, message: &str| Fixture {
        content_type: BARE,
        body: json!({ "errors": [unauthenticated(message)] }),
        ..ok(name, recorded, Value::Null)
    };
    vec![
        before(
            "expired bearer",
            &[
                "3-expired-graphql-currentUser",
                "3-expired-graphql-people3",
                "3-expired-graphql-createPerson",
                "3-expired-metadata-objects",
                "3-expired-graphql-checkUserExists-with-expired-Authorization",
                "3-expired-graphql-renewToken-with-expired-Authorization",
                "3-expired-metadata-renewToken-with-expired-Authorization",
            ],
            "Token has expired.",
        ),
        before(
            "garbage bearer",
            &[
                "3-garbage-graphql-currentUser",
                "3-garbage-metadata-objects",
                "3-garbagejwt-graphql-people3",
            ],
            "No payload",
        ),
        before(
            "bearer of another server",
            &[
                "3-othersecret-graphql-currentUser",
                "3-refreshasaccess-metadata-currentUser",
            ],
            "Token invalid.",
        ),
        refused(
            "no bearer for the user",
            &[
                "3-none-graphql-currentUser",
                "3-none-metadata-currentUser",
                "3-emptybearer-graphql-currentUser",
            ],
            "Forbidden resource",
            &[],
            "INTERNAL_SERVER_ERROR",
        ),
        problem(
            "no bearer for records",
            &[
                "3-none-graphql-people3",
                "3-none-metadata-people3",
                "2-good-metadata-people3",
            ],
            "Cannot query field \"people\" on type \"Query\".",
        ),
        Fixture {
            status: 500,
            content_type: "text/plain;charset=UTF-8",
            body: "InternalServerError: Workspace is not defined\n*".into(),
            ..ok(
                "no bearer for objects",
                &["3-none-metadata-objects", "3-emptybearer-metadata-objects"],
                Value::Null,
            )
        },
        ok(
            "user without a workspace",
            &["3-agnostic-graphql-currentUser"],
            json!({ "currentUser": {
                "id": "*", "firstName": "*", "lastName": "*", "email": "*",
                "onboardingStatus": null, "workspaceMember": null, "currentWorkspace": null,
            } }),
        ),
    ]
}

fn renewals() -> Vec<Fixture> {
    let suspicious = "Suspicious activity detected, this refresh token has been revoked. All tokens have been revoked.";
    let variable = |name, recorded, message: &str| Fixture {
        status: 400,
        body: json!({ "errors": [{ "message": message, "extensions": {
            "http": { "status": 400 }, "code": "BAD_USER_INPUT", "userFriendlyMessage": PLAIN,
        } }] }),
        ..ok(name, recorded, Value::Null)
    };
    vec![
        ok(
            "renewed",
            &[
                "4-graphql-renew-good",
                "4-metadata-renew-good",
                "4-graphql-renew-reuse-inside-cooldown",
                "4-graphql-renew-good-with-valid-Authorization",
                "5-graphql-3-newest-R1-right-after",
                "5-graphql-sliding-4-after-24s",
            ],
            json!({ "renewToken": { "tokens": pair() } }),
        ),
        rejected(
            "renewal with garbage",
            &["4-graphql-renew-garbage", "4-metadata-renew-garbagejwt"],
            "No payload",
        ),
        rejected(
            "renewal with a foreign token",
            &[
                "4-graphql-renew-other-secret",
                "4-graphql-renew-access-as-refresh",
            ],
            "Token invalid.",
        ),
        rejected(
            "renewal with an expired token",
            &[
                "4-graphql-renew-expired-refresh",
                "4-metadata-renew-really-expired-refresh",
            ],
            "Token has expired.",
        ),
        refused(
            "renewal with nothing",
            &["4-graphql-renew-empty", "4-metadata-renew-empty"],
            "appToken should not be empty",
            &[],
            "BAD_USER_INPUT",
        ),
        refused(
            "renewal after the grace time",
            &[
                "5-graphql-1-reuse-R0-after-cooldown",
                "5-metadata-8-other-session-after-cooldown",
                "4-graphql-renew-revoked-1h-ago",
            ],
            suspicious,
            &["FORBIDDEN_EXCEPTION"],
            "FORBIDDEN",
        ),
        refused(
            "renewal with a token that has no row",
            &[
                "4-graphql-renew-row-deleted",
                "4-metadata-renew-unknown-jti",
            ],
            "This refresh token doesn't exist",
            &["INVALID_INPUT"],
            "BAD_USER_INPUT",
        ),
        variable(
            "renewal without its variable",
            &[
                "4-graphql-renew-missing-variable",
                "4-metadata-renew-missing-variable",
            ],
            "Variable \"$appToken\" of required type \"String!\" was not provided.",
        ),
        variable(
            "renewal with a null variable",
            &["4-graphql-renew-null"],
            "Variable \"$appToken\" of non-null type \"String!\" must not be null.",
        ),
        problem(
            "old server",
            &[],
            "Cannot query field \"accessOrWorkspaceAgnosticToken\" on type \"AuthTokenPair\".",
        ),
        problem(
            "authentication elsewhere",
            &[],
            "Cannot query field \"renewToken\" on type \"Mutation\".",
        ),
    ]
}

fn data() -> Vec<Fixture> {
    let page_info = |next: bool| json!({ "hasNextPage": next, "hasPreviousPage": false, "startCursor": "*", "endCursor": "*" });
    let person = json!({ "cursor": "*", "node": {
        "id": "*", "createdAt": "*.???Z", "jobTitle": "*", "name": { "firstName": "*", "lastName": "*" },
        "emails": { "primaryEmail": "*@*" }, "company": { "id": "*", "name": "*" },
    } });
    let company = json!({ "cursor": "*", "node": {
        "id": "*", "name": "*", "employees": "*", "domainName": { "primaryLinkUrl": "*" },
    } });
    let id = json!({ "cursor": "*", "node": { "id": "*" } });
    let name = json!({ "firstName": "*", "lastName": "*" });
    let not_found = |root: &str, recorded| Fixture {
        body: json!({
            "errors": [error("Record not found", &["RECORD_NOT_FOUND"], "NOT_FOUND")],
            "data": { root: null },
        }),
        ..ok("", recorded, Value::Null)
    };
    let bad_people = |name, recorded, message: &str, sub_code: &str| Fixture {
        body: json!({ "errors": [error(message, &[sub_code], "BAD_USER_INPUT")], "data": { "people": null } }),
        ..ok(name, recorded, Value::Null)
    };
    vec![
        ok(
            "user",
            &["8-currentUser", "8-currentUser-metadata"],
            json!({ "currentUser": {
                "id": "*", "firstName": "*", "lastName": "*", "email": "*@*",
                "workspaceMember": { "id": "*", "name": name, "colorScheme": "*", "locale": "en" },
                "currentWorkspace": { "id": "*", "displayName": "*", "subdomain": "*", "metadataVersion": "*" },
            } }),
        ),
        ok(
            "objects without a page",
            &["2-good-graphql-objects-nopaging"],
            json!({ "objects": { "edges": [] } }),
        ),
        problem(
            "objects at the wrong endpoint",
            &["2-good-graphql-objects", "3-none-graphql-objects"],
            "Unknown argument \"paging\" on field \"Query.objects\".",
        ),
        ok(
            "people",
            &["2-good-graphql-people3"],
            json!({ "people": { "totalCount": "*", "pageInfo": page_info(true), "edges": [person, person, person] } }),
        ),
        ok(
            "people, page 2",
            &["2-good-graphql-people-page2"],
            json!({ "people": { "totalCount": "*", "pageInfo": page_info(true), "edges": [id, id, id] } }),
        ),
        ok(
            "companies",
            &["2-good-graphql-companies2"],
            json!({ "companies": { "totalCount": "*", "pageInfo": page_info(true), "edges": [company, company] } }),
        ),
        Fixture {
            name: "no such person",
            ..not_found("person", &["2-good-graphql-person-not-found"])
        },
        Fixture {
            name: "no such person to change",
            ..not_found("updatePerson", &["2-good-graphql-updatePerson-missing"])
        },
        Fixture {
            body: json!({
                "errors": [error("Record not found", &["RECORD_NOT_FOUND"], "NOT_FOUND")],
                "data": { "a": { "edges": [{ "node": { "id": "*" } }] }, "b": null },
            }),
            ..ok(
                "two roots, one fails",
                &["6-graphql-two-roots-one-fails"],
                Value::Null,
            )
        },
        ok(
            "person made",
            &["2-good-graphql-createPerson"],
            json!({ "createPerson": {
                "id": "*", "name": name, "createdAt": "*.???Z", "updatedAt": "*.???Z", "deletedAt": null,
            } }),
        ),
        Fixture {
            body: json!({
                "errors": [{
                    "message": "Duplicate Emails with value *. Please set a unique one.",
                    "extensions": {
                        "userFriendlyMessage":
                            "This emails with value * is already taken. Please choose a different value.",
                        "isExpected": true,
                        "code": "BAD_USER_INPUT",
                    },
                }],
                "data": { "createPerson": null },
            }),
            ..ok(
                "e-mail taken",
                &["2-good-graphql-createPerson-duplicate-email"],
                Value::Null,
            )
        },
        ok(
            "person changed",
            &["2-good-graphql-updatePerson"],
            json!({ "updatePerson": { "id": "*", "name": { "firstName": "Wire", "lastName": "Updated" }, "updatedAt": "*.???Z" } }),
        ),
        ok(
            "person deleted",
            &[
                "2-good-graphql-deletePerson",
                "2-good-graphql-deletePerson-again",
            ],
            json!({ "deletePerson": { "id": "*", "deletedAt": "*.???Z" } }),
        ),
        ok(
            "person destroyed",
            &["2-good-graphql-destroyPerson"],
            json!({ "destroyPerson": { "id": "*" } }),
        ),
        bad_people(
            "bad cursor",
            &["6-graphql-bad-cursor"],
            "Invalid cursor: garbage",
            "INVALID_CURSOR",
        ),
        bad_people(
            "fewer than none",
            &["6-graphql-first-negative"],
            "First argument must be non-negative",
            "INVALID_ARGS_FIRST",
        ),
        bad_people(
            "bad operator",
            &["6-graphql-bad-filter"],
            "Operator \"regex\" is not supported",
            "UNSUPPORTED_OPERATOR",
        ),
        Fixture {
            status: 400,
            body: json!({ "errors": [{ "message": "Invalid UUID", "extensions": {
                "code": "GRAPHQL_VALIDATION_FAILED", "http": { "status": 400 }, "userFriendlyMessage": PLAIN,
            } }] }),
            ..ok("bad identifier", &["6-graphql-bad-uuid"], Value::Null)
        },
    ]
}

fn http() -> Vec<Fixture> {
    let graphql_json = "application/graphql-response+json; charset=utf-8";
    let unknown_field = "Cannot query field \"noSuchField\" on type \"User\".";
    let bare = |message: &str| json!({ "errors": [{ "message": message }] });
    vec![
        problem(
            "unknown field",
            &[
                "6-graphql-validation-unknown-field",
                "6-metadata-validation-unknown-field",
            ],
            unknown_field,
        ),
        Fixture {
            status: 400,
            content_type: graphql_json,
            ..problem(
                "unknown field, GraphQL media type",
                &["6-graphql-validation-unknown-field-accept-graphql-response"],
                unknown_field,
            )
        },
        Fixture {
            content_type: graphql_json,
            ..ok(
                "user, GraphQL media type",
                &["6-graphql-good-accept-graphql-response"],
                json!({ "currentUser": { "id": "*", "email": "*" } }),
            )
        },
        problem(
            "syntax error",
            &["6-graphql-syntax-error", "6-metadata-syntax-error"],
            "Syntax Error: Expected Name, found <EOF>.",
        ),
        Fixture {
            status: 400,
            body: json!({ "statusCode": 400, "message": "Unexpected end of JSON input", "error": "Bad Request" }),
            ..ok(
                "malformed JSON",
                &["6-graphql-malformed-json", "6-metadata-malformed-json"],
                Value::Null,
            )
        },
        Fixture {
            body: bare("Must provide query string."),
            ..ok(
                "no query",
                &["6-graphql-no-query", "6-metadata-no-query"],
                Value::Null,
            )
        },
        Fixture {
            status: 400,
            body: bare("Batching is not supported."),
            ..ok("batch", &["6-graphql-batched-array"], Value::Null)
        },
        Fixture {
            status: 405,
            body: bare("Can only perform a mutation operation from a POST request."),
            ..ok(
                "mutation by GET",
                &["6-graphql-get-mutation", "6-metadata-get-mutation"],
                Value::Null,
            )
        },
        ok(
            "query by GET",
            &["6-graphql-get-query"],
            json!({ "__typename": "Query" }),
        ),
        Fixture {
            status: 415,
            content_type: "",
            body: "".into(),
            ..ok(
                "wrong content type",
                &["6-graphql-wrong-content-type"],
                Value::Null,
            )
        },
        Fixture {
            status: 404,
            body: json!({ "statusCode": 404, "message": "Cannot POST /nope", "error": "Not Found" }),
            ..ok("no such path", &["6-404"], Value::Null)
        },
        Fixture {
            body: json!({ "status": "ok", "info": {}, "error": {}, "details": {} }),
            ..ok("health", &["6-postgres-down-healthz"], Value::Null)
        },
    ]
}

fn pair() -> Value {
    json!({
        "accessOrWorkspaceAgnosticToken": { "token": "*", "expiresAt": "*.???Z" },
        "refreshToken": { "token": "*", "expiresAt": "*.???Z" },
    })
}

fn ok(name: &'static str, recorded: &'static [&'static str], data: Value) -> Fixture {
    Fixture {
        name,
        recorded,
        status: 200,
        content_type: JSON,
        body: json!({ "data": data }),
    }
}

/// A resolver of a non-null field refused: `data` is present, and null.
fn refused(
    name: &'static str,
    recorded: &'static [&'static str],
    message: &str,
    sub_code: &[&str],
    code: &str,
) -> Fixture {
    let body = json!({ "errors": [error(message, sub_code, code)], "data": null });
    Fixture {
        body,
        ..ok(name, recorded, Value::Null)
    }
}

fn rejected(name: &'static str, recorded: &'static [&'static str], message: &str) -> Fixture {
    Fixture {
        body: json!({ "errors": [unauthenticated(message)], "data": null }),
        ..ok(name, recorded, Value::Null)
    }
}

/// The query did not validate: a place, no extensions, no `data`.
fn problem(name: &'static str, recorded: &'static [&'static str], message: &str) -> Fixture {
    let body =
        json!({ "errors": [{ "message": message, "locations": [{ "line": 1, "column": "*" }] }] });
    Fixture {
        body,
        ..ok(name, recorded, Value::Null)
    }
}

fn unauthenticated(message: &str) -> Value {
    json!({ "message": message, "extensions": {
        "userFriendlyMessage": "You must be authenticated to perform this action.",
        "subCode": "UNAUTHENTICATED",
        "code": "UNAUTHENTICATED",
    } })
}

fn error(message: &str, sub_code: &[&str], code: &str) -> Value {
    let mut error =
        json!({ "message": message, "extensions": { "userFriendlyMessage": PLAIN, "code": code } });
    if let [sub_code] = sub_code {
        error["extensions"]["subCode"] = (*sub_code).into();
    }
    error
}
