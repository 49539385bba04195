//! What a check says.

use std::fmt;

use thiserror::Error;

/// Why a value does not fit its schema, as the reference says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    message: String,
}

impl Finding {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

/// A schema that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// It is neither an object nor a boolean.
    #[error("a schema must be an object or a boolean")]
    NotASchema,
}
