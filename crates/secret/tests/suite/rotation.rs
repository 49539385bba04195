//! Values that change while they are used.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockgate_secret::{Answer, Secrets};
use lockgate_testkit::{Origin, PATIENCE};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{put, response, secrets, value};

const KEY: &str = "$secret://vault/1/jack/key";

/// A Vault that says what it is told to say: a status and a value.
struct Changing {
    vault: Origin,
    says: Arc<Mutex<(u16, String)>>,
}

impl Changing {
    fn start(first: &str) -> Self {
        let says = Arc::new(Mutex::new((200, first.to_owned())));
        let shared = says.clone();
        let vault = Origin::start(move |connection| {
            while connection.request().is_some() {
                let (status, said) = shared.lock().expect("alive").clone();
                let body = match status {
                    200 => json!({"data": {"key": said}}),
                    _ => json!({"errors": [said]}),
                };
                connection.send(response(status, &body.to_string()));
            }
        });
        Self { vault, says }
    }

    fn say(&self, status: u16, said: &str) {
        *self.says.lock().expect("alive") = (status, said.to_owned());
    }

    fn stored(&self, token: &str) -> Value {
        json!({"uri": format!("http://{}", self.vault.node()), "prefix": "kv", "token": token})
    }
}

fn quick() -> Secrets {
    secrets(&[], |options| {
        options.ttl = Duration::from_millis(100);
        options.neg_ttl = Duration::from_millis(100);
    })
}

async fn change(secrets: &Secrets) -> Option<Answer> {
    let changed = timeout(PATIENCE, secrets.changed()).await.expect("told");
    assert_eq!(
        changed.iter().map(|text| &**text).collect::<Vec<_>>(),
        [KEY]
    );
    secrets.look_up(KEY).map(|(answer, _)| answer)
}

