//! Writes the permissions of each command, and the reference of all permissions.

include!("src/command_list.rs");

macro_rules! names {
    ($($_permission:literal { $($command:ident),+ })+) => {
        &[$($(stringify!($command)),+),+]
    };
}

fn main() {
    tauri_plugin::Builder::new(command_list!(names)).build();
}
