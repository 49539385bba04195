//! Who is let in, and the fields that every answer has.

use lockgate_admin::{AdminOptions, RealIp};
use serde_json::json;

use crate::{
    gateway::{Gateway, keyed_options, open_options},
    wire::{Reply, Wire},
};

const LIST: &str = "GET /apisix/admin/routes";

#[tokio::test]
async fn takes_the_key_from_argument_before_header_before_cookie() {
    let gateway = Gateway::start_with(keyed_options()).await;
    let missing = json!({"error_msg": "failed to check token", "description": "missing apikey"});
    let wrong = json!({"error_msg": "failed to check token", "description": "wrong apikey"});
    let role = json!({"error_msg": "failed to check token", "description": "invalid method for role viewer"});
    let list = json!({"total": 0, "list": []});
    for (request, fields, status, expected) in [
        (LIST, "", 401, &missing),
        (LIST, "X-API-KEY: full\r\n", 200, &list),
        (LIST, "x-api-key: look\r\n", 200, &list),
        (LIST, "X-API-KEY: ful\r\n", 401, &wrong),
        (LIST, "X-API-KEY: fulll\r\n", 401, &wrong),
        (LIST, "X-API-KEY: \r\n", 401, &wrong),
        (LIST, "X-API-KEY: full\r\nX-API-KEY: full\r\n", 401, &wrong),
        (LIST, "Cookie: a=b; x_api_key=full\r\n", 200, &list),
        (LIST, "Cookie: a=b; x_api_key=no\r\n", 401, &wrong),
        (LIST, "Cookie: a=b\r\n", 401, &missing),
        (
            LIST,
            "X-API-KEY: no\r\nCookie: x_api_key=full\r\n",
            401,
            &wrong,
        ),
        ("GET /apisix/admin/routes?api_key=full", "", 200, &list),
        (
            "GET /apisix/admin/routes?api_key=f%75ll",
            "X-API-KEY: no\r\n",
            200,
            &list,
        ),
        (
            "GET /apisix/admin/routes?api_key=no",
            "X-API-KEY: full\r\n",
            401,
            &wrong,
        ),
        (
            "GET /apisix/admin/routes?api_key=full&api_key=no",
            "",
            200,
            &list,
        ),
        ("GET /apisix/admin/routes?api_key", "", 401, &wrong),
        ("GET /apisix/admin/routes??api_key=full", "", 401, &missing),
        (
            "PUT /apisix/admin/routes/1",
            "X-API-KEY: look\r\n",
            401,
            &role,
        ),
        (
            "DELETE /apisix/admin/routes/1",
            "X-API-KEY: look\r\n",
            401,
            &role,
        ),
        (
            "POST /apisix/admin/schema/validate/routes",
            "X-API-KEY: look\r\n",
            401,
            &role,
        ),
        (
            "PUT /apisix/admin/plugins/reload",
            "X-API-KEY: look\r\n",
            401,
            &role,
        ),
        ("PUT /apisix/admin/plugins/reload", "", 401, &missing),
        ("GET /apisix/admin/plugins/list", "", 401, &missing),
        (
            "POST /apisix/admin/schema/validate/routes",
            "",
            401,
            &missing,
        ),
        ("GET /apisix/admin/no_such_thing", "", 401, &missing),
    ] {
        let reply = gateway.ask_with(request, fields, "").await;
        let found: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(
            (reply.status, &found),
            (status, expected),
            "{request} {fields}"
        );
        let is_marked = reply.field("x-api-version").is_some();
        assert_eq!(
            is_marked,
            status == 200,
            "only answers of a resource are marked"
        );
    }
}

#[tokio::test]
async fn asks_for_no_key_where_none_is_required() {
    for options in [keyed_options(), open_options()] {
        let gateway = Gateway::start_with(AdminOptions {
            is_key_required: false,
            ..options
        })
        .await;
        for fields in ["", "X-API-KEY: anything\r\n"] {
            assert_eq!(gateway.ask_with(LIST, fields, "").await.status, 200);
        }
    }
}

#[tokio::test]
async fn lets_nobody_in_where_a_key_is_required_and_none_is_set() {
    let gateway = Gateway::start_with(AdminOptions {
        keys: Vec::new(),
        ..keyed_options()
    })
    .await;
    for (fields, description) in [
        ("", "missing apikey"),
        ("X-API-KEY: anything\r\n", "wrong apikey"),
        ("X-API-KEY: \r\n", "wrong apikey"),
        ("Cookie: x_api_key=\r\n", "wrong apikey"),
    ] {
        let reply = gateway.ask_with(LIST, fields, "").await;
        let found: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        let expected = json!({"error_msg": "failed to check token", "description": description});
        assert_eq!((reply.status, found), (401, expected), "{fields}");
    }
}

