//! What is to be done so that one state becomes another.

use serde_json::Value;

use crate::{Difference, Document, Id, Object, difference};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Of which object.
    pub id: Id,
    /// What is done.
    pub action: Action,
}

/// What is done with an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// It is made.
    Create(Object),
    /// It is replaced, for it differs.
    Replace {
        /// What it becomes.
        with: Object,
        /// In what it differs.
        differences: Vec<Difference>,
    },
    /// It is removed.
    Delete,
}

/// The fewest changes that make `actual` what `wanted` is: first what is made and replaced, each after what it may refer to;
/// then what is removed, in the opposite order.
pub fn changes(actual: &Document, wanted: &Document) -> Vec<Change> {
    let made = wanted.objects.iter().filter_map(|(id, object)| {
        let action = match actual.objects.get(id) {
            None => Action::Create(object.clone()),
            Some(before) => replace(id, before, object)?,
        };
        let id = id.clone();
        Some(Change { id, action })
    });
    let is_gone = |id: &Id| actual.objects.contains_key(id) && !wanted.objects.contains_key(id);
    let gone = actual.objects.keys().rev().filter(|id| is_gone(id));
    // What lies in an object goes away with it.
    let removed = gone.filter(|id| !id.owner().is_some_and(|owner| is_gone(&owner)));
    made.chain(removed.map(|id| Change {
        id: id.clone(),
        action: Action::Delete,
    }))
    .collect()
}

/// The replacement of an object, unless it is as it shall be.
fn replace(id: &Id, before: &Object, after: &Object) -> Option<Action> {
    let mut differences = difference::between(
        &Value::Object(before.clone()),
        &Value::Object(after.clone()),
    );
    // What is not shown cannot be compared. A key that belongs to the same certificate is the same key.
    differences.retain(|found| {
        let is_hidden = id.kind.hidden.contains(&found.path.as_str());
        !(is_hidden && found.before.is_none())
    });
    (!differences.is_empty()).then(|| Action::Replace {
        with: after.clone(),
        differences,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The changes between two documents, in short.
    fn check(actual: &str, wanted: &str, expected: &[&str]) {
        let read = |text: &str| Document::parse(text).expect("a document");
        let found: Vec<_> = changes(&read(actual), &read(wanted))
            .iter()
            .map(|change| match &change.action {
                Action::Create(_) => format!("+ {}", change.id),
                Action::Delete => format!("- {}", change.id),
                Action::Replace { differences, .. } => {
                    let fields: Vec<_> = differences.iter().map(ToString::to_string).collect();
                    format!("~ {} {}", change.id, fields.join(" "))
                }
            })
            .collect();
        assert_eq!(found, expected);
    }

    const WHOLE: &str = "
routes: [{id: 1, uri: /a, service_id: s}]
services: [{id: s, upstream_id: u}]
upstreams: [{id: u, nodes: {'a:1': 1}}]
consumers: [{username: jack, group_id: g}, {id: jack/credentials/c, plugins: {}}]
consumer_groups: [{id: g, plugins: {}}]
";

    #[test]
    fn makes_what_is_referred_to_first_and_removes_it_last() {
        let all = [
            "upstreams/u",
            "consumer_groups/g",
            "services/s",
            "consumers/jack",
            "consumers/jack/credentials/c",
            "routes/1",
        ];
        let made: Vec<_> = all.iter().map(|id| format!("+ {id}")).collect();
        check(
            "",
            WHOLE,
            &made.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        // Credentials go away with their consumer.
        let whole = all.iter().rev().filter(|id| !id.contains("credentials"));
        let removed: Vec<_> = whole.map(|id| format!("- {id}")).collect();
        check(
            WHOLE,
            "",
            &removed.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        check(WHOLE, WHOLE, &[]);
    }

    #[test]
    fn leaves_what_is_the_same() {
        let other = WHOLE
            .replace("uri: /a", "uri: /b")
            .replace("{'a:1': 1}", "{'a:1': 1.0}");
        check(WHOLE, &other, &["~ routes/1 uri"]);
        let without = WHOLE.replace(", {id: jack/credentials/c, plugins: {}}", "");
        check(WHOLE, &without, &["- consumers/jack/credentials/c"]);
    }

    #[test]
    fn a_key_that_is_not_shown_is_that_of_its_certificate() {
        let shown = "ssls: [{id: 1, cert: a, snis: [x]}]";
        check(shown, "ssls: [{id: 1, cert: a, key: b, snis: [x]}]", &[]);
        check(
            shown,
            "ssls: [{id: 1, cert: c, key: b, snis: [x]}]",
            &["~ ssls/1 cert"],
        );
    }
}
