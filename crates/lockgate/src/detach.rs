//! The part of a start in the background that happens in the process that stays: a session of its own, a report to whoever
//! started it, and no more use of its terminal.

use std::{fs::OpenOptions, path::Path};

use anyhow::Context as _;
use rustix::stdio;

/// What is reported once the gateway serves.
pub(crate) const SERVES: [u8; 1] = *b"1";

/// Leaves the session of whoever started it, so that nothing that happens to their terminal concerns it.
pub(crate) fn leave_session() -> anyhow::Result<()> {
    rustix::process::setsid().context("cannot begin a session")?;
    Ok(())
}

/// Reports that the gateway serves, and lets the streams of whoever started it go. What is written to the standard error stream
/// from here on is added to `errors`; without it, that stream is kept, for it is where errors are logged.
pub(crate) fn report(errors: Option<&Path>) {
    // Who does not listen needs no report.
    let _gone = rustix::io::write(stdio::stdin(), &SERVES);
    let Ok(nothing) = OpenOptions::new().read(true).write(true).open("/dev/null") else {
        tracing::warn!("the terminal cannot be let go: there is no /dev/null");
        return;
    };
    let _kept = stdio::dup2_stdin(&nothing);
    let _kept = stdio::dup2_stdout(&nothing);
    if let Some(errors) = errors {
        let log = OpenOptions::new().append(true).open(errors);
        let _kept = stdio::dup2_stderr(log.as_ref().unwrap_or(&nothing));
    }
}
