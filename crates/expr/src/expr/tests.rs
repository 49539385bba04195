use std::borrow::Cow;
use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Values of variables by name.
struct Values(HashMap<String, Value<'static>>);

impl Lookup for Values {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        match self.value(variable)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Value<'a>> {
        self.0.get(&*variable.name()).cloned()
    }
}

fn value_of(json: &Json) -> Value<'static> {
    match json {
        Json::String(text) => Value::Text(Cow::Owned(text.clone().into_bytes())),
        Json::Number(number) => Value::Number(number.as_f64().unwrap()),
        Json::Bool(value) => Value::Bool(*value),
        Json::Array(list) => Value::List(list.iter().map(value_of).collect()),
        Json::Null | Json::Object(_) => Value::List(vec![]),
    }
}

fn values(json: &Json) -> Values {
    Values(
        json.as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value_of(value)))
            .collect(),
    )
}

#[track_caller]
fn check(rules: &Json, variables: &Json, expected: bool) {
    let expr = Expr::compile(rules).unwrap();
    assert_eq!(
        expr.eval(&values(variables)),
        expected,
        "{rules} with {variables}"
    );
    assert_eq!(expr.eval(&values(variables) as &dyn Lookup), expected);
}

#[track_caller]
fn fails(rules: &Json, text: &str) {
    assert_eq!(
        Expr::compile(rules).unwrap_err().to_string(),
        text,
        "{rules}"
    );
}

#[test]
fn equality_compares_text() {
    check(&json!([["arg_k", "==", "v"]]), &json!({"arg_k": "v"}), true);
    check(
        &json!([["arg_k", "==", "v"]]),
        &json!({"arg_k": "V"}),
        false,
    );
    check(&json!([["arg_k", "==", "v"]]), &json!({}), false);
    check(&json!([["arg_k", "==", ""]]), &json!({}), false);
    check(&json!([["arg_k", "==", ""]]), &json!({"arg_k": ""}), true);
    check(
        &json!([["arg_k", "~=", "v"]]),
        &json!({"arg_k": "v"}),
        false,
    );
    check(&json!([["arg_k", "~=", "v"]]), &json!({"arg_k": "x"}), true);
    check(&json!([["arg_k", "~=", "v"]]), &json!({}), true);
    check(
        &json!([["http_x", "==", "v"], ["arg_k", "==", "w"]]),
        &json!({"http_x": "v", "arg_k": "w"}),
        true,
    );
    check(
        &json!([["http_x", "==", "v"], ["arg_k", "==", "w"]]),
        &json!({"http_x": "v"}),
        false,
    );
}

#[test]
fn a_number_on_the_right_makes_a_number_of_the_left() {
    check(
        &json!([["arg_age", "==", 18]]),
        &json!({"arg_age": "18"}),
        true,
    );
    check(
        &json!([["arg_age", "==", 18]]),
        &json!({"arg_age": "18.0"}),
        true,
    );
    check(
        &json!([["arg_age", "==", 18]]),
        &json!({"arg_age": "0x12"}),
        true,
    );
    check(
        &json!([["arg_age", "==", 18]]),
        &json!({"arg_age": "aa"}),
        false,
    );
    check(
        &json!([["arg_age", "~=", 18]]),
        &json!({"arg_age": "18"}),
        false,
    );
    check(
        &json!([["arg_age", "~=", 18]]),
        &json!({"arg_age": "16"}),
        true,
    );
    check(
        &json!([["arg_age", "~=", 18]]),
        &json!({"arg_age": "aa"}),
        true,
    );
    check(&json!([["arg_age", "~=", 18]]), &json!({}), true);
    check(
        &json!([["arg_age", "~=", "18"]]),
        &json!({"arg_age": "18"}),
        false,
    );
}

#[test]
fn order_compares_numbers() {
    for (operator, less, equal, greater) in [
        (">", false, false, true),
        (">=", false, true, true),
        ("<", true, false, false),
        ("<=", true, true, false),
    ] {
        check(
            &json!([["arg_k", operator, 10]]),
            &json!({"arg_k": "9"}),
            less,
        );
        check(
            &json!([["arg_k", operator, "10"]]),
            &json!({"arg_k": "10"}),
            equal,
        );
        check(
            &json!([["arg_k", operator, 10]]),
            &json!({"arg_k": 11}),
            greater,
        );
        check(
            &json!([["arg_k", operator, 10]]),
            &json!({"arg_k": "x"}),
            false,
        );
        check(&json!([["arg_k", operator, 10]]), &json!({}), false);
        check(
            &json!([["arg_k", operator, "x"]]),
            &json!({"arg_k": "1"}),
            false,
        );
        check(
            &json!([["arg_k", operator, null]]),
            &json!({"arg_k": "1"}),
            false,
        );
    }
}

