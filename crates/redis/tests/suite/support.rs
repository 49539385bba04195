//! Clients for servers of a test, and what they are asked.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_redis::{Address, Client, Clients, Error, Options, Script, Settings, Single, Value};

/// A wait that nothing on a busy machine outlasts.
pub(crate) const LONG: Duration = Duration::from_secs(5);

/// A wait that is to end in failure.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

pub(crate) fn clients(trusted: Option<PathBuf>) -> Clients {
    Clients::new(Options {
        resolver: Resolver::new(DnsOptions {
            servers: vec![([127, 0, 0, 1], 1).into()],
            timeout: Duration::from_millis(300),
            ..DnsOptions::default()
        }),
        trusted,
        workers: 4,
    })
}

pub(crate) fn client(settings: &Settings) -> Arc<Client> {
    clients(None).get(settings).unwrap()
}

pub(crate) fn at(address: SocketAddr) -> Address {
    Address::new(address.ip().to_string(), address.port())
}

/// A server of which everything else is as a test may change it.
pub(crate) fn single(address: SocketAddr, change: impl FnOnce(&mut Single)) -> Arc<Client> {
    let mut settings = Single::new(at(address));
    settings.timeout = LONG;
    change(&mut settings);
    client(&Settings::Single(settings))
}

/// Counts a key up by one.
pub(crate) async fn incr(client: &Client, key: &str) -> Result<i64, Error> {
    let value = client.command(0, "INCR", &[key.into()]).await?;
    Ok(value.int().unwrap())
}

/// Counts a key up by one in a script, whose text differs with `salt`.
pub(crate) fn counting(salt: &str) -> Script {
    Script::new(&format!(
        "return {{redis.call('incrby', KEYS[1], ARGV[1]), '{salt}'}}"
    ))
}

/// Runs such a script.
pub(crate) async fn count(client: &Client, script: &Script, key: &str) -> Result<i64, Error> {
    let value = client
        .eval(0, script, &[key.into()], &[1_i64.into()])
        .await?;
    Ok(value.items().first().and_then(Value::int).unwrap())
}

/// Lets the runtime look at its sockets: what is ready there is handled before a timer that is due.
pub(crate) async fn a_turn() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// Calls until there is an answer: for what comes back in its own time.
pub(crate) async fn in_the_end<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, Error>>,
{
    let deadline = tokio::time::Instant::now() + lockgate_testkit::PATIENCE;
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(
                tokio::time::Instant::now() < deadline,
                "still failing: {error}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
