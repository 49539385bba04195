//! The logs of the process: errors, which is what it says of itself, and requests, whose log is `lockgate_proxy`'s.

mod error;
mod line;
mod syslog;
mod writer;

use std::{fs, path::Path, sync::Arc};

use anyhow::Context as _;
use lockgate_model::boot;
use lockgate_proxy::{AccessLog, LogOptions};

use self::error::{ErrorLog, Target};
use crate::{configuration::Configuration, wiring};

/// Both logs, open.
#[derive(Debug)]
pub(crate) struct Logs {
    error: ErrorLog,
    target: Target,
    /// The newest is the one in force; those before may still be written to by workers that have been replaced.
    access: Vec<(LogOptions, Arc<AccessLog>)>,
}

impl Logs {
    /// Opens the error log and makes it that of the whole process. Errors go to the standard error stream as well until
    /// [`Self::end_echo`], so that whoever starts the gateway sees them.
    pub(crate) fn open(configuration: &Configuration) -> anyhow::Result<Self> {
        let directory = configuration.below_prefix("logs");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let target = target(configuration);
        let error = ErrorLog::open(target.clone())?;
        error.install(configuration.boot.config.nginx_config.error_log_level)?;
        Ok(Self {
            error,
            target,
            access: Vec::new(),
        })
    }

    /// Logs that nobody writes to.
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        let target = Target::Stderr;
        Self {
            error: ErrorLog::open(target.clone()).expect("opens"),
            target,
            access: Vec::new(),
        }
    }

    /// The log of requests that a configuration asks for: the one that is open, where nothing about it differs.
    pub(crate) fn access(
        &mut self,
        configuration: &Configuration,
    ) -> anyhow::Result<Option<Arc<AccessLog>>> {
        // Nobody else has those that no worker writes to any more.
        self.access.retain(|(_, log)| Arc::strong_count(log) > 1);
        let Some(options) = wiring::access_log(configuration) else {
            return Ok(None);
        };
        if let Some((_, open)) = self.access.iter().find(|(same, _)| *same == options) {
            return Ok(Some(open.clone()));
        }
        let log = Arc::new(AccessLog::open(options.clone())?);
        self.access.push((options, log.clone()));
        Ok(Some(log))
    }

    /// Logs errors where and as far as a configuration says from here on.
    pub(crate) fn follow(&mut self, configuration: &Configuration) {
        let target = target(configuration);
        if self.target != target {
            match self.error.move_to(target.clone()) {
                Ok(()) => self.target = target,
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::error!(reason, "the error log stays where it is");
                }
            }
        }
        self.error
            .set_level(configuration.boot.config.nginx_config.error_log_level);
    }

    /// Where that belongs which is written to the standard error stream once nobody looks at it; `None` where errors are logged
    /// to it.
    pub(crate) fn in_place_of_stderr(&self) -> Option<&Path> {
        match &self.target {
            Target::File(path) => Some(path),
            Target::Syslog(_) => Some(Path::new("/dev/null")),
            Target::Stderr => None,
        }
    }

    /// Writes errors to their file alone from here on.
    pub(crate) fn end_echo(&self) {
        self.error.end_echo();
    }

    /// Writes down why the gateway does not run, which its caller prints.
    pub(crate) fn give_up(&self, reason: &anyhow::Error) {
        if self.target != Target::Stderr {
            self.end_echo();
            tracing::error!(reason = format!("{reason:#}"), "the gateway does not run");
        }
    }

    /// Closes the files and opens their paths anew.
    pub(crate) fn reopen(&self) {
        self.error.reopen();
        for (_, access) in &self.access {
            access.reopen();
        }
        tracing::info!("the logs were opened anew");
    }

    /// Waits until everything is written.
    pub(crate) fn flush(&self) {
        for (_, access) in &self.access {
            access.flush();
            let dropped = access.dropped();
            if dropped > 0 {
                tracing::warn!(
                    dropped,
                    "lines of the access log were dropped: the disk could not keep up"
                );
            }
        }
        self.error.flush();
    }
}

/// Where errors go.
fn target(configuration: &Configuration) -> Target {
    match configuration.boot.config.nginx_config.error_log() {
        boot::ErrorLog::Stderr => Target::Stderr,
        boot::ErrorLog::File(path) => Target::File(configuration.below_prefix(path)),
        boot::ErrorLog::Syslog(syslog) => Target::Syslog(syslog),
    }
}
