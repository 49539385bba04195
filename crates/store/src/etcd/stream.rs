//! One watch stream, from its creation to its loss.

use std::{mem, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    Source,
    cluster::no_answer,
    connection::Connection,
    failure::Failure,
    keys::Keys,
    kv::RANGE,
    limits,
    proto::{
        Event, REMOVED, RangeRequest, RangeResponse, ResponseHeader, WatchCreateRequest,
        WatchProgressRequest, WatchRequest, WatchResponse, watch_request::Union,
    },
};
use crate::{Batch, Change, Revision};

/// Why no stream could be opened.
pub(super) enum Failed {
    For(Failure),
    /// Changes are missing; what there is begins after this revision.
    Compacted(Revision),
}

/// Why a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Lost(String),
    /// As in [`Failed`].
    Compacted(Revision),
}

/// A stream that etcd has agreed to.
pub(super) struct Stream {
    member: usize,
    header: ResponseHeader,
    answers: Streaming<WatchResponse>,
    questions: mpsc::Sender<WatchRequest>,
    assembly: Assembly,
    heart: Heart,
    /// Closed with the stream.
    _connection: Connection,
}

/// Opens a stream of what comes after a revision, at one member after the other until one agrees.
pub(super) async fn open(source: Arc<Source>, after: Revision) -> Result<Stream, Failed> {
    let cluster = &source.cluster;
    let mut shares = cluster.shares();
    let mut reasons = Vec::new();
    for member in cluster.order() {
        let share = shares.next().min(limits::OPEN);
        let opened = timeout(share, open_at(&source, member, after))
            .await
            .unwrap_or_else(|_| Err(Failed::For(Failure::Away(no_answer(share)))));
        match opened {
            Ok(stream) => {
                cluster.succeeded(member);
                return Ok(stream);
            }
            Err(Failed::For(Failure::Away(reason))) => {
                reasons.push(cluster.failed(member, reason));
            }
            Err(other) => return Err(other),
        }
    }
    Err(Failed::For(Failure::Away(reasons.join("; "))))
}

async fn open_at(source: &Source, member: usize, after: Revision) -> Result<Stream, Failed> {
    let cluster = &source.cluster;
    let connection = cluster.open(member).await.map_err(Failed::For)?;
    let start = start(source, &connection, after).await?;
    let mut stale = None;
    loop {
        let held = cluster
            .token(&connection, stale)
            .await
            .map_err(Failed::For)?;
        let token = held.as_ref().and_then(|held| held.token.as_ref());
        let (questions, receiver) = mpsc::channel(limits::WATCH_REQUESTS);
        ask(&questions, Union::Create(create(&source.keys, start)));
        let opened = connection.streaming(
            "/etcdserverpb.Watch/Watch",
            ReceiverStream::new(receiver),
            token,
        );
        let refused = |status| Failed::For(Failure::of(&status, cluster.user()));
        let mut answers: Streaming<WatchResponse> = opened.await.map_err(refused)?;
        let first = answers.message().await.map_err(refused)?;
        let Some(first) = first else {
            return Err(away("etcd closed the watch"));
        };
        if first.compact_revision > 0 {
            return Err(Failed::Compacted(first.compact_revision));
        }
        if !first.canceled && first.created {
            return Ok(Stream {
                member,
                header: first.header.unwrap_or_default(),
                answers,
                questions,
                assembly: Assembly::new(source.keys.clone()),
                heart: Heart::new(source.watch_timeout),
                _connection: connection,
            });
        }
        // etcd 3.4 says this of an old token too.
        let is_denied = first.cancel_reason.contains("permission denied");
        match held {
            Some(held) if is_denied && stale.is_none() => stale = Some(held.generation),
            _ if is_denied => {
                let status = tonic::Status::permission_denied(first.cancel_reason);
                return Err(refused(status));
            }
            _ => {
                return Err(away(&format!(
                    "etcd ends the watch: {}",
                    first.cancel_reason
                )));
            }
        }
    }
}

fn away(reason: &str) -> Failed {
    Failed::For(Failure::Away(reason.to_owned()))
}

/// The revision to ask for.
///
/// etcd is asked first whether it still has the state after `after`. Without that, a watch from the very revision of the newest
/// compaction would miss a removal with this revision, which etcd before 3.4.36 and 3.5.18 drops without a word; and a watch from
/// a revision that a cluster has yet to come to, because it was made anew, would wait for it in silence.
async fn start(source: &Source, connection: &Connection, after: Revision) -> Result<u64, Failed> {
    // The first revision with something in it is 2.
    if after == 0 {
        return Ok(1);
    }
    let question = |revision| RangeRequest {
        key: source.keys.full(""),
        revision,
        count_only: true,
        ..RangeRequest::default()
    };
    let cluster = &source.cluster;
    let asked = question(after);
    let answer: Result<RangeResponse, Failure> = cluster.call_on(connection, RANGE, asked).await;
    match answer {
        Ok(_) => Ok(after + 1),
        // One that is surely too old: the answer says which is not.
        Err(Failure::Compacted) => Ok(after),
        Err(Failure::Future) => {
            let answer: RangeResponse = cluster
                .call_on(connection, RANGE, question(0))
                .await
                .map_err(Failed::For)?;
            let revision = answer.header.unwrap_or_default().revision;
            Err(Failed::Compacted(revision))
        }
        Err(other) => Err(Failed::For(other)),
    }
}

