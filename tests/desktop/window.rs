//! One window, driven as a person drives it: elements are named by their id, clicked and typed into.

use std::fs;
use std::path::PathBuf;

use fantoccini::elements::Element;
use fantoccini::wd::WindowHandle;
use fantoccini::{Client, Locator};
use serde_json::{Value, json};

use super::application::Home;
use super::waiting::until;

/// One of the application's windows.
#[derive(Clone)]
pub(crate) struct Window<'app> {
    home: &'app Home,
    client: &'app Client,
    handle: WindowHandle,
}

impl<'app> Window<'app> {
    pub(crate) fn new(home: &'app Home, client: &'app Client, handle: WindowHandle) -> Self {
        Self {
            home,
            client,
            handle,
        }
    }

    /// Clicks the element as soon as it is there and nothing covers it.
    pub(crate) async fn click(&self, id: &str) {
        until(&format!("`{id}` to be clicked"), async || {
            self.element(id).await?.click().await.ok()
        })
        .await;
    }

    /// Clicks the one of several elements that contains this text.
    pub(crate) async fn click_the_one_that_says(&self, id: &str, text: &str) {
        until(&format!("a `{id}` with {text:?}"), async || {
            self.turn_to().await;
            let found = self
                .client
                .find_all(Locator::Css(&selector(id)))
                .await
                .ok()?;
            for element in found {
                // WebKit's own text of an element leaves out what could be cut off.
                if element.prop("textContent").await.ok()??.contains(text) {
                    return element.click().await.ok();
                }
            }
            None
        })
        .await;
    }

    /// Clicks an element that may have gone, or goes meanwhile.
    pub(crate) async fn click_if_shown(&self, id: &str) {
        if let Some(element) = self.element(id).await {
            let _ = element.click().await;
        }
    }

    /// Clicks a visible element that ends the application, so that nothing confirms the click.
    pub(crate) async fn click_the_last_time(&self, id: &str) {
        let element = self.element(id).await.expect("the element is shown");
        let _ = element.click().await;
    }

    /// Replaces what the field holds.
    pub(crate) async fn fill(&self, id: &str, text: &str) {
        until(&format!("`{id}` to be filled in"), async || {
            let field = self.element(id).await?;
            let empty =
                "arguments[0].focus(); arguments[0].select(); return !arguments[0].disabled";
            let element = serde_json::to_value(&field).ok()?;
            let ready = self.client.execute(empty, vec![element]).await.ok()?;
            if ready != json!(true) {
                return None;
            }
            field.send_keys(text).await.ok()?;
            (field.prop("value").await.ok()?? == text).then_some(())
        })
        .await;
    }

    /// Waits until the element is shown.
    pub(crate) async fn shows(&self, id: &str) {
        until(&format!("`{id}` to be shown"), async || {
            self.is_shown(id).await.then_some(())
        })
        .await;
    }

    /// Waits until the element is not shown.
    pub(crate) async fn hides(&self, id: &str) {
        until(&format!("`{id}` to go"), async || {
            (!self.is_shown(id).await).then_some(())
        })
        .await;
    }

    /// Waits until the element's attribute has this value.
    pub(crate) async fn has(&self, id: &str, attribute: &str, value: &str) {
        until(&format!("`{id}` with {attribute}={value}"), async || {
            (self.attribute(id, attribute).await? == value).then_some(())
        })
        .await;
    }

    /// Waits until the client shows that its session is in this phase.
    pub(crate) async fn has_phase(&self, phase: &str) {
        self.has("session-indicator", "data-phase", phase).await;
    }

    /// Waits until the client shows that its session is stored, or is not.
    pub(crate) async fn has_storage(&self, state: &str) {
        self.has("session-indicator", "data-storage", state).await;
    }

    /// Waits until the element's text contains this.
    pub(crate) async fn says(&self, id: &str, text: &str) {
        until(&format!("`{id}` to say {text:?}"), async || {
            self.text(id).await?.contains(text).then_some(())
        })
        .await;
    }

    /// Whether the element is on the screen now.
    pub(crate) async fn is_shown(&self, id: &str) -> bool {
        // A dialog's outermost element has no size, and stays in the page after the dialog has closed.
        let shown = "return [...document.querySelectorAll(arguments[0])].some((one) => one.checkVisibility() && \
            [one, ...one.querySelectorAll('*')].some((part) => part.clientWidth > 0 && part.clientHeight > 0))";
        self.ask(shown, vec![json!(selector(id))]).await == json!(true)
    }

    /// The element's attribute now.
    pub(crate) async fn attribute(&self, id: &str, name: &str) -> Option<String> {
        self.read(id, &format!("getAttribute('{name}')")).await
    }

