//! Following etcd: one stream over the whole prefix, opened again where it was lost.
//!
//! A position is the newest revision that has been handed out, and moves by events alone. The revision in the header of an answer
//! is no position: etcd before 3.4.25 and 3.5.8 answers a progress request ahead of events that are still on their way.

use std::sync::Arc;

use super::{
    Source,
    failure::Failure,
    pace::Pace,
    proto::ResponseHeader,
    stream::{Ended, Failed, Stream, open},
};
use crate::{Batch, BoxFuture, Revision, StoreError, Watch};

/// What is attempted, for errors.
const ACTION: &str = "watching etcd";

/// One watcher.
pub(super) struct Watcher {
    source: Arc<Source>,
    /// Position.
    after: Revision,
    state: State,
    pace: Pace,
    /// The cluster as it was when a stream was opened.
    lineage: Option<ResponseHeader>,
}

/// Where a watcher stands. All of it outlives a wait that is given up.
enum State {
    Closed,
    Opening(BoxFuture<'static, Result<Stream, Failed>>),
    Open(Box<Stream>),
}

impl Watcher {
    pub(super) fn new(source: Arc<Source>, after: Revision) -> Self {
        Self {
            pace: Pace::new(source.resync_delay),
            source,
            after,
            state: State::Closed,
            lineage: None,
        }
    }

    async fn next_batch(&mut self) -> Result<Batch, StoreError> {
        loop {
            match &mut self.state {
                State::Closed => {
                    self.pace.wait().await;
                    let opening = open(self.source.clone(), self.after);
                    self.state = State::Opening(Box::pin(opening));
                }
                State::Opening(opening) => {
                    let outcome = opening.await;
                    self.state = State::Closed;
                    self.take_stream(outcome)?;
                }
                State::Open(stream) => match stream.read(self.after).await {
                    Ok(batch) => return Ok(self.hand_out(batch)),
                    Err(ended) => {
                        let member = stream.member();
                        self.state = State::Closed;
                        self.take_end(ended, member)?;
                    }
                },
            }
        }
    }

    fn take_stream(&mut self, outcome: Result<Stream, Failed>) -> Result<(), StoreError> {
        let stream = match outcome {
            Ok(stream) => stream,
            Err(Failed::Compacted(oldest)) => return Err(StoreError::Compacted { oldest }),
            Err(Failed::For(failure)) => {
                self.pace.failed();
                return Err(failure.in_action(ACTION));
            }
        };
        // Revisions of another cluster, or of one that was made anew, say nothing about what this one has.
        let header = stream.header();
        if let Some(before) = self.lineage.replace(header)
            && (before.cluster_id != header.cluster_id || before.raft_term > header.raft_term)
        {
            return Err(StoreError::Compacted {
                oldest: header.revision,
            });
        }
        self.state = State::Open(Box::new(stream));
        Ok(())
    }

    fn take_end(&mut self, ended: Ended, member: usize) -> Result<(), StoreError> {
        let reason = match ended {
            Ended::Compacted(oldest) => return Err(StoreError::Compacted { oldest }),
            Ended::Lost(reason) => self.source.cluster.failed(member, reason),
        };
        if !self.pace.may_resume() {
            self.pace.failed();
            return Err(Failure::Away(reason).in_action(ACTION));
        }
        tracing::info!(reason, after = self.after, "the watch on etcd is resumed");
        Ok(())
    }

    fn hand_out(&mut self, batch: Batch) -> Batch {
        if let Some(copy) = &self.source.copy {
            copy.apply(self.after, &batch);
        }
        self.after = batch.revision;
        batch
    }
}

impl Watch for Watcher {
    fn next(&mut self) -> BoxFuture<'_, Result<Batch, StoreError>> {
        Box::pin(self.next_batch())
    }
}
