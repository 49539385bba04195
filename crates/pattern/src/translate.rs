//! From PCRE's syntax to the common syntax of Rust's engines.
//!
//! Everything that the two read differently is spelled out: what is literal inside a class, `{` that begins no repetition, classes such as `\h`, properties, octal and control escapes, bytes beyond
//! ASCII, `$` before a final line feed. What PCRE refuses and they do not is refused here; what they do not know is passed on as it is, for them to refuse.

mod class;

use std::fmt::Write as _;

use crate::{
    Flags,
    limits::{PATTERN_BYTES, PATTERN_NESTING},
};

/// A pattern for Rust's engines.
pub(super) struct Translated {
    pub(super) text: String,
    /// It has possessive quantifiers, which the linear engine would take for nested ones, or is anchored where the search begins.
    pub(super) needs_backtracking: bool,
    /// It has a `$` that matches before a final line feed too.
    pub(super) has_final: bool,
}

/// Translates a pattern, or nothing where PCRE would refuse it. Where `is_exact`, `$` takes no line feed along, which costs a look-ahead.
pub(super) fn from_pcre(pattern: &str, flags: Flags, is_exact: bool) -> Option<Translated> {
    if pattern.len() > PATTERN_BYTES {
        return None;
    }
    let mut translator = Translator {
        rest: Chars {
            chars: pattern.bytes().map(char::from).collect(),
            at: 0,
        },
        out: String::with_capacity(pattern.len() * 2),
        is_possessive: false,
        flags,
        final_end: if is_exact { EXACT_FINAL } else { FINAL },
        has_final: false,
        open_groups: 0,
    };
    translator.pattern()?;
    let text = translator.out;
    Some(Translated {
        text: if flags.is_anchored {
            format!("\\G(?:{text})")
        } else {
            text
        },
        needs_backtracking: translator.is_possessive || flags.is_anchored,
        has_final: translator.has_final,
    })
}

struct Translator {
    rest: Chars,
    out: String,
    is_possessive: bool,
    flags: Flags,
    /// How `$` is written.
    final_end: &'static str,
    has_final: bool,
    open_groups: usize,
}

/// What is left of a pattern: its bytes, each as the character of the same number.
struct Chars {
    chars: Vec<char>,
    at: usize,
}

impl Chars {
    fn ahead(&self) -> &[char] {
        self.chars.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.ahead().first().copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn next_if(&mut self, is_wanted: impl Fn(char) -> bool) -> Option<char> {
        let c = self.peek().filter(|c| is_wanted(*c))?;
        self.at += 1;
        Some(c)
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.next_if(|c| c == wanted).is_some()
    }

    /// What is before `end`, which is taken too; all that is left where there is none.
    fn take_to(&mut self, end: char) -> String {
        let mut taken = String::new();
        while let Some(c) = self.next() {
            if c == end {
                break;
            }
            taken.push(c);
        }
        taken
    }
}

/// `$`: the end, or the place before a final line feed.
const FINAL: &str = r"(?:\n?\z)";
/// The same, without taking the line feed along.
const EXACT_FINAL: &str = r"(?=\n?\z)";

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Z_a-z";
const SPACE: &str = r"\t-\r ";
const HORIZONTAL: &str = r"\t \xA0";
const VERTICAL: &str = r"\n-\r\x85";

impl Translator {
    fn pattern(&mut self) -> Option<()> {
        // PCRE refuses to repeat a beginning, an anchor or a repetition.
        let mut is_repeatable = false;
        while let Some(c) = self.rest.next() {
            match c {
                '*' | '+' | '?' if !is_repeatable => return None,
                '{' if begins_repetition(self.rest.ahead()) && !is_repeatable => return None,
                c if self.flags.is_extended && c.is_ascii_whitespace() => continue,
                '#' if self.flags.is_extended => {
                    self.rest.take_to('\n');
                    continue;
                }
                '*' | '+' | '?' => self.quantifier(c),
                '{' if begins_repetition(self.rest.ahead()) => self.quantifier(c),
                _ => {
                    is_repeatable = self.item(c, is_repeatable)?;
                    continue;
                }
            }
            is_repeatable = false;
        }
        (self.open_groups == 0).then_some(())
    }

