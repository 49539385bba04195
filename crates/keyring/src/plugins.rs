//! Secret fields of plugin configurations (`encrypt_conf` and `decrypt_conf` in `apisix/plugin.lua`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{DecryptError, Keyring, fields::for_each_text};

/// In which part of a plugin a configuration is meant for: each has a schema of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// In `plugins` of a route and of most other objects.
    Plugin,
    /// In `plugins` of a consumer or a credential.
    Consumer,
    /// Plugin metadata.
    Metadata,
}

/// `encrypt_fields` of the schemas of a plugin: paths such as `sasl.password`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginFields {
    /// Of its schema.
    pub plugin: Vec<String>,
    /// Of the schema for consumers, or of the other where it has none.
    pub consumer: Vec<String>,
    /// Of the schema for its metadata.
    pub metadata: Vec<String>,
}

/// The one place where plugin configurations are encrypted and decrypted. The default has no secret fields: it leaves everything as it is.
#[derive(Debug, Default)]
pub struct PluginSecrets {
    keyring: Keyring,
    fields: BTreeMap<String, PluginFields>,
}

/// A secret field that has the form of a ciphertext and that no key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Name of the plugin.
    pub plugin: String,
    /// The path, as `encrypt_fields` has it.
    pub field: String,
}

impl PluginSecrets {
    /// Encrypts and decrypts these fields of plugins, by the names of the plugins.
    pub fn new(keyring: Keyring, fields: impl IntoIterator<Item = (String, PluginFields)>) -> Self {
        Self {
            keyring,
            fields: fields.into_iter().collect(),
        }
    }

    /// Encrypts the configuration of a plugin. References to secrets are encrypted like any text, as in the reference.
    pub fn encrypt(&self, plugin: &str, part: Part, config: &mut Value) {
        for field in self.fields_of(plugin, part) {
            for_each_text(config, field, &mut |text| {
                *text = self.keyring.encrypt(text);
            });
        }
    }

    /// Encrypts the configurations in the `plugins` of an object.
    pub fn encrypt_all(&self, plugins: &mut Map<String, Value>, part: Part) {
        for (plugin, config) in plugins {
            self.encrypt(plugin, part, config);
        }
    }

    /// Decrypts the configuration of a plugin. A text that no key opens stays as it is; those that seem to be encrypted are named.
    pub fn decrypt(&self, plugin: &str, part: Part, config: &mut Value) -> Vec<Unread> {
        let mut unread = Vec::new();
        for field in self.fields_of(plugin, part) {
            for_each_text(config, field, &mut |text| {
                match self.keyring.decrypt(text) {
                    Ok(plain) => *text = plain,
                    // Stored before encryption was on, or before the field counted as secret.
                    Err(DecryptError::NotCiphertext) => {}
                    Err(DecryptError::NoKeyFits) => unread.push(Unread {
                        plugin: plugin.to_owned(),
                        field: field.clone(),
                    }),
                }
            });
        }
        unread
    }

    /// Decrypts the configurations in the `plugins` of an object.
    pub fn decrypt_all(&self, plugins: &mut Map<String, Value>, part: Part) -> Vec<Unread> {
        let plugins = plugins.iter_mut();
        let unread = plugins.flat_map(|(plugin, config)| self.decrypt(plugin, part, config));
        unread.collect()
    }

    /// Whether a plugin has secret fields.
    pub fn has_fields(&self, plugin: &str, part: Part) -> bool {
        !self.fields_of(plugin, part).is_empty()
    }

    /// What a text may be stored as in a field of a plugin.
    pub fn forms(&self, plugin: &str, part: Part, field: &str, text: &str) -> Vec<String> {
        if self.fields_of(plugin, part).iter().any(|own| own == field) {
            self.keyring.forms(text)
        } else {
            vec![text.to_owned()]
        }
    }

    fn fields_of(&self, plugin: &str, part: Part) -> &[String] {
        let fields = self.fields.get(plugin);
        fields.map_or(&[], |fields| match part {
            Part::Plugin => &fields.plugin,
            Part::Consumer => &fields.consumer,
            Part::Metadata => &fields.metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "edd1c9f0985e76a2";

    fn secrets(keys: &[&str]) -> PluginSecrets {
        let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let both = PluginFields {
            plugin: fields(&["password", "auth.header"]),
            consumer: fields(&["key"]),
            metadata: fields(&["token"]),
        };
        PluginSecrets::new(Keyring::new(keys), [("both".to_owned(), both)])
    }

    #[test]
    fn each_part_has_fields_of_its_own() {
        let secrets = secrets(&[KEY]);
        let plain = json!({"password": "bar", "auth": {"header": {"a": "bar"}}, "key": "bar", "token": "bar"});
        let bar = "77+NmbYqNfN+oLm0aX5akg==";
        for (plugin, part, expected) in [
            (
                "both",
                Part::Plugin,
                json!({"password": bar, "auth": {"header": {"a": bar}}, "key": "bar", "token": "bar"}),
            ),
            (
                "both",
                Part::Consumer,
                json!({"password": "bar", "auth": {"header": {"a": "bar"}}, "key": bar, "token": "bar"}),
            ),
            (
                "both",
                Part::Metadata,
                json!({"password": "bar", "auth": {"header": {"a": "bar"}}, "key": "bar", "token": bar}),
            ),
            ("other", Part::Plugin, plain.clone()),
        ] {
            let mut config = plain.clone();
            secrets.encrypt(plugin, part, &mut config);
            assert_eq!(config, expected, "{part:?}");
            assert_eq!(secrets.decrypt(plugin, part, &mut config), []);
            assert_eq!(config, plain, "{part:?}");
            assert_eq!(secrets.has_fields(plugin, part), plugin == "both");
        }
        let forms = |field| secrets.forms("both", Part::Consumer, field, "bar");
        assert_eq!(
            (forms("key"), forms("name")),
            (
                vec!["bar".to_owned(), bar.to_owned()],
                vec!["bar".to_owned()]
            )
        );
    }

    #[test]
    fn what_no_key_opens_stays_and_is_named_where_it_seems_encrypted() {
        let stored = json!({"both": {"password": "plain", "auth": {"header": {"a": "77+NmbYqNfN+oLm0aX5akg=="}}}, "other": {"password": "x"}});
        let mut plugins = stored.as_object().unwrap().clone();
        let unread = secrets(&["qeddd145sfvddff3"]).decrypt_all(&mut plugins, Part::Plugin);
        let expected = Unread {
            plugin: "both".into(),
            field: "auth.header".into(),
        };
        assert_eq!((unread, Value::Object(plugins)), (vec![expected], stored));
    }

    #[test]
    fn references_to_secrets_are_encrypted_too() {
        let secrets = secrets(&[KEY]);
        let mut plugins = Map::new();
        plugins.insert("both".into(), json!({"password": "$env://PASSWORD"}));
        secrets.encrypt_all(&mut plugins, Part::Plugin);
        assert_ne!(plugins["both"]["password"], json!("$env://PASSWORD"));
        secrets.decrypt_all(&mut plugins, Part::Plugin);
        assert_eq!(plugins["both"]["password"], json!("$env://PASSWORD"));
    }

    #[test]
    fn without_fields_everything_stays() {
        let mut plugins = Map::new();
        plugins.insert("both".into(), json!({"password": "bar"}));
        let before = plugins.clone();
        let secrets = PluginSecrets::default();
        secrets.encrypt_all(&mut plugins, Part::Plugin);
        assert_eq!(secrets.decrypt_all(&mut plugins, Part::Plugin), []);
        assert_eq!(plugins, before);
    }
}
