//! Embeds the configuration, the capabilities and the icons of the desktop client.

use tauri_build::{AppManifest, Attributes};

fn main() {
    // With a manifest, the client's own commands are checked against the capabilities like every plugin's.
    let commands = AppManifest::new().permissions_path_pattern("src-tauri/app/permissions/*.toml");
    println!("cargo:rerun-if-changed=src-tauri/app/permissions");
    if let Err(problem) = tauri_build::try_build(Attributes::new().app_manifest(commands)) {
        eprintln!("{problem:#}");
        std::process::exit(1);
    }
}
