//! How the process takes its memory.

/// What any crate of the client frees, such as the buffers of its connections and the bodies of its commands, holds no token and no
/// password any more.
#[global_allocator]
static ALLOCATOR: graphql_session::ClearingAllocator = graphql_session::ClearingAllocator;

/// Lets all threads share one arena of glibc's allocator. Otherwise each of the runtime's and the keyring's threads keeps
/// one of its own, with what it has freed: 3 MB after a start, 11 MB with the demo server. The threads here mostly wait,
/// and so never for each other's memory. `scripts/bench-client.sh` counts it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn share_one_arena() {
    #[allow(
        unsafe_code,
        reason = "the standard library has no way to the allocator's settings"
    )]
    // SAFETY: it sets one number of the allocator, and no other thread runs yet. Where the allocator does not take it, the
    // client works as well, and takes more memory.
    let _is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Other systems' allocators are their own matter.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn share_one_arena() {}