#[test]
fn null_on_the_right_means_absent() {
    check(&json!([["arg_k", "==", null]]), &json!({}), true);
    check(
        &json!([["arg_k", "==", null]]),
        &json!({"arg_k": "v"}),
        false,
    );
    check(&json!([["arg_k", "~=", null]]), &json!({}), false);
    check(
        &json!([["arg_k", "~=", null]]),
        &json!({"arg_k": "v"}),
        true,
    );
    check(
        &json!([["arg_k", "!", "==", null]]),
        &json!({"arg_k": ""}),
        true,
    );
}

#[test]
fn patterns_are_searched() {
    check(
        &json!([["arg_k", "~~", "[a-z]{1,4}"]]),
        &json!({"arg_k": "12ab"}),
        true,
    );
    check(
        &json!([["arg_k", "~~", "^[a-z]+$"]]),
        &json!({"arg_k": "12ab"}),
        false,
    );
    check(
        &json!([["arg_k", "~~", "A"]]),
        &json!({"arg_k": "a"}),
        false,
    );
    check(&json!([["arg_k", "~*", "A"]]), &json!({"arg_k": "a"}), true);
    check(&json!([["arg_k", "~*", "A"]]), &json!({"arg_k": ""}), false);
    check(&json!([["arg_k", "~~", ".*"]]), &json!({}), false);
    check(
        &json!([["arg_k", "~~", "("]]),
        &json!({"arg_k": "("}),
        false,
    );
    check(
        &json!([["arg_k", "!", "~~", "("]]),
        &json!({"arg_k": "("}),
        true,
    );
    check(
        &json!([["post_arg.n", "~~", "^4.$"]]),
        &json!({"post_arg.n": 42}),
        true,
    );
    check(&json!([["arg_k", "~~", 4]]), &json!({"arg_k": "42"}), true);
}

#[test]
fn in_looks_for_the_value_in_the_list() {
    check(
        &json!([["arg_k", "in", ["1", "2"]]]),
        &json!({"arg_k": "2"}),
        true,
    );
    check(
        &json!([["arg_k", "in", ["1", "2"]]]),
        &json!({"arg_k": "4"}),
        false,
    );
    check(&json!([["arg_k", "in", ["1", "2"]]]), &json!({}), false);
    check(
        &json!([["arg_k", "in", [1, 2]]]),
        &json!({"arg_k": "2"}),
        false,
    );
    check(
        &json!([["post_arg.n", "in", [1, 2]]]),
        &json!({"post_arg.n": 2}),
        true,
    );
    check(
        &json!([["arg_k", "in", "1"]]),
        &json!({"arg_k": "1"}),
        false,
    );
    check(
        &json!([["arg_k", "!", "in", ["1"]]]),
        &json!({"arg_k": "2"}),
        true,
    );
    let many: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    check(
        &json!([["arg_k", "in", many]]),
        &json!({"arg_k": "33"}),
        true,
    );
    check(
        &json!([["arg_k", "in", many]]),
        &json!({"arg_k": "50"}),
        false,
    );
}

#[test]
fn has_looks_for_the_element_in_the_value() {
    check(
        &json!([["graphql_root_fields", "has", "a"]]),
        &json!({"graphql_root_fields": ["a", "b"]}),
        true,
    );
    check(
        &json!([["graphql_root_fields", "has", "a"]]),
        &json!({"graphql_root_fields": ["b"]}),
        false,
    );
    check(
        &json!([["graphql_root_fields", "has", "a"]]),
        &json!({"graphql_root_fields": []}),
        false,
    );
    check(
        &json!([["arg_k", "has", "a"]]),
        &json!({"arg_k": "a"}),
        false,
    );
    check(
        &json!([["arg_k", "!", "has", 1]]),
        &json!({"arg_k": [2, 3]}),
        true,
    );
    check(&json!([["arg_k", "HAS", 1]]), &json!({"arg_k": [1]}), true);
}

#[test]
fn ipmatch_looks_for_the_address() {
    check(
        &json!([["remote_addr", "ipmatch", "127.0.0.0/16"]]),
        &json!({"remote_addr": "127.0.0.1"}),
        true,
    );
    check(
        &json!([["remote_addr", "ipmatch", ["127.0.0.2", "127.0.0.3"]]]),
        &json!({"remote_addr": "127.0.0.1"}),
        false,
    );
    check(
        &json!([["arg_ip", "ipmatch", ["::1"]]]),
        &json!({"arg_ip": "::1"}),
        true,
    );
    check(&json!([["arg_ip", "ipmatch", ["::1"]]]), &json!({}), false);
    check(
        &json!([["arg_ip", "!", "ipmatch", ["::1"]]]),
        &json!({}),
        true,
    );
}

