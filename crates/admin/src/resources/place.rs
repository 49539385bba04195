//! Which objects a path is about.

use serde_json::Value;

use crate::lua_value::text_of;

use super::{Identity, Kind};

/// Objects of a kind, or one of them.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) kind: &'static Kind,
    /// What the objects lie inside: a consumer, a service, a secret manager.
    pub(crate) parent: Option<&'a str>,
    /// The one object.
    pub(crate) id: Option<&'a str>,
    /// What is behind the id.
    pub(crate) sub_path: &'a [&'a str],
}

/// A path that is about no objects: the name that is not known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misplaced<'a>(pub(crate) &'a str);

impl<'a> Place<'a> {
    /// Reads the segments behind `/apisix/admin`.
    ///
    /// # Errors
    /// There are no such objects.
    pub(crate) fn of(inside: &'a [&'a str]) -> Result<Self, Misplaced<'a>> {
        let (name, parent, rest) = match inside {
            ["consumers", parent, name @ "credentials", rest @ ..]
            | [
                "services",
                parent,
                name @ "graphql_cost_decorations",
                rest @ ..,
            ] => (*name, Some(*parent), rest),
            // Reachable inside a consumer only.
            ["credentials", ..] => return Err(Misplaced("credentials")),
            ["secrets", parent, rest @ ..] => ("secrets", Some(*parent), rest),
            [name, rest @ ..] => (*name, None, rest),
            [] => ("", None, inside),
        };
        let kind = Kind::find(name).ok_or(Misplaced(name))?;
        let (id, sub_path) = match rest {
            [] => (None, rest),
            [id, sub_path @ ..] => (Some(*id), sub_path),
        };
        Ok(Self {
            kind,
            parent,
            id,
            sub_path,
        })
    }

    /// What the keys of the objects begin with, without the slash that follows.
    pub(crate) fn collection(&self) -> String {
        let plural = self.kind.plural;
        match (plural, self.parent) {
            ("credentials", Some(parent)) => format!("consumers/{parent}/{plural}"),
            ("graphql_cost_decorations", Some(parent)) => format!("services/{parent}/{plural}"),
            ("secrets", Some(parent)) => format!("{plural}/{parent}"),
            _ => plural.to_owned(),
        }
    }

    /// The key of an object.
    pub(crate) fn key(&self, id: &str) -> String {
        format!("{}/{id}", self.collection())
    }

    /// The id of an object as it is stored with it: that of a secret names its manager too.
    pub(crate) fn stored_id(&self, id: &str) -> String {
        match (self.kind.plural, self.parent) {
            ("secrets", Some(parent)) => format!("{parent}/{id}"),
            _ => id.to_owned(),
        }
    }

    /// The id of a checked object that has it from the path or from a field.
    pub(crate) fn id_of(&self, value: &Value) -> String {
        let own = match self.kind.identity {
            Identity::Id => "id",
            Identity::Field(name) => name,
            Identity::Path => return self.id.unwrap_or_default().to_owned(),
        };
        match self.id {
            Some(id) => id.to_owned(),
            None => value.get(own).map(text_of).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_objects_by_path() {
        for (path, expected) in [
            ("routes", Ok(("routes", "", ""))),
            ("routes/1", Ok(("routes", "1", ""))),
            (
                "routes/1/upstream/nodes",
                Ok(("routes", "1", "upstream/nodes")),
            ),
            ("consumers/a", Ok(("consumers", "a", ""))),
            (
                "consumers/a/credentials",
                Ok(("consumers/a/credentials", "", "")),
            ),
            (
                "consumers/a/credentials/b",
                Ok(("consumers/a/credentials", "b", "")),
            ),
            ("consumers/a/others/b", Ok(("consumers", "a", "others/b"))),
            (
                "services/a/graphql_cost_decorations/b/c",
                Ok(("services/a/graphql_cost_decorations", "b", "c")),
            ),
            ("secrets", Ok(("secrets", "", ""))),
            ("secrets/vault", Ok(("secrets/vault", "", ""))),
            ("secrets/vault/1/token", Ok(("secrets/vault", "1", "token"))),
            ("credentials/a", Err("credentials")),
            ("none", Err("none")),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            let found = Place::of(&segments);
            let found = found.map(|place| {
                let id = place.id.unwrap_or_default().to_owned();
                (place.collection(), id, place.sub_path.join("/"))
            });
            let expected = expected.map(|(collection, id, rest): (&str, &str, &str)| {
                (collection.to_owned(), id.to_owned(), rest.to_owned())
            });
            assert_eq!(found, expected.map_err(Misplaced), "{path}");
        }
    }
}
