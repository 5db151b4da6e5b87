//! The close button of a window, and the buttons of a dialog. A window manager sends a message for the first; on a display without one
//! the test sends it.

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConnectionExt,
    EventMask, MOTION_NOTIFY_EVENT, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// How far the middle of a dialog's buttons is from its bottom, in pixels.
const FROM_THE_BOTTOM: i16 = 15;

/// Presses the button of every window that belongs to one of these processes.
pub(crate) fn press(processes: &[u32]) {
    let display = Display::open();
    let windows = display.windows_of(processes);
    let is_there = !windows.is_empty();
    assert!(is_there, "no window of the application is on the display");
    for window in windows {
        display.close(window);
    }
}

/// Presses the button of their window with this title. Returns whether there is one.
pub(crate) fn press_of(processes: &[u32], title: &str) -> bool {
    let display = Display::open();
    let window = display.titled(processes, title);
    window.is_some_and(|window| {
        display.close(window);
        true
    })
}

/// Clicks the left button of their dialog with this title. Returns whether there is one.
pub(crate) fn click_left_button(processes: &[u32], title: &str) -> bool {
    let display = Display::open();
    let dialog = display.titled(processes, title);
    dialog
        .and_then(|dialog| display.left_button(dialog))
        .is_some_and(|(x, y)| {
            display.click_at(x, y);
            true
        })
}

struct Display {
    connection: RustConnection,
    root: Window,
    protocols: Atom,
    delete: Atom,
    owner: Atom,
}

impl Display {
    fn open() -> Self {
        let (connection, screen) = x11rb::connect(None).expect("a display");
        let [protocols, delete, owner] =
            ["WM_PROTOCOLS", "WM_DELETE_WINDOW", "_NET_WM_PID"].map(|name| {
                let reply = connection.intern_atom(false, name.as_bytes());
                reply.expect("sent").reply().expect("the atom").atom
            });
        let root = connection.setup().roots[screen].root;
        Self {
            connection,
            root,
            protocols,
            delete,
            owner,
        }
    }

    /// The windows of these processes that can be closed.
    fn windows_of(&self, processes: &[u32]) -> Vec<Window> {
        let tree = self.connection.query_tree(self.root).expect("sent");
        let windows = tree.reply().expect("the windows").children.into_iter();
        windows
            .filter(|window| {
                let process = self.first_value(*window, self.owner, AtomEnum::CARDINAL.into());
                let protocols = self.first_value(*window, self.protocols, AtomEnum::ATOM.into());
                let is_theirs = process.is_some_and(|process| processes.contains(&process));
                is_theirs && protocols.is_some()
            })
            .collect()
    }

    fn titled(&self, processes: &[u32], title: &str) -> Option<Window> {
        let windows = self.windows_of(processes);
        windows
            .into_iter()
            .find(|window| self.title(*window) == title)
    }

    fn title(&self, window: Window) -> String {
        let name =
            self.connection
                .get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 1_024);
        // It may be gone by now.
        let name = name.ok().and_then(|sent| sent.reply().ok());
        String::from_utf8_lossy(&name.map(|name| name.value).unwrap_or_default()).into_owned()
    }

    fn close(&self, window: Window) {
        let data = [self.delete, 0, 0, 0, 0];
        let message = ClientMessageEvent::new(32, window, self.protocols, data);
        self.connection
            .send_event(false, window, EventMask::NO_EVENT, message)
            .expect("sent");
        self.connection.sync().expect("the message has arrived");
    }

    /// Moves the pointer there and presses its first button, as a person does: GTK ignores events that a program sends.
    fn click_at(&self, x: i16, y: i16) {
        for (kind, detail) in [
            (MOTION_NOTIFY_EVENT, 0),
            (BUTTON_PRESS_EVENT, 1),
            (BUTTON_RELEASE_EVENT, 1),
        ] {
            self.connection
                .xtest_fake_input(kind, detail, x11rb::CURRENT_TIME, self.root, x, y, 0)
                .expect("sent");
        }
        self.connection.sync().expect("the click has arrived");
    }

    /// The middle of the left one of two buttons at the bottom of a dialog.
    fn left_button(&self, window: Window) -> Option<(i16, i16)> {
        let place = self.connection.get_geometry(window).ok()?.reply().ok()?;
        let width = i16::try_from(place.width).ok()?;
        let height = i16::try_from(place.height).ok()?;
        Some((place.x + width / 4, place.y + height - FROM_THE_BOTTOM))
    }

    fn first_value(&self, window: Window, name: Atom, kind: Atom) -> Option<u32> {
        let property = self
            .connection
            .get_property(false, window, name, kind, 0, 1);
        property.ok()?.reply().ok()?.value32()?.next()
    }
}
