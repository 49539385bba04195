//! The header block: the bytes as received, and an index over them.
//!
//! An untouched field is forwarded by copying the run of lines it stands in, with its case, order and spacing. Edits append
//! a line to the same bytes and point the index at it. HTTP/2 and HTTP/3 heads are built with [`Headers::append`] alone.

use crate::field::{FieldName, Known, is_same_name, is_token};

/// One field line.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    start: u32,
    value: u32,
    end: u32,
    name_len: u16,
    known: Known,
    is_kept: bool,
    value_len: u32,
}

impl Field {
    /// Which of the names the engine acts upon this is.
    #[inline]
    pub fn known(&self) -> Known {
        self.known
    }

    pub(crate) fn name_range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.name_len as usize
    }

    pub(crate) fn value_range(&self) -> std::ops::Range<usize> {
        self.value as usize..self.value as usize + self.value_len as usize
    }
}

/// A header block of a request or a response.
///
/// Invariant: every field's line `start..end` lies in `bytes`, ends with CRLF and holds its name and value.
#[derive(Debug, Default, Clone)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
    edits: Edits,
}

/// Which known names were edited.
#[derive(Debug, Default, Clone, Copy)]
struct Edits {
    is_recorded: bool,
    /// By the numbers of [`Known`].
    names: u32,
}

impl Edits {
    #[inline]
    fn note(&mut self, known: Known) {
        if self.is_recorded {
            self.names |= 1 << known as u32;
        }
    }
}

