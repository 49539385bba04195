//! Writes a configuration in YAML so that a parser of YAML 1.1 reads what was written, too.

use serde_json::Value;

/// The text of a value.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(value)
}

#[cfg(test)]
mod tests {
    use lockgate_model::document;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &Value) {
        let text = write(value).expect("written");
        assert_eq!(document::yaml(&text), Ok(Some(value.clone())), "{text}");
        assert!(!text.starts_with("---") && !text.trim_end().ends_with("..."));
    }

    #[test]
    fn writes_what_is_read_again() {
        for text in [
            "",
            "a",
            "yes",
            "no",
            "on",
            "Off",
            "true",
            "null",
            "~",
            "1",
            "1.5",
            "0x1F",
            "0o7",
            "1e3",
            ".inf",
            "-",
            "- a",
            "a: b",
            "# a",
            "a #b",
            "'",
            "\"",
            "\\",
            "a\nb\n",
            "\n",
            " a ",
            "\t",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{a",
            "[a",
            "|",
            ">",
            "2020-01-01",
            "12:30",
            "\u{e9}",
            "\u{1f600}",
            "\u{7}",
            "<<",
            "=",
            "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n",
        ] {
            check(&json!({ "a": text, "b": [text, {"c": text}] }));
            check(&json!({ text: 1 }));
        }
        check(
            &json!({"a": {}, "b": [], "c": [[1], []], "d": 1.5, "e": -3, "f": true, "g": i64::MAX}),
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_again(text in any::<String>(), key in "[a-z]{1,3}") {
            let value = json!({ key: [text] });
            let written = write(&value).expect("written");
            prop_assert_eq!(document::yaml(&written), Ok(Some(value)), "{}", written);
        }
    }
}
