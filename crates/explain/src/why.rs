//! Sentences for why a route does not take a request.

use lockgate_expr::Blamed;
use lockgate_proxy::Imagined;
use lockgate_router::{Later, Match, Request as _, Why};

use crate::{answer::text, limits::LISTED};

/// Why a route does not take a request; `found` is the id of the one that does.
pub(crate) fn sentences<T>(
    miss: &Match<'_, T>,
    why: &Why<'_>,
    request: &Imagined,
    found: &str,
) -> Vec<String> {
    let one = |sentence: String| vec![sentence];
    match why {
        Why::Host(hosts) => one(match request.host() {
            Some(host) => format!(
                "host: it takes {}; the request has {}",
                list(hosts.iter().copied()),
                text(host)
            ),
            None => format!(
                "host: it takes {}; the request names none",
                list(hosts.iter().copied())
            ),
        }),
        Why::Path => one(format!(
            "uri: it takes {}; the request has {}",
            miss.path(),
            text(request.path())
        )),
        Why::Method(methods) => one(format!(
            "method: it takes {}; the request has {}",
            list(methods.names()),
            text(request.method_name())
        )),
        Why::RemoteAddr(addresses) => {
            let address = request
                .remote_addr()
                .map_or_else(String::new, |address| address.to_string());
            let addresses = list(addresses.iter().map(String::as_str));
            one(format!(
                "remote_addr: it takes {addresses}; the client is {address}"
            ))
        }
        Why::Vars(blamed) => blamed
            .iter()
            .take(LISTED)
            .map(|blamed| format!("vars: {}", comparison(blamed)))
            .collect(),
        Why::Later(later) => one(format!(
            "order: it would take the request, but route {found} comes before it: {}",
            order(*later)
        )),
    }
}

/// What came of a comparison, and why.
pub(crate) fn comparison(blamed: &Blamed) -> String {
    let Blamed {
        rule,
        variable,
        value,
        held,
    } = blamed;
    let value = match value {
        Some(value) => format!("{variable} is {}", serde_json::json!(value)),
        None => format!("{variable} is absent"),
    };
    if *held {
        format!("{rule} is true and must not be: {value}")
    } else {
        format!("{rule} is false: {value}")
    }
}

fn order(later: Later) -> String {
    match later {
        Later::Host => "its host is the more exact one".to_owned(),
        Later::Path => "its uri is exact, or its prefix is longer".to_owned(),
        Later::Priority { own, of_found } => {
            format!("its priority is {of_found}, and the one of this route {own}")
        }
        Later::Length => "its uri is the longer text".to_owned(),
        Later::Age => "it is older".to_owned(),
    }
}

fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.collect();
    let shown = texts.get(..LISTED).unwrap_or(&texts).join(", ");
    match texts.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
