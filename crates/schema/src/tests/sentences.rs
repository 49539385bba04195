//! Every sentence, and the order in which they are found.

use serde_json::json;

use super::{accepts, says};

#[test]
fn types() {
    let object = json!({"type": "object"});
    accepts(&object, &json!({"a": 1}));
    accepts(&object, &json!({}));
    accepts(&object, &json!([]));
    says(
        &object,
        &json!([1]),
        "wrong type: expected object, got table",
    );
    says(
        &object,
        &json!(null),
        "wrong type: expected object, got userdata",
    );
    let array = json!({"type": "array"});
    accepts(&array, &json!([1]));
    accepts(&array, &json!({}));
    says(
        &array,
        &json!({"a": 1}),
        "wrong type: expected array, got table",
    );
    says(
        &array,
        &json!(true),
        "wrong type: expected array, got boolean",
    );
    accepts(&json!({"type": "table"}), &json!([1]));
    accepts(&json!({"type": "table"}), &json!({"a": 1}));
    accepts(&json!({"type": "integer"}), &json!(1.0));
    accepts(&json!({"type": "integer"}), &json!(1e300));
    says(
        &json!({"type": "integer"}),
        &json!(1.5),
        "wrong type: expected integer, got number",
    );
    accepts(&json!({"type": "number"}), &json!(-0.5));
    accepts(&json!({"type": "null"}), &json!(null));
    says(
        &json!({"type": "null"}),
        &json!("null"),
        "wrong type: expected null, got string",
    );
    says(
        &json!({"type": "function"}),
        &json!("x"),
        "wrong type: expected function, got string",
    );
    let several = json!({"type": ["string", "integer"]});
    accepts(&several, &json!("x"));
    accepts(&several, &json!(1));
    says(
        &several,
        &json!(1.5),
        "wrong type: expected one of string, integer, got number",
    );
}

#[test]
fn properties() {
    let schema = json!({"properties": {"a": {"type": "string"}, "b": {"type": "number"}}, "required": ["b", "c"]});
    accepts(&schema, &json!({"a": "x", "b": 1, "c": null}));
    accepts(&schema, &json!("no object"));
    accepts(&schema, &json!([1]));
    says(&schema, &json!([]), "property \"b\" is required");
    says(&schema, &json!({"b": 1}), "property \"c\" is required");
    says(
        &schema,
        &json!({"a": null, "b": "x"}),
        "property \"a\" validation failed: wrong type: expected string, got userdata",
    );
    says(
        &json!({"properties": {"a\"\n": {"properties": {"b": false}}}}),
        &json!({"a\"\n": {"b": 1}}),
        "property \"a\"\n\" validation failed: property \"b\" validation failed: expect false always",
    );
    accepts(&json!({"properties": {"b": true}}), &json!({"b": 1}));
}

#[test]
fn properties_are_checked_in_the_order_of_the_schema() {
    let schema = json!({"properties": {"b": false, "a": false}});
    says(
        &schema,
        &json!({"a": 1, "b": 1}),
        "property \"b\" validation failed: expect false always",
    );
}

#[test]
fn an_empty_list_of_required_properties_forbids_all() {
    let schema = json!({"required": []});
    accepts(&schema, &json!({}));
    accepts(&schema, &json!([]));
    for value in [json!({"a": 1}), json!([1]), json!("x")] {
        says(&schema, &value, "the input data should be an empty table");
    }
}

#[test]
fn dependencies() {
    let schema = json!({"properties": {"a": {}}, "dependencies": {
        "a": ["b"],
        "c": ["a", "d"],
        "e": {"required": ["f"]},
        "g": false,
    }});
    accepts(&schema, &json!({"b": 1}));
    accepts(&schema, &json!({"a": 1, "b": 1}));
    says(
        &schema,
        &json!({"a": 1}),
        "property \"b\" is required when \"a\" is set",
    );
    says(
        &schema,
        &json!({"a": 1, "b": 1, "c": 1}),
        "property \"d\" is required when \"c\" is set",
    );
    says(
        &schema,
        &json!({"e": 1}),
        "failed to validate dependent schema for \"e\": property \"f\" is required",
    );
    says(
        &schema,
        &json!({"g": 1}),
        "failed to validate dependent schema for \"g\": expect false always",
    );
}

