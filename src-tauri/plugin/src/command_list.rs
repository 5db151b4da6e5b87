// The one list of the commands, each below the permission that grants it. `build.rs` makes the permission files from
// it and `builder.rs` the handler; `tests/plugin/permissions.rs` compares it with what is written by hand.

/// Hands the list to a macro: `"permission" { command, ... }`, as often as there are permissions.
macro_rules! command_list {
    ($use_list:ident) => {
        $use_list! {
            "default" {
                status, execute, upload, subscribe, ack_events, cancel, sign_out, retry_now
            }
            "sign-in" { check_server, sign_in, answer_sign_in, cancel_sign_in }
            "allow-journal" { journal }
            "allow-diagnostics" { diagnostics }
        }
    };
}
