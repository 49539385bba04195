//! References to secrets, which stand for strings that are only known when they are used.

/// Whether a string is `$secret://…` or, in any case, `$env://…` (`secret.is_secret_ref` in `apisix/secret.lua`).
pub fn is_secret_reference(text: &str) -> bool {
    let has_scheme = |scheme: &str| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    text.starts_with("$secret://") || has_scheme("$env://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_references_to_secrets() {
        for (text, expected) in [
            ("$secret://vault/1/key", true),
            ("$env://KEY", true),
            ("$ENV://KEY", true),
            ("$Env://", true),
            ("$SECRET://vault/1/key", false),
            ("secret://vault", false),
            (" $env://KEY", false),
            ("$env:/KEY", false),
            ("$env", false),
            ("", false),
        ] {
            assert_eq!(is_secret_reference(text), expected, "{text}");
        }
    }
}
