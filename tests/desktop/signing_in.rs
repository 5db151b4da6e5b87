//! Ways to sign in beside a password alone: the person's browser, a one-time code, a choice of workspaces.

use demo_server::{
    DEMO_EMAIL, DEMO_PASSWORD, ONE_TIME_CODE, ONE_TIME_CODE_EMAIL, ONE_TIME_CODE_PASSWORD,
    SECOND_WORKSPACE_NAME, TWO_WORKSPACES_EMAIL, TWO_WORKSPACES_PASSWORD,
};

use crate::kit::browser::SystemBrowser;
use crate::kit::waiting::until;
use crate::{home, start};

#[tokio::test]
async fn a_stranger_signs_in_by_browser_at_the_first_start_and_the_session_renews() {
    let home = home("browser").await;
    let mut browser = SystemBrowser::of(&home);
    let app = start(&home).await;
    let window = app.window().await;
    let demo = app.choose_demo(&window).await;

    window.click("sign-in-browser").await;
    window.shows("sign-in-panel").await;
    window.shows("sign-in-copy-link").await;
    window.picture("panel").await;
    let page = browser.page().await;
    page.fill("email", DEMO_EMAIL).await;
    page.fill("password", DEMO_PASSWORD).await;
    page.click("form button").await;
    page.click("[name='answer'][value='allow']").await;
    page.says("Go back to the application").await;

    window.has_phase("signed_in").await;
    window.says("record-count", "1,000").await;
    assert_eq!(browser.opened().len(), 1);
    demo.expire_and_count().await;
    window.click("object-companies").await;
    window.says("record-count", "500").await;
    let counts = demo.counts().await;
    assert_eq!((counts.renewals_sent, counts.renewals_accepted), (1, 1));
    window.shows_no_ending().await;
    assert_eq!(browser.opened().len(), 1, "a renewal opens no browser");
}

#[tokio::test]
async fn a_cancelled_sign_in_by_browser_comes_back_to_the_form_and_leads_nowhere() {
    let home = home("browser-cancelled").await;
    let mut browser = SystemBrowser::of(&home);
    let app = start(&home).await;
    let window = app.window().await;
    app.choose_demo(&window).await;
    window.click("sign-in-browser").await;
    let page = browser.page().await;
    page.fill("email", DEMO_EMAIL).await;
    page.fill("password", DEMO_PASSWORD).await;
    page.click("form button").await;

    window.click("sign-in-cancel").await;
    window.shows("sign-in-submit").await;
    assert!(!window.is_shown("sign-in-error").await);
    // Too late: nobody listens for this any more.
    page.click("[name='answer'][value='allow']").await;
    page.says("ERR_CONNECTION_REFUSED").await;
    assert!(window.is_shown("sign-in-submit").await);

    window.fill("sign-in-password", DEMO_PASSWORD).await;
    window.click("sign-in-submit").await;
    window.has_phase("signed_in").await;
}

#[tokio::test]
async fn a_wrong_one_time_code_can_be_corrected_and_signs_in() {
    let home = home("one-time-code").await;
    let app = start(&home).await;
    let window = app.window().await;
    app.choose_demo(&window).await;
    window.fill("sign-in-email", ONE_TIME_CODE_EMAIL).await;
    window
        .fill("sign-in-password", ONE_TIME_CODE_PASSWORD)
        .await;
    window.click("sign-in-submit").await;

    window.fill("sign-in-code", "000000").await;
    window.click("sign-in-code-submit").await;
    until("the field to be wrong", async || {
        (window.attribute("sign-in-code", "aria-invalid").await? == "true").then_some(())
    })
    .await;
    window.picture("wrong").await;
    window.fill("sign-in-code", ONE_TIME_CODE).await;
    window.click("sign-in-code-submit").await;

    window.has_phase("signed_in").await;
    window.says("record-count", "1,000").await;
}

#[tokio::test]
async fn a_person_with_two_workspaces_chooses_one_and_works_there() {
    let home = home("workspaces").await;
    let app = start(&home).await;
    let window = app.window().await;
    app.choose_demo(&window).await;
    window.fill("sign-in-email", TWO_WORKSPACES_EMAIL).await;
    window
        .fill("sign-in-password", TWO_WORKSPACES_PASSWORD)
        .await;
    window.click("sign-in-submit").await;

    window.shows("sign-in-workspace").await;
    window.picture("choice").await;
    window
        .click_the_one_that_says("sign-in-workspace", SECOND_WORKSPACE_NAME)
        .await;

    window.has_phase("signed_in").await;
    window.shows("record-count").await;
    window.says("account-menu", SECOND_WORKSPACE_NAME).await;
    window.says("account-menu", "harbor.localhost").await;
}
