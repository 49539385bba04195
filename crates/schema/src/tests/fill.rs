//! Defaults, which are filled in during a check and seen by it.

use serde_json::{Value, json};

use super::compiled;

fn check(schema: &Value, value: &Value, expected: &Value) {
    let mut filled = value.clone();
    let finding = compiled(schema).fill(&mut filled);
    assert_eq!(finding, Ok(()), "{schema} on {value}");
    assert_eq!(&filled, expected, "{schema} on {value}");
}

#[test]
fn absent_properties_get_their_defaults() {
    let schema = json!({"properties": {
        "text": {"default": "x"},
        "number": {"default": 0},
        "flag": {"default": false},
        "list": {"default": [1, {"a": 1}]},
        "table": {"default": {}},
        "nothing": {"default": null},
        "child": {"properties": {"a": {"default": 1}}},
    }});
    check(
        &schema,
        &json!({"number": 5, "child": {}, "other": 1}),
        &json!({"number": 5, "child": {"a": 1}, "other": 1, "text": "x", "flag": false, "list": [1, {"a": 1}], "table": {}}),
    );
}

#[test]
fn an_empty_list_is_an_empty_object() {
    let schema = json!({"properties": {"a": {"default": []}}});
    check(&schema, &json!([]), &json!({"a": {}}));
}

#[test]
fn defaults_are_filled_in_everywhere() {
    let object = json!({"properties": {"a": {"default": 1}}});
    let filled = json!({"a": 1});
    for (keyword, schema) in [
        ("items", json!({"items": object})),
        ("tuple", json!({"items": [object]})),
        (
            "additionalItems",
            json!({"items": [], "additionalItems": object}),
        ),
        ("contains", json!({"contains": object})),
    ] {
        let expected = if keyword == "additionalItems" {
            json!([{"b": 2}])
        } else {
            json!([{"b": 2, "a": 1}])
        };
        check(&schema, &json!([{"b": 2}]), &expected);
    }
    for schema in [
        json!({"allOf": [object]}),
        json!({"anyOf": [object]}),
        json!({"oneOf": [object]}),
        json!({"if": object}),
        json!({"if": true, "then": object}),
        json!({"dependencies": {"b": object}}),
        json!({"$ref": "#/definitions/a", "definitions": {"a": object}}),
    ] {
        check(&schema, &json!({"b": 2}), &json!({"b": 2, "a": 1}));
    }
    for schema in [
        json!({"additionalProperties": object}),
        json!({"patternProperties": {"": object}}),
    ] {
        check(&schema, &json!({"x": {}}), &json!({"x": filled}));
    }
}

#[test]
fn a_check_sees_defaults() {
    let schema = json!({
        "properties": {"kind": {"default": "a"}},
        "minProperties": 1,
        "dependencies": {"kind": {"maxProperties": 2}},
        "oneOf": [{"properties": {"kind": {"enum": ["a"]}}}, {"properties": {"kind": {"enum": ["b"]}}}],
    });
    check(&schema, &json!({}), &json!({"kind": "a"}));
    check(&schema, &json!({"kind": "b"}), &json!({"kind": "b"}));
}

#[test]
fn the_first_default_of_several_branches_stays() {
    let schema = json!({"oneOf": [
        {"properties": {"a": {"default": 1}}, "required": ["b"]},
        {"properties": {"a": {"default": 2}}},
    ]});
    check(&schema, &json!({"c": 1}), &json!({"c": 1, "a": 1}));
}

#[test]
fn a_required_property_is_not_filled_in() {
    let schema = compiled(&json!({"properties": {"a": {"default": 1}}, "required": ["a"]}));
    let finding = schema.fill(&mut json!({})).unwrap_err();
    assert_eq!(finding.to_string(), "property \"a\" is required");
}

#[test]
fn checking_leaves_the_value_alone() {
    let schema = compiled(&json!({"properties": {"a": {"default": 1}}}));
    let value = json!({});
    assert_eq!(schema.check(&value), Ok(()));
    assert_eq!(value, json!({}));
}
