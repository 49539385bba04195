//! What a configured path means, and matching a request's path against it.
//!
//! A path is found by its *key*: the whole path when it is exact, else what stands before its first `*` (or, in [`Mode::UriWithParameter`],
//! before its first `:`). When a segment begins with `*` or `:`, the whole path must also fit segment by segment: `:name` takes one segment that
//! is not empty, `*name` takes the rest over any number of segments. As in the reference (`compare_param` in `resty/radixtree.lua`) this holds
//! in every mode once the path is a prefix, so `/a/*/b` ends in `/b` everywhere, while in `/a*b` what follows the `*` means nothing.
//!
//! A difference that is meant: the reference pastes the literal segments of such a path into a regular expression without escaping; here they are
//! literal, but for a final `/?`, an optional slash, which its tests use.

use smallvec::SmallVec;

use crate::Mode;
use crate::limits::PARAMS_INLINE;

/// A configured path.
#[derive(Debug)]
pub(crate) struct PathRule {
    text: Box<str>,
    key_len: u32,
    kind: Kind,
    segments: Option<Box<Segments>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The key is the whole path.
    Exact,
    /// The key is a prefix; `segments`, if there are any, must fit, too.
    Prefix,
    /// The key is a prefix, and what follows it is the only parameter: `/a/*` and `/a/*name`.
    Tail,
}

/// What the reference calls the parameter of a `*` without a name.
const NAMELESS: &str = ":ext";

/// The segments of a path with parameters.
#[derive(Debug)]
struct Segments {
    items: Box<[Segment]>,
    /// The path may be followed by one slash.
    optional_slash: bool,
}

#[derive(Debug)]
enum Segment {
    Literal(Box<str>),
    One(Box<str>),
    Rest(Box<str>),
}

/// Where the values of a matched path's parameters lie in the request's path.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// Byte ranges in the order of the names.
    ranges: SmallVec<[(u32, u32); PARAMS_INLINE]>,
}

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl PathRule {
    pub(crate) fn new(text: &str, mode: Mode) -> Self {
        let parameter = (mode == Mode::UriWithParameter)
            .then(|| text.find(':'))
            .flatten();
        let Some(key_len) = parameter.or_else(|| text.find('*')) else {
            return Self {
                text: text.into(),
                key_len: text.len() as u32,
                kind: Kind::Exact,
                segments: None,
            };
        };
        let segments = Segments::new(text);
        let is_tail = segments.as_ref().is_some_and(Segments::is_tail);
        Self {
            text: text.into(),
            key_len: key_len as u32,
            kind: if is_tail { Kind::Tail } else { Kind::Prefix },
            segments: segments.filter(|_| !is_tail).map(Box::new),
        }
    }

    /// The path as it was configured.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What a request's path must be or begin with.
    pub(crate) fn key(&self) -> &[u8] {
        let bytes = self.text.as_bytes();
        bytes.get(..self.key_len as usize).unwrap_or(bytes)
    }

    /// Whether a path is, or begins with, the key: what the tables find by.
    pub(crate) fn has_key_of(&self, path: &[u8]) -> bool {
        match self.kind {
            Kind::Exact => path == self.key(),
            Kind::Prefix | Kind::Tail => path.starts_with(self.key()),
        }
    }

    /// Whether a path found by the key fits the rest, too. Fills in `params`.
    pub(crate) fn fits(&self, path: &[u8], params: &mut Params) -> bool {
        params.clear();
        if self.kind == Kind::Tail {
            params.ranges.push((self.key_len, path.len() as u32));
        }
        self.segments
            .as_ref()
            .is_none_or(|segments| segments.fit(path, params))
    }

    /// The names and values of the parameters that [`Self::fits`] found in `path`.
    pub(crate) fn params<'p>(
        &self,
        path: &'p [u8],
        params: &Params,
    ) -> impl Iterator<Item = (&str, &'p [u8])> {
        let tail = (self.kind == Kind::Tail)
            .then(|| self.text.get(self.key_len as usize + 1..))
            .flatten();
        let tail = tail.map(|name| if name.is_empty() { NAMELESS } else { name });
        let items = self
            .segments
            .as_ref()
            .map_or(&[][..], |segments| &segments.items);
        let names = items.iter().filter_map(|segment| match segment {
            Segment::One(name) | Segment::Rest(name) => Some(&**name),
            Segment::Literal(_) => None,
        });
        tail.into_iter()
            .chain(names)
            .zip(&params.ranges)
            .filter_map(|(name, (start, end))| {
                Some((name, path.get(*start as usize..*end as usize)?))
            })
    }

    /// The value of one parameter; of several with this name, the last.
    pub(crate) fn param<'p>(
        &self,
        path: &'p [u8],
        params: &Params,
        name: &str,
    ) -> Option<&'p [u8]> {
        self.params(path, params)
            .filter(|(known, _)| *known == name)
            .last()
            .map(|(_, value)| value)
    }
}

