//! Makes the keys of the Admin API that a file leaves empty, and keeps them in the file, as the reference does.

use std::{fs, io::Read as _};

use anyhow::Context as _;
use lockgate_model::boot::{self, AdminRole};

use crate::configuration::Configuration;

/// Letters of a key; the reference's (`apisix/core/id.lua`).
const LETTERS: usize = 32;

/// Puts a key where a file has an empty one for an administrator.
pub(crate) fn make_missing(configuration: &mut Configuration) -> anyhow::Result<()> {
    let config = &mut configuration.boot.config;
    let admin = &mut config.deployment.admin;
    let Some(file) = &configuration.file else {
        return Ok(());
    };
    if !config.apisix.enable_admin || !admin.admin_key_required {
        return Ok(());
    }
    let mut made = Vec::new();
    for (number, entry) in admin.admin_key.iter_mut().flatten().enumerate() {
        if entry.key.is_empty() && entry.role == AdminRole::Admin {
            entry.key = random_key().context("cannot make a key for the Admin API")?;
            made.push((number, entry.key.clone()));
        }
    }
    if made.is_empty() {
        return Ok(());
    }
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let path = file.display();
    let written = match boot::with_admin_keys(&text, &made) {
        Some(text) => fs::write(file, text).map_err(|error| error.to_string()),
        None => Err("its form does not allow it".to_owned()),
    };
    match written {
        Ok(()) => {
            tracing::warn!(%path, "deployment.admin.admin_key was empty: a key was made and written into the file");
        }
        Err(reason) => {
            tracing::warn!(%path, reason, "deployment.admin.admin_key is empty, and the key made for this run cannot be kept in the file: set one");
            // Nobody could use the Admin API otherwise. It is not for the log.
            for (_, key) in &made {
                crate::complain(&format!(
                    "lockgate: the Admin API takes this key until the process ends: {key}\n"
                ));
            }
        }
    }
    Ok(())
}

/// Random letters.
fn random_key() -> std::io::Result<String> {
    const ALPHABET: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = fs::File::open("/dev/urandom")?;
    let mut key = String::with_capacity(LETTERS);
    let mut bytes = [0_u8; LETTERS];
    while key.len() < LETTERS {
        random.read_exact(&mut bytes)?;
        // Bytes beyond the last whole alphabet are left out, for all letters shall be as likely.
        let letters = bytes
            .iter()
            .filter(|byte| **byte < 208)
            .filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()));
        key.extend(
            letters
                .take(LETTERS - key.len())
                .map(|letter| char::from(*letter)),
        );
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_and_differ() {
        let (one, other) = (random_key().expect("random"), random_key().expect("random"));
        assert!(
            one.len() == LETTERS && one.bytes().all(|letter| letter.is_ascii_alphabetic()),
            "{one}"
        );
        assert_ne!(one, other);
    }
}
