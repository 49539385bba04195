//! A cluster of three masters: slots that move, nodes that go.

use std::{sync::Arc, time::Instant};

use lockgate_redis::{Address, Client, Cluster, Error, Settings, Tls};
use lockgate_testkit::redis::{Redis, RedisCluster};

use crate::support::{LONG, at, client, count, counting, in_the_end, incr};

fn settings(nodes: Vec<Address>) -> Cluster {
    let mut settings = Cluster::new(nodes, "test");
    settings.timeout = LONG;
    settings
}

fn of(nodes: Vec<Address>) -> Arc<Client> {
    client(&Settings::Cluster(settings(nodes)))
}

fn all(cluster: &RedisCluster) -> Vec<Address> {
    cluster.addresses().map(at).into()
}

#[tokio::test]
async fn sends_commands_and_scripts_where_their_key_is() {
    let cluster = RedisCluster::start();
    // One node is enough to find the others.
    let client = of(vec![at(cluster.addresses()[1])]);
    let script = counting("cluster");
    for node in 0..3 {
        let key = cluster.key_of(node);
        assert_eq!(incr(&client, &key).await, Ok(1));
        assert_eq!(count(&client, &script, &key).await, Ok(2));
        let stored = cluster.nodes[node].command(&["GET", &key]);
        assert_eq!(stored, "2");
    }
    let places = [0, 1, 2].map(|node| cluster.key_of(node));
    let tagged = format!("other:{{{}}}", places[2]);
    let keys = [(&places[2]).into(), (&tagged).into()];
    let both = lockgate_redis::Script::new("return redis.call('exists', KEYS[1], KEYS[2])");
    let found = client.eval(0, &both, &keys, &[]).await.unwrap();
    assert_eq!(found.int(), Some(1));
    let apart = [(&places[0]).into(), (&places[1]).into()];
    let error = client.eval(0, &both, &apart, &[]).await.unwrap_err();
    assert_eq!(error.code(), Some("CROSSSLOT"));
    assert!(client.command(0, "PING", &[]).await.is_ok());
}

#[tokio::test]
async fn follows_slots_that_move() {
    let cluster = RedisCluster::start();
    let client = of(all(&cluster));
    let script = counting("moving");
    let key = cluster.key_of(0);
    assert_eq!(incr(&client, &cluster.key_of(1)).await, Ok(1));
    cluster.begin_move(&key, 0, 2);
    // ASK: the key is in neither place yet and is made in the new one.
    assert_eq!(count(&client, &script, &key).await, Ok(1));
    assert_eq!(incr(&client, &key).await, Ok(2));
    cluster.end_move(&key, 2);
    // MOVED.
    assert_eq!(incr(&client, &key).await, Ok(3));
    assert_eq!(count(&client, &script, &key).await, Ok(4));
    assert_eq!(cluster.nodes[2].command(&["GET", &key]), "4");
    // Once that is known, nobody is sent away any more.
    let errors = || cluster.nodes[0].command(&["INFO", "errorstats"]);
    in_the_end(|| async {
        let before = errors();
        incr(&client, &key).await?;
        if errors() == before {
            Ok(())
        } else {
            Err(Error::Redirections)
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_down_takes_only_its_own_keys_along() {
    let mut cluster = RedisCluster::start();
    let client = of(all(&cluster));
    let keys = [0, 1, 2].map(|node| cluster.key_of(node));
    for key in &keys {
        assert_eq!(incr(&client, key).await, Ok(1));
    }
    cluster.nodes[0].kill();
    let began = Instant::now();
    for round in 2..200 {
        let error = incr(&client, &keys[0]).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Connect(_) | Error::Broken(_) | Error::ClusterDown
            ),
            "{error:?}"
        );
        for key in &keys[1..] {
            assert_eq!(incr(&client, key).await, Ok(round));
        }
    }
    assert!(began.elapsed() < LONG);
    // Who comes now is told by the others, though the first node is the one that is down.
    let newcomer = of(all(&cluster));
    assert_eq!(in_the_end(|| incr(&newcomer, &keys[1])).await, 200);

    cluster.nodes[0].restart();
    in_the_end(|| incr(&client, &keys[0])).await;
}

#[tokio::test]
async fn follows_a_replica_that_takes_over() {
    let mut cluster = RedisCluster::start();
    let replica = cluster.add_replica(0);
    let client = of(all(&cluster));
    let key = cluster.key_of(0);
    assert_eq!(incr(&client, &key).await, Ok(1));
    lockgate_testkit::eventually("the replica has it", || replica.command(&["DBSIZE"]) == "1");
    cluster.nodes[0].kill();
    assert_eq!(replica.command(&["CLUSTER", "FAILOVER", "TAKEOVER"]), "OK");
    assert_eq!(in_the_end(|| incr(&client, &key)).await, 2);
    assert_eq!(replica.command(&["GET", &key]), "2");
}

#[tokio::test]
async fn says_that_no_node_answers() {
    let mut servers = [Redis::start(), Redis::start()];
    let addresses: Vec<Address> = servers.iter().map(|it| at(it.address())).collect();
    for server in &mut servers {
        server.kill();
    }
    let client = of(addresses);
    let began = Instant::now();
    for _call in 0..500 {
        let error = incr(&client, "k").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to fetch slots: connection refused;connection refused"
        );
        assert!(error.is_unrun());
    }
    assert!(began.elapsed() < LONG);
}

#[tokio::test]
async fn says_that_a_server_is_no_cluster() {
    let server = Redis::start();
    let client = of(vec![at(server.address())]);
    let error = incr(&client, "k").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to fetch slots: ERR This instance has cluster support disabled"
    );
}

#[tokio::test]
async fn is_let_in_with_a_password_and_over_tls() {
    let certificate = lockgate_testkit::Certificate::of(&["127.0.0.1"]);
    let setup = Redis::setup().password("geheim").tls(&certificate);
    let cluster = RedisCluster::with(&setup);
    for (password, is_tls) in [("geheim", false), ("geheim", true), ("falsch", false)] {
        let nodes = cluster.nodes.iter();
        let nodes = nodes.map(|node| {
            at(if is_tls {
                node.tls_address()
            } else {
                node.address()
            })
        });
        let mut settings = settings(nodes.collect());
        settings.credentials.password = password.into();
        settings.tls = is_tls.then_some(Tls { verify: false });
        let client = client(&Settings::Cluster(settings));
        for node in 0..3 {
            let outcome = incr(&client, &cluster.key_of(node)).await;
            assert_eq!(
                outcome.is_ok(),
                password == "geheim",
                "{password} {is_tls}: {outcome:?}"
            );
        }
    }
}
