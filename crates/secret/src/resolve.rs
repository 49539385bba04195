//! References inside of JSON values.

use std::sync::Arc;

use serde_json::Value;

use crate::{Answer, LookupError, Secrets, Used, is_reference};

/// A value in which references were replaced.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The value. A reference without a value stands in it as it was written.
    pub value: Value,
    /// The references in it. Holding them keeps their values current; [`Secrets::changed`] tells when one is no longer that.
    pub uses: Vec<Used>,
    /// References that have no value.
    pub unresolved: Vec<Unresolved>,
    /// References that are being looked up for the first time: the value is not to be used before they are answered.
    pub pending: Vec<Arc<str>>,
}

/// A reference that has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// The reference.
    pub reference: Arc<str>,
    /// The field that it stands in; in a list, its place, counted from 1.
    pub field: String,
    /// Why.
    pub why: LookupError,
}

impl Secrets {
    /// Replaces every reference in a value, however deep, by what is known. Never waits. A reference without a value is logged
    /// once.
    pub fn resolve(&self, value: &Value) -> Resolved {
        let mut resolved = Resolved {
            value: value.clone(),
            uses: Vec::new(),
            unresolved: Vec::new(),
            pending: Vec::new(),
        };
        let mut value = std::mem::take(&mut resolved.value);
        self.replace_all(&mut value, &mut resolved);
        resolved.value = value;
        resolved
    }

    fn replace_all(&self, value: &mut Value, resolved: &mut Resolved) {
        match value {
            Value::Object(object) => {
                for (field, inner) in object {
                    self.replace(field, inner, resolved);
                }
            }
            Value::Array(list) => {
                for (place, inner) in list.iter_mut().enumerate() {
                    self.replace(&(place + 1).to_string(), inner, resolved);
                }
            }
            _ => {}
        }
    }

    fn replace(&self, field: &str, value: &mut Value, resolved: &mut Resolved) {
        let Value::String(text) = value else {
            return self.replace_all(value, resolved);
        };
        let Some((answer, used)) = self.look_up(text) else {
            return;
        };
        match answer {
            Answer::Found(found) => *value = found,
            Answer::Pending => resolved.pending.push(used.reference().clone()),
            Answer::Failed(why) => {
                if self.state().slots.log_once(text) {
                    // The words are the reference's, for who searches logs for them.
                    tracing::error!(
                        "failed to resolve secret reference: {text}, field: {field}, err: {why}"
                    );
                }
                resolved.unresolved.push(Unresolved {
                    reference: used.reference().clone(),
                    field: field.to_owned(),
                    why,
                });
            }
        }
        resolved.uses.push(used);
    }
}

/// Whether there is a reference in a value, however deep.
pub fn has_reference(value: &Value) -> bool {
    match value {
        Value::String(text) => is_reference(text),
        Value::Object(object) => object.values().any(has_reference),
        Value::Array(list) => list.iter().any(has_reference),
        _ => false,
    }
}
