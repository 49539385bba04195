//! The letters that `ngx.re` takes as options.

/// All letters of `ngx.re`. Those that choose an engine or a cache (`d`, `j`, `o`), a syntax that is always taken (`D`, `J`) or UTF mode (`u`, `U`) change nothing here.
const KNOWN: &str = "adijmosuxDJU";

/// How a pattern is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of PCRE are independent of each other"
)]
pub struct Flags {
    /// Letters match both their cases (`i`).
    pub ignores_case: bool,
    /// `^` and `$` are beginnings and ends of lines (`m`).
    pub is_multi_line: bool,
    /// `.` matches line feeds too (`s`).
    pub dot_is_all: bool,
    /// White space and comments in the pattern say nothing (`x`).
    pub is_extended: bool,
    /// A match begins where the search begins (`a`).
    pub is_anchored: bool,
}

/// A letter that is no flag. The text of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown flag \"{flag}\" (flags \"{flags}\")")]
pub struct UnknownFlag {
    flag: char,
    flags: String,
}

impl Flags {
    /// Reads letters, such as `jo` or `ijo`.
    ///
    /// # Errors
    /// One is not known.
    pub fn parse(flags: &str) -> Result<Self, UnknownFlag> {
        if let Some(flag) = flags.chars().find(|flag| !KNOWN.contains(*flag)) {
            let flags = flags.to_owned();
            return Err(UnknownFlag { flag, flags });
        }
        Ok(Self {
            ignores_case: flags.contains('i'),
            is_multi_line: flags.contains('m'),
            dot_is_all: flags.contains('s'),
            is_extended: flags.contains('x'),
            is_anchored: flags.contains('a'),
        })
    }
}
