//! JSON, written straight into the bytes that are sent.

use lockgate_expr::Value;

/// An object in the making: each member's name is written when its value begins.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    /// Begins a member; its value is to be written to what this returns.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u8> {
        self.separate();
        string(self.out, name.as_bytes());
        self.out.push(b':');
        self.out
    }

    /// Begins a member, whose name is there with its quotes and the colon.
    pub(crate) fn written_member(&mut self, name: &[u8]) -> &mut Vec<u8> {
        self.separate();
        self.out.extend_from_slice(name);
        self.out
    }

    /// A member that may turn out to have no value, and is not there then.
    pub(crate) fn optional(
        &mut self,
        name: &[u8],
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        let (begin, was_empty) = (self.out.len(), self.is_empty);
        self.written_member(name);
        let is_there = write(self.out);
        if !is_there {
            self.out.truncate(begin);
            self.is_empty = was_empty;
        }
        is_there
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// A name as it stands in front of its value.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 3);
    string(&mut out, text.as_bytes());
    out.push(b':');
    out
}

/// Writes a text. What is no UTF-8 becomes U+FFFD, so that no client can spoil what others are to read.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        escape(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| escaped(*byte).is_some()) {
        let (plain, behind) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = behind.split_first() else {
            return;
        };
        match escaped(byte) {
            Some(0) => {
                let hex = |nibble: u8| b"0123456789abcdef".get(usize::from(nibble)).copied();
                out.extend_from_slice(b"\\u00");
                out.extend(hex(byte >> 4));
                out.extend(hex(byte & 15));
            }
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.push(byte),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// What stands behind the backslash in place of a byte; 0 for its number.
#[inline]
fn escaped(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        8 => Some(b'b'),
        12 => Some(b'f'),
        0..=31 | 127 => Some(0),
        _ => None,
    }
}

/// Writes a number; one that JSON cannot have is null.
pub(crate) fn number(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        // The shortest text that is this number, as whole ones without a fraction.
        out.extend_from_slice(number.to_string().as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Writes a whole number.
pub(crate) fn integer(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(number.to_string().as_bytes());
}

/// Writes the value of a variable.
pub(crate) fn value(out: &mut Vec<u8>, of: &Value<'_>) {
    match of {
        Value::Text(text) => string(out, text),
        Value::Number(of) => number(out, *of),
        Value::Bool(of) => out.extend_from_slice(if *of { b"true" } else { b"false" }),
        // To Lua a list without elements is an object as well.
        Value::List(elements) if elements.is_empty() => out.extend_from_slice(b"{}"),
        Value::List(elements) => {
            out.push(b'[');
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                value(out, element);
            }
            out.push(b']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn texts_are_read_back_as_they_were() {
        for text in [
            "",
            "plain",
            "a\"b\\c/d",
            "\u{0}\u{1f}\u{7f}\n\r\t\u{8}\u{c}",
            "ä€𝄞",
        ] {
            let json = written(|out| string(out, text.as_bytes()));
            let read: String = serde_json::from_str(&json).expect(&json);
            assert_eq!(read, text);
        }
        assert_eq!(
            written(|out| string(out, b"a\xffb\xc3")),
            "\"a\u{fffd}b\u{fffd}\""
        );
    }

    #[test]
    fn numbers_are_short() {
        for (of, expected) in [
            (0.0, "0"),
            (200.0, "200"),
            (0.1, "0.1"),
            (1_703_907_485_819.0, "1703907485819"),
            (f64::NAN, "null"),
        ] {
            assert_eq!(written(|out| number(out, of)), expected);
        }
    }

    #[test]
    fn members_without_a_value_are_not_there() {
        let json = written(|out| {
            let mut object = Object::begin(out);
            assert!(!object.optional(b"\"a\":", |_| false));
            integer(object.member("b"), 1);
            assert!(!object.optional(b"\"c\":", |out| {
                out.push(b'x');
                false
            }));
            assert!(object.optional(b"\"d\":", |out| {
                value(
                    out,
                    &Value::List(vec![Value::Bool(true), Value::Number(0.5)]),
                );
                true
            }));
            object.end();
        });
        assert_eq!(json, "{\"b\":1,\"d\":[true,0.5]}");
    }
}
