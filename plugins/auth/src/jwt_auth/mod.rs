//! `jwt-auth`: consumers show a token that they, or somebody they trust, have signed.
//!
//! Phases: `rewrite`. A token names its consumer in a claim; it is verified with the key of that consumer's credential, by the
//! algorithm of the credential, whatever the token says. Keys are read when credentials are compiled: `key.rs`. What is in a token:
//! `token.rs`; until when it holds: `claims.rs`.
//! README.md is the user's page, and lists what differs from the reference (`apisix/plugins/jwt-auth.lua`).

mod claims;
mod key;
pub mod token;

use std::{borrow::Cow, sync::Arc};

use lockgate_expr::Variable;
use lockgate_plugin::{
    About, Compile, ConfigError, Consumer, Consumers, Credential, CredentialType, Exchange, Flow,
    Hooks, Plugin, Rewrite,
};
use serde::Deserialize;
use serde_json::Value;

use self::{
    claims::{Claim, Claims},
    key::{Algorithm, Key},
    token::Token,
};
use crate::{
    encoding,
    fallback::Fallback,
    source::{Argued, Argument, Cookie, Field},
};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    header: String,
    query: String,
    cookie: String,
    hide_credentials: bool,
    key_claim_name: String,
    store_in_ctx: bool,
    realm: String,
    anonymous_consumer: Option<String>,
    claims_to_verify: Option<Vec<Claim>>,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct JwtAuth {
    field: Field,
    argument: Argument,
    cookie: Cookie,
    hides: bool,
    /// The claim that names the consumer.
    named_by: Box<str>,
    claims: Claims,
    /// The variable that the payload is stored in, where it is asked for.
    stored: Option<Variable>,
    fallback: Fallback,
    consumers: Arc<Consumers>,
}

/// What tokens of a consumer are verified with.
pub struct Verifier {
    algorithm: Algorithm,
    /// None where it cannot be read: no token is good then.
    key: Option<Key>,
    /// Seconds for which a token holds before and after the times in it.
    grace: f64,
}

/// A credential as users write it.
#[derive(Deserialize)]
pub struct Stored {
    secret: Option<String>,
    public_key: Option<String>,
    algorithm: Algorithm,
    base64_secret: bool,
    lifetime_grace_period: f64,
}

impl Credential for Verifier {
    const KEY: &'static str = "key";

    type Config = Stored;

    fn compile(stored: Stored, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        // The sentences are those with which the Admin API refuses the same.
        let secret = match &stored.secret {
            Some(secret) if stored.base64_secret => {
                let decoded = encoding::standard(secret.as_bytes()).ok_or_else(|| {
                    ConfigError::new(
                        "base64_secret required but the secret is not in base64 format",
                    )
                })?;
                Some(decoded)
            }
            secret => secret.as_deref().map(|secret| secret.as_bytes().to_vec()),
        };
        let text = if stored.algorithm.is_shared() {
            secret.ok_or_else(|| {
                ConfigError::new("property \"secret\" is required when using HS based algorithms")
            })?
        } else {
            let public = stored.public_key.map(String::into_bytes);
            public.ok_or_else(|| ConfigError::new("missing valid public key"))?
        };
        let key = Key::read(stored.algorithm, &text);
        if key.is_none() {
            // Tokens are refused, as in the reference, which finds out when one comes.
            tracing::warn!(
                key = %cx.parent.key,
                algorithm = stored.algorithm.name(),
                "the public key of a consumer cannot be read"
            );
        }
        Ok(Self {
            algorithm: stored.algorithm,
            key,
            grace: stored.lifetime_grace_period,
        })
    }
}

