//! Options that change which path a route is matched against; the request line goes on as it came.

use lockgate_proxy::Options;
use lockgate_router::Mode;
use lockgate_testkit::{Gateway, Origin, Setup};

use crate::route;

/// What the gateway answers to a path: the log line of the route, its parameter, and both forms of the path, or the status.
struct Started {
    gateway: Gateway,
    origin: Origin,
}

fn started(routes: &[&str], change: impl FnOnce(&mut Options)) -> Started {
    let origin = Origin::saying("ok");
    let mut setup = Setup::new().with(|setup| {
        setup.router = Mode::UriWithParameter;
        setup.log_format = "$status $route_id $uri_param_id $uri $request_uri".into();
        change(&mut setup.options);
    });
    for uri in routes {
        let id = uri.replace(['/', ':', '*', '%'], "_");
        setup = setup.put(&format!("routes/{id}"), &route(uri, &origin));
    }
    let gateway = setup.start();
    Started { gateway, origin }
}

impl Started {
    #[track_caller]
    fn check(&self, path: &str, expected: &str) {
        let answer = self.gateway.get(path);
        assert_eq!(self.gateway.log_line(), expected, "{path}");
        if answer.status() == 200 {
            assert_eq!(self.origin.last().start, format!("GET {path} HTTP/1.1"));
        }
    }
}

#[test]
fn the_last_slash_is_left_out() {
    let started = started(&["/hello", "/", "/kept/"], |options| {
        options.delete_uri_tail_slash = true;
    });
    for (path, expected) in [
        ("/hello", "200 _hello - /hello /hello"),
        ("/hello/", "200 _hello - /hello/ /hello/"),
        ("/hello//", "200 _hello - /hello/ /hello//"),
        ("/hello/?a=/", "200 _hello - /hello/ /hello/?a=/"),
        ("/kept/", "404 - - /kept/ /kept/"),
        ("/", "404 - - / /"),
    ] {
        started.check(path, expected);
    }
}

#[test]
fn parameters_of_servlets_are_left_out() {
    let started = started(&["/hello", "/a/b/"], |options| {
        options.normalize_uri_like_servlet = true;
        // Has no effect beside the other, as in the reference.
        options.delete_uri_tail_slash = true;
    });
    for (path, expected) in [
        ("/hello", "200 _hello - /hello /hello"),
        ("/hello;world", "200 _hello - /hello;world /hello;world"),
        (
            "/hello%3Bworld?q",
            "200 _hello - /hello;world /hello%3Bworld?q",
        ),
        ("/a;x=1/b;y/;", "200 _a_b_ - /a;x=1/b;y/; /a;x=1/b;y/;"),
        ("/hello/", "404 - - /hello/ /hello/"),
        ("/;/hello", "400 - - /;/hello /;/hello"),
        ("/..;/hello", "400 - - /..;/hello /..;/hello"),
        ("/%2e;", "400 - - /.; /%2e;"),
    ] {
        started.check(path, expected);
    }
}

#[test]
fn encoded_slashes_belong_to_a_segment() {
    let routes = ["/v1/:id/list", "/tail/:id/", "/exact%2Fpath", "/"];
    let plain = started(&routes, |_| {});
    plain.check("/v1/a%2Fb/list", "404 - - /v1/a/b/list /v1/a%2Fb/list");
    let started = started(&routes, |options| options.match_uri_encoded_slash = true);
    for (path, expected) in [
        ("/v1/ab/list", "200 _v1__id_list ab /v1/ab/list /v1/ab/list"),
        (
            "/v1/a%2Fb/list",
            "200 _v1__id_list a%2Fb /v1/a/b/list /v1/a%2Fb/list",
        ),
        (
            "/v1/%41%2f%2F/list",
            "200 _v1__id_list A /v1/A/list /v1/%41%2f%2F/list",
        ),
        (
            "/v1/%41%2fb/list",
            "200 _v1__id_list A%2Fb /v1/A/b/list /v1/%41%2fb/list",
        ),
        (
            "/tail/a%2Fb/",
            "200 _tail__id_ a%2Fb /tail/a/b/ /tail/a%2Fb/",
        ),
        (
            "/exact%2fpath",
            "200 _exact_2Fpath - /exact/path /exact%2fpath",
        ),
        // Where more than decoding made the path, a slash is a slash: nothing leads around a route.
        ("/x%2Fy/../..", "200 _ - / /x%2Fy/../.."),
        ("/a%2Fb/%2e%2e/%2e%2e", "200 _ - / /a%2Fb/%2e%2e/%2e%2e"),
        ("/?next=%2Fadmin", "200 _ - / /?next=%2Fadmin"),
    ] {
        started.check(path, expected);
    }
}
