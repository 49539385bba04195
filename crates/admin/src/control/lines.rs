//! JSON for people without a tool at hand: what fits stands on one line, the rest is indented.

use serde_json::Value;

use crate::limits::COLUMNS;

/// Writes a value; its own members each begin a line.
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    write_over_lines(value, 0, &mut text);
    text
}

fn write_value(value: &Value, indent: usize, text: &mut String) {
    let line = value.to_string();
    if indent + line.len() <= COLUMNS {
        text.push_str(&line);
    } else {
        write_over_lines(value, indent, text);
    }
}

fn write_over_lines(value: &Value, indent: usize, text: &mut String) {
    let inner = indent + 2;
    match value {
        Value::Object(members) if !members.is_empty() => {
            text.push('{');
            for (place, (name, member)) in members.iter().enumerate() {
                begin_line(place > 0, inner, text);
                let name = format!("{}: ", Value::from(name.as_str()));
                text.push_str(&name);
                write_value(member, inner, text);
            }
            begin_line(false, indent, text);
            text.push('}');
        }
        Value::Array(elements) if !elements.is_empty() => {
            text.push('[');
            for (place, element) in elements.iter().enumerate() {
                begin_line(place > 0, inner, text);
                write_value(element, inner, text);
            }
            begin_line(false, indent, text);
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

fn begin_line(follows_another: bool, indent: usize, text: &mut String) {
    if follows_another {
        text.push(',');
    }
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_stands_on_one_line() {
        let long = "x".repeat(COLUMNS);
        let value = json!({"a": [1, {"b": null}], "c": {"d": [long, []], "e\n": {}}, "f": []});
        let expected = format!(
            "{{\n  \"a\": [1,{{\"b\":null}}],\n  \"c\": {{\n    \"d\": [\n      \"{long}\",\n      []\n    ],\n    \"e\\n\": {{}}\n  }},\n  \"f\": []\n}}"
        );
        assert_eq!(write(&value), expected);
        assert_eq!(serde_json::from_str::<Value>(&expected).ok(), Some(value));
        assert_eq!(write(&json!({})), "{}");
    }
}
