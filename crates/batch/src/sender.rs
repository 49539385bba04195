//! Whom batches go to.

use std::pin::Pin;

/// An attempt to send a batch.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>>;

/// Sends batches; runs on the control runtime, for several batches at once.
pub trait Sender<E>: Send + Sync + 'static {
    /// Sends these entries, at least one, in this order. Every wait in it has a timeout.
    fn send<'a>(&'a self, batch: &'a [E]) -> Sending<'a>;
}

/// A batch that was not sent, or not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// How many of the first entries were taken all the same: only the others are sent again. `None` where the sender knows
    /// nothing of the kind; it differs from 0 in the log line alone.
    pub sent: Option<usize>,
    /// Why, for the log line.
    pub reason: String,
}

impl Failed {
    /// No entry was taken.
    pub fn whole(reason: impl Into<String>) -> Self {
        Self {
            sent: None,
            reason: reason.into(),
        }
    }

    /// The first `sent` entries were taken.
    pub fn after(sent: usize, reason: impl Into<String>) -> Self {
        Self {
            sent: Some(sent),
            reason: reason.into(),
        }
    }
}
