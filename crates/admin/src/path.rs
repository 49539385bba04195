//! The path of a request, as nginx's `$uri` and the reference's `split_uri` make it.

use percent_encoding::percent_decode_str;

/// The path cannot be brought into normal form; nginx answers 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A path, percent-decoded, without empty or dot segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    segments: Vec<String>,
    ends_with_slash: bool,
}

impl Path {
    /// Reads the path of a request target.
    ///
    /// # Errors
    /// A percent sign without two digits, an encoded NUL, or a `..` above the root.
    pub(crate) fn parse(raw: &str) -> Result<Self, Malformed> {
        let has_broken_escape = raw.split('%').skip(1).any(|rest| {
            let digits = rest.bytes().take(2);
            digits.filter(u8::is_ascii_hexdigit).count() < 2
        });
        let decoded = percent_decode_str(raw).decode_utf8_lossy();
        if has_broken_escape || decoded.contains('\0') {
            return Err(Malformed);
        }
        let mut segments: Vec<String> = Vec::new();
        for segment in decoded.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop().ok_or(Malformed)?;
                }
                name => segments.push(name.to_owned()),
            }
        }
        let ends_with_slash =
            segments.is_empty() || ["/", "/.", "/.."].iter().any(|end| decoded.ends_with(end));
        Ok(Self {
            segments,
            ends_with_slash,
        })
    }

    /// The segments as borrowed texts, for matching.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The path as a text, without a last slash.
    pub(crate) fn text(&self) -> String {
        self.segments
            .iter()
            .fold(String::new(), |text, segment| text + "/" + segment)
    }

    /// Whether the path names a directory. The reference tells `/apisix/admin` from `/apisix/admin/`.
    pub(crate) fn ends_with_slash(&self) -> bool {
        self.ends_with_slash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brings_paths_into_normal_form() {
        for (raw, expected) in [
            ("/", Some((&[][..], true))),
            ("/a/b", Some((&["a", "b"], false))),
            ("/a//b/", Some((&["a", "b"], true))),
            ("/a/./b/../c", Some((&["a", "c"], false))),
            ("/a/..", Some((&[], true))),
            ("/a/b/..", Some((&["a"], true))),
            ("/a/.", Some((&["a"], true))),
            ("/%61%2Fb", Some((&["a", "b"], false))),
            ("/a%20b", Some((&["a b"], false))),
            ("/*invalid", Some((&["*invalid"], false))),
            ("/%ff", Some((&["\u{fffd}"], false))),
            ("/..", None),
            ("/a%00", None),
            ("/a%zz", None),
            ("/a%2", None),
        ] {
            let path = Path::parse(raw);
            let found = path
                .as_ref()
                .ok()
                .map(|path| (path.segments(), path.ends_with_slash()));
            let expected = expected.map(|(segments, slash)| (segments.to_vec(), slash));
            assert_eq!(found, expected, "{raw}");
        }
    }
}