fn create(keys: &Keys, start_revision: u64) -> WatchCreateRequest {
    let (key, range_end) = keys.range("");
    WatchCreateRequest {
        key,
        range_end,
        start_revision,
        fragment: true,
    }
}

fn ask(questions: &mpsc::Sender<WatchRequest>, question: Union) {
    // Where there is no room, earlier questions have not been taken: the stream stands still, and is found dead in time.
    let _full = questions.try_send(WatchRequest {
        union: Some(question),
    });
}

impl Stream {
    /// The member that it is with.
    pub(super) fn member(&self) -> usize {
        self.member
    }

    /// What etcd said of itself at the beginning.
    pub(super) fn header(&self) -> ResponseHeader {
        self.header
    }

    /// The next changes after a revision. Can be given up and called again.
    pub(super) async fn read(&mut self, after: Revision) -> Result<Batch, Ended> {
        loop {
            let answer = tokio::select! {
                // What has come counts, however late it is looked at.
                biased;
                answer = self.answers.message() => answer,
                is_worth_asking = self.heart.is_worth_asking() => {
                    if !is_worth_asking {
                        return Err(Ended::Lost(no_answer(self.heart.limit())));
                    }
                    ask(&self.questions, Union::Progress(WatchProgressRequest {}));
                    continue;
                }
            };
            self.heart.beat();
            let answer = match answer {
                Ok(Some(answer)) => answer,
                Ok(None) => return Err(Ended::Lost("etcd closed the watch".to_owned())),
                Err(status) => {
                    let reason = match Failure::of(&status, None) {
                        Failure::Away(reason) | Failure::Refused(reason) => reason,
                        Failure::Compacted | Failure::Future => status.message().to_owned(),
                    };
                    return Err(Ended::Lost(reason));
                }
            };
            if let Some(batch) = self.assembly.take(answer, after)? {
                return Ok(batch);
            }
        }
    }
}

/// Makes batches of answers.
pub(super) struct Assembly {
    keys: Keys,
    changes: Vec<Change>,
    /// Newest revision in `changes`, or passed over.
    revision: Revision,
}

impl Assembly {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            changes: Vec::new(),
            revision: 0,
        }
    }

    /// Adds an answer; a batch when it is complete and there is something in it.
    pub(super) fn take(
        &mut self,
        answer: WatchResponse,
        after: Revision,
    ) -> Result<Option<Batch>, Ended> {
        if answer.compact_revision > 0 {
            return Err(Ended::Compacted(answer.compact_revision));
        }
        if answer.canceled {
            let reason = format!("etcd ends the watch: {}", answer.cancel_reason);
            return Err(Ended::Lost(reason));
        }
        for event in answer.events {
            self.add(event, after);
        }
        // Parts of one answer, and with them the changes of one revision, stay together.
        if answer.fragment || self.changes.is_empty() {
            return Ok(None);
        }
        Ok(Some(Batch {
            revision: self.revision,
            changes: mem::take(&mut self.changes),
        }))
    }

    fn add(&mut self, event: Event, after: Revision) {
        let Some(kv) = event.kv else { return };
        let revision = kv.mod_revision;
        // A stream begins after that one; this is for an etcd that does not keep to it.
        if revision <= after {
            return;
        }
        self.revision = self.revision.max(revision);
        let change = if event.kind == REMOVED {
            self.keys
                .short(&kv.key)
                .map(|key| Change::Delete { key, revision })
        } else {
            self.keys.entry(&kv).map(Change::Put)
        };
        self.changes.extend(change);
    }
}

/// Tells a silent stream from a dead one.
pub(super) struct Heart {
    limit: Duration,
    /// Signs of life that have been asked for since the last one.
    asked: u32,
    /// When to ask for the next, or to give up.
    next: Instant,
}

impl Heart {
    /// `limit` is the longest silence.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            asked: 0,
            next: Instant::now() + limit / limits::SIGNS_PER_TIMEOUT,
        }
    }

    fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn beat(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Resolves when a sign of life is due: true if it is to be asked for, false if that was done in vain.
    pub(super) async fn is_worth_asking(&mut self) -> bool {
        sleep_until(self.next).await;
        // From here and not from when it was due: whoever reads rarely must leave time for an answer.
        self.next = Instant::now() + self.limit / limits::SIGNS_PER_TIMEOUT;
        self.asked += 1;
        self.asked < limits::SIGNS_PER_TIMEOUT
    }
}
