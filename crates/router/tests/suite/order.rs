//! Which route wins. The cases are those of the reference's tests: `t/router/radixtree-*.t`, `t/node/remote_addrs.t`, and
//! `t/{host,multiple,parameter,path,priority,remote,sanity,update}.t` of `lua-resty-radixtree`.

use std::net::IpAddr;

use lockgate_router::{Mode, Params, Table};
use serde_json::json;

use crate::request::{Get, Spec, With, get, route};

const ALL: [Mode; 3] = [Mode::HostUri, Mode::Uri, Mode::UriWithParameter];

fn table(mode: Mode, routes: &[Spec]) -> Table<u32> {
    let mut table = Table::new(mode);
    for route in routes {
        table
            .insert(route.clone())
            .expect("a test's route is well-formed");
    }
    table
}

fn find(table: &Table<u32>, request: &Get) -> Option<u32> {
    table
        .routes()
        .find(request, &mut Params::new())
        .map(|found| *found.value())
}

/// Checks URL by URL which route is found, in the modes given.
#[track_caller]
fn check_in(modes: &[Mode], routes: &[Spec], expected: &[(&str, Option<u32>)]) {
    for &mode in modes {
        let table = table(mode, routes);
        for (url, number) in expected {
            assert_eq!(find(&table, &get(url)), *number, "{url} in {mode:?}");
        }
    }
}

#[track_caller]
fn check(routes: &[Spec], expected: &[(&str, Option<u32>)]) {
    check_in(&ALL, routes, expected);
}

#[test]
fn exact_paths_are_compared_whole() {
    check(
        &[route(1, "/aa"), route(2, "/bb").path("/cc")],
        &[
            ("/aa", Some(1)),
            ("/bb", Some(2)),
            ("/cc", Some(2)),
            ("/aa/", None),
            ("/a", None),
            ("/AA", None),
            ("/", None),
        ],
    );
}

#[test]
fn exact_beats_prefix_and_longer_prefix_beats_shorter() {
    check(
        &[
            route(1, "/*").priority(10),
            route(2, "/a*"),
            route(3, "/a/*"),
            route(4, "/a/b"),
            route(5, "/a/b*"),
        ],
        &[
            ("/x", Some(1)),
            ("/", Some(1)),
            ("/ax", Some(2)),
            ("/a", Some(2)),
            ("/a/", Some(3)),
            ("/a/c/d", Some(3)),
            ("/a/b", Some(4)),
            ("/a/bc", Some(5)),
            ("/a/b/", Some(5)),
        ],
    );
}

#[test]
fn a_prefix_is_no_exact_path() {
    check(
        &[route(1, "/a*")],
        &[("/a", Some(1)), ("/ab", Some(1)), ("/", None), ("/b", None)],
    );
    check(
        &[route(1, "/*")],
        &[("/", Some(1)), ("/any/thing", Some(1))],
    );
    check(&[route(1, "*")], &[("/", Some(1)), ("/any/thing", Some(1))]);
}

#[test]
fn text_behind_a_star_inside_a_segment_is_ignored() {
    check(
        &[route(1, "/foo*bar")],
        &[("/foo", Some(1)), ("/fooz", Some(1)), ("/fo", None)],
    );
}

#[test]
fn priority_decides_on_one_path_only() {
    check(
        &[route(1, "/aa"), route(2, "/aa").priority(1)],
        &[("/aa", Some(2))],
    );
    check(
        &[route(1, "/aa").priority(2), route(2, "/aa").priority(1)],
        &[("/aa", Some(1))],
    );
    check(
        &[route(1, "/aa*").priority(-1), route(2, "/aa*")],
        &[("/aa/x", Some(2))],
    );
    check(
        &[route(1, "/aa*").priority(9), route(2, "/aa/b")],
        &[("/aa/b", Some(2))],
    );
    check_in(
        &[Mode::HostUri],
        &[
            route(1, "/aa").priority(9),
            route(2, "/aa").host("a.com"),
            route(3, "/*").host("a.com").priority(-9),
        ],
        &[
            ("a.com/aa", Some(2)),
            ("a.com/bb", Some(3)),
            ("b.com/aa", Some(1)),
        ],
    );
}

