//! What the limiting plugins have in common: what a request is counted under, limits that may be variables, and how they refuse.
//!
//! Counting itself is `lockgate-limit`'s, which also documents the reference's keys.

mod amount;
mod scope;
mod source;

pub(crate) use amount::{Amount, Number};
pub(crate) use scope::Scope;
pub(crate) use source::{KeyType, Source};

use lockgate_plugin::Flow;
use serde::Serialize;

/// How a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    sentence: Option<Box<str>>,
}

#[derive(Serialize)]
struct Message<'a> {
    error_msg: &'a str,
}

impl Refusal {
    /// With `rejected_code` and `rejected_msg`.
    pub(crate) fn new(status: u16, sentence: Option<String>) -> Self {
        Self {
            status,
            sentence: sentence.map(Into::into),
        }
    }

    /// The answer.
    pub(crate) fn flow(&self) -> Flow {
        match &self.sentence {
            Some(sentence) => error_message(self.status, sentence),
            None => Flow::page(self.status),
        }
    }
}

/// An answer `{"error_msg": …}`.
pub(crate) fn error_message(status: u16, error_msg: &str) -> Flow {
    Flow::json(status, &Message { error_msg })
}