/// Waits until the vault was asked this many times.
async fn asked(vault: &Origin, times: usize) {
    let asked = async {
        while vault.requests().len() < times {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asked).await.expect("asked");
}

#[tokio::test]
async fn a_value_that_changes_is_picked_up_when_its_time_is_over() {
    let changing = Changing::start("one");
    let secrets = quick();
    put(&secrets, "vault/1", &changing.stored("t"));
    let (first, _used) = secrets.look_up(KEY).expect("a reference");
    assert_eq!(first, Answer::Pending, "nobody waits");
    assert_eq!(change(&secrets).await, Some(Answer::Found(json!("one"))));
    changing.say(200, "two");
    assert_eq!(change(&secrets).await, Some(Answer::Found(json!("two"))));
    // A vault that refuses, and one that is back, change nothing.
    changing.say(500, "sealed");
    let seen = changing.vault.requests().len();
    asked(&changing.vault, seen + 2).await;
    assert_eq!(
        secrets.look_up(KEY).expect("known").0,
        Answer::Found(json!("two"))
    );
    changing.say(200, "three");
    assert_eq!(change(&secrets).await, Some(Answer::Found(json!("three"))));
}

#[tokio::test]
async fn a_failure_is_forgotten_when_its_time_is_over() {
    let changing = Changing::start("");
    changing.say(403, "permission denied");
    let secrets = quick();
    put(&secrets, "vault/1", &changing.stored("t"));
    assert!(value(&secrets, KEY).await.is_err());
    let (_, _used) = secrets.look_up(KEY).expect("known");
    assert!(matches!(change(&secrets).await, Some(Answer::Failed(_))));
    changing.say(200, "one");
    assert_eq!(change(&secrets).await, Some(Answer::Found(json!("one"))));
}

#[tokio::test]
async fn a_manager_that_comes_changes_or_goes_is_heard_of_at_once() {
    let changing = Changing::start("one");
    // Nothing is looked up anew by itself within the test.
    let secrets = secrets(&[], |options| options.neg_ttl = PATIENCE * 10);
    let nobody = value(&secrets, KEY).await.expect_err("no manager");
    assert_eq!(nobody, format!("no secret conf, secret_uri: {KEY}"));
    let (_, _used) = secrets.look_up(KEY).expect("known");
    put(&secrets, "vault/1", &changing.stored("t"));
    assert_eq!(change(&secrets).await, Some(Answer::Found(json!("one"))));

    changing.say(200, "two");
    put(&secrets, "vault/1", &changing.stored("t"));
    put(&secrets, "vault/1", &changing.stored("other"));
    assert_eq!(change(&secrets).await, Some(Answer::Found(json!("two"))));
    let tokens: Vec<_> = changing
        .vault
        .requests()
        .iter()
        .filter_map(|request| request.message.field("x-vault-token").map(str::to_owned))
        .collect();
    assert_eq!(
        tokens,
        ["t", "other"],
        "what is stored anew as it was changes nothing"
    );

    secrets
        .put_manager("vault/1", b"{}")
        .expect_err("no manager");
    let kept = secrets.look_up(KEY).expect("known").0;
    assert_eq!(kept, Answer::Found(json!("two")));
    secrets.remove_manager("vault/1");
    let gone = change(&secrets).await;
    assert!(matches!(gone, Some(Answer::Failed(_))), "{gone:?}");
}

#[tokio::test]
async fn what_nothing_uses_is_not_asked_for_again() {
    let changing = Changing::start("one");
    let secrets = quick();
    put(&secrets, "vault/1", &changing.stored("t"));
    let other = "$secret://vault/1/other/key";
    let (_, used) = secrets.look_up(other).expect("a reference");
    assert_eq!(value(&secrets, KEY).await, Ok(json!("one")));
    asked(&changing.vault, 5).await;
    let of_jack = changing
        .vault
        .requests()
        .iter()
        .filter(|request| request.message.start.contains("/jack "))
        .count();
    assert_eq!(of_jack, 1);
    assert_eq!(&**used.reference(), other);
}

#[tokio::test]
async fn nobody_waits_for_what_nothing_uses() {
    let vault = Origin::start(|connection| {
        connection.rest();
    });
    let secrets = secrets(&[], |_| {});
    let stored = json!({"uri": format!("http://{}", vault.node()), "prefix": "kv", "token": "t"});
    put(&secrets, "vault/1", &stored);
    drop(secrets.look_up(KEY).expect("a reference"));
    assert!(secrets.is_pending());
    let settled = secrets.settled(PATIENCE * 10);
    timeout(PATIENCE, settled).await.expect("told");
    assert!(!secrets.is_pending());
}

#[tokio::test]
async fn many_references_are_looked_up_side_by_side_within_bounds() {
    // Nobody is answered before as many ask as may at a time.
    const AT_ONCE: usize = 16;
    let most = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new((Mutex::new((0, 0)), Condvar::new()));
    let seen = most.clone();
    let vault = Origin::start(move |connection| {
        let (counts, came) = &*gate;
        while connection.request().is_some() {
            let mut now = counts.lock().expect("alive");
            let (came_so_far, asking) = &mut *now;
            *came_so_far += 1;
            *asking += 1;
            seen.fetch_max(*asking, Ordering::SeqCst);
            let whole = usize::div_ceil(*came_so_far, AT_ONCE) * AT_ONCE;
            came.notify_all();
            let waited = came.wait_timeout_while(now, PATIENCE, |(so_far, _)| *so_far < whole);
            waited.expect("alive").0.1 -= 1;
            connection.send(response(200, r#"{"data":{"key":"x"}}"#));
        }
    });
    let secrets = secrets(&[], |_| {});
    put(
        &secrets,
        "vault/1",
        &json!({"uri": format!("http://{}", vault.node()), "prefix": "kv", "token": "t"}),
    );
    let used: Vec<_> = (0..6 * AT_ONCE)
        .map(|number| secrets.look_up(&format!("$secret://vault/1/{number}/key")))
        .collect();
    secrets.settled(PATIENCE).await;
    assert!(!secrets.is_pending());
    assert_eq!(vault.requests().len(), used.len());
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn what_was_known_serves_a_configuration_that_is_read_anew() {
    let changing = Changing::start("one");
    let before = quick();
    put(&before, "vault/1", &changing.stored("t"));
    let (_, _used) = before.look_up(KEY).expect("a reference");
    assert_eq!(change(&before).await, Some(Answer::Found(json!("one"))));
    changing.say(500, "sealed");
    let after = secrets(&[], |options| {
        options.known = before.known();
        options.neg_ttl = Duration::from_millis(100);
    });
    let nobody = after.look_up(KEY).expect("a reference").0;
    assert!(
        matches!(nobody, Answer::Failed(_)),
        "not without its manager"
    );
    let after = secrets(&[], |options| {
        options.known = before.known();
        options.neg_ttl = Duration::from_millis(100);
    });
    put(&after, "vault/1", &changing.stored("t"));
    let (old, _used) = after.look_up(KEY).expect("a reference");
    assert_eq!(old, Answer::Found(json!("one")));
    assert!(!after.is_pending());
    let seen = changing.vault.requests().len();
    asked(&changing.vault, seen + 2).await;
    assert_eq!(
        after.look_up(KEY).expect("known").0,
        Answer::Found(json!("one"))
    );
    changing.say(200, "two");
    assert_eq!(change(&after).await, Some(Answer::Found(json!("two"))));
}
