//! Where requests carry credentials: fields and arguments whose names users choose.

use std::borrow::Cow;

use lockgate_content::form;
use lockgate_expr::{Lookup as _, Variable};
use lockgate_plugin::{Exchange, FieldName};

const COOKIE: FieldName = FieldName::from_static("Cookie");

/// A field of the request.
#[derive(Debug)]
pub(crate) struct Field {
    /// Under which names it is looked for. With hyphens for underscores too, where it has some, as nginx does for scripts
    /// (`ngx.req.get_headers`).
    names: Vec<FieldName>,
}

impl Field {
    pub(crate) fn new(name: String) -> Self {
        let hyphened = name.contains('_').then(|| name.replace('_', "-"));
        let names = [Some(name), hyphened].into_iter().flatten();
        Self {
            // What cannot be a name is none of any field.
            names: names
                .filter_map(|name| FieldName::parse(name).ok())
                .collect(),
        }
    }

    /// The value of its first line.
    pub(crate) fn of<'e>(&self, ex: &'e Exchange<'_>) -> Option<&'e [u8]> {
        self.names.iter().find_map(|name| ex.header(name.as_str()))
    }

    /// Keeps it from the upstream.
    pub(crate) fn hide(&self, ex: &mut Exchange<'_>) {
        for name in &self.names {
            ex.set_header(name, None);
        }
    }
}

/// An argument of the query.
#[derive(Debug)]
pub(crate) struct Argument {
    name: Box<str>,
}

/// What a request says of an argument.
pub(crate) enum Argued<'e> {
    /// Nothing.
    Nothing,
    /// This.
    Value(Cow<'e, [u8]>),
    /// Several things, or its name without a value: no credentials can be meant.
    Unfit,
}

impl Argument {
    pub(crate) fn new(name: String) -> Self {
        Self { name: name.into() }
    }

    /// What the request says of it.
    pub(crate) fn of<'e>(&self, ex: &'e Exchange<'_>) -> Argued<'e> {
        let mut values = form::all(ex.query(), self.name.as_bytes());
        match (values.next(), values.next()) {
            (None, _) => Argued::Nothing,
            (Some(Some(value)), None) => Argued::Value(value),
            (Some(_), _) => Argued::Unfit,
        }
    }

    /// Keeps it from the upstream.
    pub(crate) fn hide(&self, ex: &mut Exchange<'_>) {
        if !matches!(self.of(ex), Argued::Nothing) {
            let query = form::without(ex.query(), self.name.as_bytes());
            ex.set_query(query);
        }
    }
}

/// A cookie.
#[derive(Debug)]
pub(crate) struct Cookie {
    name: Box<str>,
    variable: Variable,
}

impl Cookie {
    pub(crate) fn new(name: String) -> Self {
        Self {
            variable: Variable::parse(&format!("cookie_{name}")),
            name: name.into(),
        }
    }

    /// Its value.
    pub(crate) fn of<'e>(&self, ex: &'e Exchange<'_>) -> Option<Cow<'e, [u8]>> {
        ex.lookup(&self.variable)
    }

    /// Keeps it from the upstream. The others are sent as they came.
    pub(crate) fn hide(&self, ex: &mut Exchange<'_>) {
        let is_it = |cookie: &&[u8]| {
            let name = cookie.split(|byte| *byte == b'=').next();
            name.unwrap_or_default().trim_ascii() == self.name.as_bytes()
        };
        let kept: Vec<&[u8]> = ex
            .request()
            .headers
            .get_all(b"cookie")
            .flat_map(|line| line.split(|byte| *byte == b';'))
            .map(<[u8]>::trim_ascii)
            .filter(|cookie| !cookie.is_empty() && !is_it(cookie))
            .collect();
        let kept = kept.join(&b"; "[..]);
        ex.set_header(&COOKIE, (!kept.is_empty()).then_some(&kept[..]));
    }
}
