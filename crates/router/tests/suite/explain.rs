//! Explanations agree with what is found, and say why.

use std::{borrow::Cow, net::IpAddr};

use lockgate_expr::{Lookup, PartialLookup, Variable};
use lockgate_router::{Explanation, Later, Methods, Mode, Params, Request, Table, Why};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    properties::{any_mode, any_request, any_spec},
    request::{Get, Spec, With, get, route},
};

/// A request of which not everything need be known.
struct Partly<'a> {
    get: &'a Get,
    knows_k: bool,
    knows_address: bool,
}

impl Lookup for Partly<'_> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        self.get.lookup(variable)
    }
}

impl PartialLookup for Partly<'_> {
    fn is_known(&self, variable: &Variable) -> bool {
        self.knows_k || *variable != Variable::Arg("k".into())
    }
}

impl Request for Partly<'_> {
    fn path(&self) -> &[u8] {
        self.get.path()
    }

    fn host(&self) -> Option<&[u8]> {
        self.get.host()
    }

    fn host_with_port(&self) -> Option<&[u8]> {
        self.get.host_with_port()
    }

    fn method(&self) -> Methods {
        self.get.method()
    }

    fn remote_addr(&self) -> Option<IpAddr> {
        self.get.remote_addr().filter(|_| self.knows_address)
    }
}

fn whole(get: &Get) -> Partly<'_> {
    Partly {
        get,
        knows_k: true,
        knows_address: true,
    }
}

fn table(mode: Mode, specs: impl IntoIterator<Item = Spec>) -> Table<u32> {
    let mut table = Table::new(mode);
    for spec in specs {
        table.insert(spec).expect("well-formed");
    }
    table
}

/// The routes as they are explained: `1` the one that is found, `2?k` one that may be, `3: why`.
fn told(explanation: &Explanation<'_, u32>) -> Vec<String> {
    let found = explanation
        .found
        .iter()
        .map(|(found, _)| found.id().to_owned());
    let undecided = explanation.undecided.iter();
    let undecided = undecided.map(|one| format!("{}?{}", one.matched.id(), one.needs.join("+")));
    let misses = explanation.misses.iter().map(|miss| {
        let whys: Vec<String> = miss.whys.iter().map(why).collect();
        format!("{}: {}", miss.matched.id(), whys.join(", "))
    });
    found.chain(undecided).chain(misses).collect()
}

fn why(why: &Why<'_>) -> String {
    match why {
        Why::Host(hosts) => format!("host {}", hosts.join(" ")),
        Why::Path => "path".to_owned(),
        Why::Method(methods) => format!("method {}", methods.names().collect::<Vec<_>>().join(" ")),
        Why::RemoteAddr(addresses) => format!("address {}", addresses.join(" ")),
        Why::Vars(blamed) => blamed
            .first()
            .map_or_else(String::new, |first| first.rule.clone()),
        Why::Later(later) => match later {
            Later::Priority { own, of_found } => format!("{own} < {of_found}"),
            other => format!("later by {other:?}"),
        },
    }
}

#[track_caller]
fn check(mode: Mode, specs: &[Spec], request: &Get, expected: &[&str]) {
    let routes = table(mode, specs.iter().cloned()).routes();
    assert_eq!(told(&routes.explain(&whole(request), 10)), expected);
}

#[test]
fn every_condition_that_fails_is_told_and_the_nearest_route_comes_first() {
    let specs = [
        route(1, "/a/*").method("POST").host("a.com"),
        route(2, "/a/b")
            .vars(json!([["arg_k", "==", "x"]]))
            .host("a.com"),
        route(3, "/a/b")
            .remote_addr("10.0.0.0/8")
            .method("PUT")
            .method("GET"),
        route(4, "/a/:x").host("a.com"),
        route(5, "/a/b").host("b.com").host("*.net"),
        route(6, "/A/b/c"),
        route(7, "/zoo"),
        route(8, "/a/b/c").host("b.com"),
        route(9, "/*"),
    ];
    check(
        Mode::HostUri,
        &specs,
        &get("a.com/a/b"),
        &[
            "9",
            r#"2: ["arg_k","==","x"]"#,
            "1: method POST",
            "3: address 10.0.0.0/8",
            "5: host b.com *.net",
            "6: path",
            "4: path",
        ],
    );
}

#[test]
fn what_is_tried_later_says_by_which_rule() {
    let specs = [
        route(1, "/a/b").host("x.a.com").priority(3),
        route(2, "/a/b").host("x.a.com").priority(1),
        route(3, "/a/b").host("x.a.com").priority(3),
        route(4, "/a/*").host("x.a.com").priority(9),
        route(5, "/a/b").host("*.a.com"),
        route(6, "/a/b"),
    ];
    check(
        Mode::HostUri,
        &specs,
        &get("x.a.com/a/b"),
        &[
            "1",
            "3: later by Age",
            "2: 1 < 3",
            "4: later by Path",
            "5: later by Host",
            "6: later by Host",
        ],
    );
    let specs = [route(1, "/a/*"), route(2, "/a/*/b"), route(3, "/a/:x/b")];
    check(
        Mode::UriWithParameter,
        &specs,
        &get("/a/c/b"),
        &["3", "2: later by Length", "1: later by Length"],
    );
}

