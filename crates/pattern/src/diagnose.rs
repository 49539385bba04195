//! What is wrong with a text that is no pattern, in PCRE's words.

/// What is wrong with a pattern, and where.
pub(crate) fn diagnose(pattern: &str) -> (&'static str, usize) {
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
