//! Workers: one connection each, on runtimes of their own that come and go.

use std::{sync::Arc, thread};

use lockgate_redis::Client;
use lockgate_testkit::redis::Redis;
use tokio::runtime::{Builder, Runtime};

use crate::support::single;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn incr(client: &Client, worker: usize) -> i64 {
    let value = client.command(worker, "INCR", &["k".into()]).await;
    value.unwrap().int().unwrap()
}

fn connected(server: &Redis, expected: usize) {
    lockgate_testkit::eventually("as many connections", || server.clients() == expected);
}

#[test]
fn each_worker_has_one_connection_of_its_own() {
    const WORKERS: usize = 4;
    const CALLS: usize = 500;
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    let barrier = Arc::new(std::sync::Barrier::new(WORKERS + 1));
    let threads: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (client, barrier) = (client.clone(), barrier.clone());
            thread::spawn(move || {
                let runtime = runtime();
                runtime.block_on(async {
                    let calls: Vec<_> = (0..CALLS)
                        .map(|_| {
                            let client = client.clone();
                            tokio::spawn(async move { incr(&client, worker).await })
                        })
                        .collect();
                    for call in calls {
                        call.await.unwrap();
                    }
                });
                barrier.wait();
                // The main thread counts the connections.
                barrier.wait();
            })
        })
        .collect();
    barrier.wait();
    connected(&server, WORKERS);
    barrier.wait();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(server.command(&["GET", "k"]), (WORKERS * CALLS).to_string());
    connected(&server, 0);
}

#[test]
fn a_worker_that_replaces_another_connects_anew() {
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    for expected in 1..4 {
        let runtime = runtime();
        assert_eq!(runtime.block_on(incr(&client, 0)), expected);
        drop(runtime);
    }
    connected(&server, 0);
}

#[test]
fn two_generations_of_a_worker_do_not_disturb_each_other() {
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    let (old, new) = (runtime(), runtime());
    for round in 0..5 {
        assert_eq!(old.block_on(incr(&client, 1)), 2 * round + 1);
        assert_eq!(new.block_on(incr(&client, 1)), 2 * round + 2);
        connected(&server, 2);
    }
    drop(old);
    connected(&server, 1);
    assert_eq!(new.block_on(incr(&client, 1)), 11);
    // Numbers beyond the workers wrap around: to another connection than that of worker 1.
    assert_eq!(new.block_on(incr(&client, 4)), 12);
    connected(&server, 2);
}

#[test]
fn connections_end_with_the_last_user_of_a_client() {
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    let runtime = runtime();
    assert_eq!(runtime.block_on(incr(&client, 0)), 1);
    connected(&server, 1);
    drop(client);
    // Ending a task takes a turn of its runtime.
    runtime.block_on(tokio::task::yield_now());
    connected(&server, 0);
}

#[test]
fn a_call_that_is_given_up_leaves_the_connection_in_order() {
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    runtime().block_on(async {
        assert_eq!(incr(&client, 0).await, 1);
        for _call in 0..10 {
            let call = incr(&client, 0);
            let given_up = tokio::time::timeout(std::time::Duration::ZERO, call).await;
            drop(given_up);
        }
        let get = client.command(0, "GET", &["other".into()]).await;
        assert!(get.unwrap().is_nil(), "no answer of another command");
    });
}
