//! What each workspace has of its own: its records, and who hears of them.

use std::path::Path;
use std::sync::Arc;

use crate::accounts::{DEMO, HARBOR, Workspace};
use crate::error::Error;
use crate::events::Events;
use crate::seed::seed;
use crate::store::Store;

/// The records of one workspace.
pub(crate) struct Database {
    pub(crate) store: Arc<Store>,
    pub(crate) events: Events,
}

impl Database {
    fn open(folder: Option<&Path>, file: &str, workspace: &Workspace) -> Result<Self, Error> {
        let store = Arc::new(Store::open(folder, file)?);
        seed(&mut store.lock(), workspace).map_err(|refusal| Error::Database(refusal.message))?;
        Ok(Self {
            store,
            events: Events::new(),
        })
    }
}

/// The records of all workspaces.
pub(crate) struct Databases {
    demo: Database,
    harbor: Database,
}

impl Databases {
    /// Opens the databases in `folder`, or ones that live in memory, and fills those that are new.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self, Error> {
        Ok(Self {
            demo: Database::open(folder, "demo.sqlite", &DEMO)?,
            harbor: Database::open(folder, "harbor.sqlite", &HARBOR)?,
        })
    }

    /// The records of this workspace.
    pub(crate) fn of(&self, workspace: &Workspace) -> &Database {
        if workspace == &HARBOR {
            &self.harbor
        } else {
            &self.demo
        }
    }

    /// Where the server keeps what is no workspace's: tokens and applications.
    pub(crate) fn server(&self) -> &Arc<Store> {
        &self.demo.store
    }
}
