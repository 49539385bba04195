//! What a reference looks like (`apisix/secret.lua`, `apisix/core/env.lua`).

use serde_json::Value;

use crate::{Environment, LookupError};

/// Begins references to managers. Upper and lower case differ, as in the reference.
const SECRET: &str = "$secret://";

/// Begins references to the environment, in any mixture of upper and lower case.
const ENV: &str = "$env://";

/// A reference, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// `$env://NAME` or `$env://NAME/FIELD`
    Environment {
        name: &'a str,
        /// A field of the variable, which is a JSON object then. Never empty; what follows the first `/` is one name.
        field: Option<&'a str>,
    },
    /// `$secret://MANAGER/ID/KEY`
    Managed {
        /// Manager and id, as the object is called below `/secrets`.
        conf: &'a str,
        /// What the manager is asked for. Never empty.
        key: &'a str,
    },
}

/// Whether a text is a reference. One that is malformed is one, too.
pub fn is_reference(text: &str) -> bool {
    is_env(text) || text.starts_with(SECRET)
}

fn is_env(text: &str) -> bool {
    text.get(..ENV.len())
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(ENV))
}

impl<'a> Reference<'a> {
    /// Takes a text apart; `None` for what is no reference.
    pub(crate) fn parse(text: &'a str) -> Option<Result<Self, LookupError>> {
        if is_env(text) {
            let (name, field) = text
                .get(ENV.len()..)?
                .split_once('/')
                .map_or((text.get(ENV.len()..)?, None), |(name, field)| {
                    (name, Some(field).filter(|field| !field.is_empty()))
                });
            return Some(Ok(Self::Environment { name, field }));
        }
        text.strip_prefix(SECRET).map(Self::managed)
    }

    fn managed(path: &'a str) -> Result<Self, LookupError> {
        let manager = path.find('/').ok_or(LookupError::NoManager)?;
        let behind = path.get(manager + 1..).unwrap_or_default();
        let id = behind.find('/').ok_or(LookupError::NoConfId)?;
        let (conf, key) = path.split_at(manager + 1 + id);
        match key.strip_prefix('/').unwrap_or_default() {
            "" => Err(LookupError::NoKeyId),
            key => Ok(Self::Managed { conf, key }),
        }
    }
}

/// Looks a variable up.
pub(crate) fn of_environment(
    environment: &Environment,
    name: &str,
    wanted: Option<&str>,
) -> Result<Value, LookupError> {
    let variable = environment.get(name).ok_or(LookupError::NoValue)?;
    let found = match wanted {
        None => Some(variable.into()),
        Some(wanted) => field(variable, wanted).map_err(LookupError::Environment)?,
    };
    some(found)
}

/// A text, or the variable that it refers to: what the settings of managers may say. A variable that is not there leaves the
/// text as it is.
pub(crate) fn or_environment(environment: &Environment, text: &str) -> String {
    match Reference::parse(text) {
        Some(Ok(Reference::Environment { name, field })) => {
            match of_environment(environment, name, field) {
                Ok(Value::String(found)) => found,
                Ok(other) => other.to_string(),
                Err(_no_value) => text.to_owned(),
            }
        }
        _ => text.to_owned(),
    }
}

/// The field of a JSON object. Lists have no fields.
pub(crate) fn field(json: &str, name: &str) -> Result<Option<Value>, String> {
    match serde_json::from_str(json) {
        Ok(Value::Object(mut object)) => Ok(object.remove(name)),
        Ok(Value::Array(_)) => Ok(None),
        Ok(_) => Err("it is not an object".into()),
        // Says where, and nothing of the text.
        Err(error) => Err(error.to_string()),
    }
}

