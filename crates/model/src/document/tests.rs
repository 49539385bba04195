//! Tests of reading whole configurations.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "PATH_" => "/a",
        "PORT" => "9080",
        "HOST" => "127.0.0.1",
        "LARGE" => "356002209726529540",
        "ON" => "true",
        _ => return None,
    };
    Some(value.to_owned())
}

fn file(text: &str, format: Format) -> Result<Value, String> {
    read_file(text, format, &environment)
        .map(Value::Object)
        .map_err(|error| error.to_string())
}

#[test]
fn reads_files_in_yaml() {
    for (text, expected) in [
        ("routes: []\n#END\n", Ok(json!({"routes": []}))),
        ("routes: []\n#END", Ok(json!({"routes": []}))),
        ("routes: []\n#END \n\t\n", Ok(json!({"routes": []}))),
        ("routes:\n#END\n", Ok(json!({"routes": {}}))),
        ("a: 1 #END\n", Ok(json!({"a": 1}))),
        ("routes: []\n", Err("missing valid end flag")),
        (
            "routes: []\n#END\n\n\n\n\n\n\n\n\n\n",
            Err("missing valid end flag"),
        ),
        ("", Err("missing valid end flag")),
        ("#END\n", Err("it is empty")),
        ("~\n#END\n", Err("it is empty")),
        ("- a\n#END\n", Err("it is not an object")),
        ("a\n#END\n", Err("it is not an object")),
        ("a: b\nc: d: e\n#END\n", Err("line 2: ")),
        ("a: 1\n---\nb: 2\n#END\n", Err("line ")),
    ] {
        let found = file(text, Format::Yaml);
        match expected {
            Ok(expected) => assert_eq!(found, Ok(expected), "{text:?}"),
            Err(expected) => {
                let error = found.expect_err(text);
                assert!(error.starts_with(expected), "{text:?}: {error}");
            }
        }
    }
}

#[test]
fn puts_variables_into_yaml_before_it_is_read() {
    for (text, expected) in [
        ("a: ${{PORT}}", Ok(json!({"a": 9080}))),
        ("a: \"${{PORT}}\"", Ok(json!({"a": "9080"}))),
        ("a: \"${{LARGE}}\"", Ok(json!({"a": "356002209726529540"}))),
        ("a: ${{ON}}", Ok(json!({"a": true}))),
        ("a: ${{NONE:=/b}}", Ok(json!({"a": "/b"}))),
        ("'${{HOST}}:${{PORT}}': 1", Ok(json!({"127.0.0.1:9080": 1}))),
        ("a: $PATH ${PORT}", Ok(json!({"a": "$PATH ${PORT}"}))),
        (
            "a: ${{NONE}}",
            Err("failed to handle configuration: can't find environment variable NONE"),
        ),
        // Comments are text as well.
        (
            "a: 1 # ${{NONE}}",
            Err("failed to handle configuration: can't find environment variable NONE"),
        ),
    ] {
        let found = file(&format!("{text}\n#END\n"), Format::Yaml);
        assert_eq!(found, expected.map_err(str::to_owned), "{text:?}");
    }
}