#[test]
fn equals_keep_the_order_of_their_coming() {
    check(&[route(1, "/aa"), route(2, "/aa")], &[("/aa", Some(1))]);
    check(&[route(2, "/aa*"), route(1, "/aa*")], &[("/aa/b", Some(2))]);
    check(
        &[route(1, "/aa*"), route(2, "/aa*longer")],
        &[("/aa/b", Some(2))],
    );
}

#[test]
fn hosts_exact_wildcard_and_none_in_this_order() {
    let routes = [
        route(1, "/aa"),
        route(2, "/aa").host("*.com"),
        route(3, "/aa").host("*.foo.com"),
        route(4, "/aa").host("www.foo.com"),
        route(5, "/aa").host("*bar.org"),
    ];
    check_in(
        &[Mode::HostUri],
        &routes,
        &[
            ("/aa", Some(1)),
            ("other.net/aa", Some(1)),
            ("a.com/aa", Some(2)),
            ("foo.com/aa", Some(2)),
            ("a.b.foo.com/aa", Some(3)),
            ("www.foo.com/aa", Some(4)),
            ("www.foo.com:9080/aa", Some(4)),
            ("bar.org/aa", Some(5)),
            ("foobar.org/aa", Some(5)),
            ("a.com/bb", None),
        ],
    );
    // Where the path decides, hosts are a condition, and equals keep their order.
    check_in(
        &[Mode::Uri, Mode::UriWithParameter],
        &routes,
        &[("www.foo.com/aa", Some(1))],
    );
    check_in(
        &[Mode::Uri, Mode::UriWithParameter],
        &routes[1..],
        &[
            ("www.foo.com/aa", Some(2)),
            ("a.b.foo.com/aa", Some(2)),
            ("bar.org/aa", Some(5)),
            ("/aa", None),
        ],
    );
}

#[test]
fn hosts_without_the_path_fall_back() {
    check_in(
        &[Mode::HostUri],
        &[
            route(1, "/hostless"),
            route(2, "/wild").host("*.foo.com"),
            route(3, "/exact").host("a.foo.com"),
            route(4, "/*").host("*.com"),
        ],
        &[
            ("a.foo.com/exact", Some(3)),
            ("a.foo.com/wild", Some(2)),
            ("a.foo.com/else", Some(4)),
            ("a.foo.com/hostless", Some(4)),
            ("a.net/hostless", Some(1)),
            ("a.net/exact", None),
        ],
    );
}

#[test]
fn where_the_path_decides_the_longer_path_beats_the_host() {
    let routes = [
        route(1, "/a/b"),
        route(2, "/a/*").host("foo.com"),
        route(3, "/*").host("foo.com"),
    ];
    check_in(
        &[Mode::HostUri],
        &routes,
        &[("foo.com/a/b", Some(2)), ("bar.com/a/b", Some(1))],
    );
    check_in(
        &[Mode::Uri],
        &routes,
        &[
            ("foo.com/a/b", Some(1)),
            ("foo.com/a/c", Some(2)),
            ("foo.com/", Some(3)),
        ],
    );
}

#[test]
fn hosts_are_lower_cased() {
    check(
        &[
            route(1, "/aa").host("MixedCase.com"),
            route(2, "/aa").host("*.Foo.com"),
        ],
        &[("mixedcase.com/aa", Some(1)), ("a.foo.com/aa", Some(2))],
    );
}

#[test]
fn a_host_with_a_port_is_the_whole_host_field() {
    check(
        &[
            route(1, "/aa").host("foo.com:80"),
            route(2, "/aa").host("*.foo.com:80"),
            route(3, "/aa").host("bar.com"),
        ],
        &[
            ("foo.com:80/aa", Some(1)),
            ("foo.com:81/aa", None),
            ("foo.com/aa", None),
            ("a.foo.com:80/aa", Some(2)),
            ("bar.com:80/aa", Some(3)),
            ("bar.com/aa", Some(3)),
        ],
    );
}

#[test]
fn methods_are_a_condition() {
    for mode in ALL {
        let table = table(
            mode,
            &[
                route(1, "/aa").method("POST").method("PUT"),
                route(2, "/aa"),
            ],
        );
        for (method, expected) in [("POST", 1), ("PUT", 1), ("GET", 2), ("PROPFIND", 2)] {
            assert_eq!(
                find(
                    &table,
                    &Get {
                        method,
                        ..get("/aa")
                    }
                ),
                Some(expected),
                "{method}"
            );
        }
    }
}