impl Plugin for JwtAuth {
    const ABOUT: About = About::new("jwt-auth", 2510, include_str!("schema.json")).auth();
    const CREDENTIAL: Option<CredentialType> = Some(CredentialType::of::<Verifier>());

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            field: Field::new(config.header),
            argument: Argument::new(config.query),
            cookie: Cookie::new(config.cookie),
            hides: config.hide_credentials,
            named_by: config.key_claim_name.into(),
            claims: Claims::new(config.claims_to_verify),
            stored: config
                .store_in_ctx
                .then(|| Variable::parse("jwt_auth_payload")),
            fallback: Fallback::new("Bearer", &config.realm, config.anonymous_consumer, cx),
            consumers: cx.consumers(),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self);
    }
}

/// Where a token was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Field,
    Query,
    Cookie,
}

impl Rewrite for JwtAuth {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let Some((text, source)) = self.find(ex) else {
            return self.fallback.apply(ex, "Missing JWT token in request");
        };
        let verified = self.verify(&text, ex.now().as_secs() as f64);
        if self.hides {
            match source {
                Source::Field => self.field.hide(ex),
                Source::Query => self.argument.hide(ex),
                Source::Cookie => self.cookie.hide(ex),
            }
        }
        match verified {
            Ok((consumer, payload)) => {
                if let Some(variable) = &self.stored {
                    ex.set_variable(variable, payload);
                }
                ex.attach(consumer);
                Flow::Next
            }
            Err(message) => self.fallback.apply(ex, message),
        }
    }
}

impl JwtAuth {
    /// The token that the request shows, and where.
    fn find<'e>(&self, ex: &'e Exchange<'_>) -> Option<(Cow<'e, [u8]>, Source)> {
        if let Some(value) = self.field.of(ex) {
            let bare = [&b"Bearer "[..], b"bearer "]
                .iter()
                .find_map(|scheme| value.strip_prefix(*scheme));
            return Some((Cow::Borrowed(bare.unwrap_or(value)), Source::Field));
        }
        match self.argument.of(ex) {
            Argued::Value(text) => Some((text, Source::Query)),
            // No token is empty.
            Argued::Unfit => Some((Cow::Borrowed(b""), Source::Query)),
            Argued::Nothing => Some((self.cookie.of(ex)?, Source::Cookie)),
        }
    }

    /// Whose token this is, and its payload; or what is wrong, as the client is told.
    fn verify(&self, text: &[u8], now: f64) -> Result<(Arc<Consumer>, Vec<u8>), &'static str> {
        let token = Token::parse(text).map_err(|error| {
            tracing::warn!(plugin = "jwt-auth", %error, "JWT token invalid");
            "JWT token invalid"
        })?;
        let consumer = match token.claim(&self.named_by) {
            None | Some(Value::Bool(false)) => return Err("missing user key in JWT token"),
            Some(Value::String(key)) => self.consumers.find(key.as_bytes()),
            Some(_) => None,
        };
        let consumer = consumer.ok_or_else(|| {
            let reason = if self.consumers.is_empty() {
                "Missing related consumer"
            } else {
                "invalid user key"
            };
            tracing::warn!(plugin = "jwt-auth", reason, "failed to find consumer");
            "Invalid user key in JWT token"
        })?;
        let checked = match consumer.credential::<Verifier>() {
            Some(verifier) => self.check(verifier, &token, now),
            None => Err("it is no credential for this plugin"),
        };
        match checked {
            Ok(()) => Ok((consumer, token.into_payload())),
            Err(reason) => {
                tracing::warn!(plugin = "jwt-auth", reason, "failed to verify jwt");
                Err("failed to verify jwt")
            }
        }
    }

    fn check(&self, verifier: &Verifier, token: &Token<'_>, now: f64) -> Result<(), &'static str> {
        if token.algorithm() != Some(verifier.algorithm.name()) {
            return Err("algorithm mismatch");
        }
        let key = verifier
            .key
            .as_ref()
            .ok_or("the public key cannot be read")?;
        let signature = token.signature().ok_or("failed to decode signature")?;
        if !key.verifies(token.signed(), &signature) {
            return Err("signature mismatch");
        }
        self.claims.check(token, now, verifier.grace)
    }
}

#[cfg(test)]
mod tests;