    /// Writes what begins with `c` and is no quantifier; tells whether it can be repeated.
    fn item(&mut self, c: char, was_repeatable: bool) -> Option<bool> {
        match c {
            '\\' => return self.escape(was_repeatable),
            '[' => self.class()?,
            '(' => return self.group_begin(was_repeatable),
            ')' => {
                self.open_groups = self.open_groups.checked_sub(1)?;
                self.out.push(')');
            }
            '^' | '|' => {
                self.out.push(c);
                return Some(false);
            }
            '$' if self.flags.is_multi_line => {
                self.out.push('$');
                return Some(false);
            }
            '$' => {
                self.end();
                return Some(false);
            }
            '.' => self.out.push('.'),
            c => self.literal(c),
        }
        Some(true)
    }

    /// Writes a quantifier and the sign behind it that makes it lazy or possessive.
    fn quantifier(&mut self, first: char) {
        self.out.push(first);
        if first == '{' {
            let times = self.rest.take_to('}');
            self.out.push_str(&times);
            self.out.push('}');
        }
        if let Some(sign) = self.rest.next_if(|c| matches!(c, '?' | '+')) {
            self.out.push(sign);
            self.is_possessive |= sign == '+';
        }
    }

    /// What is behind a `(`: passed on, but for comments.
    fn group_begin(&mut self, was_repeatable: bool) -> Option<bool> {
        if self.rest.ahead().starts_with(&['?', '#']) {
            self.rest.take_to(')');
            return Some(was_repeatable);
        }
        self.open_groups += 1;
        if self.open_groups > PATTERN_NESTING {
            return None;
        }
        self.out.push('(');
        if !self.rest.next_is('?') {
            return Some(false);
        }
        // The mark behind `(?` belongs to the group; it is no quantifier and no literal.
        self.out.push('?');
        let mut mark = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphabetic() || c == '-') {
            mark.push(c);
        }
        // `(?P<name>…)` has no flags.
        let switched_on = mark.split('-').next().unwrap_or_default();
        self.flags.is_multi_line |= switched_on.contains('m') && !switched_on.starts_with('P');
        self.out.push_str(&mark);
        while let Some(c) = self
            .rest
            .next_if(|c| matches!(c, ':' | '=' | '!' | '<' | '>' | '|'))
        {
            self.out.push(c);
        }
        if self.rest.next_is(')') {
            // `(?i)`: flags alone.
            self.open_groups -= 1;
            self.out.push(')');
        }
        Some(false)
    }

    /// An escape outside a class.
    fn escape(&mut self, was_repeatable: bool) -> Option<bool> {
        let c = self.rest.next()?;
        if let Some(class) = shorthand(c) {
            self.out.push_str(&class);
            return Some(true);
        }
        match c {
            'A' | 'z' | 'b' | 'B' | 'G' | 'K' => {
                self.out.extend(['\\', c]);
                return Some(false);
            }
            'Z' => {
                self.end();
                return Some(false);
            }
            // Two digits are a back-reference only to the tenth group and later ones, which nobody counts to.
            '1'..='7' if self.rest.peek().is_some_and(|c| c.is_digit(8)) => {
                let c = self.octal(c)?;
                self.literal(c);
            }
            '1'..='9' => self.out.extend(['\\', c]),
            'N' => self.out.push_str(r"[^\n]"),
            'R' => self.out.push_str(r"(?:\r\n|[\n-\r\x85])"),
            'p' | 'P' => {
                let property = self.property(c)?;
                self.out.push_str(&property);
            }
            'Q' => {
                let mut is_quoted = false;
                while let Some(c) = self.rest.next() {
                    if c == '\\' && self.rest.next_is('E') {
                        break;
                    }
                    self.literal(c);
                    is_quoted = true;
                }
                return Some(is_quoted || was_repeatable);
            }
            'E' => return Some(was_repeatable),
            'g' | 'k' => {
                self.out.extend(['\\', c]);
                // The name belongs to the escape.
                if let Some(open) = self.rest.next_if(|c| matches!(c, '{' | '<')) {
                    let close = if open == '{' { '}' } else { '>' };
                    let name = self.rest.take_to(close);
                    self.out.push(open);
                    self.out.push_str(&name);
                    self.out.push(close);
                }
            }
            c => {
                let c = self.character(c)?;
                self.literal(c);
            }
        }
        Some(true)
    }

