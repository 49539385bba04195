//! The query of a request, as `ngx.req.get_uri_args` reads it.

use percent_encoding::percent_decode_str;

/// Arguments in the order written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Args(Vec<(String, Option<String>)>);

/// One argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arg<'a> {
    /// Written without `=`.
    Bare,
    /// Written with `=` and this text.
    Text(&'a str),
}

impl<'a> Arg<'a> {
    /// The text, where there is one.
    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Self::Bare => None,
            Self::Text(text) => Some(text),
        }
    }
}

impl Args {
    /// Reads `a=1&b&c=%20`; an argument without `=` has no text.
    pub(crate) fn parse(query: &str) -> Self {
        let args = query
            .split('&')
            .map(|arg| match arg.split_once('=') {
                Some((name, text)) => (decode(name), Some(decode(text))),
                None => (decode(arg), None),
            })
            .filter(|(name, _)| !name.is_empty())
            .collect();
        Self(args)
    }

    /// The first argument of this name.
    pub(crate) fn first(&self, name: &str) -> Option<Arg<'_>> {
        self.all(name).next()
    }

    /// Every argument, as written; one without `=` has an empty text.
    pub(crate) fn texts(&self) -> Vec<(&str, &str)> {
        let texts = self.0.iter();
        texts
            .map(|(name, text)| (name.as_str(), text.as_deref().unwrap_or_default()))
            .collect()
    }

    /// The text of the only argument of this name.
    pub(crate) fn only(&self, name: &str) -> Option<&str> {
        let mut found = self.all(name);
        match (found.next(), found.next()) {
            (Some(arg), None) => arg.text(),
            _ => None,
        }
    }

    /// Whether there is an argument of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Every argument, of those of one name the last.
    pub(crate) fn last_of_each(&self) -> impl Iterator<Item = (&str, Arg<'_>)> {
        self.0
            .iter()
            .enumerate()
            .filter(|(place, (name, _))| {
                self.0
                    .iter()
                    .skip(place + 1)
                    .all(|(later, _)| later != name)
            })
            .map(|(_, (name, text))| (name.as_str(), arg(text.as_ref())))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = Arg<'_>> {
        self.0
            .iter()
            .filter(move |(found, _)| found == name)
            .map(|(_, text)| arg(text.as_ref()))
    }
}

fn arg(text: Option<&String>) -> Arg<'_> {
    text.map_or(Arg::Bare, |text| Arg::Text(text))
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_queries() {
        let args = Args::parse("a=1&b&a=2&c=x%3Dy+z&=no&d=&e=%zz");
        assert_eq!(args.first("a"), Some(Arg::Text("1")));
        assert_eq!(args.only("a"), None);
        assert_eq!(args.first("b"), Some(Arg::Bare));
        assert_eq!(args.only("b"), None);
        assert_eq!(args.only("c"), Some("x=y z"));
        assert_eq!(args.only("d"), Some(""));
        assert_eq!(args.only("e"), Some("%zz"));
        assert!(!args.has(""));
        assert!(!args.has("f"));
        let last: Vec<_> = args.last_of_each().collect();
        assert_eq!(last[1], ("a", Arg::Text("2")));
        assert_eq!(last.len(), 5);
        assert_eq!(
            Args::parse("a=%2B&b&a=+").texts(),
            [("a", "+"), ("b", ""), ("a", " ")]
        );
        assert_eq!(Args::parse(""), Args::default());
    }
}
