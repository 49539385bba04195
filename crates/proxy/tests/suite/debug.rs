//! The basic debug mode.

use lockgate_testkit::{Origin, Setup};

use crate::{GET, route};

#[test]
fn the_debug_mode_names_the_plugins_that_ran() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\napisix-plugins: theirs\r\nContent-Length: 2\r\n\r\nok",
    );
    let setup = Setup::new().put("routes/1", &route("/", &origin));
    let mode = setup.options.debug.clone();
    let gateway = setup.start();
    let plugins = |request: &str| {
        let answer = gateway.ask(request);
        let named: Vec<_> = answer.all("apisix-plugins").collect();
        named.join(" and ")
    };
    assert_eq!(plugins(GET), "theirs");
    mode.set(true);
    for (request, expected) in [
        (GET, "no plugin"),
        ("GET /none HTTP/1.1\r\nHost: a\r\n\r\n", "no plugin"),
        ("nonsense\r\n\r\n", ""),
    ] {
        assert_eq!(plugins(request), expected, "{request}");
    }
    mode.set(false);
    assert_eq!(plugins(GET), "theirs");
}
