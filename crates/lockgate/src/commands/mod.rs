//! The commands.

mod declarative;
mod init;
mod init_etcd;
mod launch;
mod lifecycle;
mod running;
mod store_copy;

use crate::{
    cli::{self, Command, Flags},
    configuration::Configuration,
    echo, run, say, version,
};

/// How a command that did what it was asked ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Well.
    Done,
    /// There are differences, which is what was asked.
    Differs,
}

/// Does what is asked for.
pub(crate) fn obey(flags: &Flags) -> anyhow::Result<Outcome> {
    match &flags.command {
        None if flags.name == cli::Name::Apisix && !flags.detached => say(&flags.name.help()),
        None => run::run(flags)?,
        Some(Command::Help) => say(&flags.name.help()),
        Some(Command::Version) => say(&version::text(flags.name)),
        Some(Command::Init) => init::command(&lifecycle::with_started(flags))?,
        Some(Command::InitEtcd(options)) => {
            let configuration = Configuration::read(&lifecycle::with_started(flags))?;
            init_etcd::init(&configuration, options.verbose)?;
        }
        Some(Command::Start(options)) => lifecycle::start(flags, options.verbose)?,
        Some(Command::Stop) => lifecycle::stop(flags)?,
        Some(Command::Quit) => lifecycle::quit(flags)?,
        Some(Command::Restart) => lifecycle::restart(flags)?,
        Some(Command::Reload) => lifecycle::reload(flags)?,
        Some(Command::Test) => say(&run::test(&lifecycle::with_started(flags))?),
        Some(Command::Export(options)) => return declarative::export(flags, options),
        Some(Command::Import(options)) => return declarative::import(flags, options),
        Some(Command::Diff(options)) => return declarative::diff(flags, options),
        Some(Command::Apply(options)) => return declarative::apply(flags, options),
        Some(Command::Backup(options)) => store_copy::backup(flags, &options.file)?,
        Some(Command::Restore(options)) => store_copy::restore(flags, &options.file)?,
        Some(Command::Echo(options)) => echo::run(options)?,
    }
    Ok(Outcome::Done)
}
