//! Presets against what real servers answer, and the errors of files that are wrong.

use serde_json::json;

use super::*;

fn preset(name: &str) -> DeclaredProtocol {
    let settings = [
        ("api_key", "public"),
        ("auth_url", "https://auth.example.com/v1"),
    ];
    DeclaredProtocol::preset(name, settings).expect("a preset is right")
}

fn reading(name: &str, status: u16, body: &str) -> Reading {
    let answer = Answer::new(status, body.to_owned());
    preset(name).read_renewal(&answer, &Dialect::default())
}

fn error_of(change: impl FnOnce(&mut Value)) -> String {
    let mut document: Value = serde_json::from_str(PRESETS[0].1).expect("JSON");
    change(&mut document);
    let read = DeclaredProtocol::from_json(&document.to_string(), []);
    read.expect_err("it is wrong").message().to_owned()
}

#[test]
fn every_preset_is_read_and_has_the_name_that_it_is_found_by() {
    for (name, _) in PRESETS {
        assert_eq!(preset(name).facts().name, name);
    }
    let unknown = DeclaredProtocol::preset("nobodys", []).expect_err("unknown");
    assert!(unknown.message().contains("directus"), "{unknown}");
}

/// What Directus 10 to 12, Strapi 5, django-graphql-jwt 0.4 and others answer to a renewal, as recorded or documented.
#[test]
fn the_answers_of_real_servers_to_a_renewal_mean_what_they_mean_there() {
    let directus = |code: &str| {
        json!({ "data": { "auth_refresh": null }, "errors": [{ "message": "No.", "extensions": { "code": code } }] })
            .to_string()
    };
    let strapi = |status: u16, message: &str| {
        json!({ "data": null, "error": { "status": status, "name": "ApplicationError", "message": message } }).to_string()
    };
    let django = |message: &str| {
        json!({ "errors": [{ "message": message }], "data": { "refreshToken": null } }).to_string()
    };
    let saleor = |code: &str| {
        json!({ "data": { "tokenRefresh": { "token": null, "errors": [{ "code": code }] } } })
            .to_string()
    };
    for (name, status, body, expected) in [
        ("directus", 200, directus("INVALID_CREDENTIALS"), "rejected"),
        ("directus", 200, directus("USER_SUSPENDED"), "rejected"),
        (
            "directus",
            429,
            directus("REQUESTS_EXCEEDED"),
            "inconclusive throttled",
        ),
        (
            "directus",
            401,
            directus("TOKEN_EXPIRED"),
            "inconclusive rule_3",
        ),
        ("directus", 502, "<html>".into(), "not the protocol's words"),
        (
            "strapi",
            401,
            strapi(401, "Invalid refresh token"),
            "rejected",
        ),
        (
            "strapi",
            401,
            strapi(401, "Missing or invalid credentials"),
            "inconclusive rule_3",
        ),
        ("strapi", 401, String::new(), "not the protocol's words"),
        (
            "django-graphql-jwt",
            200,
            django("Invalid refresh token"),
            "rejected",
        ),
        (
            "django-graphql-jwt",
            200,
            django("Refresh token is expired"),
            "rejected",
        ),
        (
            "django-graphql-jwt",
            200,
            django("Signature has expired"),
            "inconclusive rule_2",
        ),
        ("saleor", 200, saleor("JWT_SIGNATURE_EXPIRED"), "rejected"),
        (
            "saleor",
            200,
            saleor("GRAPHQL_ERROR"),
            "inconclusive rule_2",
        ),
        (
            "supabase",
            400,
            json!({ "code": 400, "error_code": "refresh_token_not_found", "msg": "No" })
                .to_string(),
            "rejected",
        ),
        (
            "supabase",
            400,
            json!({ "code": "refresh_token_already_used" }).to_string(),
            "rejected",
        ),
        (
            "supabase",
            400,
            json!({ "error_code": "bad_json", "msg": "No" }).to_string(),
            "inconclusive rule_4",
        ),
        (
            "nhost",
            401,
            json!({ "status": 401, "error": "invalid-refresh-token" }).to_string(),
            "rejected",
        ),
        (
            "hasura-auth",
            500,
            json!({ "status": 500, "error": "internal-server-error" }).to_string(),
            "inconclusive rule_3",
        ),
    ] {
        let read = match reading(name, status, &body) {
            Reading::Rejected {
                ambiguous: false, ..
            } => "rejected".to_owned(),
            Reading::Inconclusive { cause } => format!("inconclusive {cause}"),
            Reading::NotProtocol => "not the protocol's words".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(read, expected, "{name} {status} {body}");
    }
}

#[test]
fn tokens_and_their_expiries_are_read_in_each_servers_form() {
    let hour = Duration::from_secs(3_600);
    let jwt = |claims: &str| {
        use base64::Engine as _;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        format!("e30.{claims}.sig")
    };
    let at = |seconds| Expiry::At(jiff::Timestamp::from_second(seconds).expect("a time"));
    let expiring = jwt(r#"{"exp":1800000000,"id":7}"#);
    for (name, body, access_expires, has_refresh) in [
        (
            "directus",
            json!({ "data": { "auth_refresh": { "access_token": "a", "refresh_token": "r", "expires": "3600000" } } }),
            Expiry::In(hour),
            true,
        ),
        (
            "strapi",
            json!({ "jwt": expiring, "refreshToken": "r" }),
            at(1_800_000_000),
            true,
        ),
        (
            "django-graphql-jwt",
            json!({ "data": { "refreshToken": { "token": "a", "refreshToken": "r", "payload": { "exp": 1_800_000_000 } } } }),
            at(1_800_000_000),
            true,
        ),
        (
            "saleor",
            json!({ "data": { "tokenRefresh": { "token": "opaque" } } }),
            Expiry::Unknown,
            false,
        ),
        (
            "supabase",
            json!({ "access_token": "a", "refresh_token": "r", "expires_in": 3600 }),
            Expiry::In(hour),
            true,
        ),
        (
            "nhost",
            json!({ "accessToken": "a", "refreshToken": "r", "accessTokenExpiresIn": 3600 }),
            Expiry::In(hour),
            true,
        ),
    ] {
        let Reading::Renewed(tokens) = reading(name, 200, &body.to_string()) else {
            panic!("{name}: no tokens in {body}");
        };
        assert_eq!(tokens.access_expires, access_expires, "{name}");
        assert_eq!(tokens.refresh.is_some(), has_refresh, "{name}");
    }
    let Reading::Renewed(tokens) = reading("strapi", 200, &json!({ "jwt": expiring }).to_string())
    else {
        panic!("no tokens");
    };
    assert_eq!(preset("strapi").subject(&tokens).as_deref(), Some("7"));
}

#[test]
fn a_refused_call_is_told_from_other_errors_at_each_server() {
    let refuses = |name: &str, status, body: &Value| {
        let body = body.to_string();
        let reply = RawReply {
            status,
            www_authenticate: None,
            body: body.as_bytes(),
        };
        preset(name).refuses(&reply, Envelope::read(reply.body).as_ref())
    };
    let code =
        |code: &str| json!({ "errors": [{ "message": "m", "extensions": { "code": code } }] });
    let message = |message: &str| json!({ "errors": [{ "message": message, "path": ["me"] }], "data": { "me": null } });
    let rest = json!({ "data": null, "error": { "status": 401, "name": "UnauthorizedError" } });
    for (name, status, body, expected) in [
        ("directus", 401, code("TOKEN_EXPIRED"), true),
        ("directus", 403, code("INVALID_TOKEN"), true),
        ("directus", 400, code("GRAPHQL_VALIDATION"), false),
        ("directus", 403, code("FORBIDDEN"), false),
        ("strapi", 401, rest.clone(), true),
        ("strapi", 403, rest, false),
        (
            "django-graphql-jwt",
            200,
            message("Signature has expired"),
            true,
        ),
        (
            "django-graphql-jwt",
            200,
            message("You do not have permission to perform this action"),
            false,
        ),
        ("supabase", 200, code("UNAUTHENTICATED"), true),
        ("supabase", 401, json!({ "message": "JWT expired" }), true),
        ("nhost", 200, code("invalid-jwt"), true),
        ("nhost", 200, code("validation-failed"), false),
    ] {
        assert_eq!(
            refuses(name, status, &body),
            expected,
            "{name} {status} {body}"
        );
    }
}

#[test]
fn a_renewal_is_sent_as_the_file_says_and_without_what_it_does_not_name() {
    let refresh = SecretString::from(r#"r"1"#);
    let held = Held {
        access: "the-access-token",
        refresh: &refresh,
        dialect: &Dialect::default(),
    };
    let supabase = preset("supabase");
    let request = supabase
        .renewal(&held, &Dialect::default())
        .expect("a request");
    assert_eq!(
        request.to,
        Target::api("/auth/v1/token?grant_type=refresh_token")
    );
    let crate::http::Body::Json(body) = &request.body else {
        panic!("no JSON");
    };
    assert_eq!(body, r#"{"refresh_token":"r\"1"}"#);
    let [(name, key)] = &request.headers[..] else {
        panic!("{:?}", request.headers.len());
    };
    assert_eq!((&**name, key.expose_secret()), ("apikey", "public"));
    assert_eq!(
        supabase.facts().call_headers,
        [("apikey".into(), "public".into())]
    );

    let nhost = preset("nhost").renewal(&held, &Dialect::default());
    let address = "https://auth.example.com/v1/token"
        .parse()
        .expect("an address");
    assert_eq!(nhost.expect("a request").to, Target::Address(address));
}

#[test]
fn a_file_that_is_wrong_is_refused_with_the_key() {
    for (error, key) in [
        (
            error_of(|file| file["renewal"]["request"]["path"] = json!("graphql")),
            "protocol.renewal.request.path",
        ),
        (error_of(|file| file["renewl"] = json!(1)), "renewl"),
        (
            error_of(|file| file["renewal"]["tokens"]["access"] = json!("data/x")),
            "protocol.renewal.tokens.access",
        ),
        (
            error_of(|file| file["signIn"]["rules"][0]["is"] = json!("wrong")),
            "protocol.signIn.rules[0].is",
        ),
        (
            error_of(|file| {
                file["renewal"]["request"]["graphql"]["variables"]["token"] =
                    json!("{refresh_tokn}")
            }),
            "protocol.renewal.request.graphql.variables.token",
        ),
        (
            error_of(|file| file["callHeaders"] = json!({ "apikey": "{setting.key}" })),
            "protocol.callHeaders.apikey",
        ),
        (
            error_of(|file| file["callHeaders"] = json!({ "x": "{access_token}" })),
            "protocol.callHeaders.x",
        ),
        (
            error_of(|file| file["refused"] = json!([{ "equals": "X" }])),
            "protocol.refused[0]",
        ),
        (
            error_of(|file| file["endpoints"] = json!({})),
            "protocol.endpoints",
        ),
        (
            error_of(|file| file["endpoints"]["graphql"] = json!("graphql")),
            "protocol.endpoints.graphql",
        ),
        (
            error_of(|file| file["signIn"]["tokens"]["refresh"] = Value::Null),
            "protocol.signIn.tokens.refresh",
        ),
        (
            error_of(|file| file["signIn"]["request"]["json"] = json!({})),
            "protocol.signIn.request",
        ),
        (
            error_of(|file| file["token"] = json!({ "header": "x-token", "scheme": "Bearer" })),
            "protocol.token.scheme",
        ),
    ] {
        assert!(error.contains(key), "{key}: {error}");
    }
    let missing = DeclaredProtocol::preset("supabase", []).expect_err("no key");
    assert!(missing.message().contains("`api_key`"), "{missing}");
    assert!(DeclaredProtocol::from_json("[", []).is_err());
}

/// Every key that the file may have is in the JSON Schema, and no other.
#[test]
fn the_schema_has_the_keys_that_are_read() {
    let schema = include_str!("../../../../../docs/declared-protocol.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    for (object, place) in [
        ("", "/properties"),
        ("/token", "/$defs/token/properties"),
        ("/check", "/properties/check/properties"),
        ("/check/is/0", "/$defs/condition/properties"),
        ("/signIn", "/properties/signIn/properties"),
        ("/signIn/request", "/$defs/request/properties"),
        (
            "/signIn/request/graphql",
            "/$defs/request/properties/graphql/properties",
        ),
        (
            "/signIn/rules/0",
            "/properties/signIn/properties/rules/items/properties",
        ),
        ("/signIn/tokens", "/$defs/tokens/properties"),
        ("/renewal", "/properties/renewal/properties"),
        (
            "/renewal/rules/0",
            "/properties/renewal/properties/rules/items/properties",
        ),
        ("/revocation", "/properties/revocation/properties"),
    ] {
        let error = error_of(|file| {
            file["token"] = json!({});
            file.pointer_mut(object).expect("an object")["nobodys"] = json!(1);
        });
        // "unknown field `nobodys`, expected one of `name`, `endpoints`"
        let (_, expected) = error.split_once("expected ").expect("a list of keys");
        let mut read: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        let stated = schema.pointer(place).and_then(Value::as_object);
        let mut stated: Vec<_> = stated.expect(place).keys().map(String::as_str).collect();
        read.sort_unstable();
        stated.sort_unstable();
        assert_eq!(stated, read, "{object}");
    }
}
