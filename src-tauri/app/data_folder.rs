//! Where the client stores what it stores, and so which clients are the same one.

use std::path::PathBuf;

use tauri::Config;
use tauri::utils::config::AppDirectoriesOverride;

use crate::stable_hash::stable_hash;

/// Names a folder to use instead of the platform's own.
const DATA_DIR: &str = "HOLDFAST_DATA_DIR";

/// Applies the environment's wish to the configuration, and names the instance: of the clients with one name, a second
/// launch only brings the first one forward.
pub(crate) fn choose(config: &mut Config) -> String {
    let identifier = config.identifier.clone();
    let Some(folder) = std::env::var_os(DATA_DIR).filter(|folder| !folder.is_empty()) else {
        return identifier;
    };
    let folder = PathBuf::from(folder);
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let name = stable_hash(folder.as_os_str().as_encoded_bytes());
    config.app.app_directories_override = Some(AppDirectoriesOverride::Root(folder));
    // The keyring entry goes by the identifier, too: another folder is another client, with a session of its own.
    config.identifier = format!("{identifier}.folder{name}");
    config.identifier.clone()
}
