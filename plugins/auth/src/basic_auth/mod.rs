//! `basic-auth`: consumers show a name and a password (RFC 7617).
//!
//! Phases: `rewrite`. Names are found by their hash; passwords are compared in a time that does not tell where they differ.
//! README.md is the user's page, and lists what differs from the reference (`apisix/plugins/basic-auth.lua`).

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use lockgate_plugin::{
    About, Compile, ConfigError, Consumer, Consumers, Credential, CredentialType, Exchange,
    FieldName, Flow, Hooks, Plugin, Rewrite,
};
use serde::Deserialize;

use crate::{encoding, fallback::Fallback};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    hide_credentials: bool,
    realm: String,
    anonymous_consumer: Option<String>,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct BasicAuth {
    hides: bool,
    fallback: Fallback,
    consumers: Arc<Consumers>,
}

const AUTHORIZATION: FieldName = FieldName::from_static("Authorization");

/// A credential as users write it.
#[derive(Debug, Deserialize)]
pub struct Stored {
    password: String,
}

/// The password of a consumer, who is found by the name.
pub struct Password(Box<[u8]>);

impl Credential for Password {
    const KEY: &'static str = "username";

    type Config = Stored;

    fn compile(config: Stored, _: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self(config.password.into_bytes().into()))
    }
}

impl Plugin for BasicAuth {
    const ABOUT: About = About::new("basic-auth", 2520, include_str!("schema.json")).auth();
    const CREDENTIAL: Option<CredentialType> = Some(CredentialType::of::<Password>());

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            hides: config.hide_credentials,
            fallback: Fallback::new("Basic", &config.realm, config.anonymous_consumer, cx),
            consumers: cx.consumers(),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self);
    }
}

impl Rewrite for BasicAuth {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let flow = match self.find(ex) {
            Ok(consumer) => {
                ex.attach(consumer);
                Flow::Next
            }
            Err(message) => self.fallback.apply(ex, message),
        };
        if self.hides && matches!(flow, Flow::Next) {
            ex.set_header(&AUTHORIZATION, None);
        }
        flow
    }
}

impl BasicAuth {
    /// The consumer whose name and password the request shows, or what is wrong.
    fn find(&self, ex: &Exchange<'_>) -> Result<Arc<Consumer>, &'static str> {
        let shown = ex.header("Authorization");
        let shown = shown.ok_or("Missing authorization in request")?;
        let shown = Shown::read(shown).map_err(|reason| {
            tracing::warn!(plugin = "basic-auth", reason, "invalid authorization");
            "Invalid authorization in request"
        })?;
        let consumer = self.consumers.find(&shown.name).ok_or_else(|| {
            let reason = if self.consumers.is_empty() {
                "Missing related consumer"
            } else {
                "invalid user"
            };
            tracing::warn!(plugin = "basic-auth", reason, "failed to find user");
            "Invalid user authorization"
        })?;
        let is_right = consumer
            .credential::<Password>()
            .is_some_and(|password| verify_slices_are_equal(&password.0, &shown.password).is_ok());
        if is_right {
            Ok(consumer)
        } else {
            Err("Invalid user authorization")
        }
    }
}

/// What a field shows.
struct Shown {
    name: Vec<u8>,
    password: Vec<u8>,
}

impl Shown {
    /// Reads the value of `Authorization`; or says what is wrong, without a part of it.
    fn read(value: &[u8]) -> Result<Self, &'static str> {
        // The scheme may stand anywhere: the reference searches for it.
        let at = value.windows(6).position(|part| {
            part.split_last().is_some_and(|(last, scheme)| {
                scheme.eq_ignore_ascii_case(b"basic") && is_space(*last)
            })
        });
        let encoded = at.and_then(|at| value.get(at + 6..));
        let encoded = encoded.filter(|encoded| !encoded.is_empty());
        let encoded = encoded.ok_or("Invalid authorization header format")?;
        let decoded = encoding::standard(encoded);
        let mut name = decoded.ok_or("Failed to decode authentication header")?;
        let colon = name.iter().position(|byte| *byte == b':');
        let mut password = name.split_off(colon.map_or(name.len(), |colon| colon + 1));
        if password.is_empty() {
            return Err("Split authorization err: invalid decoded data");
        }
        name.pop();
        // White space counts nowhere, as in the reference.
        name.retain(|byte| !is_space(*byte));
        password.retain(|byte| !is_space(*byte));
        Ok(Self { name, password })
    }
}

/// What `\s` of PCRE stands for.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

#[cfg(test)]
mod tests;
