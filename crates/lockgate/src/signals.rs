//! What signals ask of the process; they are nginx's.

use tokio::signal::unix::{self, SignalKind};

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// End at once (SIGTERM, SIGINT).
    Stop,
    /// End when what was begun is done (SIGQUIT).
    Quit,
    /// Open the logs anew (SIGUSR1).
    ReopenLogs,
    /// Read the configuration again (SIGHUP).
    Reload,
}

/// The signals that are listened to.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    user: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Listens to them from here on. Must run within a runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            quit: unix::signal(SignalKind::quit())?,
            user: unix::signal(SignalKind::user_defined1())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that ends the process. The others go on waiting for [`Self::next`].
    pub(crate) async fn end(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.quit.recv() => Request::Quit,
        }
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.quit.recv() => Request::Quit,
            _ = self.user.recv() => Request::ReopenLogs,
            _ = self.hangup.recv() => Request::Reload,
        }
    }
}
