//! Router ≡ naive matcher, in every mode and after every edit; edited ≡ built anew.

use std::net::IpAddr;

use lockgate_router::{Mode, Params, Routes, Table};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::naive::Naive;
use crate::request::{Get, Spec, With, get, route};

const ADDRESSES: [&str; 3] = ["127.0.0.1", "10.0.0.1", "::1"];

pub(crate) fn any_mode() -> impl Strategy<Value = Mode> {
    select(vec![Mode::HostUri, Mode::Uri, Mode::UriWithParameter])
}

pub(crate) fn any_spec() -> impl Strategy<Value = Spec> {
    let paths = prop::collection::vec("(/(a|b|ab|:x|:y|\\*|\\*z|)){1,3}\\*?|\\*|/a:b", 1..3);
    let hosts = prop::collection::vec(
        select(vec![
            "a.com",
            "b.a.com",
            "*.com",
            "*.a.com",
            "*a.com",
            "a.com:80",
            "*.a.com:80",
            "c.net",
        ]),
        0..3,
    );
    let methods = prop::collection::vec(select(vec!["GET", "POST"]), 0..2);
    let addresses = prop::collection::vec(select(&ADDRESSES[..]), 0..2);
    let vars = prop::option::weighted(0.3, select(vec!["x", "y"]));
    (0_u32..12, paths, hosts, methods, addresses, vars, -1_i64..2).prop_map(
        |(number, paths, hosts, methods, addresses, vars, priority)| {
            let mut spec = route(number, "").priority(priority);
            spec.paths = paths;
            let spec = hosts.iter().fold(spec, |spec, host| spec.host(host));
            let spec = methods
                .iter()
                .fold(spec, |spec, method| spec.method(method));
            let spec = addresses
                .iter()
                .fold(spec, |spec, address| spec.remote_addr(address));
            match vars {
                Some(k) => spec.vars(json!([["arg_k", "==", k]])),
                None => spec,
            }
        },
    )
}

pub(crate) fn any_request() -> impl Strategy<Value = Get> {
    let host = select(vec![
        "",
        "a.com",
        "b.a.com",
        "x.b.a.com",
        "a.com:80",
        "b.a.com:80",
        "ba.com",
        "c.net",
        "d.net",
    ]);
    let k = prop::option::of(select(vec!["x", "y"]));
    (
        "(/(a|b|ab|c|)){1,4}|/a:b|/:x",
        host,
        select(vec!["GET", "POST", "PURGE"]),
        select(&ADDRESSES[..]),
        k,
    )
        .prop_map(|(path, host, method, address, k)| {
            let remote_addr: IpAddr = address.parse().expect("an address");
            Get {
                method,
                remote_addr,
                k,
                ..get(&format!("{host}{path}"))
            }
        })
}

#[derive(Debug, Clone)]
enum Edit {
    Insert(Spec),
    Remove(u32),
}

fn any_edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![4 => any_spec().prop_map(Edit::Insert), 1 => (0_u32..12).prop_map(Edit::Remove)];
    prop::collection::vec(edit, 1..25)
}

fn winner(routes: &Routes<u32>, request: &Get) -> Option<(u32, String)> {
    routes
        .find(request, &mut Params::new())
        .map(|found| (*found.value(), found.path().to_owned()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn the_router_finds_what_the_rules_say(mode in any_mode(), edits in any_edits(), requests in prop::collection::vec(any_request(), 1..8)) {
        let mut table = Table::new(mode);
        let mut naive = Naive { mode, routes: Vec::new() };
        let mut views = Vec::new();
        for edit in edits {
            match edit {
                Edit::Insert(spec) => {
                    table.insert(spec.clone()).expect("well-formed");
                    naive.insert(spec);
                }
                Edit::Remove(number) => {
                    let known = table.remove(&number.to_string());
                    prop_assert_eq!(known, naive.routes.iter().any(|spec| spec.value == number));
                    naive.remove(&number.to_string());
                }
            }
            let expected: Vec<_> = requests.iter().map(|request| naive.find(request)).collect();
            views.push((table.routes(), naive.routes.len(), expected));
        }
        // After all edits, so that views given out are seen to stay.
        for (routes, len, expected) in &views {
            prop_assert_eq!(routes.len(), *len);
            for (request, expected) in requests.iter().zip(expected) {
                prop_assert_eq!(&winner(routes, request), expected, "{:?}", request);
            }
        }
        let mut rebuilt = Table::new(mode);
        for spec in &naive.routes {
            rebuilt.insert(spec.clone()).expect("well-formed");
        }
        for request in &requests {
            prop_assert_eq!(winner(&rebuilt.routes(), request), winner(&table.routes(), request));
        }
    }

    #[test]
    fn an_emptied_table_finds_nothing(mode in any_mode(), specs in prop::collection::vec(any_spec(), 0..12), request in any_request()) {
        let mut table = Table::new(mode);
        for spec in &specs {
            table.insert(spec.clone()).expect("well-formed");
        }
        for spec in &specs {
            table.remove(&spec.id);
        }
        prop_assert!(table.is_empty());
        prop_assert_eq!(winner(&table.routes(), &request), None);
    }
}
