//! Which route a request would take and why, which plugins would run, and which nodes it would go to: `GET /v1/explain`.
//!
//! Reads the snapshot that the workers serve by, and judges with their code: the head goes through the proxy's parser
//! ([`lockgate_proxy::Imagined`]), conditions through the router's ([`lockgate_router::Routes::explain`]). Nothing is sent, no plugin runs
//! and nothing changes. What a request would only show when it is there is said to be unknown.
//!
//! Read next: `question.rs` for what is asked, `answer.rs` for what is told.

mod answer;
mod limits;
mod nodes;
mod plugins;
mod question;
mod why;

use std::sync::Arc;

use lockgate_plugin::Node;
use lockgate_proxy::Options;
use lockgate_snapshot::{Published, Status};
use serde_json::Value;

/// Explains what would become of requests.
#[derive(Clone)]
pub struct Explainer {
    /// What the workers serve by.
    pub published: Arc<Published>,
    /// What is stored but not in force.
    pub status: Arc<Status>,
    /// How the workers take requests.
    pub options: Arc<Options>,
    /// Where consumers are known.
    pub node: Node,
}

impl Explainer {
    /// The answer to a question, whose arguments are `method`, `uri` and so on.
    ///
    /// # Errors
    /// The question is none; a sentence says what to ask instead.
    pub fn explain(&self, arguments: &[(&str, &str)]) -> Result<Value, String> {
        let asked = question::Asked::read(arguments)?;
        answer::answer(self, &asked)
    }
}
