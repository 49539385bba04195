//! `jwe-decrypt`

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{Scope, read};
use crate::plugins::Purpose;

/// Bytes of a key of A256GCM.
const SECRET_BYTES: usize = 32;

pub(super) fn check(scope: &Scope<'_>, config: &mut Value) -> Result<(), String> {
    scope.schema(config)?;
    // Where secrets are encrypted, the reference does not count their letters.
    if scope.purpose != Purpose::Consumer || scope.environment.encrypts {
        return Ok(());
    }
    let secret = read::text(config, &["secret"]).unwrap_or_default();
    let (bytes, words) = if read::has(config, &["is_base64_encoded"]) {
        let decoded = URL_SAFE_NO_PAD.decode(secret.trim_end_matches('='));
        let bytes = decoded.map_or(0, |decoded| decoded.len());
        (
            bytes,
            "the secret length after base64 decode should be 32 chars",
        )
    } else {
        (secret.len(), "the secret length should be 32 chars")
    };
    (bytes == SECRET_BYTES)
        .then_some(())
        .ok_or_else(|| words.to_owned())
}
