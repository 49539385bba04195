use lockgate_plugin::{
    host,
    testing::{Kit, Request, Tested},
};
use serde_json::json;

use super::*;

fn plugin(config: &Value) -> Tested {
    Kit::new()
        .plugin::<FaultInjection>(config)
        .expect("a plugin")
}

#[track_caller]
fn check(config: &Value, target: &str, expected: Option<(u16, &str)>) {
    let reply = plugin(config).rewrite(&mut Request::get(target));
    let reply = reply.map(|reply| (reply.status, reply.text()));
    let expected = expected.map(|(status, body)| (status, body.to_owned()));
    assert_eq!(reply, expected, "{config} on {target}");
}

#[test]
fn requests_are_answered_in_the_upstreams_place() {
    let abort = json!({"abort": {"http_status": 201, "body": "Fault: $arg_name\n"}});
    check(&abort, "/?name=x", Some((201, "Fault: x\n")));
    check(
        &json!({"abort": {"http_status": 500}}),
        "/",
        Some((500, "")),
    );
    check(
        &json!({"abort": {"http_status": 200, "body": ""}}),
        "/",
        Some((200, "")),
    );
    let page = plugin(&json!({"abort": {"http_status": 503}}));
    let reply = page.rewrite(&mut Request::get("/")).expect("an answer");
    assert!(matches!(reply.body, Body::Page));
}

#[test]
fn answers_have_fields() {
    let headers = json!({"x_a": "a $arg_name", "X-N": 4, "X-None": "$arg_no", "X-Line": "b\r\nc"});
    let config = json!({"abort": {"http_status": 200, "headers": headers}});
    let reply = plugin(&config)
        .rewrite(&mut Request::get("/?name=x"))
        .expect("an answer");
    let fields: Vec<_> = reply.headers.iter().collect();
    let expected: [(&[u8], &[u8]); 3] =
        [(b"x-a", b"a x"), (b"X-N", b"4"), (b"X-Line", b"b%0D%0Ac")];
    assert_eq!(fields, expected);
}

#[test]
fn some_requests_of_a_hundred_are_met() {
    for (percentage, least, most) in [(0, 0, 0), (100, 1000, 1000), (40, 200, 600)] {
        let config = json!({"abort": {"http_status": 500, "percentage": percentage}});
        let plugin = plugin(&config);
        let meets = |_: &i32| plugin.rewrite(&mut Request::get("/")).is_some();
        let met = (0..1000).filter(meets).count();
        assert!((least..=most).contains(&met), "{percentage}: {met}");
    }
}

#[test]
fn requests_are_met_of_which_one_expression_holds() {
    let abort = |vars: Value| json!({"abort": {"http_status": 403, "body": "x", "vars": vars}});
    let jack = json!([
        [["arg_name", "==", "jack"], ["arg_age", "==", "18"]],
        [["arg_name", "==", "rose"]]
    ]);
    check(&abort(jack.clone()), "/?name=jack&age=18", Some((403, "x")));
    check(&abort(jack.clone()), "/?name=rose", Some((403, "x")));
    check(&abort(jack), "/?name=jack", None);
    check(&abort(json!([])), "/", None);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_and_may_be_answered_then() {
    for (config, waits, is_answered) in [
        (json!({"delay": {"duration": 1.5}}), 1.5, false),
        (
            json!({"delay": {"duration": 0.1, "percentage": 0}}),
            0.0,
            false,
        ),
        (
            json!({"delay": {"duration": 2, "vars": [[["arg_a", "==", "1"]]]}}),
            0.0,
            false,
        ),
        (
            json!({"delay": {"duration": 3}, "abort": {"http_status": 500}}),
            3.0,
            true,
        ),
    ] {
        let plugin = tokio::task::spawn_blocking(move || plugin(&config))
            .await
            .expect("a plugin");
        let mut request = Request::get("/");
        let began = tokio::time::Instant::now();
        let mut ex = Exchange::new(&mut request);
        let flow = host::run(&plugin.chain, host::Phase::Rewrite, None, &mut ex).await;
        let waited = began.elapsed().as_secs_f64();
        assert!((waited - waits).abs() < 0.01, "{waited} for {waits}");
        assert_eq!(matches!(flow, Flow::Reply(_)), is_answered);
        tokio::task::spawn_blocking(move || drop(plugin))
            .await
            .expect("dropped");
    }
}

#[test]
fn expressions_that_are_none_are_refused() {
    for fault in [
        json!({"abort": {"http_status": 200, "vars": [[["a"]]]}}),
        json!({"delay": {"duration": 1, "vars": [[["a"]]]}}),
    ] {
        let refused = Kit::new().plugin::<FaultInjection>(&fault).unwrap_err();
        assert_eq!(refused.to_string(), "invalid expression", "{fault}");
    }
}
