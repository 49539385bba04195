//! Servers that go away, come back, or stand still.

use std::time::{Duration, Instant};

use lockgate_redis::{ConnectError, Error};
use lockgate_testkit::redis::Redis;

use crate::support::{LONG, a_turn, count, counting, in_the_end, incr, single};

#[tokio::test]
async fn a_server_that_was_started_again_is_used_again() {
    let mut server = Redis::start();
    let client = single(server.address(), |_| {});
    let script = counting("again");
    assert_eq!(count(&client, &script, "k").await, Ok(1));
    server.kill();
    let error = in_the_end(|| async {
        match incr(&client, "k").await {
            Err(Error::Connect(error)) => Ok(error),
            // The end of the connection may not have been seen yet.
            other => Err(other.err().unwrap_or(Error::Timeout)),
        }
    })
    .await;
    assert_eq!(error, ConnectError::Refused);
    server.restart();
    let counted = in_the_end(|| count(&client, &script, "k")).await;
    assert_eq!(counted, 1, "it comes back empty, and without the script");
}

#[tokio::test]
async fn a_connection_that_ended_while_idle_costs_no_call() {
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    assert_eq!(incr(&client, "k").await, Ok(1));
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    a_turn().await;
    assert_eq!(incr(&client, "k").await, Ok(2));
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let server = Redis::start();
    let client = single(server.address(), |settings| {
        settings.keepalive_timeout = Duration::from_millis(100);
    });
    assert_eq!(incr(&client, "k").await, Ok(1));
    in_the_end(|| async {
        if server.clients() == 0 {
            Ok(())
        } else {
            Err(Error::Timeout)
        }
    })
    .await;
    assert_eq!(incr(&client, "k").await, Ok(2));
}

#[tokio::test]
async fn while_a_server_is_away_calls_fail_at_once() {
    let mut server = Redis::start();
    let address = server.address();
    server.kill();
    let client = single(address, |_| {});
    let began = Instant::now();
    for _call in 0..2000 {
        let error = incr(&client, "k").await.unwrap_err();
        assert_eq!(error.to_string(), "connection refused");
        assert!(error.is_unrun());
    }
    assert!(began.elapsed() < LONG);
}

/// Within this a hundred calls fail at once, also on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_server_that_stands_still_times_out_and_then_costs_no_time() {
    let server = Redis::start();
    let client = single(server.address(), |settings| settings.timeout = LIMIT);
    assert!(in_the_end(|| incr(&client, "k")).await >= 1);
    server.pause();
    // All that are under way share the wait.
    let began = Instant::now();
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { incr(&client, "k").await.unwrap_err() })
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap();
        assert_eq!(error, Error::Timeout);
        assert!(!error.is_unrun());
    }
    // One call after the other tries whether it is back, the others do not wait for it.
    let prober = {
        let client = client.clone();
        tokio::spawn(async move { incr(&client, "k").await.unwrap_err() })
    };
    tokio::task::yield_now().await;
    let asked = Instant::now();
    for _call in 0..100 {
        let error = incr(&client, "k").await.unwrap_err();
        assert_eq!(error, Error::Connect(ConnectError::Timeout));
        assert_eq!(error.to_string(), "timeout");
    }
    assert!(asked.elapsed() < LIMIT, "{:?}", asked.elapsed());
    assert_eq!(prober.await.unwrap(), Error::Connect(ConnectError::Timeout));
    assert!(began.elapsed() >= 2 * LIMIT);
    server.resume();
    // What was sent before it stood still is run once it goes on; how much is not known.
    assert!(in_the_end(|| incr(&client, "k")).await >= 2);
}

#[tokio::test]
async fn calls_under_way_when_a_server_dies_are_told_that_they_may_have_been_run() {
    let mut server = Redis::start();
    let client = single(server.address(), |_| {});
    assert_eq!(incr(&client, "k").await, Ok(1));
    server.pause();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { incr(&client, "k").await.unwrap_err() })
        })
        .collect();
    // The commands are written.
    a_turn().await;
    server.kill();
    for call in calls {
        let error = call.await.unwrap();
        assert!(matches!(error, Error::Broken(_)), "{error:?}");
        assert!(!error.is_unrun());
    }
}