impl Segments {
    /// The segments of a path, or nothing when none of them is a parameter.
    fn new(text: &str) -> Option<Self> {
        let (text, optional_slash) = match text.strip_suffix("/?") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let items: Box<[Segment]> = text
            .split('/')
            .map(|item| match item.split_at_checked(1) {
                Some((":", name)) => Segment::One(name.into()),
                Some(("*", "")) => Segment::Rest(NAMELESS.into()),
                Some(("*", name)) => Segment::Rest(name.into()),
                _ => Segment::Literal(item.into()),
            })
            .collect();
        let has_parameter = items
            .iter()
            .any(|item| !matches!(item, Segment::Literal(_)));
        has_parameter.then_some(Self {
            items,
            optional_slash,
        })
    }

    /// Whether the only parameter is a `*` that is the last segment.
    fn is_tail(&self) -> bool {
        let Some((last, others)) = self.items.split_last() else {
            return false;
        };
        !self.optional_slash
            && matches!(last, Segment::Rest(_))
            && others
                .iter()
                .all(|item| matches!(item, Segment::Literal(_)))
    }

    fn fit(&self, path: &[u8], params: &mut Params) -> bool {
        if self.optional_slash
            && let Some(bare) = path.strip_suffix(b"/")
            && self.fit_whole(bare, params)
        {
            return true;
        }
        self.fit_whole(path, params)
    }

    /// Matches from the right, so that an earlier `*` takes as much as it can, as in the reference. Each `*` begins with one segment and grows;
    /// only the one met last needs to grow, since a shorter tail cannot help what stands before it. At most O(segments of both).
    fn fit_whole(&self, path: &[u8], params: &mut Params) -> bool {
        // Matched so far: `items[left..]` with the segments behind `rest`; nothing is left of the path when `rest` is `None`.
        let mut left = self.items.len();
        let mut rest = Some(path.len());
        let mut growing: Option<Growing> = None;
        params.clear();
        loop {
            let item = left.checked_sub(1).and_then(|at| self.items.get(at));
            let fitted = match (item, rest) {
                (None, None) => {
                    params.ranges.reverse();
                    return true;
                }
                (Some(item), Some(end)) => {
                    let (start, before) = segment_before(path, end);
                    match item {
                        Segment::Literal(text) => path.get(start..end) == Some(text.as_bytes()),
                        Segment::One(_) => start < end,
                        Segment::Rest(_) => {
                            growing = Some(Growing {
                                left: left - 1,
                                end,
                                start,
                                before,
                                params: params.ranges.len(),
                            });
                            true
                        }
                    }
                    .then(|| {
                        if !matches!(item, Segment::Literal(_)) {
                            params.ranges.push((start as u32, end as u32));
                        }
                        before
                    })
                }
                _ => None,
            };
            if let Some(before) = fitted {
                left -= 1;
                rest = before;
                continue;
            }
            let Some(star) = &mut growing else {
                return false;
            };
            let Some(end) = star.before else { return false };
            (star.start, star.before) = segment_before(path, end);
            params.ranges.truncate(star.params);
            params.ranges.push((star.start as u32, star.end as u32));
            left = star.left;
            rest = star.before;
        }
    }
}

/// A `*` that takes `path[start..end]`.
struct Growing {
    left: usize,
    start: usize,
    end: usize,
    /// End of the segment before it.
    before: Option<usize>,
    /// Parameters found to its right.
    params: usize,
}