#[test]
fn client_addresses_are_a_condition() {
    for mode in ALL {
        let table = table(
            mode,
            &[
                route(1, "/aa").remote_addr("10.0.0.0/8").remote_addr("::1"),
                route(2, "/aa").remote_addr("192.168.1.1"),
            ],
        );
        for (address, expected) in [
            ("10.1.2.3", Some(1)),
            ("::1", Some(1)),
            ("192.168.1.1", Some(2)),
            ("127.0.0.1", None),
        ] {
            let remote_addr: IpAddr = address.parse().expect("an address");
            assert_eq!(
                find(
                    &table,
                    &Get {
                        remote_addr,
                        ..get("/aa")
                    }
                ),
                expected,
                "{address}"
            );
        }
    }
}

#[test]
fn refused_candidates_fall_through() {
    let routes = [
        route(1, "/*").host("a.com"),
        route(2, "/aa")
            .host("a.com")
            .vars(json!([["arg_k", "==", "exact"]])),
        route(3, "/a*").host("a.com").method("POST"),
        route(4, "/aa")
            .host("*.com")
            .vars(json!([["arg_k", "==", "wild"]])),
        route(5, "/aa"),
    ];
    let of = |table: &Table<u32>, k, method| {
        find(
            table,
            &Get {
                method,
                k,
                ..get("a.com/aa")
            },
        )
    };
    let hosts_first = table(Mode::HostUri, &routes);
    assert_eq!(of(&hosts_first, Some("exact"), "GET"), Some(2));
    assert_eq!(of(&hosts_first, None, "POST"), Some(3));
    assert_eq!(of(&hosts_first, Some("wild"), "GET"), Some(1));
    let hosts_first = table(Mode::HostUri, &routes[1..]);
    assert_eq!(of(&hosts_first, Some("wild"), "GET"), Some(4));
    assert_eq!(of(&hosts_first, None, "GET"), Some(5));
    let paths_first = table(Mode::Uri, &routes[..4]);
    assert_eq!(of(&paths_first, Some("wild"), "GET"), Some(4));
    assert_eq!(of(&paths_first, None, "POST"), Some(3));
    assert_eq!(of(&paths_first, None, "GET"), Some(1));
}

#[test]
fn parameters_are_one_mode_only() {
    let routes = [
        route(1, "/name/:name/bar"),
        route(2, "/:name/foo"),
        route(3, "/file:list"),
    ];
    let url = [
        "/name/json/bar",
        "/json/foo",
        "/file:list",
        "/name/json/foo",
        "/json/bbb/foo",
        "/file:xx",
    ];
    check_in(
        &[Mode::UriWithParameter],
        &routes,
        &[
            (url[0], Some(1)),
            (url[1], Some(2)),
            (url[2], Some(3)),
            (url[3], None),
            (url[4], None),
            (url[5], Some(3)),
        ],
    );
    check_in(
        &[Mode::Uri, Mode::HostUri],
        &routes,
        &[
            (url[0], None),
            (url[1], None),
            (url[2], Some(3)),
            (url[5], None),
            ("/name/:name/bar", Some(1)),
        ],
    );
}

#[test]
fn the_order_of_parameter_routes_is_not_that_of_their_coming() {
    let mut routes = vec![
        route(
            1,
            "/api/:version/test/api/projects/:project_id/clusters/:cluster_id/nodes/?",
        ),
        route(2, "/api/:version/test/api/projects/:project_id"),
        route(3, "/api/:version/test/*subpath"),
    ];
    for _ in 0..2 {
        check_in(
            &[Mode::UriWithParameter],
            &routes,
            &[
                (
                    "/api/v4/test/api/projects/saas/clusters/123/nodes/",
                    Some(1),
                ),
                ("/api/v4/test/api", Some(3)),
                ("/api/v4/test/api/projects/saas", Some(2)),
            ],
        );
        routes.reverse();
    }
}

