//! Makes the keys of the Admin API that a file leaves empty, and keeps them in the file, as the reference does.

use std::{collections::BTreeMap, fs, io::Read as _, path::Path};

use anyhow::Context as _;
use lockgate_model::boot::{self, AdminRole};

use crate::{configuration::Configuration, replace};

/// Letters of a key; the reference's (`apisix/core/id.lua`).
const LETTERS: usize = 32;

/// What became of keys that were missing.
#[derive(Debug)]
pub(crate) enum Made {
    /// None was missing.
    None,
    /// They were written into the file.
    Kept,
    /// They are good for this process alone.
    Lost {
        /// Why they could not be written.
        reason: String,
        /// Those that nobody was told of before.
        keys: Vec<String>,
    },
}

/// Keys that were made and could not be written into the file, by the names that they are for: they are good until the process ends,
/// however often the file is read.
#[derive(Debug, Default)]
pub(crate) struct Unkept(BTreeMap<String, String>);

/// Puts a key where a file has an empty one for an administrator, and tries to keep it there.
pub(crate) fn make_missing(
    configuration: &mut Configuration,
    unkept: &mut Unkept,
) -> anyhow::Result<Made> {
    let config = &mut configuration.boot.config;
    let admin = &mut config.deployment.admin;
    let Some(file) = &configuration.file else {
        return Ok(Made::None);
    };
    if !config.apisix.enable_admin || !admin.admin_key_required {
        return Ok(Made::None);
    }
    let (mut made, mut new) = (Vec::new(), Vec::new());
    for (number, entry) in admin.admin_key.iter_mut().flatten().enumerate() {
        if entry.key.is_empty() && entry.role == AdminRole::Admin {
            if let Some(key) = unkept.0.get(&entry.name) {
                entry.key.clone_from(key);
            } else {
                entry.key = random_key().context("cannot make a key for the Admin API")?;
                unkept.0.insert(entry.name.clone(), entry.key.clone());
                new.push(entry.key.clone());
            }
            made.push((number, entry.key.clone()));
        }
    }
    if made.is_empty() {
        return Ok(Made::None);
    }
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let written = match boot::with_admin_keys(&text, &made) {
        Some(text) => replace::text(file, &text).map_err(|error| error.to_string()),
        None => Err("its form does not allow it".to_owned()),
    };
    Ok(match written {
        Ok(()) => {
            unkept.0.clear();
            Made::Kept
        }
        Err(reason) => Made::Lost { reason, keys: new },
    })
}

/// As [`make_missing`], and says so in the log; a key that cannot be kept is printed.
pub(crate) fn make_missing_logged(
    configuration: &mut Configuration,
    unkept: &mut Unkept,
) -> anyhow::Result<()> {
    let made = make_missing(configuration, unkept)?;
    let path = configuration.file.as_deref().unwrap_or(Path::new(""));
    let path = path.display();
    match made {
        Made::None => {}
        Made::Kept => {
            tracing::warn!(%path, "deployment.admin.admin_key was empty: a key was made and written into the file");
        }
        Made::Lost { reason, keys } => {
            tracing::warn!(%path, reason, "deployment.admin.admin_key is empty, and the key made for this run cannot be kept in the file: set one");
            // Nobody could use the Admin API otherwise. It is not for the log.
            for key in keys {
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
