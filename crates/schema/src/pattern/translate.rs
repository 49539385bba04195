//! From PCRE's syntax to the common syntax of Rust's engines.
//!
//! Everything that the two read differently is spelled out: what is literal inside a class, `{` that begins no repetition, classes such as `\d` (ASCII) and `\h`,
//! octal and control escapes, `$` before a final line feed. What only one of them knows is passed on as it is; the engine refuses it.

use std::fmt::Write as _;

use super::bytes_as_chars;
use crate::limits::PATTERN_NESTING;

/// A pattern for Rust's engines.
pub(super) struct Translated {
    pub(super) text: String,
    /// It has possessive quantifiers, which the linear engine would take for nested ones.
    pub(super) is_possessive: bool,
}

/// Translates a pattern, or nothing where PCRE would refuse it.
pub(super) fn from_pcre(pattern: &str) -> Option<Translated> {
    let chars: Vec<char> = bytes_as_chars(pattern).chars().collect();
    let mut translator = Translator {
        rest: Chars { chars, at: 0 },
        out: String::with_capacity(pattern.len() * 2),
        is_possessive: false,
        is_multi_line: false,
        open_groups: 0,
    };
    translator.pattern()?;
    Some(Translated {
        text: translator.out,
        is_possessive: translator.is_possessive,
    })
}

struct Translator {
    rest: Chars,
    out: String,
    is_possessive: bool,
    is_multi_line: bool,
    open_groups: usize,
}

/// What is left of a pattern.
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

/// A member of a class.
enum Member {
    Char(char),
    /// A class inside the class, as it is to be written.
    Class(String),
}

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Z_a-z";
const SPACE: &str = r"\t-\r ";
const HORIZONTAL: &str = r"\t \x{A0}";
const VERTICAL: &str = r"\n-\r\x{85}";

impl Translator {
    fn pattern(&mut self) -> Option<()> {
        // Whether what comes before can be repeated once more: PCRE refuses `a**`.
        let mut after_quantifier = false;
        while let Some(c) = self.rest.next() {
            let is_quantifier = match c {
                '*' | '+' | '?' => true,
                '{' => begins_repetition(self.rest.ahead()),
                _ => false,
            };
            if is_quantifier {
                if after_quantifier {
                    return None;
                }
                self.quantifier(c);
                after_quantifier = true;
                continue;
            }
            after_quantifier = false;
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group_begin()?,
                ')' => {
                    self.open_groups = self.open_groups.checked_sub(1)?;
                    self.out.push(')');
                }
                '$' if self.is_multi_line => self.out.push('$'),
                '$' => self.out.push_str(r"(?:\n?\z)"),
                '^' | '.' | '|' => self.out.push(c),
                c => self.literal(c),
            }
        }
        Some(())
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
    fn group_begin(&mut self) -> Option<()> {
        if self.rest.ahead().starts_with(&['?', '#']) {
            self.rest.take_to(')');
            return Some(());
        }
        self.open_groups += 1;
        if self.open_groups > PATTERN_NESTING {
            return None;
        }
        self.out.push('(');
        if !self.rest.next_is('?') {
            return Some(());
        }
        // The mark behind `(?` belongs to the group; it is no quantifier and no literal.
        self.out.push('?');
        let mut mark = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphabetic() || c == '-') {
            mark.push(c);
        }
        // `(?P<name>…)` has no flags.
        let switched_on = mark.split('-').next().unwrap_or_default();
        self.is_multi_line |= switched_on.contains('m') && !switched_on.starts_with('P');
        self.out.push_str(&mark);
        while let Some(c) = self
            .rest
            .next_if(|c| matches!(c, ':' | '=' | '!' | '<' | '>' | '|'))
        {
            self.out.push(c);
        }
        Some(())
    }

    /// An escape outside a class.
    fn escape(&mut self) -> Option<()> {
        let c = self.rest.next()?;
        if let Some(class) = shorthand(c) {
            self.out.push_str(&class);
            return Some(());
        }
        match c {
            // Two digits are a back-reference only to the tenth group and later ones, which nobody counts to.
            '1'..='7' if self.rest.peek().is_some_and(|c| c.is_digit(8)) => {
                let c = self.octal(c)?;
                self.literal(c);
            }
            'A' | 'z' | 'b' | 'B' | 'G' | 'K' | '1'..='9' => self.out.extend(['\\', c]),
            'Z' => self.out.push_str(r"(?:\n?\z)"),
            'N' => self.out.push_str(r"[^\n]"),
            'R' => self.out.push_str(r"(?:\r\n|[\n-\r\x{85}])"),
            'p' | 'P' => {
                let property = self.property(c)?;
                self.out.push_str(&property);
            }
            'Q' => {
                while let Some(c) = self.rest.next() {
                    if c == '\\' && self.rest.next_is('E') {
                        break;
                    }
                    self.literal(c);
                }
            }
            'E' => {}
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
        Some(())
    }

    /// A class, behind its `[`.
    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.rest.next_is('^') {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let c = self.rest.next()?;
            if c == ']' && !is_first {
                break;
            }
            is_first = false;
            let Member::Char(from) = self.member(c)? else {
                continue;
            };
            let begins_range = matches!(self.rest.ahead(), ['-', next, ..] if *next != ']');
            if !begins_range {
                self.class_literal(from);
                continue;
            }
            self.rest.next();
            let end = self.rest.next()?;
            match self.member(end)? {
                Member::Char(to) if to < from => return None,
                Member::Char(to) => {
                    self.class_literal(from);
                    self.out.push('-');
                    self.class_literal(to);
                }
                // `[a-\d]`: no range, so the hyphen is literal.
                Member::Class(_) => {
                    self.class_literal(from);
                    self.class_literal('-');
                }
            }
        }
        self.out.push(']');
        Some(())
    }

    /// One member of a class, which begins with `c`. A class inside the class is written at once.
    fn member(&mut self, c: char) -> Option<Member> {
        let member = match c {
            '[' if self.rest.peek() == Some(':') => match self.posix_class() {
                Some(class) => Member::Class(class),
                None => Member::Char('['),
            },
            '\\' => match self.rest.next()? {
                'b' => Member::Char('\u{8}'),
                c @ ('p' | 'P') => Member::Class(self.property(c)?),
                c => match shorthand(c) {
                    Some(class) => Member::Class(class),
                    None if c.is_ascii_digit() => Member::Char(self.octal(c)?),
                    None => Member::Char(self.character(c)?),
                },
            },
            c => Member::Char(c),
        };
        if let Member::Class(class) = &member {
            self.out.push_str(class);
        }
        Some(member)
    }

    /// `[:name:]`, behind its `[`.
    fn posix_class(&mut self) -> Option<String> {
        let inside = self.rest.ahead().get(1..)?;
        let name: String = inside
            .iter()
            .take_while(|c| c.is_ascii_lowercase() || **c == '^')
            .collect();
        if !inside.get(name.len()..)?.starts_with(&[':', ']']) {
            return None;
        }
        self.rest.at += name.len() + 3;
        Some(format!("[:{name}:]"))
    }

    /// The property behind `\p` or `\P`.
    fn property(&mut self, letter: char) -> Option<String> {
        let name = match self.rest.next()? {
            '{' => self.rest.take_to('}'),
            c => c.to_string(),
        };
        Some(format!("\\{letter}{{{name}}}"))
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

    fn literal(&mut self, c: char) {
        if matches!(
            c,
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '|'
        ) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn class_literal(&mut self, c: char) {
        if c.is_ascii_alphanumeric() {
            self.out.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.out, "\\x{{{:X}}}", u32::from(c));
        }
    }
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
