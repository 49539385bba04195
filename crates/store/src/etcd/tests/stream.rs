//! What becomes of answers, and how silence is borne.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    Batch, Change, Entry,
    etcd::{
        keys::Keys,
        proto::{Event, KeyValue, REMOVED, WatchResponse},
        stream::{Assembly, Ended, Heart},
    },
};

fn put(key: &str, revision: u64) -> Event {
    Event {
        kind: 0,
        kv: Some(KeyValue {
            key: key.as_bytes().to_vec().into(),
            create_revision: revision,
            mod_revision: revision,
            value: b"v".as_slice().into(),
        }),
    }
}

fn removal(key: &str, revision: u64) -> Event {
    Event {
        kind: REMOVED,
        ..put(key, revision)
    }
}

fn answer(events: Vec<Event>) -> WatchResponse {
    WatchResponse {
        events,
        ..WatchResponse::default()
    }
}

fn part(events: Vec<Event>) -> WatchResponse {
    WatchResponse {
        fragment: true,
        ..answer(events)
    }
}

fn assembly() -> Assembly {
    Assembly::new(Keys::new("/apisix"))
}

/// Keys and revisions; a removal has a minus sign.
fn told(batch: Option<Batch>) -> Option<(u64, Vec<(String, u64)>)> {
    let batch = batch?;
    let changes = batch.changes.iter().map(|change| match change {
        Change::Put(Entry {
            key, mod_revision, ..
        }) => (key.to_string(), *mod_revision),
        Change::Delete { key, revision } => (format!("-{key}"), *revision),
    });
    Some((batch.revision, changes.collect()))
}

fn changes(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter()
        .map(|(key, revision)| ((*key).to_owned(), *revision))
        .collect()
}

#[test]
fn makes_one_batch_of_one_answer() {
    let mut assembly = assembly();
    let events = vec![
        put("/apisix/a", 5),
        put("/apisix/b", 5),
        removal("/apisix/a", 6),
    ];
    assert_eq!(
        told(assembly.take(answer(events), 4).unwrap()),
        Some((6, changes(&[("a", 5), ("b", 5), ("-a", 6)])))
    );
    // Nothing of it is left.
    let events = vec![put("/apisix/c", 7)];
    assert_eq!(
        told(assembly.take(answer(events), 6).unwrap()),
        Some((7, changes(&[("c", 7)])))
    );
}

#[test]
fn keeps_the_parts_of_an_answer_together() {
    let mut assembly = assembly();
    let first = part(vec![put("/apisix/a", 5)]);
    assert_eq!(told(assembly.take(first, 4).unwrap()), None);
    let second = part(vec![put("/apisix/b", 5)]);
    assert_eq!(told(assembly.take(second, 4).unwrap()), None);
    let last = answer(vec![put("/apisix/c", 5)]);
    assert_eq!(
        told(assembly.take(last, 4).unwrap()),
        Some((5, changes(&[("a", 5), ("b", 5), ("c", 5)])))
    );
}

#[test]
fn passes_over_what_is_known_and_what_is_no_object() {
    let mut assembly = assembly();
    let check = |assembly: &mut Assembly, events: Vec<Event>| {
        assert_eq!(told(assembly.take(answer(events), 5).unwrap()), None);
    };
    check(&mut assembly, vec![]);
    check(&mut assembly, vec![put("/apisix/a", 5)]);
    check(&mut assembly, vec![put("/apisix/routes/", 6)]);
    check(&mut assembly, vec![removal("/apisix/routes/", 7)]);
    check(&mut assembly, vec![Event::default()]);
    let events = vec![put("/apisix/a", 5), put("/apisix/b", 8)];
    assert_eq!(
        told(assembly.take(answer(events), 5).unwrap()),
        Some((8, changes(&[("b", 8)])))
    );
}

#[test]
fn tells_a_compaction_from_another_end() {
    let compacted = WatchResponse {
        canceled: true,
        compact_revision: 9,
        ..WatchResponse::default()
    };
    assert_eq!(
        assembly().take(compacted, 4).unwrap_err(),
        Ended::Compacted(9)
    );
    let canceled = WatchResponse {
        canceled: true,
        cancel_reason: "no leader".to_owned(),
        ..WatchResponse::default()
    };
    assert_eq!(
        assembly().take(canceled, 4).unwrap_err(),
        Ended::Lost("etcd ends the watch: no leader".to_owned())
    );
}

const LIMIT: Duration = Duration::from_secs(50);

#[tokio::test(start_paused = true)]
async fn asks_for_signs_of_life_and_gives_up_at_the_limit() {
    let mut heart = Heart::new(LIMIT);
    let start = Instant::now();
    let mut asked_s = Vec::new();
    while heart.is_worth_asking().await {
        asked_s.push(start.elapsed().as_secs());
    }
    assert_eq!(asked_s, [10, 20, 30, 40]);
    assert_eq!(start.elapsed().as_secs(), 50);

    heart.beat();
    assert!(heart.is_worth_asking().await);
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn leaves_time_for_an_answer_to_whoever_reads_rarely() {
    let mut heart = Heart::new(LIMIT);
    tokio::time::advance(Duration::from_hours(1)).await;
    assert!(heart.is_worth_asking().await);
    let asked = Instant::now();
    assert!(heart.is_worth_asking().await);
    assert_eq!(asked.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn counts_on_after_a_wait_that_was_given_up() {
    let mut heart = Heart::new(LIMIT);
    let start = Instant::now();
    for _ in 0..9 {
        let given_up = tokio::time::timeout(Duration::from_secs(1), heart.is_worth_asking()).await;
        assert!(given_up.is_err());
    }
    assert!(heart.is_worth_asking().await);
    assert_eq!(start.elapsed().as_secs(), 10);
}
