//! The files of a dashboard.

use lockgate_admin::AdminOptions;

use crate::{
    gateway::{Gateway, keyed_options, open_options},
    wire::Reply,
};

async fn dashboard() -> (tempfile::TempDir, Gateway) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("ui/assets")).unwrap();
    for (name, text) in [
        ("ui/index.html", "<p>hello</p>"),
        ("ui/assets/a.js", "1"),
        ("ui/assets/a.css", "a{}"),
        ("ui/assets/a.svg", "<svg/>"),
        ("secret", "not for everybody"),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let options = AdminOptions {
        ui: Some(dir.path().join("ui")),
        ..keyed_options()
    };
    let gateway = Gateway::start_with(options).await;
    (dir, gateway)
}

#[track_caller]
fn check(reply: &Reply, status: u16, kind: &str, body: &str) {
    assert_eq!((reply.status, reply.body.as_str()), (status, body));
    assert_eq!(reply.field("content-type"), Some(kind));
}

#[tokio::test]
async fn serves_files_without_a_key() {
    let (_dir, gateway) = dashboard().await;
    let html = "text/html; charset=utf-8";
    for (path, kind, body) in [
        ("/ui/", html, "<p>hello</p>"),
        ("/ui/index.html", html, "<p>hello</p>"),
        // A page of the dashboard.
        ("/ui/not_exist", html, "<p>hello</p>"),
        ("/ui/assets", html, "<p>hello</p>"),
        (
            "/ui/assets/a.js",
            "application/javascript; charset=utf-8",
            "1",
        ),
        ("/ui/assets/a.css", "text/css", "a{}"),
        ("/ui/assets/a.svg?v=1", "image/svg+xml", "<svg/>"),
        (
            "/ui/%2e%2e/ui/assets/a%2ejs",
            "application/javascript; charset=utf-8",
            "1",
        ),
    ] {
        let reply = gateway.ask(&format!("GET {path}"), "").await;
        check(&reply, 200, kind, body);
        let kept = reply.field("cache-control");
        assert_eq!(kept, Some("private,max-age=7200"), "{path}");
    }
    let head = gateway.ask("HEAD /ui/", "").await;
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("12"))
    );
    let moved = gateway.ask("GET /ui", "").await;
    assert_eq!((moved.status, moved.field("location")), (301, Some("/ui/")));
    assert_eq!(gateway.ask("POST /ui/", "").await.status, 405);
    assert_eq!(
        gateway.ask("GET /apisix/admin/routes", "").await.status,
        401
    );
}

#[tokio::test]
async fn stays_in_its_directory() {
    let (_dir, gateway) = dashboard().await;
    for path in [
        "/ui/../secret",
        "/ui/%2e%2e/secret",
        "/ui/..%2fsecret",
        "/ui/assets/../../secret",
        "/ui/..",
        "/uix",
    ] {
        let reply = gateway.ask(&format!("GET {path}"), "").await;
        assert_eq!(reply.status, 404, "{path}");
    }
    for path in ["/ui/../../secret", "/ui/..%5csecret", "/ui//secret"] {
        let reply = gateway.ask(&format!("GET {path}"), "").await;
        assert!(!reply.body.contains("not for everybody"), "{path}");
    }
}

#[tokio::test]
async fn browsers_may_keep_the_files() {
    let (_dir, gateway) = dashboard().await;
    let first = gateway.ask("GET /ui/assets/a.js", "").await;
    let (tag, modified) = (
        first.field("etag").unwrap(),
        first.field("last-modified").unwrap(),
    );
    for fields in [
        format!("If-None-Match: {tag}\r\n"),
        format!("If-None-Match: \"x\", W/{tag}\r\n"),
        format!("If-Modified-Since: {modified}\r\n"),
    ] {
        let reply = gateway.ask_with("GET /ui/assets/a.js", &fields, "").await;
        assert_eq!((reply.status, reply.body.as_str()), (304, ""), "{fields}");
    }
    let other = "If-None-Match: \"x\"\r\n";
    let reply = gateway.ask_with("GET /ui/assets/a.js", other, "").await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn is_not_there_without_files_or_the_option() {
    let dir = tempfile::tempdir().unwrap();
    let bare = AdminOptions {
        ui: Some(dir.path().join("ui")),
        ..open_options()
    };
    let gateway = Gateway::start_with(bare).await;
    assert_eq!(gateway.ask("GET /ui", "").await.status, 301);
    assert_eq!(gateway.ask("GET /ui/", "").await.status, 404);
    let gateway = Gateway::start().await;
    assert_eq!(gateway.ask("GET /ui", "").await.status, 404);
    let shut = AdminOptions {
        allow: Some(Vec::new()),
        ui: Some(dir.path().to_owned()),
        ..open_options()
    };
    let gateway = Gateway::start_with(shut).await;
    assert_eq!(
        gateway.ask("GET /ui/", "").await.status,
        403,
        "nobody is let in"
    );
    assert_eq!(
        gateway.ask("GET /apisix/admin/routes", "").await.status,
        403
    );
}
