use std::collections::BTreeMap;

use lockgate_schema::Schema;
use serde_json::{Map, Value};

use super::of;

/// What `GET /apisix/admin/schema/{kind}` of the reference answers (APISIX 3.18.0).
fn recorded() -> Map<String, Value> {
    serde_json::from_str(include_str!("../../tests/reference/resources.json")).unwrap()
}

#[test]
fn schemas_are_those_of_the_reference() {
    let recorded = recorded();
    assert!(recorded.contains_key("route"));
    for (kind, expected) in recorded {
        assert_eq!(of(&kind), Some(expected), "{kind}");
    }
}

#[test]
fn other_names_have_no_schema() {
    for kind in ["routes", "Route", "part", ""] {
        assert_eq!(of(kind), None, "{kind}");
    }
}

/// Properties are checked in the order in which they are written; see the head of the module.
#[test]
fn properties_are_listed_by_name() {
    fn check(schema: &Value) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            assert!(properties.keys().is_sorted(), "{:?}", properties.keys());
        }
        match schema {
            Value::Object(members) => members.values().for_each(check),
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }
    for kind in recorded().keys() {
        check(&of(kind).unwrap());
    }
}

/// Answers of `POST /apisix/admin/schema/validate/…`, which are the schema's alone.
#[test]
fn findings_are_those_of_the_reference() {
    let lines = include_str!("../../../admin/tests/reference/admin-validation.jsonl");
    let mut schemas = BTreeMap::new();
    let mut compared = 0;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["id"].as_str().unwrap();
        let Some(case) = id.strip_prefix("schema/") else {
            continue;
        };
        let kind = case.split(':').next().unwrap();
        let schema = schemas
            .entry(kind.to_owned())
            .or_insert_with(|| Schema::compile(of(kind).unwrap()).unwrap());
        let expected = line["response"].as_str().map_or(Ok(()), |response| {
            let response: Value = serde_json::from_str(response).unwrap();
            Err(response["error_msg"].as_str().unwrap().to_owned())
        });
        let found = schema
            .check(&line["body"])
            .map_err(|finding| finding.to_string());
        assert_eq!(found, expected, "{id}");
        compared += 1;
    }
    assert_eq!(compared, 585, "every recorded answer was compared");
}
