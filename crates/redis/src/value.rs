//! What goes to a server and what comes back.

use redis::{RedisWrite, ToRedisArgs};

use crate::error::{Error, Reply};

/// An argument or a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arg<'a> {
    /// Bytes as they are.
    Bytes(&'a [u8]),
    /// A whole number, decimal.
    Int(i64),
    /// A number, in as few digits as tell it from others.
    Float(f64),
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Arg<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<f64> for Arg<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl ToRedisArgs for Arg<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match self {
            Self::Bytes(bytes) => out.write_arg(bytes),
            Self::Int(number) => number.write_redis_args(out),
            // As in a Lua script, and as servers read it: without a fraction that is none.
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                (*number as i64).write_redis_args(out);
            }
            Self::Float(number) => number.write_redis_args(out),
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// There is none.
    Nil,
    /// A whole number. Redis cuts the fractions of a script's numbers off.
    Int(i64),
    /// Bytes; also the word of a status, such as `OK`.
    Bytes(Vec<u8>),
    /// Several.
    Array(Vec<Value>),
}

impl Value {
    /// A whole number, or the text of one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => self.text()?.parse().ok(),
        }
    }

    /// A finite number, or the text of one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            _ => self.text()?.parse().ok().filter(|it: &f64| it.is_finite()),
        }
    }

    /// Bytes, where they are UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Bytes.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The parts of an array; of others, none.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    /// Whether there is none.
    pub fn is_nil(&self) -> bool {
        *self == Self::Nil
    }
}

/// An answer as the protocol library has it. An error within an array is the error of the whole.
pub(crate) fn read(value: redis::Value) -> Result<Value, Error> {
    Ok(match value {
        redis::Value::Nil => Value::Nil,
        redis::Value::Int(number) => Value::Int(number),
        redis::Value::BulkString(bytes) => Value::Bytes(bytes),
        redis::Value::SimpleString(text) => Value::Bytes(text.into_bytes()),
        redis::Value::Okay => Value::Bytes(b"OK".to_vec()),
        redis::Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(read)
                .collect::<Result<Vec<_>, Error>>()?,
        ),
        redis::Value::ServerError(error) => {
            return Err(Error::Reply(Reply::new(error.code(), error.details())));
        }
        // The gateway never asks for version 3 of the protocol, which has further kinds.
        _ => return Err(Error::Malformed("a kind of RESP3".into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_arguments_as_lua_would() {
        for (arg, expected) in [
            (Arg::from("a b"), "a b"),
            (Arg::from(-7_i64), "-7"),
            (Arg::from(60.0), "60"),
            (Arg::from(0.25), "0.25"),
        ] {
            assert_eq!(arg.to_redis_args(), [expected.as_bytes()], "{arg:?}");
        }
    }

    #[test]
    fn reads_numbers_from_either_form() {
        let text = |it: &str| Value::Bytes(it.as_bytes().to_vec());
        for (value, int, number) in [
            (Value::Int(-3), Some(-3), Some(-3.0)),
            (text("12"), Some(12), Some(12.0)),
            (text("1.5"), None, Some(1.5)),
            (text("nan"), None, None),
            (text("x"), None, None),
            (Value::Nil, None, None),
        ] {
            assert_eq!((value.int(), value.number()), (int, number), "{value:?}");
        }
    }
}
