//! What a match is replaced with.

use crate::{Captures, Pattern, StepsExceeded};

/// A text in which `$1`, `${1}` and `$0` stand for what groups found, and `$$` for a `$`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Group(usize),
}

/// A text with a `$` that stands for nothing. The text of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to compile the replacement template")]
pub struct ReplacementError;

impl Replacement {
    /// Reads a text.
    ///
    /// # Errors
    /// A `$` is not followed by a number or another `$`.
    pub fn parse(text: &str) -> Result<Self, ReplacementError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            if let Some(tail) = after.strip_prefix('$') {
                plain.push('$');
                rest = tail;
                continue;
            }
            let (is_braced, named) = match after.strip_prefix('{') {
                Some(named) => (true, named),
                None => (false, after),
            };
            let end = named.find(|c: char| !c.is_ascii_digit());
            let (digits, tail) = named.split_at(end.unwrap_or(named.len()));
            let group = digits.parse().map_err(|_| ReplacementError)?;
            rest = if is_braced {
                tail.strip_prefix('}').ok_or(ReplacementError)?
            } else {
                tail
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain).into()));
            }
            parts.push(Part::Group(group));
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        Ok(Self {
            parts: parts.into(),
        })
    }

    /// Appends the text with what groups found. Groups that found nothing, and those that do not exist, are left empty.
    pub fn expand(&self, found: &Captures<'_>, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Group(group) => out.extend_from_slice(found.get(*group).unwrap_or_default()),
            }
        }
    }
}

impl Pattern {
    /// The subject with the first match replaced; `None` where there is none.
    ///
    /// # Errors
    /// The search took too many steps.
    pub fn replace_first(
        &self,
        subject: &[u8],
        with: &Replacement,
    ) -> Result<Option<Vec<u8>>, StepsExceeded> {
        Ok(self
            .captures(subject)?
            .map(|found| found.replaced_in(subject, with)))
    }

    /// The subject with every match replaced; `None` where there is none. As in `ngx.re.gsub`, an empty match may follow another match
    /// at once.
    ///
    /// # Errors
    /// A search took too many steps.
    pub fn replace_all(
        &self,
        subject: &[u8],
        with: &Replacement,
    ) -> Result<Option<Vec<u8>>, StepsExceeded> {
        let mut out = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        let mut is_found = false;
        while at <= subject.len() {
            let Some(found) = self.captures_at(subject, at)? else {
                break;
            };
            let range = found.range();
            out.extend_from_slice(subject.get(copied..range.start).unwrap_or_default());
            with.expand(&found, &mut out);
            is_found = true;
            copied = range.end;
            at = if range.is_empty() {
                range.end + 1
            } else {
                range.end
            };
        }
        out.extend_from_slice(subject.get(copied..).unwrap_or_default());
        Ok(is_found.then_some(out))
    }
}

impl Captures<'_> {
    /// The subject with this match replaced.
    pub fn replaced_in(&self, subject: &[u8], with: &Replacement) -> Vec<u8> {
        let range = self.range();
        let mut out = Vec::with_capacity(subject.len());
        out.extend_from_slice(subject.get(..range.start).unwrap_or_default());
        with.expand(self, &mut out);
        out.extend_from_slice(subject.get(range.end..).unwrap_or_default());
        out
    }
}
