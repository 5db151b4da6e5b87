//! Puts uploads together: bodies that are too long for one invoke come from their page in slices.
//!
//! WebKitGTK can cut the body of an invoke short without an error, and Tauri can send an invoke twice. So each slice comes
//! with its place and the hash that the page took. A slice that does not fit is refused, and the page sends it again; one
//! that comes again changes nothing. The slices fill one buffer of the right size. `execute` sends that buffer, and a
//! replay sends it again without a copy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use graphql_session::{Clock, Code};
use sha2::{Digest, Sha256};
use tokio::task::AbortHandle;

use crate::error::{CommandError, PluginCode};
use crate::framing::Slice;

/// Length of every slice but the last, in bytes: 1 MiB. Tauri takes 10 ms for one, so an upload can be cancelled soon,
/// and no invoke needs much memory beside the body.
pub(crate) const SLICE_BYTES: usize = 1 << 20;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadLimits {
    /// Longest body, in bytes: the longest request of the sessions (`limits.requestBytes`, 26 MiB by default).
    pub(crate) body_bytes: usize,
    /// Bodies of one window that no call has sent yet. 4: a page sends files one after another, or a few at once.
    pub(crate) per_window: usize,
    /// The same for all windows together. 8: 208 MiB with the default length.
    pub(crate) in_all: usize,
    /// How long a body is kept for its call, from its first slice. 10 min, as long as a call's id is remembered: slices
    /// follow each other within milliseconds, and the rest is for machines that sleep in between.
    pub(crate) remembered: Duration,
}

impl UploadLimits {
    pub(crate) fn of_length(body_bytes: usize) -> Self {
        Self {
            body_bytes,
            per_window: 4,
            in_all: 8,
            remembered: Duration::from_secs(10 * 60),
        }
    }
}

/// The bodies that no call has sent yet. Cheap to clone; managed state of the plugin.
#[derive(Clone)]
pub(crate) struct Uploads(Arc<Shared>);

impl Uploads {
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: UploadLimits) -> Self {
        Self(Arc::new(Shared {
            clock,
            limits,
            table: Mutex::default(),
        }))
    }

    /// Adds the next slice of a body. The first slice begins the body, and a repeated one changes nothing.
    ///
    /// # Errors
    /// [`PluginCode::UploadBroken`] where the page must send this slice again, or all of them. [`Code::TooLarge`],
    /// [`PluginCode::TooManyCalls`], [`Code::InvalidRequest`]. An error changes nothing.
    pub(crate) fn append(
        &self,
        window: &str,
        slice: &Slice,
        bytes: &[u8],
    ) -> Result<(), CommandError> {
        if slice.total > self.0.limits.body_bytes {
            return Err(too_large(self.0.limits.body_bytes));
        }
        if bytes.len() != length_of(slice)? {
            return Err(broken(
                "A slice of the upload did not arrive whole. Send it again.",
            ));
        }
        if !slice.sha256.eq_ignore_ascii_case(&hash(bytes)) {
            return Err(broken(
                "A slice of the upload did not arrive as it was sent. Send it again.",
            ));
        }
        let mut table = self.table();
        let upload = match table.position(window, &slice.upload_id) {
            Some(place) => &mut table.uploads[place],
            None if slice.offset == 0 => self.begin(&mut table, window, slice)?,
            None => return Err(missing()),
        };
        upload.add(slice, bytes)
    }

    /// The whole body. It is kept until [`forget`](Self::forget).
    ///
    /// # Errors
    /// [`PluginCode::UploadBroken`] where a slice is missing.
    pub(crate) fn whole(&self, window: &str, id: &str) -> Result<Bytes, CommandError> {
        let table = self.table();
        let place = table.position(window, id).ok_or_else(missing)?;
        match &table.uploads[place].body {
            Body::Whole(body) => Ok(body.clone()),
            Body::Growing(_) => Err(broken(
                "Not all of the upload has arrived, so that nothing was sent. Try again.",
            )),
        }
    }

    /// Drops a body: its call has it, or was cancelled.
    pub(crate) fn forget(&self, window: &str, id: &str) {
        let mut table = self.table();
        if let Some(place) = table.position(window, id) {
            table.uploads.swap_remove(place);
        }
    }

    /// Drops the bodies of a window that is gone or shows another page.
    pub(crate) fn forget_window(&self, window: &str) {
        let mut table = self.table();
        table.uploads.retain(|upload| &*upload.window != window);
    }

    fn begin<'a>(
        &self,
        table: &'a mut Table,
        window: &str,
        slice: &Slice,
    ) -> Result<&'a mut Upload, CommandError> {
        let of_window = table
            .uploads
            .iter()
            .filter(|upload| &*upload.window == window);
        if of_window.count() >= self.0.limits.per_window
            || table.uploads.len() >= self.0.limits.in_all
        {
            return Err(CommandError::new(
                PluginCode::TooManyCalls,
                "Too many uploads are unfinished. Wait until one has finished.",
            ));
        }
        let number = table.next_number;
        table.next_number += 1;
        let uploads = self.clone();
        let forgetting = tokio::spawn(async move {
            uploads.0.clock.sleep(uploads.0.limits.remembered).await;
            uploads
                .table()
                .uploads
                .retain(|upload| upload.number != number);
        });
        table.uploads.push(Upload {
            window: window.into(),
            id: slice.upload_id.as_str().into(),
            number,
            total: slice.total,
            body: Body::Growing(Vec::with_capacity(slice.total)),
            forgetting: forgetting.abort_handle(),
        });
        table.uploads.last_mut().ok_or_else(missing)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Held for a copy of one slice at most and never across an await; nothing in it can panic half way.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared {
    clock: Arc<dyn Clock>,
    limits: UploadLimits,
    table: Mutex<Table>,
}

