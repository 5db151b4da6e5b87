//! The close button of a window. A window manager sends a message for it; on a display without one the test sends it.

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt, EventMask, Window,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// Presses the button of every window that belongs to one of these processes.
pub(crate) fn press(processes: &[u32]) {
    let (display, screen) = x11rb::connect(None).expect("a display");
    let [protocols, delete, owner] =
        ["WM_PROTOCOLS", "WM_DELETE_WINDOW", "_NET_WM_PID"].map(|name| {
            let reply = display.intern_atom(false, name.as_bytes());
            reply.expect("sent").reply().expect("the atom").atom
        });
    let root = display.setup().roots[screen].root;
    let tree = display
        .query_tree(root)
        .expect("sent")
        .reply()
        .expect("the windows");
    let mut pressed = 0;
    for window in tree.children {
        let process = first_value(&display, window, owner, AtomEnum::CARDINAL.into());
        let takes_it = first_value(&display, window, protocols, AtomEnum::ATOM.into()).is_some();
        if takes_it && process.is_some_and(|process| processes.contains(&process)) {
            let message = ClientMessageEvent::new(32, window, protocols, [delete, 0, 0, 0, 0]);
            display
                .send_event(false, window, EventMask::NO_EVENT, message)
                .expect("sent");
            pressed += 1;
        }
    }
    display.sync().expect("the messages have arrived");
    assert!(
        pressed > 0,
        "no window of the application is on the display"
    );
}

fn first_value(display: &RustConnection, window: Window, name: Atom, kind: Atom) -> Option<u32> {
    let property = display.get_property(false, window, name, kind, 0, 1);
    property.ok()?.reply().ok()?.value32()?.next()
}
