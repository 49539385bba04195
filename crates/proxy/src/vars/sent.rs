//! Values that stand in the request as the client sent it, which the access log asks for most.
//!
//! What a variable asks for is worked out when the format is read, so that nothing is left to do for a line but to find it. The values are
//! those of [`Facts::find`](super::Facts::find) in the log's view.

use lockgate_expr::Variable;

use super::{Facts, text};
use crate::access_log::Values;

/// A part of a request.
#[derive(Debug)]
pub(crate) enum Sent {
    Uri,
    Args,
    Line,
    Argument(Box<str>),
    Field(Box<str>),
    /// One whose name may be spelled with underscores for dashes.
    FieldAlike(Box<str>),
    Cookie(Box<str>),
}

/// A value that does not stand in one place: a field that was sent in several lines.
#[derive(Debug)]
pub(crate) struct Scattered;

impl Sent {
    /// The part that is the value of a variable in the log, where it is one.
    pub(crate) fn of(variable: &Variable) -> Option<Self> {
        Some(match variable {
            Variable::Uri => Self::Uri,
            Variable::Args => Self::Args,
            Variable::Request => Self::Line,
            Variable::Arg(name) => Self::Argument(name.clone()),
            // Whether this one is believed depends on the client.
            Variable::Header(name) if &**name == "x-forwarded-for" => return None,
            Variable::Header(name) if text::is_spelled_so(name) => Self::Field(name.clone()),
            Variable::Header(name) => Self::FieldAlike(name.clone()),
            Variable::Cookie(name) => Self::Cookie(name.clone()),
            _ => return None,
        })
    }
}

impl Values for Facts<'_> {
    #[inline]
    fn is_untouched(&self) -> bool {
        self.exchange.plugins.variables.is_empty()
    }

    #[inline]
    fn sent(&self, part: &Sent) -> Result<Option<&[u8]>, Scattered> {
        let exchange = self.exchange;
        let request = &exchange.request;
        Ok(match part {
            Sent::Uri => Some(exchange.received_uri()).filter(|uri| !uri.is_empty()),
            Sent::Args => self.query(),
            Sent::Line => Some(request.line()),
            Sent::Argument(name) => text::raw_argument(exchange.query(), name),
            Sent::Field(name) => only(request.headers.get_first(name.as_bytes()))?,
            Sent::FieldAlike(name) => only(request.headers.get_first_alike(name.as_bytes()))?,
            Sent::Cookie(name) => text::raw_cookie(&request.headers, name),
        })
    }
}

/// The value of a field that was sent in one line.
#[inline]
fn only(found: Option<(&[u8], bool)>) -> Result<Option<&[u8]>, Scattered> {
    match found {
        Some((_, true)) => Err(Scattered),
        only => Ok(only.map(|(value, _)| value)),
    }
}
