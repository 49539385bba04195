//! Classes in brackets, and properties, which become such classes.

use super::{Translator, escape_byte, shorthand};

/// A member of a class.
enum Member {
    Char(char),
    /// A class inside the class, as it is to be written.
    Class(String),
}

impl Translator {
    /// A class, behind its `[`.
    pub(super) fn class(&mut self) -> Option<()> {
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
                Member::Char(to) if from <= to => {
                    self.class_literal(from);
                    self.out.push('-');
                    self.class_literal(to);
                }
                // `[b-a]` and `[a-\d]`
                Member::Char(_) | Member::Class(_) => return None,
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

    /// The class of the property behind `\p` or `\P`: the bytes whose characters have it.
    pub(super) fn property(&mut self, letter: char) -> Option<String> {
        let name = match self.rest.next()? {
            '{' => self.rest.take_to('}'),
            c => c.to_string(),
        };
        let property = regex::Regex::new(&format!("\\{letter}{{{name}}}")).ok()?;
        let mut class = String::from("[");
        for byte in 0..=u8::MAX {
            let mut buffer = [0; 2];
            if property.is_match(char::from(byte).encode_utf8(&mut buffer)) {
                escape_byte(&mut class, byte.into());
            }
        }
        let is_empty = class.len() == 1;
        class.push_str(if is_empty { r"^\x00-\xFF]" } else { "]" });
        Some(class)
    }

    fn class_literal(&mut self, c: char) {
        if c.is_ascii_alphanumeric() {
            self.out.push(c);
        } else {
            escape_byte(&mut self.out, c);
        }
    }
}
