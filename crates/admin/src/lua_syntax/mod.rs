//! Whether a text is a Lua chunk: the grammar of `LuaJIT` 2.1 with Lua 5.2 compatibility, which the reference runs, and its words.
//!
//! Nothing is run here. Not checked either: limits of one function (200 locals, 60 upvalues and so on), and a `goto` into the scope of a
//! local.

mod lexer;
mod parser;
mod scopes;

use lexer::Lexer;
use parser::Parser;

/// What can be said of a chunk's first result without running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    /// A function.
    Function,
    /// A table.
    Table,
    /// Nothing, or a text, number, boolean or nil: Lua's name of its type.
    Other(&'static str),
    /// That shows when it runs.
    Unknown,
}

/// Checks a chunk.
///
/// # Errors
/// What `LuaJIT` says of it.
pub(crate) fn check(source: &str) -> Result<Returned, String> {
    check_named(source, source)
}

/// Checks a chunk that messages call by another name than its text.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_named(source: &str, name: &str) -> Result<Returned, String> {
    Parser::new(Lexer::new(source.as_bytes()))
        .and_then(Parser::chunk)
        .map_err(|error| error.message(name))
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Error {
    line: usize,
    what: String,
    /// The token that is not expected.
    near: Option<Vec<u8>>,
}

impl Error {
    fn message(&self, name: &str) -> String {
        let (name, line, what) = (short_name(name), self.line, &self.what);
        match &self.near {
            None => format!("{name}:{line}: {what}"),
            Some(near) => {
                // A C string to LuaJIT, which ends at a NUL.
                let near = near.split(|byte| *byte == 0).next().unwrap_or_default();
                let near = String::from_utf8_lossy(near);
                format!("{name}:{line}: {what} near '{near}'")
            }
        }
    }
}

/// The name of a chunk in messages: the beginning of its first line.
fn short_name(source: &str) -> String {
    /// Bytes of a name with everything around it (`LUA_IDSIZE`).
    const BYTES: usize = 60;
    let bytes = source.as_bytes();
    let printable = bytes
        .iter()
        .take(BYTES - 12)
        .take_while(|byte| **byte >= b' ')
        .count();
    if printable == bytes.len() {
        return format!("[string \"{source}\"]");
    }
    let shown = bytes.get(..printable.min(BYTES - 15)).unwrap_or_default();
    format!("[string \"{}...\"]", String::from_utf8_lossy(shown))
}

#[cfg(test)]
mod tests;
