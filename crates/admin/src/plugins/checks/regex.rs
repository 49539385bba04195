//! Whether a text is a regular expression, or the replacement of one, in PCRE's words.

use lockgate_pattern::{Flags, Pattern, Replacement};
use lockgate_schema::is_secret_reference;

/// Checks a pattern.
///
/// # Errors
/// What PCRE says of it, for the mistakes that people make.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    match Pattern::parse(pattern, Flags::default()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Checks the text that matches are replaced with; a reference to a secret is not known yet.
///
/// # Errors
/// It refers to a group that has no number.
pub(super) fn check_replacement(text: &str) -> Result<(), String> {
    if is_secret_reference(text) {
        return Ok(());
    }
    match Replacement::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Checks the flags that a pattern is compiled with.
///
/// # Errors
/// One is not known.
pub(super) fn check_options(options: &str) -> Result<(), String> {
    match Flags::parse(options) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_patterns() {
        for (pattern, expected) in [
            ("^a(b|c)*$", None),
            ("(?i)a", None),
            ("[](]", None),
            (".+(", Some("missing ) in \".+(\"")),
            ("a)b", Some("unmatched parentheses in \"a)b\" at \")b\"")),
            ("*a", Some("nothing to repeat in \"*a\" at \"*a\"")),
            (
                "[a",
                Some("missing terminating ] for character class in \"[a\""),
            ),
            ("a\\", Some("\\ at end of pattern in \"a\\\"")),
            (
                "[z-a]",
                Some("the pattern is not supported in \"[z-a]\" at \"[z-a]\""),
            ),
        ] {
            let expected = expected.map(|what| format!("pcre_compile() failed: {what}"));
            assert_eq!(check(pattern).err(), expected, "{pattern}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_replacements() {
        for (text, is_right) in [
            ("/$1_${2}$$", true),
            ("/$`1", false),
            ("/$name", false),
            ("$secret://vault/1/a/b", true),
        ] {
            let wrong = "failed to compile the replacement template".to_owned();
            let expected = (!is_right).then_some(wrong);
            assert_eq!(check_replacement(text).err(), expected, "{text}");
        }
    }

    #[test]
    fn knows_the_flags() {
        for (options, expected) in [
            ("", None),
            ("jo", None),
            ("johi", Some("unknown flag \"h\" (flags \"johi\")")),
        ] {
            assert_eq!(check_options(options).err().as_deref(), expected);
        }
    }
}