#[tokio::test]
async fn writes_down_who_wrote() {
    let gateway = Gateway::start_with(keyed_options()).await;
    let body = r#"{"nodes": {}}"#;
    let key = "X-API-KEY: full\r\n";
    for request in [
        "PUT /apisix/admin/upstreams/1",
        "PATCH /apisix/admin/upstreams/1",
        "POST /apisix/admin/upstreams",
    ] {
        assert!(gateway.ask_with(request, key, body).await.status < 300);
    }
    gateway
        .ask_with("DELETE /apisix/admin/upstreams/1", key, "")
        .await;
    let puts = gateway.store.puts().into_iter().map(|put| put.author);
    let deletes = gateway
        .store
        .deletes()
        .into_iter()
        .map(|delete| delete.author);
    let authors: Vec<_> = puts.chain(deletes).collect();
    assert_eq!(
        authors.len(),
        5,
        "PUT, PATCH, the id and the object of POST, DELETE"
    );
    for author in authors {
        assert_eq!(
            (author.name.as_str(), author.address.as_str()),
            ("ann", "127.0.0.1")
        );
    }
}

/// nginx's page, as `allow` and `deny` make it, before anything of the API is looked at.
#[tokio::test]
async fn shuts_other_addresses_out() {
    let with_allowed = |block: &str| AdminOptions {
        allow: Some(vec![block.parse().unwrap()]),
        ..keyed_options()
    };
    let gateway = Gateway::start_with(with_allowed("10.0.0.0/8")).await;
    for request in [LIST, "HEAD /apisix/admin", "OPTIONS /apisix/admin", "GET /"] {
        let reply = gateway.ask_with(request, "X-API-KEY: full\r\n", "").await;
        assert_eq!(reply.status, 403, "{request}");
        assert_eq!(
            reply.field("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(reply.field("access-control-allow-origin"), None);
        if !request.starts_with("HEAD") {
            assert_eq!(
                reply.body,
                "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n\
                 <hr><center>openresty</center>\r\n<p><em>Powered by <a href=\"https://apisix.apache.org/\">APISIX</a>.</em></p></body>\r\n</html>\r\n"
            );
        }
    }
    let believing = AdminOptions {
        real_ip: RealIp {
            from: vec!["127.0.0.1/32".parse().unwrap()],
            header: "x-real-ip".into(),
            is_recursive: false,
        },
        ..with_allowed("127.0.0.0/24")
    };
    let gateway = Gateway::start_with(believing).await;
    let fields = "X-API-KEY: full\r\nX-Real-IP: 1.2.3.4\r\n";
    assert_eq!(gateway.ask_with(LIST, fields, "").await.status, 403);
    let gateway = Gateway::start_with(with_allowed("127.0.0.0/24")).await;
    assert_eq!(
        gateway
            .ask_with(LIST, "X-API-KEY: full\r\n", "")
            .await
            .status,
        200
    );
    assert_eq!(
        gateway.ask(LIST, "").await.status,
        401,
        "an address is no key"
    );
}

fn cors_of(reply: &Reply) -> Vec<(&str, &str)> {
    let fields = reply.fields.iter();
    let mut found: Vec<_> = fields
        .filter(|(name, _)| name.starts_with("access-control"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn sends_cors_fields_with_everything() {
    let gateway = Gateway::start_with(keyed_options()).await;
    for request in [
        LIST,
        "HEAD /apisix/admin",
        "GET /apisix/admin",
        "GET /apisix/admin/x",
    ] {
        let reply = gateway.ask(request, "").await;
        assert_eq!(
            cors_of(&reply),
            [
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-origin", "*"),
                ("access-control-expose-headers", "*"),
                ("access-control-max-age", "3600"),
            ],
            "{request}"
        );
    }
    for path in [
        "/apisix/admin",
        "/apisix/admin/routes/1",
        "/apisix/admin/no/such/thing",
    ] {
        let reply = gateway.ask(&format!("OPTIONS {path}"), "").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        assert_eq!(reply.field("content-length"), Some("0"));
        assert_eq!(
            cors_of(&reply),
            [
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-headers", "*"),
                (
                    "access-control-allow-methods",
                    "POST, GET, PUT, OPTIONS, DELETE, PATCH"
                ),
                ("access-control-allow-origin", "*"),
                ("access-control-max-age", "3600"),
            ]
        );
    }
}

#[tokio::test]
async fn sends_no_cors_fields_where_they_are_off() {
    let gateway = Gateway::start_with(AdminOptions {
        has_cors: false,
        ..open_options()
    })
    .await;
    for (request, status) in [(LIST, 200), ("OPTIONS /apisix/admin/routes", 404)] {
        let reply = gateway.ask(request, "").await;
        assert_eq!((reply.status, cors_of(&reply)), (status, vec![]));
    }
}

#[tokio::test]
async fn sends_the_fields_of_the_reference() {
    let gateway = Gateway::start_with(keyed_options()).await;
    let key = "X-API-KEY: full\r\n";
    let json = Some("application/json");
    let page = Some("text/html; charset=utf-8");
    for (request, fields, status, content_type, version) in [
        (LIST, key, 200, json, Some("v3")),
        ("GET /apisix/admin/routes/none", key, 404, json, Some("v3")),
        (
            "GET /apisix/admin/routes?page=1&page_size=1",
            key,
            400,
            json,
            Some("v3"),
        ),
        ("PUT /apisix/admin/routes/1", key, 400, json, Some("v3")),
        ("GET /apisix/admin/schema/route", key, 200, json, Some("v3")),
        ("GET /apisix/admin/plugins/list", key, 200, json, None),
        ("PUT /apisix/admin/plugins/reload", key, 200, json, None),
        ("GET /apisix/admin/no_such_thing", key, 404, json, None),
        (LIST, "", 401, json, None),
        ("HEAD /apisix/admin", "", 200, json, None),
        ("HEAD /apisix/admin/routes", key, 404, page, None),
        ("GET /apisix/admin", key, 404, page, None),
        ("TRACE /apisix/admin/routes", key, 404, page, None),
        ("GET /apisix", key, 404, page, None),
        ("GET /", key, 404, page, None),
        ("GET /apisix/admin/%zz", key, 400, page, None),
    ] {
        let reply = gateway.ask_with(request, fields, "").await;
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.field("server"), Some("APISIX/3.18.0"), "{request}");
        assert_eq!(reply.field("content-type"), content_type, "{request}");
        assert_eq!(reply.field("x-api-version"), version, "{request}");
        assert!(reply.field("date").is_some(), "{request}");
    }
}

#[tokio::test]
async fn serves_names_that_cannot_be_a_field() {
    let gateway = Gateway::start_with(AdminOptions {
        server: "two\r\nlines".into(),
        ..open_options()
    })
    .await;
    assert_eq!(gateway.ask(LIST, "").await.field("server"), Some("APISIX"));
}

#[tokio::test]
async fn tells_which_way_a_request_went_wrong() {
    let gateway = Gateway::start().await;
    let unsupported =
        |name: &str| json!({"error_msg": format!("Unsupported resource type: {name}")});
    gateway
        .check(&[
            (
                "GET no_such_thing",
                json!(""),
                404,
                unsupported("no_such_thing"),
            ),
            (
                "PUT no_such_thing/1",
                json!({}),
                404,
                unsupported("no_such_thing"),
            ),
            ("GET ", json!(""), 404, unsupported("")),
            (
                "PUT credentials/1",
                json!({}),
                404,
                unsupported("credentials"),
            ),
            (
                "GET graphql_cost_decorations",
                json!(""),
                400,
                json!({"error_msg": "missing service id"}),
            ),
            (
                "POST schema/validate/no_such_thing",
                json!({}),
                404,
                unsupported("no_such_thing"),
            ),
            (
                "PUT schema/route",
                json!({}),
                404,
                json!({"error_msg": "not found"}),
            ),
            (
                "POST plugins/list",
                json!({}),
                404,
                json!({"error_msg": "not found"}),
            ),
            (
                "DELETE plugins/x",
                json!(""),
                404,
                json!({"error_msg": "not found"}),
            ),
            (
                "GET stream_routes",
                json!(""),
                400,
                json!({"error_msg": "stream mode is disabled, can not add stream routes"}),
            ),
        ])
        .await;
}

#[tokio::test]
async fn reads_paths_as_nginx_does() {
    let gateway = Gateway::start().await;
    gateway.store.seed("routes/a b", "{}");
    for path in [
        "//apisix///admin/routes/a%20b",
        "/apisix/./admin/x/../routes/a%20b",
        "/apisix/admin%2Froutes/a%20b/",
        "/apisix/admin/routes/a%20b/ignored/too",
    ] {
        let reply = gateway.ask(&format!("GET {path}"), "").await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
}

#[tokio::test]
async fn answers_a_client_of_http_1_0() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address).await;
    wire.send("GET /apisix/admin/routes HTTP/1.0\r\n\r\n").await;
    assert_eq!(
        wire.reply("GET").await.unwrap().body,
        "{\"total\":0,\"list\":[]}\n"
    );
    assert!(wire.is_closed().await);
}
