//! Variables, `vars` expressions and `$variable` templates: parsed once, evaluated per request.
//!
//! Text from the configuration becomes a [`Variable`], an [`Expr`] or a [`Template`] when a resource is compiled; a request then only answers
//! [`Lookup::lookup`] for the variables they name. This crate does not know where a value comes from: whoever holds the request implements [`Lookup`].
//!
//! Read next: `variable.rs` for the names, `expr.rs` for the `vars` language, `template.rs` for texts with variables in them.

mod body_path;
mod explain;
mod expr;
mod ip_set;
mod json_path;
mod limits;
mod lookup;
mod template;
mod variable;

pub use crate::body_path::BodyPath;
pub use crate::explain::{Blamed, PartialLookup, Verdict};
pub use crate::expr::{Expr, ExprError};
pub use crate::ip_set::{AddressError, IpSet};
pub use crate::json_path::{JsonPath, JsonPathError};
pub use crate::lookup::{Lookup, Value};
pub use crate::template::{LogFormatError, Part, Template};
pub use crate::variable::Variable;
pub use lockgate_pattern::Pattern;
