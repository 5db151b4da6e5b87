//! Settings, and several accounts in one application.

use serde_json::json;
use tauri::test::mock_builder;
use tauri_plugin_graphql_session::GraphqlSessionExt;
use tauri_plugin_graphql_session::graphql_session::Config;

use crate::test_app::{EVERYTHING, PEOPLE, Page, TestApp, assert_fails, context, new_id};

/// Starts an application with wrong settings for the plugin; returns the error.
fn refusal(settings: serde_json::Value) -> String {
    let mut context = context(EVERYTHING);
    context.config_mut().identifier = "dev.holdfast.plugin-test".to_owned();
    let plugins = &mut context.config_mut().plugins.0;
    plugins.insert("graphql-session".to_owned(), settings);
    let app = mock_builder()
        .plugin(tauri_plugin_graphql_session::init())
        .build(context);
    app.expect_err("it must not start").to_string()
}

#[test]
fn an_unknown_setting_stops_the_application_with_its_name() {
    let refusal = refusal(json!({ "limits": { "atemptMs": 1 } }));
    assert!(refusal.contains("atemptMs"), "{refusal}");
}

#[test]
fn a_wrong_value_stops_the_application_with_its_name() {
    let wrong_type = json!({ "limits": { "attemptTimeoutMs": "soon" } });
    let not_secure = json!({ "server": "http://crm.example.com" });
    for (settings, name) in [
        (wrong_type, "limits.attemptTimeoutMs"),
        (not_secure, "server"),
    ] {
        let refusal = refusal(settings);
        assert!(refusal.contains(name), "{name}: {refusal}");
    }
}

#[test]
fn two_accounts_of_one_name_stop_the_application() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = || Config::new("plugin-test", folder.path());
    let plugin = tauri_plugin_graphql_session::Builder::new()
        .session(config())
        .session(config());
    let app = mock_builder()
        .plugin(plugin.build())
        .build(context(EVERYTHING));
    let refusal = app.expect_err("it must not start").to_string();
    assert!(refusal.contains("`default`"), "{refusal}");
}

#[test]
fn each_window_means_its_own_account_unless_it_names_another() {
    let app = TestApp::open_with(EVERYTHING, |builder, configure| {
        builder
            .session(configure("archive"))
            .window_account("main-2", "archive")
    });
    let pages = [app.window("main"), app.window("main-2")];
    assert_eq!(pages[0].status()["account"], "default");
    assert_eq!(pages[1].status()["account"], "archive");
    let named = pages[1].invoke("status", json!({ "account": "default" }));
    assert_eq!(named.expect("a status")["account"], "default");

    let signed_in = pages[1].sign_in().expect("signs in to its own account");
    assert_eq!(signed_in["account"], "archive");
    assert_eq!(pages[0].status()["phase"], "signed_out");
    // Every window gets the events of every account, with its name.
    pages[0].wait_for_change(&signed_in);
    for (_, hint) in pages[0].events() {
        assert_eq!(hint["account"], "archive");
    }

    let unknown = pages[0].invoke("status", json!({ "account": "nobody" }));
    assert_fails(unknown, "invalid_request");
}

#[test]
fn confined_windows_neither_use_nor_hear_of_another_account() {
    let app = TestApp::open_with(EVERYTHING, |builder, configure| {
        builder
            .session(configure("archive"))
            .window_account("main-2", "archive")
            .confine_windows()
    });
    let pages = [app.window("main"), app.window("main-2")];
    for (page, own, other) in [
        (&pages[0], "default", "archive"),
        (&pages[1], "archive", "default"),
    ] {
        for account in [json!({}), json!({ "account": own })] {
            let status = page.invoke("status", account).expect("its own account");
            assert_eq!(status["account"], own);
        }
        let named = json!({ "account": other, "address": page.origin() });
        for command in ["status", "sign_out", "retry_now", "journal", "diagnostics"] {
            assert_fails(page.invoke(command, named.clone()), "invalid_request");
        }
        assert_fails(page.invoke("check_server", named), "invalid_request");
        let call = json!({ "requestId": new_id(), "endpoint": "graphql", "account": other });
        assert_fails(page.execute_as(call, PEOPLE), "invalid_request");
    }
    let sign_in = |page: &Page| page.sign_in().expect("signs in to its own account");
    let changes = [sign_in(&pages[0]), sign_in(&pages[1])];
    for (page, change) in pages.iter().zip(&changes) {
        page.wait_for_change(change);
    }
    for (page, own) in pages.iter().zip(["default", "archive"]) {
        assert!(page.events().iter().all(|(_, hint)| hint["account"] == own));
    }
}

#[test]
fn the_rust_side_reaches_the_sessions_by_account() {
    let app = TestApp::open_with(EVERYTHING, |builder, configure| {
        builder.session(configure("archive"))
    });
    assert_eq!(app.session().account(), "default");
    let archive = app.app.graphql_session_of("archive").expect("it exists");
    assert_eq!(archive.account(), "archive");
    assert!(app.app.graphql_session_of("nobody").is_none());
}
