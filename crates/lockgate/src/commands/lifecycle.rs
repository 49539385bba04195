//! `start`, `stop`, `quit`, `restart` and `reload`, with the words and exit codes that scripts know (`apisix/cli/ops.lua`).

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use lockgate_model::boot::Role;
use rustix::process::Signal;

use super::{
    init, init_etcd, launch,
    running::{Home, State},
};
use crate::{
    cli::Flags,
    complain, config_file,
    configuration::{self, Configuration},
    run, say, store,
};

/// How long a start waits for a gateway that is about to end; the reference's.
const OLD_ENDS: Duration = Duration::from_secs(3);

/// How long `stop` waits for the end of a gateway, which ends at once.
const STOP: Duration = Duration::from_secs(15);

/// Starts a gateway in the background, unless one runs.
pub(super) fn start(flags: &Flags, is_verbose: bool) -> anyhow::Result<()> {
    let home = Home(&flags.prefix);
    home.forget();
    let logs = configuration::below(&flags.prefix, Path::new("logs"));
    fs::create_dir_all(&logs)
        .with_context(|| format!("cannot make the directory {}", logs.display()))?;
    match home.wait_for_end(OLD_ENDS)? {
        State::None => {}
        State::Invalid => {
            say("invalid pid\n");
            return Ok(());
        }
        State::Running(_) => {
            say("the old APISIX is still running, the new one will not start\n");
            return Ok(());
        }
        State::Gone(pid) => say(&format!(
            "nginx.pid exists but there's no corresponding process with pid {pid}, the file will be overwritten\n"
        )),
    }
    let configuration = init::init(flags)?;
    if let Some(config) = &flags.config {
        home.remember(config)?;
        say(&format!("Use customized yaml: {}\n", config.display()));
    }
    if configuration.boot.config.deployment.role != Role::DataPlane {
        let ready = init_etcd::init(&configuration, is_verbose);
        if let Err(error) = ready {
            let copy = store::local_copy_path(&configuration);
            if !copy.exists() {
                return Err(error);
            }
            let copy = copy.display();
            complain(&format!(
                "{error:#}: what was configured last is in {copy}\n"
            ));
        }
    }
    launch::launch(flags)
}

/// Ends the gateway at once, and waits until it has ended.
pub(super) fn stop(flags: &Flags) -> anyhow::Result<()> {
    let home = Home(&flags.prefix);
    home.forget();
    if !home.signal(Signal::TERM)? {
        complain(&not_running(&home));
        return Ok(());
    }
    match home.wait_for_end(STOP)? {
        State::Running(pid) => {
            let id = pid.as_raw_nonzero();
            bail!("the process {id} has not ended after {} s", STOP.as_secs())
        }
        State::None | State::Invalid | State::Gone(_) => Ok(()),
    }
}

/// Lets the gateway end when the requests that it has begun are done; does not wait for it.
pub(super) fn quit(flags: &Flags) -> anyhow::Result<()> {
    let home = Home(&flags.prefix);
    home.forget();
    if !home.signal(Signal::QUIT)? {
        complain(&not_running(&home));
    }
    Ok(())
}

/// Ends the gateway and starts it again, if its configuration is good.
pub(super) fn restart(flags: &Flags) -> anyhow::Result<()> {
    let flags = with_started(flags);
    say(&run::test(&flags)?);
    stop(&flags)?;
    start(&flags, false)
}

/// Lets the gateway read its configuration anew, if it is good.
pub(super) fn reload(flags: &Flags) -> anyhow::Result<()> {
    let flags = with_started(flags);
    let is_good = Configuration::read(&flags).and_then(|read| config_file::check(&read));
    is_good.context("the configuration is not read anew")?;
    let home = Home(&flags.prefix);
    if !home.signal(Signal::HUP)? {
        bail!(
            "the configuration is not read anew: {}",
            not_running(&home).trim_end()
        )
    }
    Ok(())
}

/// The flags, with the configuration that the gateway was started with where they name none.
pub(super) fn with_started(flags: &Flags) -> Flags {
    let mut flags = flags.clone();
    if flags.config.is_none() {
        flags.config = Home(&flags.prefix).started_with();
    }
    flags
}

fn not_running(home: &Home<'_>) -> String {
    format!("no gateway runs by {}\n", home.pid_path().display())
}