#[test]
fn two_parts_mean_equality_with_the_lower_cased_text() {
    check(&json!([["arg_k", "V"]]), &json!({"arg_k": "v"}), true);
    check(&json!([["arg_k", "V"]]), &json!({"arg_k": "V"}), false);
    check(&json!([["arg_k", 5]]), &json!({"arg_k": "5"}), true);
    check(&json!([["arg_k", "=="]]), &json!({}), true);
    check(&json!([["arg_k", "~="]]), &json!({"arg_k": "x"}), true);
    check(&json!([["arg_k", "~="]]), &json!({}), false);
    check(&json!([["arg_k", "!"]]), &json!({"arg_k": "!"}), true);
}

#[test]
fn groups_nest_and_negate() {
    let weight = |weight: &str| json!({"arg_weight": weight});
    let between = json!([["arg_weight", ">", 10], ["arg_weight", "!", ">", 15]]);
    let with = |operator: &str| json!([operator, between[0], between[1]]);
    for (operator, at_8, at_12) in [
        ("AND", false, true),
        ("!AND", true, false),
        ("or", true, true),
        ("!OR", false, false),
    ] {
        check(&with(operator), &weight("8"), at_8);
        check(&with(operator), &weight("12"), at_12);
    }
    let nested = json!([
        "!OR",
        ["AND", ["arg_weight", "<", 20], ["arg_weight", "!", "<", 15]],
        [["arg_height", ">", 10], ["arg_height", "!", "<", 15]],
    ]);
    check(
        &nested,
        &json!({"arg_weight": "16", "arg_height": "1"}),
        false,
    );
    check(
        &nested,
        &json!({"arg_weight": "1", "arg_height": "1"}),
        true,
    );
    check(
        &json!([
            "!AND",
            ["arg_a", "==", "1"],
            ["OR", ["arg_b", "==", "1"], ["arg_c", "==", "1"]]
        ]),
        &json!({"arg_a": "1", "arg_c": "1"}),
        false,
    );
    check(&json!([]), &json!({}), true);
    check(&json!({}), &json!({}), true);
}

#[test]
fn errors_are_worded_as_the_reference_words_them() {
    fails(&json!(null), "missing argument rule");
    fails(
        &json!(["arg_k", "==", "v"]),
        "rule should be wrapped inside brackets",
    );
    fails(&json!([["arg_k", "=", "v"]]), "invalid operator '='");
    fails(
        &json!([["arg_k", "INVALID", 10]]),
        "invalid operator 'invalid'",
    );
    fails(&json!([["arg_k", "!", "=="]]), "invalid operator '!'");
    fails(&json!([["arg_k"]]), "invalid expression");
    fails(&json!([["arg_k", null, "v"]]), "invalid expression");
    fails(&json!([[null, "==", "v"]]), "invalid expression");
    fails(&json!([["arg_k", "==", "v"], 5]), "invalid expression");
    fails(&json!([[]]), "rule too short");
    fails(&json!([{}]), "rule too short");
    fails(&json!(["OR", ["arg_weight", ">", 10]]), "rule too short");
    fails(
        &json!(["OR", ["arg_weight", ">", 10], ["AND"]]),
        "rule too short",
    );
    fails(&json!([["!", "arg_k", "==", "1"]]), "bad 'not' expression");
    fails(&json!([["remote_addr", "ipmatch"]]), "invalid ip address");
    fails(
        &json!([["remote_addr", "ipmatch", ""]]),
        "invalid ip address",
    );
    fails(
        &json!([["remote_addr", "ipmatch", []]]),
        "invalid ip address",
    );
    fails(
        &json!([["remote_addr", "ipmatch", [""]]]),
        "invalid ip address: ",
    );
    fails(
        &json!([["remote_addr", "ipmatch", ["::1", "x/8"]]]),
        "invalid ip address: x",
    );
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        (-3_i32..3).prop_map(Json::from),
        prop::sample::select(vec![
            "AND", "or", "!OR", "==", "~=", "~~", "in", "has", "ipmatch", ">", "!", "arg_a", "x",
            "", "1", "::1", "["
        ])
        .prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop::collection::vec(inner, 0..5).prop_map(Json::from)
    })
}

proptest! {
    #[test]
    fn any_input_compiles_or_fails(rules in any_json(), value in any_json()) {
        if let Ok(expr) = Expr::compile(&rules) {
            expr.eval(&values(&json!({"arg_a": value})));
        }
    }

    #[test]
    fn negation_is_the_opposite(comparison in (prop::sample::select(vec!["==", "~=", ">", "<=", "~~", "in", "has", "ipmatch"]), any_json()), value in any_json()) {
        let (operator, right) = comparison;
        let plain = Expr::compile(&json!([["arg_a", operator, right]]));
        let negated = Expr::compile(&json!([["arg_a", "!", operator, right]]));
        if let (Ok(plain), Ok(negated)) = (plain, negated) {
            let values = values(&json!({"arg_a": value}));
            prop_assert_ne!(plain.eval(&values), negated.eval(&values));
        }
    }
}
