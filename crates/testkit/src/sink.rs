//! A server that logs are sent to, for tests of loggers.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::{Certificate, Connection, Message, Origin, PATIENCE};

/// What a sink does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Answers with this status and body.
    Says(u16, String),
    /// The same, after this time; a sink that is dropped does not wait for it.
    SaysAfter(Duration, u16, String),
    /// Answers with these bytes, whatever they are, and closes the connection.
    Raw(Vec<u8>),
    /// Closes the connection without an answer.
    Closes,
    /// Keeps the connection open and never answers.
    Silent,
}

impl Reply {
    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::Says(status, String::new())
    }
}

/// An HTTP server that writes down what it is sent, for a test to take one by one. Every request is answered with 200, unless
/// [`Sink::replies`] says otherwise.
pub struct Sink {
    origin: Origin,
    is_tls: bool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    came: Condvar,
    notify: Notify,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Message>,
    replies: VecDeque<Reply>,
    is_over: bool,
}

impl Sink {
    /// A sink at an `http` address.
    ///
    /// # Panics
    /// No port is free.
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// A sink at an `https` address.
    ///
    /// # Panics
    /// No port is free.
    pub fn start_tls(certificate: &Certificate) -> Self {
        Self::listen(Some(certificate))
    }

    fn listen(certificate: Option<&Certificate>) -> Self {
        let shared = Arc::new(Shared::default());
        let script = {
            let shared = shared.clone();
            move |connection: &mut Connection| shared.serve(connection)
        };
        Self {
            origin: match certificate {
                None => Origin::start(script),
                Some(certificate) => Origin::start_tls(certificate, script),
            },
            is_tls: certificate.is_some(),
            shared,
        }
    }

    /// The address of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.origin.address())
    }

    /// The server below: its address, connections and names asked for.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What to do with the next requests, one after the other over all connections; with those behind them as before.
    pub fn replies(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.state().replies.extend(replies);
    }

    /// The next request, oldest first, each once.
    ///
    /// # Panics
    /// None comes within [`PATIENCE`]. Not for a paused clock, which runs ahead while a socket is waited for.
    pub async fn next(&self) -> Message {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let notified = self.shared.notify.notified();
                if let Some(request) = self.take() {
                    return request;
                }
                notified.await;
            }
        });
        waited.await.expect("a request to the sink")
    }

    /// The same for tests that block.
    ///
    /// # Panics
    /// None comes within [`PATIENCE`].
    pub fn wait(&self) -> Message {
        self.shared
            .wait(PATIENCE, |state| state.requests.pop_front())
            .expect("a request to the sink")
    }

    /// The next request, if it is there.
    pub fn take(&self) -> Option<Message> {
        self.shared.state().requests.pop_front()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.came.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `taken` takes something.
    fn wait<T>(
        &self,
        limit: Duration,
        mut taken: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let began = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(taken) = taken(&mut state) {
                return Some(taken);
            }
            let left = limit.checked_sub(began.elapsed())?;
            let waited = self.came.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn serve(&self, connection: &mut Connection) {
        while let Some(request) = connection.request() {
            let reply = {
                let mut state = self.state();
                state.requests.push_back(request);
                state.replies.pop_front()
            };
            self.came.notify_all();
            self.notify.notify_waiters();
            let is_open = match reply.unwrap_or_else(|| Reply::status(200)) {
                Reply::Says(status, body) => says(connection, status, &body),
                Reply::SaysAfter(time, status, body) => {
                    let _over = self.wait(time, |state| state.is_over.then_some(()));
                    says(connection, status, &body)
                }
                Reply::Raw(bytes) => {
                    connection.send(bytes);
                    false
                }
                Reply::Closes => false,
                Reply::Silent => {
                    connection.rest();
                    false
                }
            };
            if !is_open {
                return;
            }
        }
    }
}

/// Whether the connection takes the answer.
fn says(connection: &mut Connection, status: u16, body: &str) -> bool {
    let length = body.len();
    connection.send(format!(
        "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}
