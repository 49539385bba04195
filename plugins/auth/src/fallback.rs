//! What becomes of a request that shows no good credentials: it goes on in the name of the anonymous consumer, or is refused.

use std::sync::Arc;

use lockgate_plugin::{Compile, Consumers, Exchange, FieldName, Flow, Reply};
use serde::Serialize;

const CUSTOM_ID: FieldName = FieldName::from_static("X-Consumer-Custom-ID");
const CHALLENGE: FieldName = FieldName::from_static("WWW-Authenticate");

/// Decides it, for one configuration of a plugin.
#[derive(Debug)]
pub(crate) struct Fallback {
    plugin: &'static str,
    /// Value of `WWW-Authenticate` in refusals.
    challenge: Box<str>,
    anonymous: Option<Anonymous>,
}

#[derive(Debug)]
struct Anonymous {
    name: Box<str>,
    consumers: Arc<Consumers>,
}

/// The body of a refusal.
#[derive(Serialize)]
struct Refusal<'a> {
    message: &'a str,
}

impl Fallback {
    /// For a plugin that asks for credentials of a scheme, in a realm whose characters the schema has checked.
    pub(crate) fn new(
        scheme: &str,
        realm: &str,
        anonymous: Option<String>,
        cx: &Compile<'_>,
    ) -> Self {
        Self {
            plugin: cx.about.name,
            challenge: format!("{scheme} realm=\"{realm}\"").into(),
            anonymous: anonymous.map(|name| Anonymous {
                name: name.into(),
                consumers: cx.consumers_by_name(),
            }),
        }
    }

    /// Whether requests may go on in the name of an anonymous consumer.
    pub(crate) fn has_anonymous(&self) -> bool {
        self.anonymous.is_some()
    }

    /// Lets the request go on, or refuses it with this message.
    pub(crate) fn apply(&self, ex: &mut Exchange<'_>, message: &str) -> Flow {
        let Some(anonymous) = &self.anonymous else {
            return self.refuse(message);
        };
        let Some(consumer) = anonymous.consumers.find(anonymous.name.as_bytes()) else {
            tracing::error!(
                plugin = self.plugin,
                consumer = &*anonymous.name,
                "failed to get anonymous consumer"
            );
            return self.refuse("Invalid user authorization");
        };
        ex.attach(consumer);
        // The reference reads `custom_id` off the labels where a consumer is found by credentials, and only there.
        ex.set_header(&CUSTOM_ID, None);
        Flow::Next
    }

    fn refuse(&self, message: &str) -> Flow {
        Reply::json(401, &Refusal { message })
            .header(&CHALLENGE, &*self.challenge)
            .into()
    }
}
