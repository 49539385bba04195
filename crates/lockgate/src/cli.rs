//! The command line.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    error::{ContextKind, ErrorKind},
};

/// An API gateway compatible with Apache APISIX.
///
/// Exit codes: 0 done, 1 not done, or with differences (diff), 2 not compared (diff).
#[derive(Debug, Clone, Parser)]
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
    /// Set by `start`: whoever waits is told through the standard input stream.
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[arg(skip)]
    pub(crate) name: Name,
}

/// The name under which the program was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Name {
    /// Without a command it runs in the foreground.
    #[default]
    Lockgate,
    /// As the reference's: without a command it prints help, and its home is where that is installed.
    Apisix,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Print this
    Help,
    /// Check what a start needs, and make the key of the Admin API where the file has none
    Init,
    /// Check etcd, and write the keys that stand for directories
    #[command(name = "init_etcd")]
    InitEtcd(Verbose),
    /// Start in the background
    Start(Verbose),
    /// End at once
    Stop,
    /// End when the requests that were begun are done
    Quit,
    /// Stop and start, if the configuration is good
    Restart,
    /// Read the configuration anew, if it is good
    Reload,
    /// Check the configuration and say whether the gateway would start with it
    Test,
    /// Print the version
    Version,
    /// Write all objects of the running gateway into a file
    Export(Export),
    /// Make and replace the objects of a file
    Import(Import),
    /// Say what `apply` would do
    Diff(Diff),
    /// Make the gateway have the objects of a file and no others
    Apply(Apply),
    /// Copy the embedded store into a file
    Backup(StoreCopy),
    /// Put a copy in the place of the embedded store
    Restore(StoreCopy),
    /// Run a small origin that answers every request with what it saw, as JSON
    Echo(Echo),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Verbose {
    /// Say more of etcd
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// How the Admin API is reached.
#[derive(Debug, Clone, Args)]
pub(crate) struct Access {
    /// URL of the Admin API
    #[arg(
        long,
        value_name = "URL",
        help = "The Admin API [default: LOCKGATE_ADMIN_URL, or as the configuration has it]"
    )]
    pub(crate) admin_url: Option<String>,
    /// Its key
    #[arg(
        long,
        value_name = "KEY",
        help = "Its key [default: LOCKGATE_ADMIN_KEY, or as the configuration has it]"
    )]
    pub(crate) admin_key: Option<String>,
    /// Certificate authorities that its certificate is checked against [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_ca: Option<PathBuf>,
    /// A certificate to show to it
    #[arg(long, value_name = "FILE", requires = "admin_cert_key")]
    pub(crate) admin_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "admin_cert")]
    pub(crate) admin_cert_key: Option<PathBuf>,
    /// Do not check its certificate
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Which objects are meant; without any of it, all.
#[derive(Debug, Clone, Args)]
pub(crate) struct Selection {
    /// Only objects of these kinds, such as routes,services
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    pub(crate) only_kinds: Vec<String>,
    /// Only objects with this label
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Export {
    /// Where to; JSON where it ends with .json [default: YAML to the standard output stream]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) access: Access,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Import {
    /// YAML or JSON; - for the standard input stream
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) access: Access,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Diff {
    /// YAML or JSON; - for the standard input stream
    pub(crate) file: PathBuf,
    /// Show values, of which some may be secret
    #[arg(long)]
    pub(crate) values: bool,
    #[command(flatten)]
    pub(crate) access: Access,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Apply {
    /// YAML or JSON; - for the standard input stream
    pub(crate) file: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) access: Access,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct StoreCopy {
    /// The copy
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, Args)]
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
    Flags(Box<Flags>),
    /// Only for a text.
    Text(String),
    /// A command that there is not; its name, and the help.
    Unknown(String, String),
    /// Nothing that can be understood; what is wrong.
    Wrong(String),
}

/// Where the reference is installed (`apisix/cli/apisix.lua`).
const APISIX_HOME: &str = "/usr/local/apisix";

impl Name {
    /// By the path the program was called by.
    fn of(program: &Path) -> Self {
        if program.file_name().is_some_and(|name| name == "apisix") {
            Self::Apisix
        } else {
            Self::Lockgate
        }
    }

    /// The definition of the command line.
    fn definition(self) -> clap::Command {
        let definition = Flags::command();
        match self {
            Self::Lockgate => definition
                .after_help("Without a command, lockgate runs the gateway in the foreground."),
            Self::Apisix => definition.name("apisix"),
        }
    }

    /// The text of `help`.
    pub(crate) fn help(self) -> String {
        self.definition().render_help().to_string()
    }
}

/// Reads the command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Parsed {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let program = PathBuf::from(arguments.first().cloned().unwrap_or_default());
    let name = Name::of(&program);
    let mut definition = name.definition();
    // Called as `./bin/apisix`, the reference works in the current directory.
    let is_installed = name == Name::Apisix && !program.starts_with(".");
    if is_installed && Path::new(APISIX_HOME).is_dir() {
        definition = definition.mut_arg("prefix", |prefix| prefix.default_value(APISIX_HOME));
    }
    let matches = definition.try_get_matches_from(arguments);
    let flags = matches.and_then(|matches| Flags::from_arg_matches(&matches));
    match flags {
        Ok(flags) => Parsed::Flags(Box::new(Flags { name, ..flags })),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Parsed::Text(error.to_string()),
        Err(error) if error.kind() == ErrorKind::InvalidSubcommand => {
            let unknown = error.get(ContextKind::InvalidSubcommand);
            let unknown = unknown.map(ToString::to_string).unwrap_or_default();
            Parsed::Unknown(unknown, name.help())
        }
        Err(error) => Parsed::Wrong(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Parsed {
        super::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        for name in [Name::Lockgate, Name::Apisix] {
            name.definition().debug_assert();
        }
    }

    #[test]
    fn reads_what_is_asked_for() {
        let Parsed::Flags(flags) = parse("lockgate -p /srv -c x.yaml") else {
            panic!("flags");
        };
        assert_eq!(
            (flags.prefix, flags.config),
            ("/srv".into(), Some("x.yaml".into()))
        );
        for line in [
            "lockgate test -c x.yaml",
            "lockgate version",
            "apisix start -c x.yaml -v",
            "apisix init_etcd",
            "lockgate apply a.yaml --dry-run --only-kinds routes,services --label a=b",
            "lockgate export",
        ] {
            assert!(matches!(parse(line), Parsed::Flags(_)), "{line}");
        }
        assert!(matches!(parse("lockgate --help"), Parsed::Text(_)));
        for line in ["lockgate import", "lockgate stop now", "lockgate --nothing"] {
            assert!(matches!(parse(line), Parsed::Wrong(_)), "{line}");
        }
    }

    #[test]
    fn answers_by_the_name_it_is_called_by() {
        for (program, name) in [
            ("/usr/bin/apisix", Name::Apisix),
            ("./bin/apisix", Name::Apisix),
            ("lockgate", Name::Lockgate),
            ("apisix-old", Name::Lockgate),
        ] {
            let Parsed::Flags(flags) = parse(&format!("{program} version")) else {
                panic!("{program}");
            };
            assert_eq!(flags.name, name, "{program}");
            let Parsed::Unknown(unknown, help) = parse(&format!("{program} begin")) else {
                panic!("{program}");
            };
            assert_eq!(unknown, "begin");
            let usage = match name {
                Name::Apisix => "Usage: apisix ",
                Name::Lockgate => "Usage: lockgate ",
            };
            assert!(help.contains(usage), "{help}");
        }
    }
}
