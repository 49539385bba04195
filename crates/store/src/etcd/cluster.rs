//! The members of a cluster: which of them to ask, and what becomes of a call when one fails.

use std::{
    error::Error as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prost::Message;
use tokio::{
    sync,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    ConnectError, EtcdOptions,
    connection::Connection,
    failure::{Failure, wants_new_token},
    limits, options,
    options::Endpoint,
    proto::{StatusRequest, StatusResponse},
    session::{Held, Session},
};

/// Whether a call may be made again when it is not known whether it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or nothing that matters.
    Harmless,
    /// A second time would answer something else.
    Never,
}

/// One member.
#[derive(Debug)]
struct Member {
    endpoint: Endpoint,
    /// When it failed, until it does not.
    failed_at: Mutex<Option<Instant>>,
    /// The connection of calls that are over soon. Watches have their own, so that a watcher that lags holds back nobody.
    connection: sync::Mutex<Option<Connection>>,
}

/// All members.
pub(super) struct Cluster {
    members: Vec<Member>,
    /// The one that answered last.
    current: AtomicUsize,
    tls: Option<TlsConnector>,
    session: Option<Session>,
    timeout: Duration,
    health_check_timeout: Duration,
}

impl Cluster {
    pub(super) fn new(options: &EtcdOptions) -> Result<Self, ConnectError> {
        let members: Vec<Member> = options::endpoints(options)?
            .into_iter()
            .map(|endpoint| Member {
                endpoint,
                failed_at: Mutex::default(),
                connection: sync::Mutex::default(),
            })
            .collect();
        let tls = options.tls.as_ref().map(|config| {
            let mut config = config.as_ref().clone();
            config.alpn_protocols = vec![b"h2".to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        Ok(Self {
            // Gateways spread over the members.
            current: AtomicUsize::new(random_below(members.len())),
            members,
            tls,
            session: options.credentials.clone().map(Session::new),
            timeout: options.timeout,
            health_check_timeout: options.health_check_timeout,
        })
    }

    /// The members in the order in which to ask them: the one that answered last and those after it, then the ones that failed
    /// a short while ago, the longest ago first.
    pub(super) fn order(&self) -> Vec<usize> {
        let now = Instant::now();
        let count = self.members.len();
        let current = self.current.load(Ordering::Relaxed);
        let mut order: Vec<usize> = (0..count).map(|n| (current + n) % count).collect();
        // Stable: those without a recent failure keep their order.
        order.sort_by_key(|&index| {
            self.members
                .get(index)
                .and_then(|member| *lock(&member.failed_at))
                .filter(|failed_at| now.duration_since(*failed_at) < self.health_check_timeout)
        });
        order
    }

    /// The user that is named in refusals.
    pub(super) fn user(&self) -> Option<&str> {
        self.session.as_ref().map(Session::user)
    }

    /// How the time for one call is shared: what each of `members` may take, if those before it have taken theirs.
    pub(super) fn shares(&self) -> Shares {
        Shares {
            deadline: Instant::now() + self.timeout,
            members: self.members.len(),
        }
    }

    /// Makes a call, to one member after the other until one answers, within the time limit.
    pub(super) async fn call<Q, A>(
        &self,
        method: &'static str,
        question: Q,
        repeat: Repeat,
    ) -> Result<A, Failure>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let mut shares = self.shares();
        let mut reasons = Vec::new();
        for index in self.order() {
            let share = shares.next();
            let connection = match self.connection(index, share.min(limits::CONNECT)).await {
                Ok(connection) => connection,
                Err(Failure::Away(reason)) => {
                    reasons.push(self.failed(index, reason));
                    continue;
                }
                Err(refused) => return Err(refused),
            };
            let limit = match repeat {
                Repeat::Harmless => share,
                Repeat::Never => shares.left(),
            };
            let answer = self.call_on(&connection, method, question.clone());
            match timeout(limit, answer).await {
                Ok(Ok(answer)) => {
                    self.succeeded(index);
                    return Ok(answer);
                }
                Ok(Err(Failure::Away(reason))) => reasons.push(self.failed(index, reason)),
                Ok(Err(refused)) => {
                    self.succeeded(index);
                    return Err(refused);
                }
                Err(_) => reasons.push(self.failed(index, no_answer(limit))),
            }
            connection.retire();
            if repeat == Repeat::Never {
                reasons.push("whether it was done is not known".to_owned());
                break;
            }
        }
        Err(Failure::Away(reasons.join("; ")))
    }

    /// Makes a call on one connection, with a new token if the old one does not do.
    pub(super) async fn call_on<Q, A>(
        &self,
        connection: &Connection,
        method: &'static str,
        question: Q,
    ) -> Result<A, Failure>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let held = self.token(connection, None).await?;
        let token = held.as_ref().and_then(|held| held.token.as_ref());
        let refusal = match connection.unary(method, question.clone(), token).await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let Some(held) = held.filter(|_| wants_new_token(&refusal)) else {
            return Err(Failure::of(&refusal, self.user()));
        };
        let held = self.token(connection, Some(held.generation)).await?;
        let token = held.as_ref().and_then(|held| held.token.as_ref());
        connection
            .unary(method, question, token)
            .await
            .map_err(|status| Failure::of(&status, self.user()))
    }

    /// The token for a connection, another than the one of generation `stale`; `None` where no user is set.
    pub(super) async fn token(
        &self,
        connection: &Connection,
        stale: Option<u64>,
    ) -> Result<Option<Held>, Failure> {
        match &self.session {
            None => Ok(None),
            Some(session) => session.token(connection, stale).await.map(Some),
        }
    }

    /// The connection that calls to a member share.
    async fn connection(&self, index: usize, limit: Duration) -> Result<Connection, Failure> {
        let Some(member) = self.members.get(index) else {
            return Err(Failure::Away("there is no such member".to_owned()));
        };
        let connect = async {
            // Held while connecting, so that of many calls one connects and the others wait for what comes of it, each no
            // longer than its own limit.
            let mut slot = member.connection.lock().await;
            if let Some(connection) = slot.as_ref().filter(|held| held.is_usable()) {
                return Ok(connection.clone());
            }
            let connection = self.open(index).await?;
            *slot = Some(connection.clone());
            Ok(connection)
        };
        timeout(limit, connect)
            .await
            .unwrap_or_else(|_| Err(Failure::Away(no_answer(limit))))
    }

    /// Opens a connection to a member that can be used: it is new enough, and it knows a leader. The caller sets the time limit.
    pub(super) async fn open(&self, index: usize) -> Result<Connection, Failure> {
        let Some(member) = self.members.get(index) else {
            return Err(Failure::Away("there is no such member".to_owned()));
        };
        let connection = Connection::open(&member.endpoint, self.tls.as_ref())
            .await
            .map_err(Failure::Away)?;
        let status: Result<StatusResponse, _> = connection
            .unary("/etcdserverpb.Maintenance/Status", StatusRequest {}, None)
            .await;
        match status {
            Ok(status) => is_fit(&status, &member.endpoint.url)?,
            Err(status) => {
                let failure = Failure::of(&status, None);
                if let Failure::Away(reason) = failure {
                    // A member that expects TLS ends a plain connection at its first words.
                    let is_cut = member.endpoint.tls_name.is_none() && status.source().is_some();
                    let hint = if is_cut {
                        ": is it an https endpoint?"
                    } else {
                        ""
                    };
                    return Err(Failure::Away(format!("{reason}{hint}")));
                }
                // A member may want a user even for this; calls show whether it will do.
                tracing::debug!(error = %status, "an etcd member does not tell its version");
            }
        }
        Ok(connection)
    }

    /// Takes note that a member answered.
    pub(super) fn succeeded(&self, index: usize) {
        self.current.store(index, Ordering::Relaxed);
        let Some(member) = self.members.get(index) else {
            return;
        };
        let failed_at = lock(&member.failed_at).take();
        if failed_at.is_some() {
            tracing::info!(endpoint = member.endpoint.url, "an etcd endpoint is back");
        }
    }

    /// Takes note that a member did not answer; the reason with its name.
    pub(super) fn failed(&self, index: usize, reason: String) -> String {
        let Some(member) = self.members.get(index) else {
            return reason;
        };
        let before = lock(&member.failed_at).replace(Instant::now());
        if before.is_none() {
            tracing::warn!(
                endpoint = member.endpoint.url,
                reason,
                "an etcd endpoint does not answer"
            );
        }
        format!("{}: {reason}", member.endpoint.url)
    }
}

/// The time for one call over all members.
#[derive(Debug)]
pub(super) struct Shares {
    deadline: Instant,
    members: usize,
}

impl Shares {
    /// What the next member may take.
    pub(super) fn next(&mut self) -> Duration {
        let members = u32::try_from(self.members.max(1)).unwrap_or(u32::MAX);
        self.members = self.members.saturating_sub(1);
        self.left() / members
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// What is said of a member that took too long.
pub(super) fn no_answer(limit: Duration) -> String {
    format!("no answer within {limit:.1?}")
}

/// A number below `count` that nobody can foretell; 0 where there is none.
pub(super) fn random_below(count: usize) -> usize {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let random = RandomState::new().build_hasher().finish() as usize;
    random.checked_rem(count).unwrap_or(0)
}

fn is_fit(status: &StatusResponse, url: &str) -> Result<(), Failure> {
    let mut numbers = status.version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err(Failure::Refused(format!(
            "the version of the etcd member {url} cannot be read: {}",
            status.version
        )));
    };
    let (min_major, min_minor) = limits::MIN_VERSION;
    if (major, minor) < limits::MIN_VERSION {
        return Err(Failure::Refused(format!(
            "the etcd member {url} has version {}: {min_major}.{min_minor} or newer is needed",
            status.version
        )));
    }
    if status.is_learner {
        return Err(Failure::Away("it is a learner".to_owned()));
    }
    if status.leader == 0 {
        return Err(Failure::Away("it has no leader".to_owned()));
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(count: usize) -> Cluster {
        let options = EtcdOptions {
            endpoints: (0..count).map(|n| format!("http://host{n}")).collect(),
            ..EtcdOptions::default()
        };
        let cluster = Cluster::new(&options).expect("well-formed");
        cluster.current.store(0, Ordering::Relaxed);
        cluster
    }

    #[tokio::test(start_paused = true)]
    async fn asks_healthy_members_first_and_forgets_old_failures() {
        let cluster = cluster(4);
        assert_eq!(cluster.order(), [0, 1, 2, 3]);
        cluster.failed(0, "gone".to_owned());
        tokio::time::advance(Duration::from_secs(1)).await;
        cluster.failed(2, "gone".to_owned());
        assert_eq!(cluster.order(), [1, 3, 0, 2]);
        cluster.succeeded(3);
        assert_eq!(cluster.order(), [3, 1, 0, 2]);
        cluster.succeeded(0);
        assert_eq!(cluster.order(), [0, 1, 3, 2]);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(cluster.order(), [0, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn shares_the_time_among_those_left() {
        let mut shares = cluster(3).shares();
        assert_eq!(shares.next(), Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(shares.next(), Duration::from_secs(5));
        assert_eq!(shares.next(), Duration::from_secs(10));
        assert_eq!(shares.next(), Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(shares.next(), Duration::ZERO);
    }

    #[test]
    fn knows_which_members_will_do() {
        let check =
            |version: &str, leader: u64, is_learner: bool, expected: Result<(), Failure>| {
                let status = StatusResponse {
                    version: version.to_owned(),
                    leader,
                    is_learner,
                };
                assert_eq!(is_fit(&status, "http://a:1"), expected, "{version}");
            };
        let away = |text: &str| Err(Failure::Away(text.to_owned()));
        let refused = |text: &str| Err(Failure::Refused(text.to_owned()));
        check("3.4.0", 1, false, Ok(()));
        check("3.10.1-rc.0", 1, false, Ok(()));
        check("4.0.0", 1, false, Ok(()));
        check("3.5.9", 1, true, away("it is a learner"));
        check("3.5.9", 0, false, away("it has no leader"));
        check(
            "3.3.27",
            1,
            false,
            refused("the etcd member http://a:1 has version 3.3.27: 3.4 or newer is needed"),
        );
        check(
            "new",
            1,
            false,
            refused("the version of the etcd member http://a:1 cannot be read: new"),
        );
    }
}
