use std::{fs, path::Path, time::Duration};

use lockgate_plugin::testing::{Kit, Request};
use serde_json::{Value, json};

use super::FileLogger;

/// Logs requests, and has everything written that waits.
fn log(kit: &Kit, config: &Value, requests: impl IntoIterator<Item = Request>) {
    let plugin = kit.plugin::<FileLogger>(config).expect("a configuration");
    for mut request in requests {
        assert!(plugin.access(&mut request).is_none());
        request.respond(200, &[]);
        plugin.log(&mut request);
    }
    let node = &kit.node;
    node.runtime()
        .block_on(node.shut_down(Duration::from_secs(30)));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON in each line")
}

#[test]
fn writes_one_entry_in_a_line_behind_what_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file.log");
    fs::write(&path, "{\"path\":\"old\"}\n").expect("written");
    let config = json!({"path": path, "log_format": {"path": "$uri"}});
    log(&Kit::new(), &config, ["/a", "/b"].map(Request::get));
    let expected = [
        json!({"path": "old"}),
        json!({"path": "/a", "route_id": "1"}),
        json!({"path": "/b", "route_id": "1"}),
    ];
    assert_eq!(lines(&path), expected);
}

#[test]
fn the_path_may_be_that_of_the_metadata() {
    let dir = tempfile::tempdir().expect("a directory");
    let (own, other) = (dir.path().join("own.log"), dir.path().join("other.log"));
    for (config, mine, others) in [(json!({"path": own}), 1, 0), (json!({}), 1, 1)] {
        let kit = Kit::new();
        kit.metadata::<FileLogger>(&json!({"path": other}))
            .expect("metadata");
        log(&kit, &config, [Request::get("/")]);
        assert_eq!((lines(&own).len(), lines(&other).len()), (mine, others));
    }
}

#[test]
fn logs_what_one_of_the_matches_is_true_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file.log");
    let config = json!({
        "path": path, "log_format": {"path": "$request_uri"},
        "match": [[["arg_name", "==", "jack"]], [["arg_name", "==", "rose"]]],
    });
    let requests = ["/?name=jack", "/?name=x", "/", "/?name=rose"].map(Request::get);
    log(&Kit::new(), &config, requests);
    let paths: Vec<_> = lines(&path)
        .iter()
        .map(|line| line["path"].clone())
        .collect();
    assert_eq!(paths, ["/?name=jack", "/?name=rose"]);
    let empty = dir.path().join("empty.log");
    log(
        &Kit::new(),
        &json!({"path": empty, "match": []}),
        [Request::get("/")],
    );
    assert_eq!(lines(&empty).len(), 0);
}

#[test]
fn a_file_that_was_moved_away_is_let_go_of_when_logs_are_reopened() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file.log");
    let config = json!({"path": path, "log_format": {"path": "$uri"}});
    let kit = Kit::new();
    let plugin = kit.plugin::<FileLogger>(&config).expect("a configuration");
    let log = |target: &str| {
        let mut request = Request::get(target);
        request.respond(200, &[]);
        plugin.log(&mut request);
        // Another line for another file behind it is written when this one is.
        let done = dir.path().join(target.trim_start_matches('/'));
        let other = json!({"path": done, "log_format": {}});
        let other = kit.plugin::<FileLogger>(&other).expect("a configuration");
        other.log(&mut request);
        let began = std::time::Instant::now();
        while lines(&done).is_empty() && began.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
    };
    log("/a");
    let moved = dir.path().join("moved.log");
    fs::rename(&path, &moved).expect("moved");
    log("/b");
    assert_eq!((lines(&moved).len(), path.exists()), (2, false));
    kit.node.reopen_logs();
    log("/c");
    assert_eq!((lines(&moved).len(), lines(&path).len()), (2, 1));
}

#[test]
fn a_path_that_cannot_be_written_harms_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file.log");
    let kit = Kit::new();
    let missing = kit
        .plugin::<FileLogger>(&json!({"path": dir.path().join("none/file.log")}))
        .expect("a configuration");
    let mut request = Request::get("/");
    request.respond(200, &[]);
    missing.log(&mut request);
    log(&kit, &json!({"path": path}), [Request::get("/")]);
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn refuses_matches_that_are_none() {
    let config = json!({"path": "x", "match": [["arg_a", "<>", "1"]]});
    let error = Kit::new()
        .plugin::<FileLogger>(&config)
        .expect_err("a refusal");
    assert_eq!(
        error.to_string(),
        "failed to validate the 'match' expression: invalid operator '<>'"
    );
}