#[test]
fn additional_and_pattern_properties() {
    let closed = json!({"properties": {"a": {}}, "patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": false});
    accepts(&closed, &json!({"a": 1, "x-b": "y"}));
    says(
        &closed,
        &json!({"a": 1, "c": 1, "b": 1}),
        "additional properties forbidden, found c",
    );
    says(
        &closed,
        &json!({"x-b": 1}),
        "failed to validate x-b (matching \"^x-\"): wrong type: expected string, got number",
    );
    says(
        &json!({"additionalProperties": {"type": "string"}}),
        &json!({"a": 1}),
        "failed to validate additional property a: wrong type: expected string, got number",
    );
    says(
        &json!({"patternProperties": {"^\\d+$": false}}),
        &json!({"a": 1, "12": 1}),
        "failed to validate 12 (matching \"^\\d+$\"): expect false always",
    );
    accepts(&json!({"additionalProperties": true}), &json!({"a": 1}));
}

#[test]
fn numbers_of_properties() {
    let schema = json!({"minProperties": 1, "maxProperties": 2});
    accepts(&schema, &json!({"a": 1}));
    says(
        &schema,
        &json!([]),
        "expect object to have at least 1 properties",
    );
    says(
        &schema,
        &json!({"a": 1, "b": 1, "c": 1}),
        "expect object to have at most 2 properties",
    );
}

#[test]
fn arrays() {
    let schema =
        json!({"items": {"type": "string"}, "minItems": 1, "maxItems": 2, "uniqueItems": true});
    accepts(&schema, &json!(["a", "b"]));
    accepts(&schema, &json!({"a": 1}));
    says(&schema, &json!({}), "expect array to have at least 1 items");
    says(
        &schema,
        &json!([1, 2, 3]),
        "expect array to have at most 2 items",
    );
    says(
        &schema,
        &json!(["a", null]),
        "failed to validate item 2: wrong type: expected string, got userdata",
    );
    says(
        &schema,
        &json!(["a", "a"]),
        "expected unique items but items 1 and 2 are equal",
    );
}

#[test]
fn unique_items() {
    let schema = json!({"uniqueItems": true});
    for value in [
        json!([1, "1", true, null, [1], {"1": 1}]),
        json!([{"a": 1, "b": 2}, {"a": 1, "b": 3}]),
        json!([[1, 2], [2, 1], [[1, 2]]]),
    ] {
        accepts(&schema, &value);
    }
    for (value, first, second) in [
        (json!([0, 1, 1.0]), 2, 3),
        (json!([0.0, 1, -0.0]), 1, 3),
        (json!([null, null]), 1, 2),
        // Scalars are compared before tables, and tables by the first of a pair.
        (json!([[], {}, "a", "a"]), 3, 4),
        (json!([[1], [2], [2], [1]]), 1, 4),
        (json!([[], {}]), 1, 2),
        (json!([{"a": 1, "b": [2]}, 1, {"b": [2.0], "a": 1}]), 1, 3),
    ] {
        says(
            &schema,
            &value,
            &format!("expected unique items but items {first} and {second} are equal"),
        );
    }
}

#[test]
fn tuples() {
    let schema = json!({"items": [{"type": "string"}, true], "additionalItems": false});
    accepts(&schema, &json!([]));
    accepts(&schema, &json!(["a", 1]));
    says(
        &schema,
        &json!([1]),
        "failed to validate item 1: wrong type: expected string, got number",
    );
    says(
        &schema,
        &json!(["a", 1, 2]),
        "found unexpected extra items in array",
    );
    says(
        &json!({"items": [true], "additionalItems": {"type": "string"}}),
        &json!([1, "a", 1]),
        "failed to validate additional item 3: wrong type: expected string, got number",
    );
    accepts(&json!({"items": [true]}), &json!([1, 2]));
}

#[test]
fn boolean_items_and_names_end_the_check() {
    accepts(&json!({"items": true, "enum": ["a"]}), &json!("b"));
    accepts(&json!({"items": false, "enum": ["a"]}), &json!({}));
    says(&json!({"items": false}), &json!("b"), "expect false always");
    accepts(&json!({"propertyNames": true, "const": 1}), &json!(2));
    accepts(&json!({"propertyNames": false, "const": 1}), &json!([]));
    says(
        &json!({"propertyNames": false}),
        &json!({"a": 1}),
        "expect false always",
    );
    accepts(
        &json!({"propertyNames": {"maxLength": 1}}),
        &json!({"ab": 1}),
    );
}