#[test]
fn a_match_tells_path_host_and_parameters() {
    let found = |mode, route: Spec, url: &str| {
        let table = table(mode, &[route]);
        let routes = table.routes();
        let request = get(url);
        let mut params = Params::new();
        let found = routes
            .find(&request, &mut params)
            .expect("the route is found");
        let params: Vec<String> = found
            .params(request.path.as_bytes(), &params)
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect();
        (
            found.path().to_owned(),
            found.host().map(str::to_owned),
            params.join(" "),
        )
    };
    let expect = |path: &str, host: Option<&str>, params: &str| {
        (path.to_owned(), host.map(str::to_owned), params.to_owned())
    };
    for mode in ALL {
        assert_eq!(
            found(mode, route(1, "/hello"), "foo.com/hello"),
            expect("/hello", None, "")
        );
        assert_eq!(
            found(mode, route(1, "/*").host("Foo.com"), "foo.com/hello"),
            expect("/*", Some("foo.com"), ":ext=hello")
        );
        assert_eq!(
            found(mode, route(1, "/hello").host("*.com"), "foo.com/hello"),
            expect("/hello", Some("*.com"), "")
        );
        assert_eq!(
            found(
                mode,
                route(1, "/hello").host("foo.com:80"),
                "foo.com:80/hello"
            ),
            expect("/hello", Some("foo.com"), "")
        );
    }
    assert_eq!(
        found(
            Mode::UriWithParameter,
            route(1, "/n/:name/id/:id/*other"),
            "/n/json/id/1/foo/bar"
        ),
        expect(
            "/n/:name/id/:id/*other",
            None,
            "name=json id=1 other=foo/bar"
        ),
    );
}

#[test]
fn vars_may_use_parameters_of_the_path() {
    let table = table(
        Mode::UriWithParameter,
        &[
            route(1, "/user/:name").vars(json!([["uri_param_name", "==", "json"]])),
            route(2, "/user/:any"),
        ],
    );
    assert_eq!(find(&table, &get("/user/json")), Some(1));
    assert_eq!(find(&table, &get("/user/jack")), Some(2));
}

#[test]
fn parameters_are_those_of_the_match() {
    let table = table(
        Mode::UriWithParameter,
        &[route(1, "/a/:x/:y").method("POST"), route(2, "/a/b/c")],
    );
    let mut params = Params::new();
    let routes = table.routes();
    let post = Get {
        method: "POST",
        ..get("/a/1/2")
    };
    let found = routes.find(&post, &mut params).expect("the route is found");
    assert_eq!(found.param(b"/a/1/2", &params, "y"), Some(&b"2"[..]));
    assert_eq!(found.param(b"/a/1/2", &params, "z"), None);
    let found = routes
        .find(&get("/a/b/c"), &mut params)
        .expect("the route is found");
    assert_eq!(found.params(b"/a/b/c", &params).count(), 0);
}

#[test]
fn edits_replace_and_remove() {
    for mode in ALL {
        let mut table = table(
            mode,
            &[
                route(1, "/aa"),
                route(2, "/aa"),
                route(3, "/b*").host("a.com"),
            ],
        );
        let before = table.routes();
        // A replaced route keeps its place among equals, also when it was away from the path in between.
        for path in ["/aa", "/other", "/aa"] {
            table.insert(route(1, path)).expect("well-formed");
        }
        assert_eq!(find(&table, &get("/aa")), Some(1));
        assert!(table.remove("1"));
        assert!(!table.remove("1"));
        assert!(!table.contains("1"));
        assert_eq!(find(&table, &get("/aa")), Some(2));
        table
            .insert(route(3, "/c*").host("b.com"))
            .expect("well-formed");
        assert_eq!(find(&table, &get("a.com/bb")), None);
        assert_eq!(find(&table, &get("b.com/cc")), Some(3));
        assert_eq!(table.len(), 2);
        assert_eq!(before.len(), 3);
        let found = before
            .find(&get("a.com/bb"), &mut Params::new())
            .map(|found| *found.value());
        assert_eq!(found, Some(3), "a view given out does not change");
    }
}

#[test]
fn a_route_in_error_leaves_the_table_alone() {
    let mut table = table(Mode::HostUri, &[route(1, "/aa")]);
    let error = table
        .insert(route(1, "/bb").remote_addr("10.0.0.x/8"))
        .expect_err("no address");
    assert_eq!(error.to_string(), "read the client addresses of route 1");
    assert_eq!(
        std::error::Error::source(&error)
            .expect("a source")
            .to_string(),
        "invalid ip address: 10.0.0.x"
    );
    assert_eq!(find(&table, &get("/aa")), Some(1));
}
