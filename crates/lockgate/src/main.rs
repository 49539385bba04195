//! Lockgate, an API gateway compatible with Apache APISIX.
//!
//! This crate puts the others together. From top to bottom: flags ([`cli`]), commands ([`commands`]), configuration ([`configuration`]), what each crate
//! is told of it ([`wiring`]), start and end of the process ([`run`]).

mod admin_key;
mod apis;
mod cli;
mod collectors;
mod commands;
mod config_file;
mod configuration;
mod control_plane;
mod debug_file;
mod detach;
mod echo;
mod generation;
mod instance;
mod listeners;
mod logs;
mod process;
mod replace;
mod run;
mod signals;
mod store;
mod version;
mod wiring;

use std::{io::Write as _, process::ExitCode};

use cli::{Command, Parsed};
use commands::Outcome;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `diff` ends with when nothing could be compared; 1 is for differences.
const NOT_COMPARED: u8 = 2;

fn main() -> ExitCode {
    let flags = match cli::parse(std::env::args_os()) {
        Parsed::Flags(flags) => flags,
        Parsed::Text(text) => {
            say(&text);
            return ExitCode::SUCCESS;
        }
        Parsed::Unknown(command, help) => {
            complain(&format!("invalid argument: {command}\n"));
            say(&help);
            return ExitCode::FAILURE;
        }
        Parsed::Wrong(text) => {
            complain(&text);
            return ExitCode::FAILURE;
        }
    };
    match commands::obey(&flags) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Differs) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("lockgate: {error:#}\n"));
            match flags.command {
                Some(Command::Diff(_)) => ExitCode::from(NOT_COMPARED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

/// Prints to the standard output stream.
pub(crate) fn say(text: &str) {
    // Who does not listen needs no answer.
    let _closed = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to the standard error stream.
pub(crate) fn complain(text: &str) {
    let _closed = std::io::stderr().write_all(text.as_bytes());
}
