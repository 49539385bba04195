//! The command line.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};

/// An API gateway compatible with Apache APISIX. Without a command it runs in the foreground.
#[derive(Debug, Parser)]
#[command(
    name = "lockgate",
    disable_help_subcommand = true,
    disable_version_flag = true
)]
pub(crate) struct Flags {
    /// The configuration file [default: conf/config.yaml below the prefix, if there is one]
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// The directory that holds conf/, logs/ and data/
    #[arg(short, long, value_name = "DIR", default_value = ".", global = true)]
    pub(crate) prefix: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print this
    Help,
    /// Print the version
    Version,
    /// Check the configuration and say whether the gateway would start with it
    Test,
    /// Run a small origin that answers every request with what it saw, as JSON
    Echo(Echo),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Echo {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1980")]
    pub(crate) listen: SocketAddr,
    /// Speak TLS, with a certificate made at start
    #[arg(long)]
    pub(crate) tls: bool,
    /// A name that each answer carries; the certificate is for it, too
    #[arg(long, value_name = "NAME", default_value = "echo")]
    pub(crate) name: String,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// To do something.
    Flags(Flags),
    /// Only for a text.
    Text(String),
    /// Nothing that can be understood; what is wrong.
    Wrong(String),
}

/// Reads the command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Parsed {
    match Flags::try_parse_from(arguments) {
        Ok(flags) => Parsed::Flags(flags),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Parsed::Text(error.to_string()),
        Err(error) => Parsed::Wrong(error.to_string()),
    }
}

/// The text of `lockgate help`.
pub(crate) fn help() -> String {
    Flags::command().render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn reads_what_is_asked_for() {
        let parse = |line: &str| parse(line.split(' ').map(OsString::from));
        let Parsed::Flags(flags) = parse("lockgate -p /srv -c x.yaml") else {
            panic!("flags");
        };
        assert_eq!(
            (flags.prefix, flags.config),
            ("/srv".into(), Some("x.yaml".into()))
        );
        for (line, is_command) in [
            ("lockgate test -c x.yaml", true),
            ("lockgate version", true),
            ("lockgate start", false),
        ] {
            assert_eq!(
                matches!(parse(line), Parsed::Flags(_)),
                is_command,
                "{line}"
            );
        }
        assert!(matches!(parse("lockgate --help"), Parsed::Text(_)));
    }
}