impl Headers {
    /// Forgets everything but the allocated memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.edits = Edits::default();
    }

    /// From here on, remembers which known names are edited: whoever writes fields of these names anew can leave them as they are.
    pub fn record_edits(&mut self) {
        self.edits.is_recorded = true;
    }

    /// Whether a field of a known name was added, set or removed since [`Self::record_edits`].
    #[inline]
    pub fn is_edited(&self, known: Known) -> bool {
        self.edits.names & (1 << known as u32) != 0
    }

    /// The bytes behind the index: the head as received, then edits.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Makes room for so many fields at once.
    pub(crate) fn reserve(&mut self, fields: usize) {
        self.fields.reserve(fields);
    }

    /// Indexes one line of `bytes`; the caller vouches for the invariant.
    #[inline]
    pub(crate) fn index(
        &mut self,
        name: std::ops::Range<usize>,
        value: std::ops::Range<usize>,
        end: usize,
        known: Known,
    ) {
        self.fields.push(Field {
            start: name.start as u32,
            name_len: name.len() as u16,
            value: value.start as u32,
            value_len: value.len() as u32,
            end: end as u32,
            known,
            is_kept: true,
        });
    }

    /// Removes the fields for which `is_unwanted` holds.
    pub fn drop_where(&mut self, is_unwanted: impl Fn(&Field) -> bool) {
        for field in &mut self.fields {
            if field.is_kept && is_unwanted(field) {
                field.is_kept = false;
            }
        }
    }

    /// The fields that are there, in order: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.kept()
            .map(|field| (self.name_of(field), self.value_of(field)))
    }

    /// The fields that are there, in order.
    #[inline]
    pub fn kept(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_kept)
    }

    /// A field's name as written.
    #[inline]
    pub fn name_of(&self, field: &Field) -> &[u8] {
        let start = field.start as usize;
        self.bytes
            .get(start..start + field.name_len as usize)
            .unwrap_or_default()
    }

    /// A field's value, without the white space around it.
    #[inline]
    pub fn value_of(&self, field: &Field) -> &[u8] {
        let start = field.value as usize;
        self.bytes
            .get(start..start + field.value_len as usize)
            .unwrap_or_default()
    }

    /// Value of the first field of this name, in any case.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// Value of the first field of this name that is there or was removed; one that was replaced is gone.
    pub fn get_received(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|field| self.name_of(field).eq_ignore_ascii_case(name))
            .map(|field| self.value_of(field))
    }

    /// Value of the first field of this name, in any case, and whether there are more of them.
    #[inline]
    pub fn get_first(&self, name: &[u8]) -> Option<(&[u8], bool)> {
        self.first_of(|field| self.is_kept_as(field, name))
    }

    /// As [`Self::get_first`], where `_` in the name of a field is the `-` of `name`; see [`Self::get_all_alike`].
    #[inline]
    pub fn get_first_alike(&self, name: &[u8]) -> Option<(&[u8], bool)> {
        self.first_of(|field| self.is_kept_like(field, name))
    }

    #[inline]
    fn first_of(&self, is_it: impl Fn(&Field) -> bool) -> Option<(&[u8], bool)> {
        let mut same = self.fields.iter().filter(|field| is_it(field));
        let first = same.next()?;
        Some((self.value_of(first), same.next().is_some()))
    }

    /// Whether a field is there and has this name: most are passed by for their length alone.
    #[inline]
    fn is_kept_as(&self, field: &Field, name: &[u8]) -> bool {
        field.name_len as usize == name.len()
            && field.is_kept
            && is_same_name(self.name_of(field), name)
    }

    /// Values of all fields of this name, in any case.
    pub fn get_all<'a, 'n>(
        &'a self,
        name: &'n [u8],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields
            .iter()
            .filter(move |field| self.is_kept_as(field, name))
            .map(|field| self.value_of(field))
    }

    /// As [`Self::get_all`], where `_` in the name of a field is the `-` of `name`: nginx's variables do not tell them apart
    /// (`ngx_http_variable_unknown_header`).
    pub fn get_all_alike<'a, 'n>(
        &'a self,
        name: &'n [u8],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields
            .iter()
            .filter(move |field| self.is_kept_like(field, name))
            .map(|field| self.value_of(field))
    }

    /// As [`Self::is_kept_as`], whether it is spelled with underscores or dashes.
    #[inline]
    fn is_kept_like(&self, field: &Field, name: &[u8]) -> bool {
        let is_alike = |(one, other): (&u8, &u8)| {
            let one = if *one == b'_' { b'-' } else { *one };
            one.eq_ignore_ascii_case(other)
        };
        let its_name = self.name_of(field);
        its_name.len() == name.len()
            && field.is_kept
            && (is_same_name(its_name, name)
                || (its_name.contains(&b'_') && its_name.iter().zip(name).all(is_alike)))
    }

    /// Value of the first field of a known name.
    #[inline]
    pub fn get_known(&self, known: Known) -> Option<&[u8]> {
        self.kept()
            .find(|field| field.known == known)
            .map(|field| self.value_of(field))
    }

    /// Adds a field at the end. Bytes that may not stand in a value (CR, LF, NUL) become spaces (RFC 9110 §5.5); under a name that is no
    /// token nothing is added.
    pub fn append(&mut self, name: &[u8], value: &[u8]) {
        if is_token(name) {
            self.push(name, value);
        }
    }

    /// [`Self::append`] under a name that is known to be one.
    pub fn append_field(&mut self, name: &FieldName, value: &[u8]) {
        self.push(name.as_str().as_bytes(), value);
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        let field = self.write_line(name, value);
        self.edits.note(field.known);
        self.fields.push(field);
    }

    /// Makes `value` the only value of this name, in the place of its first field or at the end; as [`Self::append`].
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        if is_token(name) {
            self.put(name, value);
        }
    }

    /// [`Self::set`] under a name that is known to be one.
    pub fn set_field(&mut self, name: &FieldName, value: &[u8]) {
        self.put(name.as_str().as_bytes(), value);
    }

    fn put(&mut self, name: &[u8], value: &[u8]) {
        let line = self.write_line(name, value);
        self.edits.note(line.known);
        let mut placed = false;
        for index in 0..self.fields.len() {
            let Some(field) = self.fields.get(index).copied() else {
                break;
            };
            if !field.is_kept || !self.name_of(&field).eq_ignore_ascii_case(name) {
                continue;
            }
            if let Some(field) = self.fields.get_mut(index) {
                if placed {
                    field.is_kept = false;
                } else {
                    *field = line;
                    placed = true;
                }
            }
        }
        if !placed {
            self.fields.push(line);
        }
    }

    /// Removes every field of this name; returns whether there was one.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.edits.note(Known::of(name));
        let mut found = false;
        for field in &mut self.fields {
            let start = field.start as usize;
            let its_name = self
                .bytes
                .get(start..start + field.name_len as usize)
                .unwrap_or_default();
            if field.is_kept && its_name.eq_ignore_ascii_case(name) {
                field.is_kept = false;
                found = true;
            }
        }
        found
    }

    /// Appends the lines of all fields for which `is_wanted` holds, copying runs of neighbours at once.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, mut is_wanted: impl FnMut(&Field) -> bool) {
        let mut run = 0..0;
        for field in &self.fields {
            if !field.is_kept || !is_wanted(field) {
                continue;
            }
            let (start, end) = (field.start as usize, field.end as usize);
            if run.end == start {
                run.end = end;
            } else {
                out.extend_from_slice(self.bytes.get(run).unwrap_or_default());
                run = start..end;
            }
        }
        out.extend_from_slice(self.bytes.get(run).unwrap_or_default());
    }

    fn write_line(&mut self, name: &[u8], value: &[u8]) -> Field {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(b": ");
        let at = self.bytes.len();
        self.bytes.extend(value.iter().map(|byte| {
            if matches!(byte, b'\r' | b'\n' | 0) {
                b' '
            } else {
                *byte
            }
        }));
        self.bytes.extend_from_slice(b"\r\n");
        Field {
            start: start as u32,
            name_len: name.len() as u16,
            value: at as u32,
            value_len: value.len() as u32,
            end: self.bytes.len() as u32,
            known: Known::of(name),
            is_kept: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(headers: &Headers) -> String {
        let mut out = Vec::new();
        headers.write(&mut out, |_| true);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn edits_keep_the_place() {
        let mut headers = Headers::default();
        for (name, value) in [("A", "1"), ("b", "2"), ("a", "3"), ("C", "4")] {
            headers.append(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(headers.get_first(b"A"), Some((&b"1"[..], true)));
        headers.set(b"a", b"9");
        assert!(headers.remove(b"B"));
        assert!(!headers.remove(b"b"));
        headers.set(b"New", b"x\r\ny: 1");
        assert_eq!(written(&headers), "a: 9\r\nC: 4\r\nNew: x  y: 1\r\n");
        assert_eq!(headers.get(b"A"), Some(&b"9"[..]));
        assert_eq!(headers.get_first(b"A"), Some((&b"9"[..], false)));
        for name in ["", "a b", "a\r\nb", "a:", "\u{e4}"] {
            headers.append(name.as_bytes(), b"1");
            headers.set(name.as_bytes(), b"1");
        }
        assert_eq!(written(&headers), "a: 9\r\nC: 4\r\nNew: x  y: 1\r\n");
        assert_eq!(
            (headers.get(b"b"), headers.get_received(b"b")),
            (None, Some(&b"2"[..]))
        );
    }

    #[test]
    fn underscores_may_stand_for_dashes() {
        let mut headers = Headers::default();
        for (name, value) in [
            ("X_a-B", "1"),
            ("x-A-b", "2"),
            ("x-ab", "3"),
            ("xxaxb", "4"),
        ] {
            headers.append(name.as_bytes(), value.as_bytes());
        }
        let alike: Vec<_> = headers.get_all_alike(b"x-a-b").collect();
        assert_eq!(alike, [b"1", b"2"]);
        let same: Vec<_> = headers.get_all(b"x-a-b").collect();
        assert_eq!(same, [b"2"]);
    }

    #[test]
    fn edits_are_remembered_from_when_they_are_asked_for() {
        let mut headers = Headers::default();
        headers.append(b"Host", b"a");
        headers.record_edits();
        headers.append(b"X-Real-IP", b"b");
        headers.set(b"Server", b"c");
        assert!(!headers.remove(b"x-forwarded-host"));
        let edited = |headers: &Headers| {
            [
                Known::Host,
                Known::XRealIp,
                Known::Server,
                Known::XForwardedHost,
            ]
            .map(|known| headers.is_edited(known))
        };
        assert_eq!(edited(&headers), [false, true, true, true]);
        headers.clear();
        headers.append(b"X-Real-IP", b"b");
        assert_eq!(edited(&headers), [false; 4]);
    }

    #[derive(Debug, Clone)]
    enum Edit {
        Append(u8, u8),
        Set(u8, u8),
        Remove(u8),
    }

    proptest! {
        /// The block behaves as the plain list of pairs it stands for.
        #[test]
        fn behaves_as_a_list_of_pairs(edits in proptest::collection::vec(prop_oneof![
            (0..4_u8, any::<u8>()).prop_map(|(n, v)| Edit::Append(n, v)),
            (0..4_u8, any::<u8>()).prop_map(|(n, v)| Edit::Set(n, v)),
            (0..4_u8).prop_map(Edit::Remove),
        ], 0..24)) {
            let (mut headers, mut model) = (Headers::default(), Vec::<(String, String)>::new());
            for edit in edits {
                let name = |n: u8| format!("x-{n}");
                match edit {
                    Edit::Append(n, v) => {
                        headers.append(name(n).as_bytes(), v.to_string().as_bytes());
                        model.push((name(n), v.to_string()));
                    }
                    Edit::Set(n, v) => {
                        headers.set(name(n).as_bytes(), v.to_string().as_bytes());
                        let place = model.iter().position(|(known, _)| *known == name(n));
                        let kept = model.iter().take(place.unwrap_or(0)).filter(|(known, _)| *known != name(n)).count();
                        model.retain(|(known, _)| *known != name(n));
                        let at = if place.is_some() { kept } else { model.len() };
                        model.insert(at, (name(n), v.to_string()));
                    }
                    Edit::Remove(n) => {
                        headers.remove(name(n).as_bytes());
                        model.retain(|(known, _)| *known != name(n));
                    }
                }
            }
            let lines: Vec<String> = model.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let expected = lines.concat();
            prop_assert_eq!(written(&headers), expected);
        }
    }
}
