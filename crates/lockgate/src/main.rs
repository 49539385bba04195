//! Lockgate, an API gateway compatible with Apache APISIX.
//!
//! This crate puts the others together. From top to bottom: flags ([`cli`]), configuration ([`configuration`]), what each crate
//! is told of it ([`wiring`]), start and end of the process ([`run`]).

mod admin_key;
mod apis;
mod cli;
mod config_file;
mod configuration;
mod control_plane;
mod echo;
mod generation;
mod instance;
mod listeners;
mod logs;
mod process;
mod run;
mod signals;
mod store;
mod version;
mod wiring;

use std::{io::Write as _, process::ExitCode};

use cli::{Command, Flags, Parsed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let flags = match cli::parse(std::env::args_os()) {
        Parsed::Flags(flags) => flags,
        Parsed::Text(text) => return say(&text),
        Parsed::Wrong(text) => return complain(&text),
    };
    match command(&flags) {
        Ok(text) => say(&text),
        Err(error) => complain(&format!("lockgate: {error:#}\n")),
    }
}

/// Does what is asked for; what is to be printed at the end.
fn command(flags: &Flags) -> anyhow::Result<String> {
    match &flags.command {
        None => run::run(flags).map(|()| String::new()),
        Some(Command::Version) => Ok(version::text()),
        Some(Command::Help) => Ok(cli::help()),
        Some(Command::Test) => run::test(flags),
        Some(Command::Echo(options)) => echo::run(options).map(|()| String::new()),
    }
}

fn say(text: &str) -> ExitCode {
    // Who does not listen needs no answer.
    let _closed = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(text: &str) -> ExitCode {
    let _closed = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}