    /// The character that an escape stands for.
    fn character(&mut self, c: char) -> Option<char> {
        match c {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'f' => Some('\u{c}'),
            'e' => Some('\u{1b}'),
            'a' => Some('\u{7}'),
            'c' => {
                let control = u8::try_from(self.rest.next()?).ok()?;
                Some(char::from(control.to_ascii_uppercase() ^ 0x40))
            }
            'x' => self.hexadecimal(),
            '0' => self.octal('0'),
            c if c.is_ascii_alphanumeric() => None,
            c => Some(c),
        }
    }

    /// The character behind `\x`.
    fn hexadecimal(&mut self) -> Option<char> {
        let digits: String = if self.rest.next_is('{') {
            self.rest.take_to('}')
        } else {
            let is_hex = |c: char| c.is_ascii_hexdigit();
            let first = self.rest.next_if(is_hex);
            let second = first.and_then(|_| self.rest.next_if(is_hex));
            first.into_iter().chain(second).collect()
        };
        if digits.is_empty() {
            return Some('\0');
        }
        u8::from_str_radix(&digits, 16).ok().map(char::from)
    }

    /// The character of up to three octal digits.
    fn octal(&mut self, first: char) -> Option<char> {
        let mut code = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.rest.next_if(|c| c.is_digit(8)) else {
                break;
            };
            code = code * 8 + digit.to_digit(8)?;
        }
        u8::try_from(code).ok().map(char::from)
    }

    /// Writes `$` outside of multi-line mode.
    fn end(&mut self) {
        self.out.push_str(self.final_end);
        self.has_final = true;
    }

    fn literal(&mut self, c: char) {
        if matches!(
            c,
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '|'
        ) {
            self.out.push('\\');
        }
        if c.is_ascii() {
            self.out.push(c);
        } else {
            escape_byte(&mut self.out, c);
        }
    }
}

/// Writes a byte by its number.
fn escape_byte(out: &mut String, byte: char) {
    // Writing to a String cannot fail.
    let _ = write!(out, "\\x{:02X}", u32::from(byte));
}

/// Whether what follows a `{` makes it `{n}`, `{n,}` or `{n,m}`.
fn begins_repetition(ahead: &[char]) -> bool {
    let digits = |from: &[char]| from.iter().take_while(|c| c.is_ascii_digit()).count();
    let least = digits(ahead);
    let behind = ahead.get(least..).unwrap_or_default();
    let behind = match behind {
        [',', most @ ..] => most.get(digits(most)..).unwrap_or_default(),
        _ => behind,
    };
    least > 0 && behind.first() == Some(&'}')
}

/// The class of a one-letter escape, as a bracketed class of its own.
fn shorthand(letter: char) -> Option<String> {
    let members = match letter.to_ascii_lowercase() {
        'd' => DIGIT,
        'w' => WORD,
        's' => SPACE,
        'h' => HORIZONTAL,
        'v' => VERTICAL,
        _ => return None,
    };
    let negation = if letter.is_ascii_uppercase() { "^" } else { "" };
    Some(format!("[{negation}{members}]"))
}
