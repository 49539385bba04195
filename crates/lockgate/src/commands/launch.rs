//! Starts a gateway in the background.
//!
//! The program is started again, with the end of a pipe in place of its standard input. It reports through the pipe, in
//! [`crate::detach`], once it serves; if the pipe ends without a report, it does not run.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{cli::Flags, detach::SERVES};

/// Longest wait for a report. A large store takes some seconds, and etcd may be asked several times.
const PATIENCE: Duration = Duration::from_mins(2);

/// Starts it, and waits until it serves or has failed. It says itself why it does not run.
pub(super) fn launch(flags: &Flags) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let (mut report, reporter) = std::io::pipe().context("cannot make a pipe")?;
    let mut command = Command::new(program);
    command.arg("--detached").arg("--prefix").arg(&flags.prefix);
    if let Some(config) = &flags.config {
        command.arg("--config").arg(config);
    }
    command.stdin(Stdio::from(reporter));
    let mut child = command.spawn().context("cannot start the gateway")?;
    // It holds an end of the pipe, which would never end.
    drop(command);

    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut byte = [0];
        let is_report = report.read_exact(&mut byte).is_ok() && byte == SERVES;
        // Nobody waits any more when it came too late.
        let _late = sender.send(is_report);
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let _status = child.wait();
            bail!("the gateway did not start")
        }
        Err(_) => bail!(
            "the gateway does not serve after {} s: its error log says why",
            PATIENCE.as_secs()
        ),
    }
}
