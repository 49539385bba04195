//! Encryption of secrets at rest, in the format of the reference, so that what one writes the other reads.
//!
//! Two sorts of values are encrypted: private keys, which are PEM before ([`Keyring::encrypt_private_key`]), and the fields of plugin
//! configurations that the schemas of the plugins name in `encrypt_fields` ([`PluginSecrets`]). Nothing here reads configuration, stores
//! anything, or knows a plugin: who builds a [`PluginSecrets`] says which fields count.
//!
//! The format is AES-CBC with the key itself as initialisation vector. The same text has the same ciphertext every time, and nothing
//! protects it from being altered: it keeps secrets out of backups and listings, not from who may write to the store.

mod fields;
mod keyring;
mod plugins;

pub use keyring::{DecryptError, Keyring};
pub use plugins::{Part, PluginFields, PluginSecrets, Unread};
