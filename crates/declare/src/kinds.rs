//! The kinds of objects, and which may refer to which.

/// A kind of objects.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name in documents and in paths of the Admin API.
    pub name: &'static str,
    /// The field that an object is called by where it has no `id`.
    pub(crate) id_field: Option<&'static str>,
    /// Objects that lie inside those of this kind and go away with them: the name between the two ids.
    pub(crate) owned: Option<&'static str>,
    /// Number of segments in the id of an object that is not owned.
    pub(crate) segments: usize,
    /// Fields that the Admin API does not show (`apisix/admin/ssl.lua`).
    pub(crate) hidden: &'static [&'static str],
}

const fn plain(name: &'static str) -> Kind {
    Kind {
        name,
        id_field: None,
        owned: None,
        segments: 1,
        hidden: &[],
    }
}

/// All kinds, each after those that it may refer to: routes name services, upstreams and plugin configs, upstreams name
/// certificates, consumers name their group, and plugins name protos and upstreams.
pub static KINDS: &[Kind] = &[
    // vault/1
    Kind {
        segments: 2,
        ..plain("secrets")
    },
    Kind {
        hidden: &["key", "keys"],
        ..plain("ssls")
    },
    plain("protos"),
    plain("plugin_metadata"),
    plain("upstreams"),
    plain("consumer_groups"),
    plain("plugin_configs"),
    Kind {
        owned: Some("graphql_cost_decorations"),
        ..plain("services")
    },
    Kind {
        id_field: Some("username"),
        owned: Some("credentials"),
        ..plain("consumers")
    },
    plain("global_rules"),
    plain("routes"),
    plain("stream_routes"),
];

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// What objects that lie inside those of this kind are called, where there are such.
    pub fn owned(&self) -> Option<&'static str> {
        self.owned
    }

    /// The place in the order of [`KINDS`].
    pub(crate) fn rank(&self) -> usize {
        let is_self = |kind: &Kind| kind.name == self.name;
        KINDS.iter().position(is_self).unwrap_or(KINDS.len())
    }

    /// The id of the object that one of this id lies in, where it lies in one.
    pub(crate) fn owner_of<'a>(&self, id: &'a str) -> Option<&'a str> {
        let between = self.owned?;
        let (owner, rest) = id.split_once('/')?;
        let (name, own) = rest.split_once('/')?;
        (name == between && !own.is_empty()).then_some(owner)
    }

    /// Whether an object may have this id.
    pub(crate) fn takes(&self, id: &str) -> bool {
        let segments = id.split('/');
        let is_whole = segments.clone().all(|segment| !segment.is_empty());
        is_whole && (segments.count() == self.segments || self.owner_of(id).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_their_kind() {
        let cases = [
            ("routes", "1", true, None),
            ("routes", "a/b", false, None),
            ("routes", "", false, None),
            ("secrets", "vault/1", true, None),
            ("secrets", "1", false, None),
            ("consumers", "jack", true, None),
            ("consumers", "jack/credentials/one", true, Some("jack")),
            ("consumers", "jack/credentials/", false, None),
            ("consumers", "jack/other/one", false, None),
            ("services", "1/graphql_cost_decorations/2", true, Some("1")),
        ];
        for (kind, id, is_taken, owner) in cases {
            let kind = Kind::named(kind).expect("a kind");
            assert_eq!(
                (kind.takes(id), kind.owner_of(id)),
                (is_taken, owner),
                "{id}"
            );
        }
        assert_eq!(Kind::named("apples"), None);
    }
}