/// What was found, where the reference would take it for a value.
pub(crate) fn some(found: Option<Value>) -> Result<Value, LookupError> {
    found
        .filter(|value| *value != Value::Bool(false))
        .ok_or(LookupError::NoValue)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_references_apart_as_the_reference_does() {
        let env = |name, field| Some(Ok(Reference::Environment { name, field }));
        let managed = |conf, key| Some(Ok(Reference::Managed { conf, key }));
        for (text, expected) in [
            ("$env://A", env("A", None)),
            ("$ENV://A", env("A", None)),
            ("$eNv://A/b", env("A", Some("b"))),
            ("$env://A/b/c", env("A", Some("b/c"))),
            ("$env://A/", env("A", None)),
            ("$env://", env("", None)),
            ("$env:/A", None),
            ("$secret://vault/1/a/b", managed("vault/1", "a/b")),
            ("$secret://vault/1/a", managed("vault/1", "a")),
            ("$secret://vault/1//a", managed("vault/1", "/a")),
            ("$secret:////a", managed("/", "a")),
            ("$secret://", Some(Err(LookupError::NoManager))),
            ("$secret://vault", Some(Err(LookupError::NoManager))),
            ("$secret://vault/", Some(Err(LookupError::NoConfId))),
            ("$secret://vault/1", Some(Err(LookupError::NoConfId))),
            ("$secret://vault/1/", Some(Err(LookupError::NoKeyId))),
            ("$SECRET://vault/1/a", None),
            ("secret://vault/1/a", None),
            (" $env://A", None),
            ("$", None),
            ("", None),
            ("$€€€", None),
        ] {
            assert_eq!(Reference::parse(text), expected, "{text}");
            assert_eq!(is_reference(text), expected.is_some(), "{text}");
        }
    }

    #[test]
    fn looks_up_variables_and_fields_of_them() {
        let environment: Environment = [
            ("TEXT", "abc"),
            ("EMPTY", ""),
            (
                "JSON",
                r#"{"a":"b","n":1,"c/d":"e","f":false,"z":null,"o":{"p":1}}"#,
            ),
            ("LIST", "[1]"),
            ("NUMBER", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
        for (name, wanted, expected) in [
            ("TEXT", None, Ok(json!("abc"))),
            ("EMPTY", None, Ok(json!(""))),
            ("NONE", None, Err("no value")),
            ("text", None, Err("no value")),
            ("JSON", Some("a"), Ok(json!("b"))),
            ("JSON", Some("n"), Ok(json!(1))),
            ("JSON", Some("c/d"), Ok(json!("e"))),
            ("JSON", Some("o"), Ok(json!({"p": 1}))),
            ("JSON", Some("z"), Ok(json!(null))),
            ("JSON", Some("f"), Err("no value")),
            ("JSON", Some("x"), Err("no value")),
            ("LIST", Some("1"), Err("no value")),
            (
                "NUMBER",
                Some("a"),
                Err("decode failed, err: it is not an object"),
            ),
            (
                "TEXT",
                Some("a"),
                Err("decode failed, err: expected value at line 1 column 1"),
            ),
        ] {
            let found =
                of_environment(&environment, name, wanted).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{name} {wanted:?}");
        }
        assert_eq!(or_environment(&environment, "$ENV://TEXT"), "abc");
        assert_eq!(or_environment(&environment, "$ENV://JSON/n"), "1");
        assert_eq!(or_environment(&environment, "$env://NONE"), "$env://NONE");
        assert_eq!(or_environment(&environment, "plain"), "plain");
        assert_eq!(format!("{environment:?}"), "Environment { variables: 5 }");
    }

    proptest! {
        #[test]
        fn whatever_is_taken_apart_can_be_put_together(text in "(\\$(secret|env|ENV)://)?[a-z/$]{0,12}") {
            match Reference::parse(&text) {
                None => prop_assert!(!is_reference(&text)),
                Some(Ok(Reference::Managed { conf, key })) => {
                    prop_assert_eq!(format!("$secret://{conf}/{key}"), text);
                }
                Some(Ok(Reference::Environment { name, field })) => {
                    let rest = field.map_or(name.to_owned(), |field| format!("{name}/{field}"));
                    prop_assert_eq!(&text[7..].trim_end_matches('/'), &rest.trim_end_matches('/'));
                }
                Some(Err(_)) => prop_assert!(text.matches('/').count() <= 4),
            }
        }
    }
}