/// A vector, because looking through a handful of bodies is quicker than a map.
#[derive(Default)]
struct Table {
    uploads: Vec<Upload>,
    next_number: u64,
}

impl Table {
    fn position(&self, window: &str, id: &str) -> Option<usize> {
        let is_meant = |upload: &Upload| &*upload.window == window && &*upload.id == id;
        self.uploads.iter().position(is_meant)
    }
}

struct Upload {
    window: Box<str>,
    id: Box<str>,
    /// Tells it from a later upload with the same id.
    number: u64,
    total: usize,
    body: Body,
    /// Drops it when it is too old.
    forgetting: AbortHandle,
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.forgetting.abort();
    }
}

enum Body {
    /// Has the capacity for the whole body from the beginning.
    Growing(Vec<u8>),
    Whole(Bytes),
}

impl Upload {
    fn add(&mut self, slice: &Slice, bytes: &[u8]) -> Result<(), CommandError> {
        if slice.total != self.total {
            return Err(invalid("Another upload has this id."));
        }
        let held: &[u8] = match &self.body {
            Body::Growing(held) => held,
            Body::Whole(held) => held,
        };
        if let Some(before) = held.get(slice.offset..slice.offset + bytes.len()) {
            return if before == bytes {
                Ok(())
            } else {
                Err(broken(
                    "A slice of the upload came twice and differs. Start the upload again.",
                ))
            };
        }
        match &mut self.body {
            Body::Growing(held) if held.len() == slice.offset => {
                held.extend_from_slice(bytes);
                if held.len() == self.total {
                    self.body = Body::Whole(Bytes::from(std::mem::take(held)));
                }
                Ok(())
            }
            _ => Err(broken(
                "A slice of the upload came too early. Send the slices before it first.",
            )),
        }
    }
}

/// The length that a slice must have at its place. All but the last are equally long.
fn length_of(slice: &Slice) -> Result<usize, CommandError> {
    if !slice.offset.is_multiple_of(SLICE_BYTES) || slice.offset >= slice.total {
        return Err(invalid(
            "An upload comes in slices of 1 MiB; only the last one may be shorter.",
        ));
    }
    Ok(SLICE_BYTES.min(slice.total - slice.offset))
}

fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(&Sha256::digest(bytes)))
}

fn broken(message: &'static str) -> CommandError {
    CommandError::new(PluginCode::UploadBroken, message)
}

fn missing() -> CommandError {
    broken("This upload is not known, or no longer. Start it again.")
}

fn invalid(message: &'static str) -> CommandError {
    CommandError::new(Code::InvalidRequest, message)
}

fn too_large(limit: usize) -> CommandError {
    CommandError::new(
        Code::TooLarge,
        format!(
            "An upload has {} MiB at most. Choose smaller files.",
            limit >> 20
        ),
    )
}

#[cfg(test)]
mod tests;
