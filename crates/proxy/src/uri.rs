//! The forms of a request's path: as nginx's `$uri` has it, without what options take from it, and as routes are matched against it.
//!
//! Most paths are all of these as they came, and then nothing is kept here.

use crate::{
    normalize::{self, Malformed},
    options::Options,
};

/// Forms of the path that differ from the received one.
#[derive(Debug, Default)]
pub(crate) struct Uri {
    normal: Vec<u8>,
    is_rewritten: bool,
    plain: Vec<u8>,
    is_plain: bool,
    slashed: Vec<u8>,
    is_slashed: bool,
}

impl Uri {
    /// Makes room for the next path.
    pub(crate) fn clear(&mut self) {
        self.normal.clear();
        self.is_rewritten = false;
        self.plain.clear();
        self.is_plain = false;
        self.slashed.clear();
        self.is_slashed = false;
    }

    /// Works out the forms of a path.
    ///
    /// # Errors
    /// The path has none.
    #[inline]
    pub(crate) fn set(&mut self, raw: &[u8], options: &Options) -> Result<(), Malformed> {
        if !normalize::is_normal(raw) {
            normalize::normalize(raw, &mut self.normal)?;
            self.is_rewritten = true;
        }
        if options.delete_uri_tail_slash
            || options.normalize_uri_like_servlet
            || options.match_uri_encoded_slash
        {
            self.apply(raw, options)?;
        }
        Ok(())
    }

    /// Takes from the path what the options say, in the order of the reference: parameters of servlets are taken from the path
    /// with its last slash, which then stays.
    fn apply(&mut self, raw: &[u8], options: &Options) -> Result<(), Malformed> {
        let uri = if self.is_rewritten { &self.normal } else { raw };
        if options.normalize_uri_like_servlet {
            if memchr::memchr(b';', uri).is_some() {
                normalize::drop_parameters(uri, &mut self.plain)?;
                self.is_plain = true;
            }
        } else if options.delete_uri_tail_slash
            && let Some(bare) = uri.strip_suffix(b"/")
        {
            self.plain.extend_from_slice(bare);
            self.is_plain = true;
        }
        if options.match_uri_encoded_slash && self.is_rewritten {
            let uri = if self.is_plain { &self.plain } else { uri };
            self.is_slashed = normalize::keep_encoded_slashes(raw, uri, &mut self.slashed);
        }
        Ok(())
    }

    /// The path in normal form, whatever options take from it.
    #[inline]
    pub(crate) fn received<'a>(&'a self, raw: &'a [u8]) -> &'a [u8] {
        if self.is_rewritten { &self.normal } else { raw }
    }

    /// The path as routes and plugins see it.
    #[inline]
    pub(crate) fn plain<'a>(&'a self, raw: &'a [u8]) -> &'a [u8] {
        if self.is_plain {
            &self.plain
        } else {
            self.received(raw)
        }
    }

    /// The path that routes are matched against.
    #[inline]
    pub(crate) fn route<'a>(&'a self, raw: &'a [u8]) -> &'a [u8] {
        if self.is_slashed {
            &self.slashed
        } else {
            self.plain(raw)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_take_from_the_path_in_the_order_of_the_reference() {
        let none = Options::default();
        let tail = Options {
            delete_uri_tail_slash: true,
            ..none.clone()
        };
        let servlet = Options {
            normalize_uri_like_servlet: true,
            ..tail.clone()
        };
        let slash = Options {
            match_uri_encoded_slash: true,
            ..none.clone()
        };
        for (options, raw, received, plain, route) in [
            (&none, "/a//b/", "/a/b/", "/a/b/", "/a/b/"),
            (&tail, "/a/", "/a/", "/a", "/a"),
            (&tail, "/%61//", "/a/", "/a", "/a"),
            (&tail, "/", "/", "", ""),
            (&servlet, "/a/", "/a/", "/a/", "/a/"),
            (&servlet, "/a;x/", "/a;x/", "/a/", "/a/"),
            (&servlet, "/a%3Bx", "/a;x", "/a", "/a"),
            (&slash, "/a%2Fb", "/a/b", "/a/b", "/a%2Fb"),
            (&slash, "/a%2F../b", "/b", "/b", "/b"),
        ] {
            let raw = raw.as_bytes();
            let mut uri = Uri::default();
            assert!(uri.set(raw, options).is_ok());
            let forms = [uri.received(raw), uri.plain(raw), uri.route(raw)];
            let forms = forms.map(|form| String::from_utf8_lossy(form).into_owned());
            assert_eq!(forms, [received, plain, route]);
            uri.clear();
            assert_eq!(uri.route(raw), raw);
        }
        assert!(Uri::default().set(b"/;/a", &servlet).is_err());
    }
}
