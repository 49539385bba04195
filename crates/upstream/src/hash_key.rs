//! What a consistent hash is taken of: parsed once, evaluated per request.

use lockgate_expr::{Lookup, Part, Template, Value, Variable};
use lockgate_model::resource::HashOn;

use crate::crc32::Crc32;

/// `hash_on` and `key` of an upstream.
#[derive(Debug)]
pub struct HashKey(Source);

#[derive(Debug)]
enum Source {
    Variable(Variable),
    Template(Template),
}

impl HashKey {
    pub(crate) fn new(hash_on: HashOn, key: Option<&str>) -> Self {
        let variable = |name: &str| Source::Variable(Variable::parse(name));
        Self(match (hash_on, key) {
            (HashOn::Consumer, _) => Source::Variable(Variable::ConsumerName),
            // What an older writer stored without a key: as if the key had no value.
            (_, None) => Source::Variable(Variable::RemoteAddr),
            (HashOn::Vars, Some(key)) => variable(key),
            (HashOn::Header, Some(key)) => variable(&format!("http_{key}")),
            (HashOn::Cookie, Some(key)) => variable(&format!("cookie_{key}")),
            (HashOn::VarsCombinations, Some(key)) => Source::Template(Template::parse(key)),
        })
    }

    /// The hash of a request. Where the key has no value, and where no variable of a combination has one, that of the client's
    /// address.
    pub fn hash<L: Lookup + ?Sized>(&self, request: &L) -> u32 {
        let hashed = match &self.0 {
            Source::Variable(variable) => hash_value(variable, request),
            Source::Template(template) => hash_template(template, request),
        };
        hashed.unwrap_or_else(|| {
            hash_value(&Variable::RemoteAddr, request).unwrap_or_else(|| Crc32::new().value())
        })
    }
}

fn hash_value<L: Lookup + ?Sized>(variable: &Variable, request: &L) -> Option<u32> {
    let value = request.value(variable)?;
    let mut crc = Crc32::new();
    update(&mut crc, &value);
    Some(crc.value())
}

fn hash_template<L: Lookup + ?Sized>(template: &Template, request: &L) -> Option<u32> {
    let mut crc = Crc32::new();
    let mut is_resolved = false;
    for part in template.parts() {
        match part {
            Part::Literal(text) => crc.update(text.as_bytes()),
            Part::Variable { variable, default } => match (request.value(variable), default) {
                (Some(value), _) => {
                    update(&mut crc, &value);
                    is_resolved = true;
                }
                (None, Some(default)) => {
                    crc.update(default.as_bytes());
                    is_resolved = true;
                }
                (None, None) => {}
            },
        }
    }
    is_resolved.then(|| crc.value())
}

fn update(crc: &mut Crc32, value: &Value<'_>) {
    match value {
        Value::Text(text) => crc.update(text),
        other => {
            let mut text = Vec::new();
            other.write_text(&mut text);
            crc.update(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    /// Answers some variables with their own names.
    struct Request;

    impl Lookup for Request {
        fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
            let name = variable.name();
            let is_known = [
                "remote_addr",
                "uri",
                "http_x_id",
                "cookie_sid",
                "consumer_name",
                "arg_n",
            ];
            is_known
                .contains(&&*name)
                .then(|| Cow::Owned(name.into_owned().into_bytes()))
        }

        fn value<'a>(&'a self, variable: &Variable) -> Option<Value<'a>> {
            match variable {
                Variable::Arg(_) => Some(Value::Number(5.0)),
                _ => self.lookup(variable).map(Value::Text),
            }
        }
    }

    #[test]
    fn is_taken_of_every_kind_of_key_and_falls_back_to_the_client() {
        use HashOn::{Consumer, Cookie, Header, Vars, VarsCombinations};
        for (hash_on, key, hashed) in [
            (Vars, Some("uri"), "uri"),
            (Vars, Some("arg_n"), "5"),
            (Vars, Some("args"), "remote_addr"),
            (Vars, None, "remote_addr"),
            (Header, Some("X-Id"), "http_x_id"),
            (Header, Some("none"), "remote_addr"),
            (Cookie, Some("sid"), "cookie_sid"),
            (Cookie, Some("none"), "remote_addr"),
            (Consumer, None, "consumer_name"),
            (Consumer, Some("uri"), "consumer_name"),
            (VarsCombinations, Some("$uri-$http_x_id"), "uri-http_x_id"),
            (VarsCombinations, Some("a${args ?? none}"), "anone"),
            (VarsCombinations, Some("a$args$uri"), "auri"),
            (VarsCombinations, Some("a$args"), "remote_addr"),
            (VarsCombinations, Some("plain"), "remote_addr"),
        ] {
            let mut crc = Crc32::new();
            crc.update(hashed.as_bytes());
            let key_hash = HashKey::new(hash_on, key).hash(&Request);
            assert_eq!(key_hash, crc.value(), "{hash_on:?} {key:?}");
        }
    }
}
