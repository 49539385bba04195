//! Schemas that are none, and bounds.

use serde_json::{Value, json};

use super::*;

fn refuses(schema: &Value, error: &str) {
    let refused = Schema::compile(schema.clone()).map_err(|e| e.to_string());
    assert_eq!(refused.unwrap_err(), error, "{schema}");
}

#[test]
fn broken_schemas_are_refused() {
    for schema in [
        json!(1),
        json!([]),
        json!(null),
        json!({"not": 1}),
        json!({"properties": {"a": "x"}}),
    ] {
        refuses(&schema, "a schema must be an object or a boolean");
    }
    refuses(&json!({"type": "int"}), "invalid JSON type: int");
    refuses(&json!({"items": {"type": ["x"]}}), "invalid JSON type: x");
    for (keyword, value, expected) in [
        ("type", json!(1), "a name or a list of names"),
        ("type", json!([1]), "a name or a list of names"),
        ("properties", json!(1), "an object"),
        ("patternProperties", json!([1]), "an object"),
        ("dependencies", json!("x"), "an object"),
        (
            "dependencies",
            json!({"a": [1]}),
            "an object of schemas and lists of names",
        ),
        ("required", json!(true), "a list"),
        ("required", json!([1]), "a list of names"),
        ("minProperties", json!("1"), "a number"),
        ("maxItems", json!(null), "a number"),
        ("exclusiveMinimum", json!(true), "a number"),
        ("pattern", json!(1), "a regular expression"),
        ("enum", json!([]), "a list of values other than null"),
        ("enum", json!([null]), "a list of values other than null"),
        ("allOf", json!({"a": 1}), "a list"),
        ("anyOf", json!([]), "a list with items"),
        ("$ref", json!(1), "a reference"),
    ] {
        refuses(
            &json!({keyword: value}),
            &format!("schema keyword \"{keyword}\" must be {expected}"),
        );
    }
    refuses(&json!({"$ref": "#/a"}), "reference not found: #/a");
    refuses(
        &json!({"$ref": "http://x/y"}),
        "reference not found: http://x/y",
    );
    refuses(
        &json!({"$ref": "#"}),
        "reference not found: it leads in a circle",
    );
    refuses(
        &json!({"$id": "http://x/y"}),
        "only a location independent id is supported, not http://x/y",
    );
}

#[test]
fn keywords_that_are_false_are_not_there() {
    let schema = json!({"properties": false, "required": false, "minLength": false, "pattern": false, "uniqueItems": false, "enum": false, "not": false, "anyOf": false, "$ref": false});
    for value in [json!({}), json!([1, 1]), json!("x")] {
        accepts(&schema, &value);
    }
}

#[test]
fn lists_and_objects_that_are_empty_are_the_same() {
    let schema = json!({"properties": [], "patternProperties": [], "dependencies": [], "allOf": {}, "items": []});
    accepts(&schema, &json!({"a": 1}));
    accepts(&schema, &json!([1]));
}

#[test]
fn depth_is_bounded() {
    let nested = |levels| (0..levels).fold(json!({}), |inner, _| json!({"not": inner}));
    assert!(Schema::compile(nested(100)).is_ok());
    refuses(&nested(200), "the schema nests too deep");

    for endless in [
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
    ] {
        says(&endless, &json!(1), "value is too complex for its schema");
    }

    let tree =
        compiled(&json!({"properties": {"a": {"$ref": "#"}}, "additionalProperties": false}));
    let value = |levels| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    assert_eq!(tree.check(&value(127)), Ok(()));
    says(
        tree.source(),
        &value(1000),
        "value is too complex for its schema",
    );
}

#[test]
fn steps_are_bounded() {
    let branch = json!({"properties": {"a": {"$ref": "#"}}, "required": ["b"]});
    let schema = json!({"anyOf": [branch, branch, branch, branch]});
    let value = (0..30).fold(json!({}), |inner, _| json!({"a": inner}));
    says(&schema, &value, "value is too complex for its schema");
}

#[test]
fn shows_its_source() {
    let source = json!({"type": "string"});
    let schema = compiled(&source);
    assert_eq!(schema.source(), &source);
    assert_eq!(format!("{schema:?}"), format!("Schema({source:?})"));
}