#[test]
fn strings() {
    let schema = json!({"minLength": 2, "maxLength": 3, "pattern": "^[a-zé\"\\d]+$"});
    accepts(&schema, &json!("éa"));
    accepts(&schema, &json!(1));
    says(
        &schema,
        &json!("é"),
        "string too short, expected at least 2, got 1",
    );
    says(
        &schema,
        &json!("abcd"),
        "string too long, expected at most 3, got 4",
    );
    says(
        &schema,
        &json!("A\"\u{1}"),
        r#"failed to match pattern "^[a-zé\"\\d]+$" with "A\"\1""#,
    );
    says(
        &json!({"pattern": "("}),
        &json!("("),
        r#"failed to match pattern "(" with "(""#,
    );
    says(
        &json!({"pattern": "100%$"}),
        &json!("%d"),
        r#"failed to match pattern "100%$" with "%d""#,
    );
}

#[test]
fn numbers() {
    let bounds = json!({"minimum": 1, "maximum": 65535});
    accepts(&bounds, &json!(1));
    accepts(&bounds, &json!("0"));
    says(&bounds, &json!(0.5), "expected 0.5 to be at least 1");
    says(&bounds, &json!(1e20), "expected 1e+20 to be at most 65535");
    let open = json!({"exclusiveMinimum": 0, "exclusiveMaximum": 1.5});
    says(&open, &json!(-0.0), "expected -0 to be greater than 0");
    says(&open, &json!(1.5), "expected 1.5 to be smaller than 1.5");
    let both = json!({"exclusiveMinimum": 0, "minimum": 0});
    says(&both, &json!(-1), "expected -1 to be at least 0");
    let step = json!({"multipleOf": 0.01});
    accepts(&step, &json!(1.13));
    says(
        &step,
        &json!(1.135),
        "expected 1.135 to be a multiple of 0.01",
    );
    accepts(&json!({"multipleOf": 2}), &json!(-4));
    says(
        &json!({"multipleOf": 2}),
        &json!(3),
        "expected 3 to be a multiple of 2",
    );
}

#[test]
fn choices_and_constants() {
    let schema = json!({"enum": ["a", 1, true, {"a": []}]});
    for value in [json!("a"), json!(1.0), json!(true), json!({"a": {}})] {
        accepts(&schema, &value);
    }
    says(&schema, &json!("b"), "matches none of the enum values");
    accepts(&json!({"const": null}), &json!(null));
    says(
        &json!({"const": {"a": 1}}),
        &json!({"a": 2}),
        "failed to check const value",
    );
}

#[test]
fn all_any_one() {
    let all = json!({"allOf": [{}, {"type": "string"}]});
    says(
        &all,
        &json!(1),
        "allOf 2 failed: wrong type: expected string, got number",
    );
    let required =
        json!({"anyOf": [{"required": ["a/b", "b"]}, {"type": "string"}, {"required": ["c"]}]});
    accepts(&required, &json!("x"));
    says(
        &required,
        &json!({}),
        r#"object matches none of the required: ["a/b","b"] or ["c"]"#,
    );
    says(
        &json!({"anyOf": [{"type": "string"}]}),
        &json!(1),
        "object matches none of the required",
    );
    let one = json!({"oneOf": [{"type": "string"}, {"type": "number"}, {"minimum": 1}]});
    accepts(&one, &json!(0));
    says(
        &one,
        &json!("x"),
        "value should match only one schema, but matches both schemas 1 and 3",
    );
    says(
        &json!({"oneOf": [{"type": "string"}]}),
        &json!(1),
        "value should match only one schema, but matches none",
    );
}

#[test]
fn conditions() {
    let schema = json!({
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["b"]},
        "else": {"required": ["c"]},
    });
    accepts(&schema, &json!({"kind": "a", "b": 1}));
    accepts(&schema, &json!({"kind": "x", "c": 1}));
    says(&schema, &json!({"kind": "a"}), "then clause did not match");
    says(&schema, &json!({"kind": "x"}), "else clause did not match");
    accepts(&json!({"if": false, "else": false}), &json!(1));
    says(
        &json!({"not": {"type": "string"}}),
        &json!("x"),
        "value wasn't supposed to match schema",
    );
}

