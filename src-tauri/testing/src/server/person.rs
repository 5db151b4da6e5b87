//! The person that every server knows.

/// The person that every server knows.
pub const EMAIL: &str = "ada@example.com";

/// Her password.
pub const PASSWORD: &str = "correct horse battery staple";
