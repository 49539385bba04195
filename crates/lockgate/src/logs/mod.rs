//! The logs of the process: errors, which is what it says of itself, and requests, whose log is `lockgate_proxy`'s.

mod error;
mod line;
mod writer;

use std::fs;

use anyhow::Context as _;
use lockgate_proxy::AccessLog;

use self::error::{ErrorLog, Target};
use crate::{configuration::Configuration, wiring};

/// Both logs, open.
#[derive(Debug)]
pub(crate) struct Logs {
    error: ErrorLog,
    access: Option<AccessLog>,
    /// Whether errors have a file of their own.
    has_file: bool,
}

impl Logs {
    /// Opens both, and makes the error log that of the whole process. Errors go to the standard error stream as well until
    /// [`Self::end_echo`], so that whoever starts the gateway sees them.
    pub(crate) fn open(configuration: &Configuration) -> anyhow::Result<Self> {
        let directory = configuration.below_prefix("logs");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let nginx = &configuration.boot.config.nginx_config;
        let has_file = !nginx.logs_to_stderr();
        let target = if has_file {
            Target::File(configuration.below_prefix(&nginx.error_log))
        } else {
            Target::Stderr
        };
        let error = ErrorLog::open(target)?;
        error.install(nginx.error_log_level)?;
        let access = wiring::access_log(configuration)
            .map(AccessLog::open)
            .transpose()?;
        Ok(Self {
            error,
            access,
            has_file,
        })
    }

    /// The log of requests, where there is one.
    pub(crate) fn access(&self) -> Option<&AccessLog> {
        self.access.as_ref()
    }

    /// Writes errors to their file alone from here on.
    pub(crate) fn end_echo(&self) {
        self.error.end_echo();
    }

    /// Writes down why the gateway does not run, which its caller prints.
    pub(crate) fn give_up(&self, reason: &anyhow::Error) {
        if self.has_file {
            self.end_echo();
            tracing::error!(reason = format!("{reason:#}"), "the gateway does not run");
        }
    }

    /// Closes the files and opens their paths anew.
    pub(crate) fn reopen(&self) {
        self.error.reopen();
        if let Some(access) = &self.access {
            access.reopen();
        }
        tracing::info!("the logs were opened anew");
    }

    /// Waits until everything is written.
    pub(crate) fn flush(&self) {
        if let Some(access) = &self.access {
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
