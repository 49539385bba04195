use std::collections::BTreeSet;

use lockgate_plugin::testing::{Kit, Request, Tested};
use serde_json::{Value, json};

use super::*;

fn plugin(config: &Value) -> Tested {
    Kit::new().plugin::<RequestId>(config).expect("a plugin")
}

fn id(plugin: &Tested) -> String {
    let mut request = Request::get("/");
    assert!(plugin.rewrite(&mut request).is_none());
    request.sent("x-request-id").expect("an id")
}

#[test]
fn ids_are_made_by_the_algorithm() {
    let letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let hex = "0123456789abcdef-";
    let nanoid = format!("{letters}-_");
    let range = json!({"char_set": "abcdefg", "length": 20});
    for (config, length, set, version) in [
        (json!({}), 36, hex, "4"),
        (json!({"algorithm": "uuid"}), 36, hex, "4"),
        (json!({"algorithm": "uuidv7"}), 36, hex, "7"),
        (json!({"algorithm": "nanoid"}), 21, &nanoid, ""),
        (json!({"algorithm": "ksuid"}), 27, letters, ""),
        (json!({"algorithm": "range_id"}), 16, letters, ""),
        (
            json!({"algorithm": "range_id", "range_id": range}),
            20,
            "abcdefg",
            "",
        ),
    ] {
        let plugin = plugin(&config);
        let ids: BTreeSet<_> = (0..100).map(|_| id(&plugin)).collect();
        assert_eq!(ids.len(), 100, "{config}");
        for id in ids {
            assert_eq!(id.len(), length, "{config}: {id}");
            assert!(id.chars().all(|c| set.contains(c)), "{config}: {id}");
            if !version.is_empty() {
                assert_eq!(&id[14..15], version, "{config}: {id}");
                assert!("89ab".contains(&id[19..20]), "{config}: {id}");
            }
        }
    }
}

#[test]
fn an_id_that_is_brought_along_stays() {
    for (brought, stays) in [("123", true), ("", false)] {
        let plugin = plugin(&json!({}));
        let mut request = Request::get("/").header("X-Request-Id", brought);
        assert!(plugin.rewrite(&mut request).is_none());
        let sent = request.sent("x-request-id").expect("an id");
        assert_eq!(sent == brought, stays);
        let variable = Variable::parse("apisix_request_id");
        assert_eq!(request.state.variable(&variable), Some(sent.as_bytes()));
        plugin.respond(&mut request, 200, &[], &[""]);
        assert_eq!(request.answered("x-request-id"), Some(sent));
    }
}

#[test]
fn responses_have_the_id_unless_the_upstream_gave_one_or_nobody_asks() {
    for (config, upstreams, expected) in [
        (json!({"header_name": "My-Id"}), "", Some("7")),
        (
            json!({"header_name": "My-Id"}),
            "upstream",
            Some("upstream"),
        ),
        (
            json!({"header_name": "My-Id", "include_in_response": false}),
            "",
            None,
        ),
    ] {
        let plugin = plugin(&config);
        let mut request = Request::get("/").header("my-id", "7");
        assert!(plugin.rewrite(&mut request).is_none());
        let fields = [("My-Id", upstreams)];
        let fields = if upstreams.is_empty() {
            &[][..]
        } else {
            &fields
        };
        plugin.respond(&mut request, 200, fields, &[""]);
        assert_eq!(request.answered("my-id").as_deref(), expected, "{config}");
    }
}
