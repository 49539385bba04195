//! Where requests carry credentials: fields and arguments whose names users choose.

use std::borrow::Cow;

use lockgate_content::form;
use lockgate_plugin::Exchange;

/// A field of the request.
#[derive(Debug)]
pub(crate) struct Field {
    name: Box<str>,
    /// The name with hyphens for underscores, where it has some: fields are looked for under both, as nginx does for scripts
    /// (`ngx.req.get_headers`).
    hyphened: Option<Box<str>>,
}

impl Field {
    pub(crate) fn new(name: String) -> Self {
        let hyphened = name.contains('_').then(|| name.replace('_', "-").into());
        Self {
            name: name.into(),
            hyphened,
        }
    }

    /// The value of its first line.
    pub(crate) fn of<'e>(&self, ex: &'e Exchange<'_>) -> Option<&'e [u8]> {
        let found = ex.header(&self.name);
        found.or_else(|| ex.header(self.hyphened.as_deref()?))
    }

    /// Keeps it from the upstream.
    pub(crate) fn hide(&self, ex: &mut Exchange<'_>) {
        ex.set_header(&self.name, None);
        if let Some(name) = &self.hyphened {
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
