//! All objects of a gateway as one document, and the changes that lead from one state to another.
//!
//! The document has the layout of a file of the standalone mode (`apisix.yaml`): a list for each kind of object. Nothing here
//! knows how objects are read or written; [`changes()`] only says what is to be done, in an order in which every object finds
//! what it refers to. Start at [`Document`].

mod changes;
mod difference;
mod document;
mod kinds;
mod limits;
mod render;

pub use changes::{Action, Change, changes};
pub use difference::Difference;
pub use document::{Document, DocumentError, Id, Object};
pub use kinds::{KINDS, Kind};
