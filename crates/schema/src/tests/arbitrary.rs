//! Properties that hold for any schema and any value.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// Scalars that schemas and values have in common, so that checks both pass and fail.
fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "a",
            "b",
            "é",
            "$env://A",
            "127.0.0.1",
            "\u{1}\"\\\n"
        ])
        .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "é", ""]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Mostly sound schemas.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        Just(json!({})),
        Just(json!({"$ref": "#"}))
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let names = || prop::collection::vec(name(), 0..3).prop_map(|names| json!(names));
        let list = || prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from);
        let object = || {
            prop::collection::vec((name(), inner.clone()), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        };
        let types = prop::sample::select(vec![
            "object", "array", "string", "integer", "number", "boolean", "null",
        ]);
        let count = || (-1_i64..4).prop_map(Value::from);
        let keyword = prop_oneof![
            types.prop_map(|name| ("type", json!(name))),
            object().prop_map(|value| ("properties", value)),
            object().prop_map(|value| ("patternProperties", value)),
            object().prop_map(|value| ("dependencies", value)),
            inner
                .clone()
                .prop_map(|value| ("additionalProperties", value)),
            names().prop_map(|value| ("required", value)),
            count().prop_map(|value| ("minProperties", value)),
            count().prop_map(|value| ("minItems", value)),
            count().prop_map(|value| ("maxLength", value)),
            count().prop_map(|value| ("minimum", value)),
            count().prop_map(|value| ("multipleOf", value)),
            inner.clone().prop_map(|value| ("items", value)),
            list().prop_map(|value| ("items", value)),
            Just(("uniqueItems", json!(true))),
            ".{0,6}".prop_map(|value| ("pattern", json!(value))),
            value().prop_map(|value| ("const", value)),
            value().prop_map(|value| ("default", value)),
            prop::collection::vec(value(), 1..3).prop_map(|value| ("enum", json!(value))),
            prop::sample::select(vec!["allOf", "anyOf", "oneOf"])
                .prop_flat_map(move |name| { list_of(name) }),
            inner.clone().prop_map(|value| ("if", value)),
            inner.clone().prop_map(|value| ("then", value)),
            inner.clone().prop_map(|value| ("not", value)),
            inner.clone().prop_map(|value| ("contains", value)),
        ];
        prop::collection::vec(keyword, 0..4).prop_map(|keywords| {
            let keywords = keywords
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            Value::Object(keywords.collect::<Map<_, _>>())
        })
    })
}

fn list_of(name: &'static str) -> impl Strategy<Value = (&'static str, Value)> {
    prop::collection::vec(any::<bool>(), 1..3).prop_map(move |list| (name, json!(list)))
}

/// What must hold for a pair of anything.
fn holds(schema: &Value, value: &Value) {
    let Ok(schema) = Schema::compile(schema.clone()) else {
        return;
    };
    let first = schema.check(value);
    assert_eq!(schema.check(value), first, "a check is repeatable");
    let mut filled = value.clone();
    assert_eq!(schema.fill(&mut filled), first, "filling says the same");
    let again = Schema::compile(schema.source().clone()).unwrap();
    assert_eq!(again.check(value), first, "compiling is repeatable");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_pair_is_answered(schema in schema(), value in value()) {
        holds(&schema, &value);
    }

    #[test]
    fn any_value_serves_as_a_schema(schema in value(), value in value()) {
        holds(&schema, &value);
    }

    #[test]
    fn any_pattern_is_answered(pattern in any::<String>(), text in any::<String>()) {
        holds(&json!({"pattern": pattern}), &json!(text));
    }

    #[test]
    fn patterns_of_syntax_are_answered(pattern in "[\\[\\](){}^$.*+?|\\\\\\-,:=!<>0-9a-zA-Zé&~#']{0,24}", text in "[-a-z0-9\\[\\]\\\\é\n]{0,12}") {
        holds(&json!({"pattern": pattern}), &json!(text));
    }

    #[test]
    fn numbers_read_back_as_printed(number in any::<f64>()) {
        let text = lua::number_text(number);
        if number.is_finite() {
            let read: f64 = text.parse().unwrap();
            prop_assert!((read - number).abs() <= number.abs() * 1e-13, "{number} {text}");
        }
    }
}
