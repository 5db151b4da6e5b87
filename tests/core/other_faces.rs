//! The scriptable server's other protocols: the same tokens, renewed as OAuth 2 and Supabase Auth do it.

use std::sync::Arc;

use graphql_session::SystemClock;
use graphql_session_testing::rotation::{Grace, OnReuse, Rotation};
use graphql_session_testing::{EMAIL, Explanation, FaultServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn oauth_2_renews_from_a_form_and_from_json_and_the_new_token_is_good_for_calls() {
    let server = server().await;
    let issued = server.issue(EMAIL);
    let form = format!("grant_type=refresh_token&refresh_token={}", issued.refresh);
    let (status, first) = post(&server, "/oauth/token", None, form).await;
    assert_eq!((status, &first["token_type"]), (200, &json!("Bearer")));
    assert_eq!(first["expires_in"], 1_800);

    let again = json!({ "grant_type": "refresh_token", "refresh_token": first["refresh_token"] });
    let (status, second) = post(&server, "/oauth/token", None, again.to_string()).await;
    assert_eq!(status, 200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(server.counts().exchanged, 2);

    let access = second["access_token"].as_str();
    let (status, reply) = call(&server, access).await;
    let count = &reply["data"]["people"]["totalCount"];
    assert_eq!((status, count), (200, &json!(1)));
}

#[tokio::test]
async fn a_revoked_session_is_rejected_in_the_words_of_each_protocol() {
    let server = server().await;
    let issued = server.issue(EMAIL);
    server.revoke_sessions();
    let body = json!({ "grant_type": "refresh_token", "refresh_token": issued.refresh });
    let (status, said) = post(&server, "/oauth/token", None, body.to_string()).await;
    assert_eq!((status, &said["error"]), (400, &json!("invalid_grant")));

    let path = "/auth/v1/token?grant_type=refresh_token";
    let (status, said) = post(&server, path, None, body.to_string()).await;
    let not_found = json!("refresh_token_not_found");
    assert_eq!((status, &said["error_code"]), (400, &not_found));
    assert_eq!(server.counts().renewals_refused, 2);
}

#[tokio::test]
async fn a_supabase_sign_out_with_the_access_token_ends_the_session() {
    let server = server().await;
    let email = "another@example.com";
    server.add_person(email, "secret");
    let issued = server.issue(email);
    let path = "/auth/v1/token?grant_type=refresh_token";
    let body = |refresh: &Value| json!({ "refresh_token": refresh }).to_string();
    let (status, renewed) = post(&server, path, None, body(&json!(issued.refresh))).await;
    assert_eq!((status, &renewed["user"]["email"]), (200, &json!(email)));
    assert!(renewed["expires_at"].is_i64());

    let access = renewed["access_token"].as_str();
    let sign_out = "/auth/v1/logout?scope=local";
    let (status, _) = post(&server, sign_out, access, String::new()).await;
    assert_eq!(status, 200);
    let (status, _) = post(&server, path, None, body(&renewed["refresh_token"])).await;
    assert_eq!(status, 400);
    let ledger = server.ledger();
    let (last, _) = ledger.rejections().last().expect("a rejection");
    assert_eq!(ledger.explain(last), Some(Explanation::SignedOut));
}

#[tokio::test]
async fn a_refused_call_has_the_status_that_was_asked_for() {
    let server = server().await;
    let issued = server.issue(EMAIL);
    server.expire_access_tokens();
    assert_eq!(call(&server, Some(&issued.access)).await.0, 200);
    server.refuses_calls_with(401);
    let (status, reply) = call(&server, Some(&issued.access)).await;
    let code = &reply["errors"][0]["extensions"]["code"];
    assert_eq!((status, code), (401, &json!("UNAUTHENTICATED")));
}

#[tokio::test]
async fn a_renewal_with_an_expired_bearer_is_refused_unless_the_server_ignores_the_bearer() {
    let server = server().await;
    let issued = server.issue(EMAIL);
    server.expire_access_tokens();
    let mutation = "mutation RenewToken($appToken: String!) { renewToken(appToken: $appToken) { tokens { accessOrWorkspaceAgnosticToken { token } } } }";
    let body = json!({ "query": mutation, "variables": { "appToken": issued.refresh } });
    let renew = || post(&server, "/metadata", Some(&issued.access), body.to_string());
    assert!(renew().await.1["errors"].is_array());
    server.checks_renewals_bearer(false);
    assert!(renew().await.1["data"]["renewToken"].is_object());
}

#[tokio::test]
async fn a_used_token_and_its_successor_are_accepted_as_the_rotation_says() {
    let hour = 3_600_000;
    for (grace, on_reuse, used, successor) in [
        (Grace::None, OnReuse::KeepFamily, 400, 200),
        (Grace::None, OnReuse::RevokeFamily, 400, 400),
        (Grace::None, OnReuse::SpendFamily, 400, 400),
        (Grace::FromFirstUse(hour), OnReuse::RevokeFamily, 200, 200),
        (Grace::FromLatestUse(hour), OnReuse::SpendFamily, 200, 200),
        (Grace::Forever, OnReuse::RevokeFamily, 200, 200),
    ] {
        let server = server().await;
        let rotation = Rotation { grace, on_reuse };
        server.rotates_as(rotation);
        let first = json!(server.issue(EMAIL).refresh);
        let (_, renewed) = renew(&server, &first).await;

        let taken = [
            renew(&server, &first).await.0,
            renew(&server, &renewed["refresh_token"]).await.0,
        ];

        assert_eq!(taken, [used, successor], "{rotation:?}");
    }
}

async fn renew(server: &FaultServer, refresh: &Value) -> (u16, Value) {
    let body = json!({ "grant_type": "refresh_token", "refresh_token": refresh });
    post(server, "/oauth/token", None, body.to_string()).await
}

async fn server() -> FaultServer {
    FaultServer::start(Arc::new(SystemClock::new())).await
}

async fn call(server: &FaultServer, access: Option<&str>) -> (u16, Value) {
    let query = json!({ "query": "query People { people { totalCount } }" });
    post(server, "/graphql", access, query.to_string()).await
}

/// A request over a plain socket: for reqwest, TLS would have to be set up.
async fn post(
    server: &FaultServer,
    path: &str,
    access: Option<&str>,
    body: String,
) -> (u16, Value) {
    let address = server.address();
    let host = address.trim_start_matches("http://");
    let authorization = access.map(|access| format!("authorization: Bearer {access}\r\n"));
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{}content-length: {}\r\n\r\n{body}",
        authorization.unwrap_or_default(),
        body.len(),
    );
    let mut connection = TcpStream::connect(host).await.expect("a connection");
    let sent = connection.write_all(request.as_bytes()).await;
    sent.expect("a request that is taken");
    let half_closed = connection.shutdown().await;
    half_closed.expect("a connection that can be half closed");
    let mut reply = String::new();
    let read = connection.read_to_string(&mut reply).await;
    read.expect("a reply");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).expect("a status").parse();
    let body = serde_json::from_str(body).unwrap_or_default();
    (status.expect("a number"), body)
}
