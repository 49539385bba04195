//! Tests of the public face.

mod arbitrary;
mod errors;
mod fill;
mod sentences;

use serde_json::Value;

use super::*;

fn compiled(schema: &Value) -> Schema {
    Schema::compile(schema.clone()).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

/// Checks that a value fits a schema.
fn accepts(schema: &Value, value: &Value) {
    assert_eq!(compiled(schema).check(value), Ok(()), "{schema} on {value}");
}

/// Checks what is said of a value that does not fit.
fn says(schema: &Value, value: &Value, sentence: &str) {
    let finding = compiled(schema).check(value).map_err(|f| f.to_string());
    assert_eq!(finding, Err(sentence.to_owned()), "{schema} on {value}");
}
