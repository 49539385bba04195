use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What `decode` says of a text: the value as JSON, or the error.
fn said(text: &[u8]) -> String {
    match decode(text) {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Recorded from `lua-cjson` 2.1.0.
#[test]
fn refuses_in_the_words_of_lua_cjson() {
    for (text, expected) in [
        ("", "Expected value but found T_END at character 1"),
        (" ", "Expected value but found T_END at character 2"),
        (
            "{",
            "Expected object key string but found T_END at character 2",
        ),
        (
            "{a",
            "Expected object key string but found invalid token at character 2",
        ),
        ("{\"a\"", "Expected colon but found T_END at character 5"),
        (
            "{\"a\"}",
            "Expected colon but found T_OBJ_END at character 5",
        ),
        ("{\"a\":", "Expected value but found T_END at character 6"),
        (
            "{\"a\":1",
            "Expected comma or object end but found T_END at character 7",
        ),
        (
            "{\"a\":1,",
            "Expected object key string but found T_END at character 8",
        ),
        (
            "{\"a\":1,}",
            "Expected object key string but found T_OBJ_END at character 8",
        ),
        (
            "{\"a\" 1}",
            "Expected colon but found T_NUMBER at character 6",
        ),
        (
            "{1:2}",
            "Expected object key string but found T_NUMBER at character 2",
        ),
        (
            "{\"a\":1 \"b\":2}",
            "Expected comma or object end but found T_STRING at character 8",
        ),
        (
            "[1",
            "Expected comma or array end but found T_END at character 3",
        ),
        ("[1,", "Expected value but found T_END at character 4"),
        ("[1,]", "Expected value but found T_ARR_END at character 4"),
        (
            "[1 2]",
            "Expected comma or array end but found T_NUMBER at character 4",
        ),
        (
            "[[1]",
            "Expected comma or array end but found T_END at character 5",
        ),
        (
            "tru",
            "Expected value but found invalid token at character 1",
        ),
        (
            "truex",
            "Expected the end but found invalid token at character 5",
        ),
        (
            "'a'",
            "Expected value but found invalid token at character 1",
        ),
        (
            "\u{feff}{}",
            "Expected value but found invalid token at character 1",
        ),
        (
            "\u{1}",
            "Expected value but found invalid token at character 1",
        ),
        (
            "{} x",
            "Expected the end but found invalid token at character 4",
        ),
        ("1 2", "Expected the end but found T_NUMBER at character 3"),
        (
            "\"abc",
            "Expected value but found unexpected end of string at character 5",
        ),
        (
            "\"a\0b\"",
            "Expected value but found unexpected end of string at character 3",
        ),
        (
            "\"a\\x\"",
            "Expected value but found invalid escape code at character 3",
        ),
        (
            "\"a\\u12\"",
            "Expected value but found invalid unicode escape code at character 3",
        ),
        (
            "\"\\ud800\"",
            "Expected value but found invalid unicode escape code at character 2",
        ),
        (
            "\"\\ud800\\u0041\"",
            "Expected value but found invalid unicode escape code at character 2",
        ),
        (
            "\"\\udc00\"",
            "Expected value but found invalid unicode escape code at character 2",
        ),
        (
            "-",
            "Expected value but found invalid number at character 1",
        ),
        (
            "--1",
            "Expected value but found invalid number at character 1",
        ),
        (
            ".5",
            "Expected value but found invalid token at character 1",
        ),
        (
            "1e",
            "Expected the end but found invalid token at character 2",
        ),
        (
            "1e+",
            "Expected the end but found invalid token at character 2",
        ),
        (
            "1.5.5",
            "Expected the end but found invalid token at character 4",
        ),
        (
            "123abc",
            "Expected the end but found invalid token at character 4",
        ),
        ("a\0b", "JSON parser does not support UTF-16 or UTF-32"),
        ("\0{}", "JSON parser does not support UTF-16 or UTF-32"),
    ] {
        assert_eq!(said(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn accepts_what_lua_cjson_accepts() {
    for (text, expected) in [
        ("null", json!(null)),
        (" [true , false] ", json!([true, false])),
        ("{\"a\":{\"b\":[]}}", json!({"a": {"b": []}})),
        ("{\"a\":1,\"b\":2,\"a\":3}", json!({"a": 3, "b": 2})),
        ("{\"a\":1,\"a\":null}", json!({"a": null})),
        ("{}\0x", json!({})),
        ("01", json!(1)),
        ("+1", json!(1)),
        ("-7", json!(-7)),
        ("0x1F", json!(31)),
        ("-0x10", json!(-16)),
        ("0xFFFFFFFFFFFFFFFFF", json!(295_147_905_179_352_825_855.0)),
        ("1.", json!(1.0)),
        ("1.50", json!(1.5)),
        ("1e5", json!(1e5)),
        ("0e1", json!(0.0)),
        ("-1.5e-2", json!(-0.015)),
        ("9007199254740993", json!(9_007_199_254_740_993_u64)),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("\"a\u{1}\n\"", json!("a\u{1}\n")),
        (
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
            json!("\"\\/\u{8}\u{c}\n\r\t"),
        ),
        ("\"\\u0041\\u00e9\\ud83d\\ude00\\u0000\"", json!("Aé😀\0")),
        ("\"您好\"", json!("您好")),
    ] {
        assert_eq!(decode(text.as_bytes()), Ok(expected), "{text:?}");
    }
}

/// Where this reader is meant to be stricter than the reference.
#[test]
fn refuses_what_could_not_be_written_again() {
    for (text, expected) in [
        (
            &b"NaN"[..],
            "Expected value but found invalid number at character 1",
        ),
        (
            b"[-inf]",
            "Expected value but found invalid number at character 2",
        ),
        (
            b"1e999",
            "Expected value but found invalid number at character 1",
        ),
        (
            b"{\"a\":\"\xff\"}",
            "Expected value but found invalid UTF-8 in a string at character 6",
        ),
        (
            b"\xff",
            "Expected value but found invalid token at character 1",
        ),
    ] {
        assert_eq!(said(text), expected, "{text:?}");
    }
}

#[test]
fn bounds_the_nesting() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deepest = decode(nested(JSON_DEPTH).as_bytes()).unwrap();
    assert_eq!(depth(&deepest), JSON_DEPTH);
    assert_eq!(
        said(nested(JSON_DEPTH + 1).as_bytes()),
        "Found too many nested data structures (101) at character 101"
    );
    assert_eq!(
        said("{\"a\":".repeat(1_000_000).as_bytes()),
        "Found too many nested data structures (101) at character 501"
    );
    // Levels beside each other do not add up.
    assert!(decode(format!("[{}{{}}]", "[[]],".repeat(1000)).as_bytes()).is_ok());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |float| float.is_finite())
            .prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".*", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reads_back_what_serde_writes(value in any_json()) {
        prop_assert_eq!(decode(value.to_string().as_bytes()), Ok(value.clone()));
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert_eq!(decode(&pretty), Ok(value));
    }

    #[test]
    fn never_panics_and_only_yields_what_serde_can_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = decode(&bytes) {
            let written = serde_json::to_vec(&value).unwrap();
            prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
        }
    }

    #[test]
    fn never_panics_on_json_like_text(text in "[\\[\\]{}:,\"\\\\ue0-9x+. tfn-]{0,60}") {
        if let Ok(value) = decode(text.as_bytes()) {
            let written = serde_json::to_vec(&value).unwrap();
            prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
        }
    }
}