    /// The element's text now.
    pub(crate) async fn text(&self, id: &str) -> Option<String> {
        self.read(id, "textContent").await
    }

    /// What the field holds now.
    pub(crate) async fn value(&self, id: &str) -> Option<String> {
        self.read(id, "value").await
    }

    /// A text of the element, if there is such an element.
    async fn read(&self, id: &str, member: &str) -> Option<String> {
        let read = format!("return document.querySelector(arguments[0])?.{member}");
        let text = self.ask(&read, vec![json!(selector(id))]).await;
        text.as_str().map(str::to_owned)
    }

    /// The field holds this.
    pub(crate) async fn holds(&self, id: &str, text: &str) {
        assert_eq!(self.value(id).await.as_deref(), Some(text), "{id}");
    }

    /// Counts the `logout` events that reach this window from now on, before the page's own code drops repeated ones.
    pub(crate) async fn count_logout_events(&self) {
        let listen = "const tauri = window.__TAURI_INTERNALS__; \
            const done = arguments[arguments.length - 1]; \
            window.logoutEvents = 0; \
            const target = { kind: 'AnyLabel', label: tauri.metadata.currentWindow.label }; \
            const handler = tauri.transformCallback(() => { window.logoutEvents += 1; }); \
            tauri.invoke('plugin:event|listen', { event: 'graphql-session://logout', target, handler }) \
                .then(() => done('listens'), (problem) => done(String(problem)))";
        self.turn_to().await;
        let answer = self.client.execute_async(listen, vec![]).await;
        assert_eq!(answer.expect("the page listens"), json!("listens"));
    }

    /// The `logout` events since [`Self::count_logout_events`].
    pub(crate) async fn logout_events(&self) -> u64 {
        self.ask("return window.logoutEvents", vec![])
            .await
            .as_u64()
            .expect("they are counted")
    }

    /// Fails where the page shows that the session has ended.
    pub(crate) async fn shows_no_ending(&self) {
        assert!(
            !self.is_shown("ended-dialog").await,
            "the page shows an ending"
        );
    }

    /// Runs a script in the page.
    pub(crate) async fn ask(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.turn_to().await;
        // A page that is just being loaded has no answer yet.
        self.client
            .execute(script, arguments)
            .await
            .unwrap_or(Value::Null)
    }

    /// Sets the page's size.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        self.turn_to().await;
        self.client
            .set_window_size(width, height)
            .await
            .expect("windows can be resized");
        until(
            &format!("the window to be {width} x {height}"),
            async || {
                let size = self.ask("return [innerWidth, innerHeight]", vec![]).await;
                (size == json!([width, height])).then_some(())
            },
        )
        .await;
    }

    /// Closes this window, as its button does.
    pub(crate) async fn close(self) {
        self.turn_to().await;
        self.client
            .close_window()
            .await
            .expect("windows can be closed");
    }

    /// Keeps a picture of the page once nothing moves any more, and says where.
    pub(crate) async fn picture(&self, name: &str) -> PathBuf {
        // An endless animation, such as a skeleton's, does not count. A dialog exists a moment before it fades in.
        let moving = "return document.getAnimations().filter((one) => \
            one.effect.getComputedTiming().endTime !== Infinity).length + \
            [...document.querySelectorAll('[role=dialog]')].filter((one) => getComputedStyle(one).opacity < 1).length";
        until("the page to come to rest", async || {
            (self.ask(moving, vec![]).await == json!(0)).then_some(())
        })
        .await;
        self.turn_to().await;
        // The next frame draws the page's present state. It is complete when the frame after it begins.
        let drawn = "const done = arguments[arguments.length - 1]; \
            requestAnimationFrame(() => requestAnimationFrame(() => done()))";
        let drawn = self.client.execute_async(drawn, vec![]).await;
        drawn.expect("the page is drawn");
        let picture = self.client.screenshot().await.expect("a screenshot");
        let file = self.home.file(&format!("{name}.png"));
        fs::write(&file, picture).expect("the screenshot is kept");
        file
    }

    /// The WebDriver acts on one window at a time.
    async fn turn_to(&self) {
        self.client
            .switch_to_window(self.handle.clone())
            .await
            .expect("the window is open");
    }

    async fn element(&self, id: &str) -> Option<Element> {
        self.turn_to().await;
        self.client.find(Locator::Css(&selector(id))).await.ok()
    }
}

/// The client's elements have test ids. Those of the examples have plain ids, because people read the examples to
/// learn.
fn selector(id: &str) -> String {
    format!("[data-testid='{id}'], [id='{id}']")
}
