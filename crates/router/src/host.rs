//! What a configured host means.

/// A host of a route: exact (`a.com`), or a wildcard (`*.a.com`) that stands for any text before its suffix, dots included.
#[derive(Debug)]
pub(crate) struct HostRule {
    /// Lower-cased, with the `*`.
    text: Box<str>,
}

impl HostRule {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_ascii_lowercase().into_boxed_str(),
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What a host must end with, for a wildcard.
    pub(crate) fn suffix(&self) -> Option<&[u8]> {
        self.text.strip_prefix('*').map(str::as_bytes)
    }

    /// Whether the whole `Host` field is compared instead of the host without its port.
    pub(crate) fn has_port(&self) -> bool {
        self.text.contains(':')
    }

    /// Whether a request's host, lower-cased, is this one.
    pub(crate) fn is_match(&self, host: &[u8]) -> bool {
        match self.suffix() {
            Some(suffix) => host.ends_with(suffix),
            None => host == self.text.as_bytes(),
        }
    }
}
