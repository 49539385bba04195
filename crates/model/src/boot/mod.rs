//! `config.yaml`: from its text to checked settings.
//!
//! The order is the reference's: parse, put variables in (`environment`), lay over the defaults (`merge`), check by schema
//! (`schema`), read (`config`), check what options mean together (`listeners`, `checks`). What has no effect becomes a
//! warning, by the table of [`OPTIONS`]. Reads no file and no environment itself.

mod admin_key;
mod checks;
mod config;
mod defaults;
pub mod discovery;
pub(crate) mod environment;
mod limits;
mod listeners;
mod merge;
mod options;
mod schema;
mod syslog;
pub(crate) mod tree;
mod units;

#[cfg(test)]
mod cli_tests;
#[cfg(test)]
mod tests;

pub use admin_key::with_admin_keys;
pub use config::{
    Admin, AdminKey, AdminMtls, AdminRole, Apisix, CacheZone, Config, DataEncryption, Deployment,
    Escape, Etcd, Event, Graphql, Http, Level, Lru, NginxConfig, Provided, Provider, ProxyCache,
    ProxyMode, Role, Router, RouterMode, SecretCache, Ssl, UpstreamDefaults, Workers,
};
pub use environment::Environment;
pub use listeners::{HttpListener, Listeners};
pub use options::{ConfigOption, OPTIONS, Status, Warning, document};
pub use syslog::{Syslog, SyslogServer};
pub use units::{Count, EncryptionKeys, NameServers, Networks, Seconds, Size, Switch, Time};

use std::fmt;

use thiserror::Error;
use tree::Node;

/// A file that was read.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Settings to start with.
#[derive(Debug, Clone)]
pub struct Boot {
    /// The options.
    pub config: Config,
    /// The addresses of all listeners.
    pub listeners: Listeners,
    /// What the file says in vain.
    pub warnings: Vec<Warning>,
}

/// A file that cannot be started with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct BootError {
    /// Its name; empty where there is no file.
    pub file: String,
    /// From 1; 0 where no line is to blame.
    pub line: u64,
    /// The option; empty where none is to blame.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for BootError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            out.write_str(&self.file)?;
            if self.line > 0 {
                write!(out, ":{}", self.line)?;
            }
            out.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(out, "{}: ", self.path)?;
        }
        out.write_str(&self.message)
    }
}

/// Where the error log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorLog {
    /// To the standard error stream alone.
    Stderr,
    /// Into a file, relative to the prefix.
    File(String),
    /// To syslog.
    Syslog(Syslog),
}

impl NginxConfig {
    /// Where the error log goes.
    pub fn error_log(&self) -> ErrorLog {
        let log = self.error_log.as_str();
        if let Some(syslog) = log.strip_prefix("syslog:") {
            // What is none has ended the start.
            return Syslog::parse(syslog).map_or(ErrorLog::Stderr, ErrorLog::Syslog);
        }
        if matches!(log, "stderr" | "/dev/stderr") || !checks::is_file(log) {
            return ErrorLog::Stderr;
        }
        ErrorLog::File(log.to_owned())
    }
}

impl Http {
    /// Whether requests are logged.
    pub fn logs_requests(&self) -> bool {
        self.enable_access_log && self.access_log != "off" && checks::is_file(&self.access_log)
    }
}

impl Boot {
    /// Works the settings out from a file, or without one.
    ///
    /// # Errors
    /// The first thing in the file that cannot be started with.
    pub fn read(file: Option<File<'_>>, environment: Environment<'_>) -> Result<Self, BootError> {
        let Some(file) = file else {
            return Self::from_tree(defaults::without_file(), "", environment);
        };
        let tree = Node::parse(file.text).map_err(|unreadable| BootError {
            file: file.name.to_owned(),
            line: unreadable.line,
            path: String::new(),
            message: unreadable.reason,
        })?;
        Self::from_tree(tree, file.name, environment)
    }

    fn from_tree(
        mut written: Node,
        name: &str,
        environment: Environment<'_>,
    ) -> Result<Self, BootError> {
        let wrong = |line: u64, path: &str, message: String| BootError {
            file: name.to_owned(),
            line,
            path: path.to_owned(),
            message,
        };
        environment::substitute(&mut written, environment).map_err(|missing| {
            let message = format!(
                "failed to handle configuration: can't find environment variable {}",
                missing.name
            );
            wrong(missing.place.line, "", message)
        })?;
        let defaults = defaults::built_in();
        let mut tree = defaults.clone();
        merge::overlay(&mut tree, &written)
            .map_err(|mismatch| wrong(mismatch.place.line, "", mismatch.message))?;
        let unread_hosts = match environment::etcd_hosts(environment) {
            Ok(hosts) => {
                merge::overlay(&mut tree, &hosts)
                    .map_err(|mismatch| wrong(0, environment::ETCD_HOST, mismatch.message))?;
                None
            }
            Err(message) => Some(message),
        };
        if let Some(forced) = by_role(&tree) {
            merge::overlay(&mut tree, &forced)
                .map_err(|mismatch| wrong(0, "deployment.role", mismatch.message))?;
        }
        let at = |path: &str, message: String| wrong(tree.place_of(path).line, path, message);
        let discovery = schema::check(&tree)
            .map_err(|(message, path)| wrong(tree.place_of(&path).line, "", message))?;
        let mut config: Config =
            serde_path_to_error::deserialize(tree.to_json()).map_err(|error| {
                let path = error.path().to_string();
                at(&path, error.into_inner().to_string())
            })?;
        config.discovery = discovery;
        let mut listeners =
            listeners::of(&tree).map_err(|refusal| at(&refusal.path, refusal.message))?;
        checks::check(&tree, &config, environment)
            .map_err(|refusal| at(refusal.path, refusal.message))?;
        if let Some(count) = environment("APISIX_WORKER_PROCESSES") {
            config.nginx_config.worker_processes = Workers::parse(&count).ok_or_else(|| {
                wrong(
                    0,
                    "",
                    format!(
                        "APISIX_WORKER_PROCESSES must be \"auto\" or a number from 1, not {count:?}"
                    ),
                )
            })?;
        }
        if config.deployment.role == Role::ControlPlane {
            // It serves no traffic; its ports were looked at all the same, as the reference does.
            listeners.http.clear();
        }
        let mut warnings = options::warnings(&written, &defaults);
        warnings.extend(checks::warnings(&tree, &config));
        warnings.sort_by_key(|warning| warning.line);
        warnings.extend(unread_hosts.map(|message| Warning {
            line: 0,
            path: environment::ETCD_HOST.to_owned(),
            message,
        }));
        Ok(Self {
            config,
            listeners,
            warnings,
        })
    }
}

/// What the role decides, whatever the file says (`apisix/cli/file.lua`).
fn by_role(tree: &Node) -> Option<Node> {
    let role = tree.at("deployment.role").map(Node::to_json)?;
    let enable_admin = match role.as_str()? {
        "data_plane" => false,
        "control_plane" => true,
        _ => return None,
    };
    let mut forced = Node::parse(&format!("apisix: {{enable_admin: {enable_admin}}}")).ok()?;
    forced.forget_places();
    Some(forced)
}