#[test]
fn what_is_not_known_leaves_routes_open() {
    let specs = [
        route(1, "/a")
            .priority(3)
            .vars(json!([["arg_k", "==", "x"]])),
        route(2, "/a")
            .priority(2)
            .remote_addr("10.0.0.1")
            .vars(json!([["arg_k", "==", "y"]])),
        route(3, "/a")
            .priority(1)
            .method("POST")
            .remote_addr("10.0.0.1"),
        route(4, "/a"),
        route(5, "/a").priority(-1).remote_addr("10.0.0.1"),
    ];
    let routes = table(Mode::HostUri, specs).routes();
    let request = get("/a");
    let partly = Partly {
        get: &request,
        knows_k: false,
        knows_address: false,
    };
    assert_eq!(
        told(&routes.explain(&partly, 10)),
        [
            "4",
            "1?arg_k",
            "2?remote_addr+arg_k",
            "3: method POST",
            "5: -1 < 0"
        ]
    );
}

#[test]
fn no_more_near_misses_are_shown_than_asked_for() {
    let specs = (1..3000).map(|number| route(number, "/a").method("POST"));
    let routes = table(Mode::Uri, specs.chain([route(0, "/a/b")])).routes();
    let request = get("/a/b");
    let explanation = routes.explain(&whole(&request), 1);
    assert_eq!(
        (told(&explanation), explanation.left_out),
        (vec!["0".to_owned()], 0)
    );
    let request = get("/a");
    let explanation = routes.explain(&whole(&request), 2);
    assert_eq!(told(&explanation), ["1: method POST", "2: method POST"]);
    assert_eq!(explanation.left_out, 2998);
    // Those that the walk does not meet as well.
    let specs = (1..3000).map(|number| route(number, "/a").host("b.com"));
    let routes = table(Mode::HostUri, specs).routes();
    let explanation = routes.explain(&whole(&request), 2);
    assert_eq!(told(&explanation), ["1: host b.com", "2: host b.com"]);
    assert_eq!(explanation.left_out, 2997);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn the_route_that_is_found_is_the_one_that_is_explained(mode in any_mode(), specs in prop::collection::vec(any_spec(), 0..16), request in any_request()) {
        let table = table(mode, specs.clone());
        let routes = table.routes();
        let mut params = Params::new();
        let found = routes.find(&request, &mut params);
        let explanation = routes.explain(&whole(&request), 100);
        let path = request.path();
        let shown = explanation.found.as_ref().map(|(found, params)| {
            (found.id(), found.path(), found.host(), found.params(path, params).collect::<Vec<_>>())
        });
        let expected = found.map(|found| {
            (found.id(), found.path(), found.host(), found.params(path, &params).collect::<Vec<_>>())
        });
        prop_assert_eq!(shown, expected);
        prop_assert!(explanation.undecided.is_empty());
        let mut ids: Vec<&str> = explanation.misses.iter().map(|miss| miss.matched.id()).collect();
        ids.extend(found.map(|found| found.id()));
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "each route once");
        // A route that comes later takes the request where it is alone, and any other does not.
        for miss in &explanation.misses {
            let id = miss.matched.id();
            let spec = specs.iter().rfind(|spec| spec.id == id).expect("in the table");
            let alone = self::table(mode, [spec.clone()]).routes();
            let is_later = matches!(*miss.whys, [Why::Later(_)]);
            prop_assert_eq!(alone.find(&request, &mut Params::new()).is_some(), is_later, "{:?}", miss);
        }
    }

    #[test]
    fn what_is_found_is_among_what_may_be(mode in any_mode(), specs in prop::collection::vec(any_spec(), 0..16), request in any_request(), knows_k: bool, knows_address: bool) {
        let routes = table(mode, specs).routes();
        let partly = Partly { get: &request, knows_k, knows_address };
        let explanation = routes.explain(&partly, 10);
        let found = explanation.found.as_ref().map(|(found, _)| found.id());
        let undecided = |id: Option<&str>| explanation.undecided.iter().any(|one| Some(one.matched.id()) == id);
        for k in [None, Some("x"), Some("y")] {
            for address in ["127.0.0.1", "10.0.0.1", "::1"] {
                let get = Get {
                    k: if knows_k { request.k } else { k },
                    remote_addr: if knows_address { request.remote_addr } else { address.parse().expect("one") },
                    ..request.clone()
                };
                let taken = routes.find(&get, &mut Params::new()).map(|found| found.id());
                prop_assert!(taken == found || undecided(taken), "{:?} for {:?}", taken, explanation);
            }
        }
    }
}
