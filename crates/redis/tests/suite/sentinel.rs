//! Sentinels: finding the master, following a failover.

use std::sync::Arc;

use lockgate_redis::{Address, Client, Credentials, Error, Role, Sentinel, Settings};
use lockgate_testkit::redis::{MASTER_NAME, Redis, Sentinels, SentinelsSetup};

use crate::support::{LONG, SHORT, at, client, count, counting, in_the_end, incr};

fn settings(sentinels: Vec<Address>) -> Sentinel {
    let mut settings = Sentinel::new(sentinels, MASTER_NAME);
    settings.connect_timeout = LONG;
    settings.read_timeout = LONG;
    settings
}

fn of(settings: Sentinel) -> Arc<Client> {
    client(&Settings::Sentinel(settings))
}

fn all(set: &Sentinels) -> Vec<Address> {
    set.addresses().map(at).into()
}

#[tokio::test]
async fn follows_a_failover() {
    let set = Sentinels::start();
    let client = of(settings(all(&set)));
    let script = counting("failover");
    assert_eq!(count(&client, &script, "k").await, Ok(1));
    let [first, second] = &set.servers;
    lockgate_testkit::eventually("the replica has it", || {
        second.command(&["GET", "k"]) == "1"
    });
    set.fail_over();
    // One call may meet the end of its connection just as it is sent.
    let counted = in_the_end(|| count(&client, &script, "k")).await;
    assert_eq!(counted, 2);
    assert_eq!(second.command(&["GET", "k"]), "2");
    assert!(first.command(&["ROLE"]).starts_with("slave"));
}

#[tokio::test]
async fn a_master_that_became_a_replica_costs_no_call() {
    let set = Sentinels::start();
    let client = of(settings(all(&set)));
    let script = counting("demoted");
    assert_eq!(count(&client, &script, "k").await, Ok(1));
    let [first, second] = &set.servers;
    // By hand, so that the connection stays: its server refuses to write.
    second.command(&["REPLICAOF", "NO", "ONE"]);
    let port = second.port().to_string();
    for sentinel in &set.sentinels {
        sentinel.command(&["SENTINEL", "REMOVE", MASTER_NAME]);
        sentinel.command(&["SENTINEL", "MONITOR", MASTER_NAME, "127.0.0.1", &port, "2"]);
    }
    first.command(&["REPLICAOF", "127.0.0.1", &port]);
    assert_eq!(count(&client, &script, "other").await, Ok(1));
    assert_eq!(incr(&client, "other").await, Ok(2));
    assert_eq!(second.command(&["GET", "other"]), "2");
}

#[tokio::test]
async fn asks_the_next_sentinel_where_one_is_away() {
    let mut set = Sentinels::start();
    set.sentinels[0].kill();
    set.sentinels[1].pause();
    let mut settings = settings(all(&set));
    settings.connect_timeout = 2 * SHORT;
    let client = of(settings);
    assert_eq!(in_the_end(|| incr(&client, "k")).await, 1);
}

#[tokio::test]
async fn a_replica_is_read_where_it_is_asked_for() {
    let set = Sentinels::start();
    let [master, replica] = &set.servers;
    master.command(&["SET", "k", "v"]);
    lockgate_testkit::eventually("the replica has it", || {
        replica.command(&["GET", "k"]) == "v"
    });
    let mut settings = settings(all(&set));
    settings.role = Role::Replica;
    let client = of(settings);
    let found = client.command(0, "GET", &["k".into()]).await.unwrap();
    assert_eq!(found.text(), Some("v"));
    let error = incr(&client, "k").await.unwrap_err();
    assert_eq!(error.code(), Some("READONLY"));
}

#[tokio::test]
async fn servers_and_sentinels_have_passwords_of_their_own() {
    let set = Sentinels::with(SentinelsSetup {
        password: Some("geheim"),
        sentinel_password: Some("wacht"),
    });
    for (password, sentinel_password, database, expected) in [
        ("geheim", "wacht", 0, None),
        ("geheim", "wacht", 2, None),
        ("geheim", "", 0, Some("NOAUTH Authentication required.")),
        (
            "geheim",
            "falsch",
            0,
            Some("WRONGPASS invalid username-password pair or user is disabled."),
        ),
        (
            "falsch",
            "wacht",
            0,
            Some("WRONGPASS invalid username-password pair or user is disabled."),
        ),
        ("", "wacht", 0, Some("NOAUTH Authentication required.")),
        ("geheim", "wacht", 99, Some("ERR DB index is out of range")),
    ] {
        let mut settings = settings(all(&set));
        let credentials = |password: &str| Credentials {
            username: None,
            password: password.into(),
        };
        settings.credentials = credentials(password);
        settings.sentinel_credentials = credentials(sentinel_password);
        settings.database = database;
        let outcome = incr(&of(settings), "k").await;
        let expected = expected.map(|reason| format!("redis connection failed, err: {reason}"));
        let told = outcome.err().map(|it| it.to_string());
        assert_eq!(told, expected, "{password} {sentinel_password} {database}");
    }
}

#[tokio::test]
async fn says_why_no_server_was_found() {
    let set = Sentinels::start();
    let mut unknown = settings(all(&set));
    unknown.master_name = "nobody".to_owned();
    let error = incr(&of(unknown), "k").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "redis connection failed, err: invalid master name"
    );
    assert!(error.is_unrun());

    let mut gone = [Redis::start(), Redis::start()];
    let addresses: Vec<Address> = gone.iter().map(|it| at(it.address())).collect();
    for server in &mut gone {
        server.kill();
    }
    let error = incr(&of(settings(addresses)), "k").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "redis connection failed, err: no hosts available, previous_errors: connection refused, connection refused"
    );
    assert!(matches!(error, Error::Sentinel(_)));
}
