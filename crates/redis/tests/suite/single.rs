//! One server that is up: commands, scripts, who is let in.

use lockgate_redis::{Address, Credentials, Error, Settings, Single, Value};
use lockgate_testkit::redis::Redis;

use crate::support::{client, clients, count, counting, in_the_end, incr, single};

#[tokio::test]
async fn runs_commands_and_scripts() {
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    let set = ["k".into(), 5_i64.into(), "EX".into(), 60_i64.into()];
    let answer = client.command(0, "SET", &set).await.unwrap();
    assert_eq!(answer, Value::Bytes(b"OK".into()));
    assert_eq!(incr(&client, "k").await, Ok(6));
    let ttl = client.command(0, "TTL", &["k".into()]).await.unwrap();
    assert!((1..=60).contains(&ttl.int().unwrap()));
    let missing = client.command(0, "GET", &["none".into()]).await;
    assert_eq!(missing, Ok(Value::Nil));
    let members = ["z".into(), 1.5.into(), "a".into(), 2_i64.into(), "b".into()];
    assert_eq!(client.command(0, "ZADD", &members).await, Ok(Value::Int(2)));
    let score = client.command(0, "ZSCORE", &["z".into(), "a".into()]).await;
    assert_eq!(score.unwrap().number(), Some(1.5));

    let script = counting("first");
    for expected in 7..10 {
        assert_eq!(count(&client, &script, "k").await, Ok(expected));
    }
    // Once by its text, and else by its name.
    let stats = server.command(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_eval:calls=1,"), "{stats}");
    assert!(stats.contains("cmdstat_evalsha:calls=3,"), "{stats}");
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(count(&client, &script, "k").await, Ok(10));
}

#[tokio::test]
async fn hands_errors_of_the_server_on_word_by_word() {
    let server = Redis::start();
    let client = single(server.address(), |_| {});
    client
        .command(0, "SET", &["k".into(), "text".into()])
        .await
        .unwrap();
    let error = incr(&client, "k").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ERR value is not an integer or out of range"
    );
    assert_eq!(error.code(), Some("ERR"));
    assert!(!error.is_unrun());
    let error = client.command(0, "ZCARD", &["k".into()]).await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
}

#[tokio::test]
async fn is_let_in_with_a_password_or_as_a_user_into_a_database() {
    let server = Redis::setup()
        .password("geheim")
        .user("alice", "wonder", "~* +@all")
        .user("narrow", "path", "~* +incr")
        .start();
    for (username, password, database) in [
        (None, "geheim", 0),
        (None, "geheim", 3),
        (Some("alice"), "wonder", 1),
        // May not even PING or SELECT.
        (Some("narrow"), "path", 0),
    ] {
        let client = single(server.address(), |settings| {
            settings.credentials = Credentials {
                username: username.map(str::to_owned),
                password: password.into(),
            };
            settings.database = database;
        });
        let key = format!("{username:?}");
        assert!(incr(&client, &key).await.is_ok(), "{username:?} {database}");
    }
    let keyspace = server.command(&["INFO", "keyspace"]);
    for database in ["db0:keys=2", "db1:keys=1", "db3:keys=1"] {
        assert!(keyspace.contains(database), "{keyspace}");
    }
}

#[tokio::test]
async fn says_in_the_words_of_the_server_why_it_is_not_let_in() {
    let server = Redis::setup().password("geheim").start();
    let open = Redis::start();
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    let missing = "NOAUTH Authentication required.";
    let range = "failed to change redis db, err: ERR DB index is out of range";
    for (server, username, password, database, expected) in [
        (&server, None, "falsch", 0, wrong),
        (&server, Some("nobody"), "geheim", 0, wrong),
        (&server, None, "", 0, missing),
        (&server, None, "", 1, missing),
        // Without a password a user does not count.
        (&server, Some("default"), "", 0, missing),
        (&server, None, "geheim", 99, range),
        (&open, None, "", 999_999, range),
    ] {
        let client = single(server.address(), |settings| {
            settings.credentials = Credentials {
                username: username.map(str::to_owned),
                password: password.into(),
            };
            settings.database = database;
        });
        let error = incr(&client, "k").await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.is_unrun());
        assert!(matches!(error, Error::Refused(_) | Error::Database(_)));
    }
}

#[tokio::test]
async fn says_why_there_is_no_server() {
    let mut server = Redis::start();
    let address = server.address();
    server.kill();
    let error = incr(&single(address, |_| {}), "k").await.unwrap_err();
    assert_eq!(error.to_string(), "connection refused");

    let nowhere = Settings::Single(Single::new(Address::new("nowhere.invalid", 6379)));
    let error = incr(&client(&nowhere), "k").await.unwrap_err().to_string();
    assert!(
        error.starts_with("nowhere.invalid could not be resolved ("),
        "{error}"
    );
}

#[tokio::test]
async fn finds_a_server_by_its_name() {
    let server = Redis::start();
    let settings = Single::new(Address::new("localhost", server.port()));
    let client = client(&Settings::Single(settings));
    assert_eq!(incr(&client, "k").await, Ok(1));
}

#[tokio::test]
async fn a_server_that_has_enough_clients_is_as_one_that_is_away() {
    let server = Redis::setup().arguments("--maxclients 1").start();
    let first = single(server.address(), |_| {});
    // The question whether it is ready may not have gone yet.
    assert_eq!(in_the_end(|| incr(&first, "k")).await, 1);
    let second = single(server.address(), |_| {});
    let error = incr(&second, "k").await.unwrap_err();
    assert!(error.is_unrun(), "{error:?}");
    drop(first);
    assert_eq!(in_the_end(|| incr(&second, "k")).await, 2);
}

#[test]
fn clients_go_from_thread_to_thread() {
    fn check<T: Send + Sync>() {}
    check::<lockgate_redis::Clients>();
    check::<lockgate_redis::Client>();
}

#[test]
fn equal_settings_share_a_client_that_dies_with_its_last_user() {
    let clients = clients(None);
    let settings = |database| {
        let mut single = Single::new(Address::new("a", 1));
        single.database = database;
        Settings::Single(single)
    };
    let first = clients.get(&settings(0)).unwrap();
    let again = clients.get(&settings(0)).unwrap();
    let other = clients.get(&settings(1)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    assert!(!std::sync::Arc::ptr_eq(&first, &other));
    assert_eq!(*other.settings(), settings(1));
    let weak = std::sync::Arc::downgrade(&first);
    drop((first, again));
    assert!(weak.upgrade().is_none());
    assert!(clients.get(&settings(0)).is_ok());
}
