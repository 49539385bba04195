//! One server of Consul: plain and blocking queries.

use std::time::Duration;

use http::{HeaderMap, Uri};
use lockgate_model::boot::discovery::ConsulTimeouts;

use crate::{
    Options,
    http::{Answer, AskError, Http, Times},
    pace::jittered,
};

/// When a server is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    times: Times,
    /// How long it may hold an answer back until something changes; `None` for looking now and then.
    hold: Option<Duration>,
    /// The pause between two looks.
    interval: Duration,
}

impl Timing {
    pub(crate) fn new(timeouts: ConsulTimeouts, keepalive: bool, interval_s: u64) -> Self {
        Self {
            times: Times {
                connect: Duration::from_millis(timeouts.connect),
                read: Duration::from_millis(timeouts.read),
            },
            hold: keepalive.then(|| Duration::from_secs(timeouts.wait)),
            interval: Duration::from_secs(interval_s),
        }
    }
}

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    http: Http,
    base: String,
    timing: Timing,
}

/// The servers at these addresses.
pub(crate) fn all(
    written: &[String],
    token: &str,
    timing: Timing,
    options: &Options<'_>,
) -> Result<Vec<Server>, String> {
    let mut http = Http::new(options, timing.times, true).map_err(|error| error.to_string())?;
    if !token.is_empty() {
        let token = lockgate_client::secret(token);
        http = http.with("x-consul-token", token.ok_or("the token is no header")?);
    }
    written
        .iter()
        .map(|address| {
            let uri: Option<Uri> = address.parse().ok();
            let uri = uri.filter(|uri| uri.scheme_str() == Some("http"));
            let uri =
                uri.ok_or("only support consul http schema address, eg: http://address:port")?;
            if uri.path() != "/" || address.ends_with('/') || uri.query().is_some() {
                return Err(
                    "invalid consul server address, the valid format: http://address:port".into(),
                );
            }
            Ok(Server {
                http: http.clone(),
                base: format!("{address}/v1"),
                timing,
            })
        })
        .collect()
}

impl Server {
    /// Its address as the reference shows it.
    pub(crate) fn url(&self) -> &str {
        &self.base
    }

    /// The address of something below `/v1/`.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Asks; with the answer comes where what was asked for stands.
    pub(crate) async fn get(&self, url: &str) -> Result<(u64, Answer), AskError> {
        let answer = self.http.get(url).await?;
        Ok((index(&answer.headers), answer))
    }

    /// Waits until what is at `url` does not stand at `at` any more, or until it is time to look again.
    pub(crate) async fn moved(&self, url: &str, at: u64) -> Result<(), AskError> {
        let Some(hold) = self.timing.hold.filter(|_| at > 0) else {
            tokio::time::sleep(self.timing.interval).await;
            return Ok(());
        };
        loop {
            if self.poll(url, at, hold).await?.0 != at {
                return Ok(());
            }
            // A server that does not hold answers back is not asked without a pause.
            tokio::time::sleep(jittered(Duration::from_secs(1))).await;
        }
    }

    /// What is at `url` when it does not stand at `at` any more, or when it is time to look again.
    pub(crate) async fn next(&self, url: &str, at: u64) -> Result<(u64, Answer), AskError> {
        match self.timing.hold.filter(|_| at > 0) {
            None => {
                tokio::time::sleep(self.timing.interval).await;
                self.get(url).await
            }
            Some(hold) => {
                let found = self.poll(url, at, hold).await?;
                if found.0 == at {
                    // A server that does not hold answers back is not asked without a pause.
                    tokio::time::sleep(jittered(Duration::from_secs(1))).await;
                }
                Ok(found)
            }
        }
    }

    /// Asks, and has the answer held back until something changed. The server may take a sixteenth longer than it was told.
    async fn poll(&self, url: &str, at: u64, hold: Duration) -> Result<(u64, Answer), AskError> {
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}index={at}&wait={}s", hold.as_secs());
        let answer = self.http.poll(&url, hold + hold / 16).await?;
        Ok((index(&answer.headers), answer))
    }
}

fn index(headers: &HeaderMap) -> u64 {
    let value = headers.get("x-consul-index");
    let value = value.and_then(|value| value.to_str().ok()?.parse().ok());
    value.unwrap_or(0)
}
