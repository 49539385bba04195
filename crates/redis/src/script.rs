//! Lua scripts that run on the server.

use std::{fmt::Write as _, sync::Arc};

use aws_lc_rs::digest;

/// A script and the name by which servers keep it: they are sent the text only where they do not have it.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) source: Arc<str>,
    /// SHA-1 of the source, hexadecimal (EVALSHA).
    pub(crate) sha: Arc<str>,
}

impl Script {
    /// A script. In a cluster all its keys lie in one slot.
    pub fn new(source: &str) -> Self {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, source.as_bytes());
        let mut sha = String::with_capacity(40);
        for byte in hash.as_ref() {
            // Writing to a string does not fail.
            let _ = write!(sha, "{byte:02x}");
        }
        Self {
            source: source.into(),
            sha: sha.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_named_as_redis_names_it() {
        assert_eq!(
            &*Script::new("return 1").sha,
            "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
        );
    }
}
