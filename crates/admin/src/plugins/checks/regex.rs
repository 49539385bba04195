//! Whether a text is a regular expression, in PCRE's words.

use lockgate_expr::Pattern;

/// Flags of `ngx.re`.
const FLAGS: &str = "adijmosuxDJU";

/// Checks a pattern.
///
/// # Errors
/// What PCRE says of it, for the mistakes that people make.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    if Pattern::compile(pattern, false).is_some() {
        return Ok(());
    }
    let (what, place) = diagnose(pattern);
    let rest = pattern.get(place..).unwrap_or_default();
    let at = if rest.is_empty() {
        String::new()
    } else {
        format!(" at \"{rest}\"")
    };
    Err(format!(
        "pcre_compile() failed: {what} in \"{pattern}\"{at}"
    ))
}

/// Checks the flags that a pattern is compiled with.
///
/// # Errors
/// One is not known.
pub(super) fn check_options(options: &str) -> Result<(), String> {
    match options.chars().find(|flag| !FLAGS.contains(*flag)) {
        Some(flag) => Err(format!("unknown flag \"{flag}\" (flags \"{options}\")")),
        None => Ok(()),
    }
}

/// What is wrong with a pattern, and where.
fn diagnose(pattern: &str) -> (&'static str, usize) {
    let end = pattern.len();
    let mut open = 0_usize;
    let mut is_in_class = false;
    // Whether there is something that a quantifier can repeat.
    let mut is_repeatable = false;
    let mut chars = pattern.char_indices();
    while let Some((place, char)) = chars.next() {
        match char {
            '\\' => {
                if chars.next().is_none() {
                    return ("\\ at end of pattern", end);
                }
                is_repeatable = true;
            }
            ']' if is_in_class => (is_in_class, is_repeatable) = (false, true),
            _ if is_in_class => {}
            '[' => is_in_class = true,
            '(' => (open, is_repeatable) = (open + 1, false),
            ')' => match open.checked_sub(1) {
                Some(left) => (open, is_repeatable) = (left, true),
                None => return ("unmatched parentheses", place),
            },
            '|' | '^' => is_repeatable = false,
            '*' | '+' | '?' if !is_repeatable && !begins_group(pattern, place) => {
                return ("nothing to repeat", place);
            }
            _ => is_repeatable = true,
        }
    }
    if is_in_class {
        return ("missing terminating ] for character class", end);
    }
    if open > 0 {
        return ("missing )", end);
    }
    ("the pattern is not supported", 0)
}

/// Whether a `?` at this place belongs to a group, as in `(?:`.
fn begins_group(pattern: &str, place: usize) -> bool {
    let before = pattern.get(..place).unwrap_or_default();
    before.ends_with('(')
        && pattern
            .get(place..)
            .is_some_and(|rest| rest.starts_with('?'))
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