#[test]
fn reads_files_in_json() {
    for (text, expected) in [
        ("{}", Ok(json!({}))),
        (r#"{"a": null}"#, Ok(json!({"a": null}))),
        (
            r#"{"a": "${{PORT}}", "b": ["${{ON}}"], "c${{PORT}}": "x${{HOST}}"}"#,
            Ok(json!({"a": 9080, "b": [true], "c9080": "x127.0.0.1"})),
        ),
        (r#"{"a": "${{NONE:= 1 }}"}"#, Ok(json!({"a": 1}))),
        (
            r#"{"a": "${{NONE}}"}"#,
            Err("failed to handle configuration: can't find environment variable NONE"),
        ),
        ("[1]", Err("it is not an object")),
        ("{\n\"a\": }", Err("line 2: expected value")),
        ("", Err("line 1: EOF while parsing a value")),
    ] {
        let found = file(text, Format::Json);
        assert_eq!(found, expected.map_err(str::to_owned), "{text:?}");
    }
}

#[test]
fn names_objects_by_id_username_or_place() {
    let document = json!({
        "routes": [
            {"uri": "/a"}, {"id": 2}, {"id": "c", "modifiedIndex": 7}, "no", {"id": false}, {"id": 1.0}, [], {}
        ],
        "consumers": [{"username": "jack"}, {"id": "jack/credentials/a"}],
        "secrets": [{"id": "vault/1"}],
        "services": {"id": "no list"},
    });
    let document = document.as_object().expect("an object");
    let keys = |list: &str| -> Vec<String> {
        let key = |item| match item {
            Ok(item) => {
                let Item { key, .. } = item;
                key
            }
            Err(NoObject { key }) => format!("no object: {key}"),
        };
        items(document, list).into_iter().map(key).collect()
    };
    let expected = [
        "routes/arr_1",
        "routes/2",
        "routes/c",
        "no object: routes/arr_4",
        "routes/arr_5",
        "routes/1",
        "routes/arr_7",
        "routes/arr_8",
    ];
    assert_eq!(keys("routes"), expected);
    assert_eq!(
        keys("consumers"),
        ["consumers/jack", "consumers/jack/credentials/a"]
    );
    assert_eq!(keys("secrets"), ["secrets/vault/1"]);
    assert_eq!(keys("services"), [""; 0]);
    assert_eq!(keys("none"), [""; 0]);

    let item = items(document, "routes").remove(2).expect("an object");
    assert_eq!(item.modified_index, Some(json!(7)));
    assert_eq!(Value::Object(item.written.clone()), json!({"id": "c"}));
    assert_eq!(item.stored(), json!({"id": "c"}));
    let item = items(document, "routes").remove(1).expect("an object");
    assert_eq!(item.written["id"], json!(2), "as written for the check");
    assert_eq!(item.stored(), json!({"id": "2"}));
}

#[test]
fn knows_the_plugins_and_what_nobody_knows() {
    let read = |text: &str| read(text, Format::Yaml).expect("YAML");
    assert_eq!(plugins(&read("routes: []")), None);
    assert_eq!(plugins(&read("plugins:")), Some(json!([])));
    assert_eq!(
        plugins(&read("plugins: [{name: cors}]")),
        Some(json!([{"name": "cors"}]))
    );
    let document =
        read("route: []\nroutes: []\nroutes_conf_version: 1\nplugins_conf_version: 1\nx: 1");
    assert_eq!(unknown_members(&document), ["route", "x"]);
}

#[test]
fn bounds_what_aliases_make_of_a_text() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 10].join(", ");
        let _infallible = writeln!(text, "a{level}: &a{level} [{aliases}]");
    }
    assert!(matches!(yaml(&text), Err(Unreadable::Malformed { .. })));
    let deep = "[".repeat(100_000);
    assert!(yaml(&deep).is_err() && json(&deep).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*", ends in any::<bool>()) {
        let text = if ends { format!("{text}\n#END") } else { text };
        for format in [Format::Yaml, Format::Json] {
            if let Ok(document) = read_file(&text, format, &|_| Some("1".to_owned())) {
                for list in LISTS {
                    for item in items(&document, list).into_iter().flatten() {
                        prop_assert!(item.key.starts_with(list));
                        prop_assert!(item.stored()["id"].is_string());
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_written_as_json_is_read_the_same_as_yaml(id in "[a-z0-9_.-]{1,8}", uri in "/[a-z ]{0,8}", weight in 0_i64..1000) {
        let document = json!({"routes": [{"id": id, "uri": uri, "upstream": {"nodes": {"127.0.0.1:1980": weight}}}]});
        let text = document.to_string();
        let from_json = read(&text, Format::Json).map(Value::Object);
        prop_assert_eq!(from_json, Ok(document.clone()));
        // JSON is YAML.
        let from_yaml = read_file(&format!("{text}\n#END\n"), Format::Yaml, &|_| None);
        prop_assert_eq!(from_yaml.map(Value::Object), Ok(document));
    }
}
