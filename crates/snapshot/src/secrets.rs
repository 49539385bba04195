//! Secrets in the plugin configurations of stored objects: in which part of a plugin they are, and what is said of those that no key opens.

use lockgate_keyring::{Part, Unread};

/// The part that plugins have in the object of a key.
pub(crate) fn part_of(key: &str) -> Part {
    if key.starts_with("consumers/") {
        Part::Consumer
    } else {
        Part::Plugin
    }
}

/// Says which secrets no key opens; `None` where there are none.
pub(crate) fn sentence(unread: &[Unread]) -> Option<String> {
    let mut names: Vec<String> = unread
        .iter()
        .map(|Unread { plugin, field }| format!("{field} of {plugin}"))
        .collect();
    names.dedup();
    let names = names.join(", ");
    (!names.is_empty()).then(|| format!("no key of data_encryption.keyring decrypts {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_field_once() {
        let unread = |field: &str| Unread {
            plugin: "a".into(),
            field: field.into(),
        };
        let words = "no key of data_encryption.keyring decrypts";
        for (all, expected) in [
            (vec![], None),
            (vec![unread("x")], Some(format!("{words} x of a"))),
            (
                vec![unread("x"), unread("x"), unread("y")],
                Some(format!("{words} x of a, y of a")),
            ),
        ] {
            assert_eq!(sentence(&all), expected);
        }
    }
}
