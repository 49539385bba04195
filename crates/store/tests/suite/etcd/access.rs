//! Users and passwords.

use std::{
    fs,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_store::{Credentials, Etcd, EtcdOptions, Store};
use serde_json::json;

use super::server::Server;
use crate::writes::{next, put, within, write};

/// An etcd that asks who one is. `admin` may do all, `reader` may read below `/apisix/`, `stranger` may do nothing.
async fn guarded() -> Server {
    guard(Server::start().await).await
}

async fn guard(server: Server) -> Server {
    let ask = async |path: &str, question| {
        server.ask(&format!("/v3/auth/{path}"), question).await;
    };
    for user in ["root", "admin", "reader", "stranger"] {
        ask(
            "user/add",
            json!({"name": user, "password": format!("{user}-secret")}),
        )
        .await;
    }
    ask("role/add", json!({"name": "root"})).await;
    for (role, permission) in [("admin", "READWRITE"), ("reader", "READ")] {
        ask("role/add", json!({"name": role})).await;
        let permission = json!({
            "permType": permission,
            "key": STANDARD.encode("/apisix/"),
            "range_end": STANDARD.encode("/apisix0"),
        });
        ask("role/grant", json!({"name": role, "perm": permission})).await;
    }
    for user in ["root", "admin", "reader"] {
        ask("user/grant", json!({"user": user, "role": user})).await;
    }
    ask("enable", json!({})).await;
    server
}

fn by(server: &Server, user: &str, password: &str) -> EtcdOptions {
    EtcdOptions {
        credentials: Some(Credentials {
            user: user.to_owned(),
            password: password.to_owned(),
        }),
        ..server.options()
    }
}

async fn connect(server: &Server, user: &str) -> Etcd {
    let options = by(server, user, &format!("{user}-secret"));
    Etcd::connect(options).await.unwrap()
}

#[tokio::test]
async fn shows_who_it_is() {
    let server = guarded().await;
    let store = connect(&server, "admin").await;
    let revision = write(&store, "routes/1", "{}").await.revision;
    assert_eq!(store.list("").await.unwrap().entries.len(), 1);
    let mut watch = store.watch(revision - 1).unwrap();
    assert_eq!(next(&mut *watch).await.revision, revision);

    let reader = connect(&server, "reader").await;
    assert_eq!(reader.list("").await.unwrap().entries.len(), 1);
    let mut watch = reader.watch(revision - 1).unwrap();
    assert_eq!(next(&mut *watch).await.revision, revision);
    assert_eq!(
        reader
            .put(put("routes/1", ""))
            .await
            .unwrap_err()
            .to_string(),
        "writing routes/1 failed: etcd refuses the user reader: etcdserver: permission denied"
    );
}

#[tokio::test]
async fn says_whom_etcd_refuses() {
    let server = guarded().await;
    let check = async |options: EtcdOptions, expected: &str| {
        assert_eq!(Server::refusal(options).await, expected);
    };
    check(
        by(&server, "admin", "wrong"),
        "etcd cannot be used: etcd refuses the user admin: etcdserver: authentication failed, invalid user ID or password",
    )
    .await;
    check(
        by(&server, "nobody", "x"),
        "etcd cannot be used: etcd refuses the user nobody: etcdserver: authentication failed, invalid user ID or password",
    )
    .await;
    check(
        by(&server, "stranger", "stranger-secret"),
        "etcd cannot be used: etcd refuses the user stranger: etcdserver: permission denied",
    )
    .await;
    check(
        server.options(),
        "etcd cannot be used: etcd wants a user, and none is set: etcdserver: user name is empty",
    )
    .await;
}

#[tokio::test]
async fn does_not_start_from_the_local_copy_where_etcd_refuses() {
    let server = guarded().await;
    let dir = tempfile::tempdir().unwrap();
    let options = |password: &str| EtcdOptions {
        local_copy: Some(dir.path().join("copy.json")),
        ..by(&server, "admin", password)
    };
    let store = Etcd::connect(options("admin-secret")).await.unwrap();
    store.list("").await.unwrap();
    within(async {
        while !dir.path().join("copy.json").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let refusal = Server::refusal(options("wrong")).await;
    assert!(refusal.contains("refuses the user admin"), "{refusal}");
}

#[tokio::test]
async fn gets_a_new_token_when_etcd_has_forgotten_the_old_one() {
    let mut server = guarded().await;
    let store = connect(&server, "admin").await;
    let revision = write(&store, "routes/1", "{}").await.revision;
    let mut watch = store.watch(revision).unwrap();
    write(&store, "routes/2", "{}").await;
    assert_eq!(next(&mut *watch).await.revision, revision + 1);
    // Tokens of the simple kind live in memory.
    server.kill();
    server.restart().await;
    write(&store, "routes/3", "{}").await;
    within(async { while watch.next().await.is_err() {} }).await;
    assert_eq!(store.list("").await.unwrap().entries.len(), 3);
}

#[tokio::test]
async fn shows_a_new_token_to_a_watch_that_is_refused() {
    let mut server = guarded().await;
    let store = connect(&server, "admin").await;
    let revision = write(&store, "routes/1", "{}").await.revision;
    server.kill();
    server.restart().await;
    // The first thing that the old token is shown to.
    let mut watch = store.watch(revision - 1).unwrap();
    assert_eq!(next(&mut *watch).await.revision, revision);
}

#[tokio::test]
async fn gets_a_new_token_when_the_old_one_has_expired() {
    // Signed ones say how long they hold; the simple ones hold five minutes in etcd 3.4, and no option changes that.
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("key"), key.serialize_pem()).unwrap();
    fs::write(path("public"), key.public_key_pem()).unwrap();
    let (key, public) = (path("key"), path("public"));
    let flag = format!("jwt,pub-key={public},priv-key={key},sign-method=ES256,ttl=1s");
    let server = guard(Server::start_with(&["--auth-token", &flag]).await).await;
    let store = connect(&server, "admin").await;
    let start = write(&store, "routes/0", "{}").await.revision;
    let mut watch = store.watch(start).unwrap();
    let began = Instant::now();
    let mut written = 0;
    // Over several lives of a token, no call fails and nothing is missed.
    while began.elapsed() < Duration::from_secs(4) {
        write(&store, "routes/1", "{}").await;
        written += 1;
        assert_eq!(next(&mut *watch).await.revision, start + written);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(watch);
    let mut watch = store.watch(start + written - 1).unwrap();
    assert_eq!(next(&mut *watch).await.revision, start + written);
}

#[tokio::test]
async fn goes_on_without_a_user_where_etcd_asks_for_none() {
    let server = Server::start().await;
    let options = by(&server, "admin", "secret");
    let store = Etcd::connect(options).await.unwrap();
    let revision = write(&store, "routes/1", "{}").await.revision;
    let mut watch = store.watch(revision - 1).unwrap();
    assert_eq!(next(&mut *watch).await.revision, revision);
}
