//! The option somebody may have meant.

use super::all;

/// The listed option that is nearest to a path that is none.
pub(super) fn suggest(path: &str) -> Option<&'static str> {
    let (parent, name) = split(path);
    let siblings = all().filter_map(|option| {
        let listed = option.path.trim_end_matches(".*");
        // A part of a longer path is an option too: `nginx_config.htp` is near `nginx_config.http`.
        let rest = listed.strip_prefix(parent)?;
        let rest = if parent.is_empty() {
            rest
        } else {
            rest.strip_prefix('.')?
        };
        let sibling = rest.split('.').next()?;
        let end = listed.len() - rest.len() + sibling.len();
        Some((distance(name, sibling), listed.get(..end)?))
    });
    let near = siblings.min_by_key(|(distance, _)| *distance);
    if let Some((distance, near)) = near
        && distance <= (name.len() / 3).max(1)
    {
        return Some(near);
    }
    // The right name in the wrong block.
    all()
        .map(|option| option.path)
        .find(|listed| split(listed).1 == name)
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Letters to change, add or drop between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        for (right, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let kept = diagonal + usize::from(left != *right);
            diagonal = *above;
            previous = kept.min(previous + 1).min(*above + 1);
            *above = previous;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_letters_between_two_names() {
        for (a, b, count) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("port", "prot", 2),
        ] {
            assert_eq!(distance(a, b), count, "{a} {b}");
        }
    }

    #[test]
    fn suggests_what_is_near() {
        let cases = [
            ("apisix.node_listn", Some("apisix.node_listen")),
            ("apisx", Some("apisix")),
            ("nginx_config.htp", Some("nginx_config.http")),
            (
                "nginx_config.keepalive_timeout",
                Some("nginx_config.http.keepalive_timeout"),
            ),
            ("apisix.admin_key", Some("deployment.admin.admin_key")),
            ("tests", None),
            ("apisix.something_else_entirely", None),
        ];
        for (path, expected) in cases {
            assert_eq!(suggest(path), expected, "{path}");
        }
    }
}