#[test]
fn formats() {
    let schema = json!({"format": "ipv4"});
    accepts(&schema, &json!("127.0.0.1"));
    accepts(&schema, &json!(1));
    says(
        &schema,
        &json!("localhost"),
        "expect valid ipv4 format but got: localhost",
    );
    accepts(&json!({"format": "unheard-of"}), &json!("x"));
}

#[test]
fn contains() {
    let schema = json!({"contains": {"type": "string"}});
    accepts(&schema, &json!([1, "a"]));
    accepts(&schema, &json!({"a": 1}));
    says(&schema, &json!([1, 2]), "failed to check contains");
    says(
        &schema,
        &json!({}),
        "check contains: empty array is invalid",
    );
    accepts(&json!({"contains": true}), &json!([1]));
    says(
        &json!({"contains": true}),
        &json!([]),
        "check contains: expect array table",
    );
    accepts(&json!({"contains": false}), &json!("x"));
    says(
        &json!({"contains": false}),
        &json!([1]),
        "check contains: expect table",
    );
}

#[test]
fn booleans() {
    accepts(&json!(true), &json!(1));
    says(&json!(false), &json!({}), "expect false always");
}

#[test]
fn keywords_are_checked_in_the_order_of_the_reference() {
    let keywords = [
        (
            "type",
            json!("string"),
            "wrong type: expected string, got number",
        ),
        ("minimum", json!(10), "expected 1 to be at least 10"),
        ("enum", json!([2]), "matches none of the enum values"),
        (
            "allOf",
            json!([false]),
            "allOf 1 failed: expect false always",
        ),
        (
            "anyOf",
            json!([false]),
            "object matches none of the required",
        ),
        (
            "oneOf",
            json!([false]),
            "value should match only one schema, but matches none",
        ),
        ("not", json!({}), "value wasn't supposed to match schema"),
        ("const", json!(2), "failed to check const value"),
        (
            "contains",
            json!(true),
            "check contains: expect array table",
        ),
    ];
    for from in 0..keywords.len() {
        // Written in reverse, to show that the order is not that of the schema.
        let schema = keywords[from..].iter().rev();
        let schema = schema.map(|(name, value, _)| ((*name).to_owned(), value.clone()));
        says(&schema.collect(), &json!(1), keywords[from].2);
    }
}

#[test]
fn references_to_secrets_stand_for_strings() {
    let schema = json!({"properties": {
        "text": {"type": "string", "pattern": "^/", "maxLength": 3},
        "free": {"enum": ["a"]},
        "number": {"type": "integer"},
        "either": {"type": ["string", "integer"], "maxLength": 3},
    }});
    accepts(
        &schema,
        &json!({"text": "$secret://vault/1/a", "free": "$ENV://A"}),
    );
    says(
        &schema,
        &json!({"text": "$other://a"}),
        "property \"text\" validation failed: string too long, expected at most 3, got 10",
    );
    says(
        &schema,
        &json!({"number": "$env://A"}),
        "property \"number\" validation failed: wrong type: expected integer, got string",
    );
    says(
        &schema,
        &json!({"either": "$env://A"}),
        "property \"either\" validation failed: string too long, expected at most 3, got 8",
    );
}

#[test]
fn references_between_schemas() {
    let schema = json!({
        "definitions": {
            "name": {"$id": "#name", "type": "string"},
            "a/b %": {"type": "boolean"},
            "list": [{"type": "array"}],
        },
        "properties": {
            "by_path": {"$ref": "#/definitions/name", "type": "number"},
            "by_name": {"$ref": "#name"},
            "escaped": {"$ref": "#/definitions/a~1b%20%25"},
            "indexed": {"$ref": "#/definitions/list/0"},
            "twice": {"$ref": "#/properties/by_path"},
            "child": {"$ref": "#"},
        },
    });
    accepts(
        &schema,
        &json!({"by_path": "x", "by_name": "x", "escaped": true, "indexed": [], "twice": "x", "child": {"child": {}}}),
    );
    for (name, expected) in [
        ("by_path", "string"),
        ("by_name", "string"),
        ("escaped", "boolean"),
        ("indexed", "array"),
        ("twice", "string"),
    ] {
        says(
            &schema,
            &json!({"child": {name: 1}}),
            &format!(
                "property \"child\" validation failed: property \"{name}\" validation failed: wrong type: expected {expected}, got number"
            ),
        );
    }
}