/// Start of the segment that ends at `end`, and the end of the one before.
fn segment_before(path: &[u8], end: usize) -> (usize, Option<usize>) {
    match path.get(..end).and_then(|path| memchr::memrchr(b'/', path)) {
        Some(slash) => (slash + 1, Some(slash)),
        None => (0, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The parameters as `name=value name=value`, or nothing when the path is refused.
    fn fit(rule: &str, mode: Mode, path: &str) -> Option<String> {
        let rule = PathRule::new(rule, mode);
        let mut params = Params::new();
        (rule.has_key_of(path.as_bytes()) && rule.fits(path.as_bytes(), &mut params)).then(|| {
            let params = rule.params(path.as_bytes(), &params);
            params
                .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
                .collect::<Vec<_>>()
                .join(" ")
        })
    }

    #[track_caller]
    fn check(mode: Mode, rule: &str, path: &str, expected: Option<&str>) {
        assert_eq!(
            fit(rule, mode, path).as_deref(),
            expected,
            "{rule} on {path}"
        );
    }

    #[test]
    fn parameters_take_one_segment() {
        let check = |rule, path, expected| check(Mode::UriWithParameter, rule, path, expected);
        check("/name/:name/bar", "/name/json/bar", Some("name=json"));
        check("/name/:name/bar", "/name/json/foo", None);
        check("/name/:name/bar", "/name/json/", None);
        check("/name/:name/bar", "/name//bar", None);
        check(
            "/name/:name/id/:id",
            "/name/json/id/1",
            Some("name=json id=1"),
        );
        check("/name/:name/id/:id", "/name/json/id/", None);
        check("/name/:name/", "/name/json/", Some("name=json"));
        check("/name/:name/", "/name/json", None);
        check("/:name/foo", "/json/foo", Some("name=json"));
        check("/:name/foo", "/json/foo/bar", None);
        check("/file/:f", "/file/t!e*s't,(file)", Some("f=t!e*s't,(file)"));
        check("/user:name", "/user1/2", Some(""));
    }

    #[test]
    fn stars_take_the_rest() {
        let check = |rule, path, expected| check(Mode::UriWithParameter, rule, path, expected);
        check("/name/*name", "/name/json", Some("name=json"));
        check("/name/*name", "/name/", Some("name="));
        check("/name/*", "/name/json/foo", Some(":ext=json/foo"));
        check(
            "/name/:name/id/:id/*other",
            "/name/json/id/1/foo/bar",
            Some("name=json id=1 other=foo/bar"),
        );
        check(
            "/api/:v/test/*sub",
            "/api/v4/test/api",
            Some("v=v4 sub=api"),
        );
        check("*", "/any/thing", Some(":ext=/any/thing"));
        check("/a/*x/b/*y", "/a/1/b/2/b/3", Some("x=1/b/2 y=3"));
        check("/a/*/b", "/a//b", Some(":ext="));
        check("/a/*/b", "/a/b", None);
        check("/a/*/b", "/a/x/b/c", None);
    }

    #[test]
    fn a_final_slash_and_question_mark_make_the_slash_optional() {
        let rule = "/api/:v/nodes/?";
        check(Mode::UriWithParameter, rule, "/api/1/nodes", Some("v=1"));
        check(Mode::UriWithParameter, rule, "/api/1/nodes/", Some("v=1"));
        check(Mode::UriWithParameter, rule, "/api/1/nodes//", None);
    }

    #[test]
    fn colons_are_literal_without_parameters() {
        let check = |rule, path, expected| check(Mode::HostUri, rule, path, expected);
        check("/file:list", "/file:list", Some(""));
        check("/file:list", "/file:x", None);
        check("/name/:name", "/name/json", None);
        check("/name/:name", "/name/:name", Some(""));
        check("/foo*", "/foobar/x", Some(""));
        check("/foo*bar", "/foo/x", Some(""));
        check("/foo/*/bar", "/foo/x/y/bar", Some(":ext=x/y"));
        check("/foo/*/bar", "/foo/x/y", None);
        check("/c++/*", "/c++/x", Some(":ext=x"));
    }

    /// The reference's own way: a regular expression, which must cover the whole path.
    fn by_regex(rule: &str, path: &str) -> Option<String> {
        let mut names = Vec::new();
        let pattern: Vec<String> = rule
            .split('/')
            .map(|item| match item.as_bytes().first() {
                Some(b':') => {
                    names.push(item[1..].to_owned());
                    "([^/]+)".to_owned()
                }
                Some(b'*') => {
                    names.push(if item.len() == 1 {
                        ":ext".to_owned()
                    } else {
                        item[1..].to_owned()
                    });
                    "((?s:.)*)".to_owned()
                }
                _ => regex::escape(item),
            })
            .collect();
        let captures = regex::Regex::new(&format!("^{}$", pattern.join("/")))
            .unwrap()
            .captures(path)?;
        let values = captures.iter().skip(1).map(|value| value.unwrap().as_str());
        Some(
            names
                .iter()
                .zip(values)
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    proptest! {
        #[test]
        fn segments_fit_as_the_regular_expression_does(rule in "(/(a|b|:x|:y|\\*|\\*z|)){1,5}", path in "(/(a|b|c|)){0,7}") {
            prop_assume!(rule.contains([':', '*']));
            prop_assume!(path.starts_with(&rule[..rule.find(':').or(rule.find('*')).unwrap()]));
            prop_assert_eq!(fit(&rule, Mode::UriWithParameter, &path), by_regex(&rule, &path));
        }
    }
}
