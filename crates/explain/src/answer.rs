//! The answer: what becomes of the request in a sentence, then everything that the sentence is made of.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use lockgate_plugin::{Consumer, PluginSet};
use lockgate_proxy::Imagined;
use lockgate_router::{Explanation, Match, Params, Request as _, Why};
use lockgate_snapshot::{Off, Problem, Route, Snapshot, Target};
use serde_json::{Map, Value, json};

use crate::{
    Explainer, nodes,
    plugins::{self, Routed},
    question::Asked,
    why,
};

/// Answers a question.
///
/// # Errors
/// There is no such consumer, or no such request.
pub(crate) fn answer(explainer: &Explainer, asked: &Asked) -> Result<Value, String> {
    let request = Imagined::new(&asked.request, &explainer.options).map_err(|(status, why)| {
        format!("such a request is answered with {status} before a route is looked for: {why}")
    })?;
    let snapshot = explainer.published.load();
    let consumer = match &asked.consumer {
        None => None,
        Some(name) => {
            let found = explainer.node.consumers("").find(name.as_bytes());
            Some(found.ok_or_else(|| {
                format!("consumer: there is no consumer {name}, or none that is in force")
            })?)
        }
    };
    let explanation = snapshot.routes.explain(&request, asked.limit);
    let off = snapshot.off.explain(&request, asked.limit);
    let routed = Routed {
        request: &request,
        found: explanation
            .found
            .as_ref()
            .map(|(found, params)| (*found, params)),
        consumer: consumer.as_deref(),
    };
    let group = consumer
        .as_deref()
        .and_then(|consumer| consumer.group_id.as_ref());
    let brought = Brought::find(&snapshot, consumer.as_deref(), &routed);
    let end = End::of(&routed, &brought);
    let global = plugins::global(snapshot.global.as_deref(), &routed);
    let of_route = plugins::of_route(brought.set(), &routed);
    let (misses, more) = misses(&explanation, &off, &request, asked.limit);
    let problems = explainer.status.problems();
    let mut keys = BTreeSet::new();
    concerned(&routed, &mut keys);
    for plugin in global.iter().chain(&of_route) {
        keys.extend(
            plugin
                .get("from")
                .and_then(Value::as_str)
                .map(str::to_owned),
        );
    }
    let upstream = end.upstream().map(|upstream| nodes::upstream(upstream).0);
    let timeouts = end
        .upstream()
        .zip(routed.route())
        .map(|(upstream, route)| nodes::timeouts(route, upstream));
    let mut told = Map::new();
    let mut tell = |name: &str, value: Value| {
        told.insert(name.to_owned(), value);
    };
    tell(
        "answer",
        json!(sentence(
            &routed,
            &explanation,
            &end,
            !of_route.is_empty() || !global.is_empty()
        )),
    );
    tell("revision", json!(snapshot.revision));
    tell("request", understood(&request));
    tell(
        "route",
        json!(
            routed
                .found
                .map(|(found, params)| route(found, params, request.path()))
        ),
    );
    if !explanation.undecided.is_empty() {
        tell("undecided", undecided(&explanation));
    }
    if let Some((status, reason)) = end.refusal() {
        tell(
            "gateway_answers",
            json!({"status": status, "reason": reason}),
        );
    }
    if let Some(consumer) = &consumer {
        let group = group.map(|group| &**group);
        tell(
            "consumer",
            json!({"name": &*consumer.name, "group": group, "note": brought.note()}),
        );
    }
    tell("global_rules", Value::Array(global));
    tell("plugins", Value::Array(of_route));
    tell("upstream", json!(upstream));
    tell("timeouts", json!(timeouts));
    tell("near_misses", Value::Array(misses));
    tell("more_near_misses", json!(more));
    tell("not_in_force", not_in_force(&problems, asked.limit));
    tell("problems", of_keys(&problems, &keys));
    Ok(Value::Object(told))
}

/// What a consumer brings along.
enum Brought {
    /// Nobody was asked for.
    None,
    /// Nobody finds out who sends the request.
    Unknown,
    /// These plugins.
    Set(PluginSet),
    /// The consumer's group is not there.
    NoGroup,
}

impl Brought {
    fn find(snapshot: &Snapshot, consumer: Option<&Consumer>, routed: &Routed<'_>) -> Self {
        let Some(consumer) = consumer else {
            return Self::None;
        };
        if routed.route().is_none() || !plugins::authenticates(snapshot.global.as_deref(), routed) {
            return Self::Unknown;
        }
        match &consumer.group_id {
            None => Self::Set(PluginSet::clone(&consumer.plugins)),
            Some(id) => match snapshot.groups.get(id) {
                Some(group) => Self::Set(group.under(&consumer.plugins)),
                None => Self::NoGroup,
            },
        }
    }

    fn set(&self) -> Option<&PluginSet> {
        match self {
            Self::Set(set) => Some(set).filter(|set| !set.is_empty()),
            Self::None | Self::Unknown | Self::NoGroup => None,
        }
    }

    fn note(&self) -> Option<&'static str> {
        match self {
            Self::None | Self::Set(_) => None,
            Self::Unknown => Some(
                "no plugin of the route authenticates: nobody finds out who sends the request, and what the consumer has does not run",
            ),
            Self::NoGroup => Some("the group of the consumer is not there"),
        }
    }
}

/// Where the request ends.
enum End<'a> {
    /// At a node of this upstream.
    Upstream(&'a lockgate_upstream::Upstream),
    /// In the gateway, though there is an upstream.
    Short(&'a lockgate_upstream::Upstream, u16, &'static str),
    /// In the gateway: status and reason.
    Gateway(u16, String),
}

impl<'a> End<'a> {
    fn of(routed: &Routed<'a>, brought: &Brought) -> Self {
        let Some(route) = routed.route() else {
            return Self::Gateway(404, "no route".to_owned());
        };
        if let Some((status, reason)) = lockgate_proxy::dead_end(&route.target) {
            return Self::Gateway(status, reason);
        }
        match &route.target {
            Target::Upstream(upstream) => {
                if matches!(brought, Brought::NoGroup) {
                    Self::Short(upstream, 503, "no such consumer group")
                } else if upstream.nodes().is_empty() {
                    Self::Short(upstream, 503, "no nodes")
                } else {
                    Self::Upstream(upstream)
                }
            }
            _ => Self::Gateway(503, "no upstream".to_owned()),
        }
    }

    fn upstream(&self) -> Option<&'a lockgate_upstream::Upstream> {
        match self {
            Self::Upstream(upstream) | Self::Short(upstream, ..) => Some(upstream),
            Self::Gateway(..) => None,
        }
    }

    fn refusal(&self) -> Option<(u16, &str)> {
        match self {
            Self::Upstream(_) => None,
            Self::Short(_, status, reason) => Some((*status, reason)),
            Self::Gateway(status, reason) => Some((*status, reason)),
        }
    }
}

fn sentence(
    routed: &Routed<'_>,
    explanation: &Explanation<'_, Arc<Route>>,
    end: &End<'_>,
    has_plugins: bool,
) -> String {
    let mut sentence = match (routed.route(), end) {
        (None, _) => "no route takes it: the gateway answers 404".to_owned(),
        (Some(route), End::Upstream(upstream)) => {
            let let_through = if has_plugins {
                "where the plugins let it through, "
            } else {
                ""
            };
            let from = &upstream.about().key;
            format!(
                "route {} takes it; {let_through}a node of {from} is asked",
                route.id
            )
        }
        (Some(route), end) => {
            let (status, reason) = end.refusal().unwrap_or_default();
            format!(
                "route {} takes it, and leads nowhere: the gateway answers {status}, {reason}",
                route.id
            )
        }
    };
    for (place, undecided) in explanation.undecided.iter().enumerate() {
        let begin = if place == 0 { "; unless" } else { ", or" };
        let (id, needs) = (undecided.matched.id(), undecided.needs.join(", "));
        let _infallible = write!(
            sentence,
            "{begin} route {id} does, which depends on {needs}"
        );
    }
    sentence
}

/// The request as it was understood.
fn understood(request: &Imagined) -> Value {
    json!({
        "method": text(request.method_name()),
        "uri": text(request.path()),
        "args": request.query().map(text),
        "host": request.host().map(text),
        "remote_addr": request.remote_addr().map(|address| address.to_string()),
    })
}

fn route(found: Match<'_, Arc<Route>>, params: &Params, path: &[u8]) -> Value {
    let route = found.value();
    let params: Map<String, Value> = found
        .params(path, params)
        .map(|(name, value)| (name.to_owned(), json!(text(value))))
        .collect();
    json!({
        "id": &*route.id,
        "name": route.name.as_deref(),
        "uri": found.path(),
        "host": found.host(),
        "service": service(route),
        "params": params,
        "enable_websocket": route.allows_websocket,
    })
}

fn service(route: &Route) -> Value {
    match &route.service {
        Some(service) => json!({"id": &*service.id, "name": service.name.as_deref()}),
        None => Value::Null,
    }
}

fn undecided(explanation: &Explanation<'_, Arc<Route>>) -> Value {
    let undecided = explanation.undecided.iter().map(|one| {
        let why = format!(
            "it comes first, and whether it takes the request depends on {}",
            one.needs.join(", ")
        );
        near(&one.matched, one.matched.value().name.as_deref(), &[why])
    });
    undecided.collect()
}

/// The nearest misses, and how many more there are. Routes that are switched off and would fit come first.
fn misses(
    explanation: &Explanation<'_, Arc<Route>>,
    off: &Explanation<'_, Arc<Off>>,
    request: &Imagined,
    limit: usize,
) -> (Vec<Value>, usize) {
    let found = explanation.found.as_ref();
    let found = found.map_or("", |(found, _)| found.id());
    let fits = |whys: &[Why<'_>]| matches!(whys, [Why::Later(_)]);
    let found_off = off.found.iter().map(|(found, _)| *found);
    let later_off = off.misses.iter().filter(|miss| fits(&miss.whys));
    let switched_off = found_off
        .chain(later_off.map(|miss| miss.matched))
        .map(|one| {
            let why = format!("off: {}; its conditions hold", one.value().why);
            near(&one, one.value().name.as_deref(), &[why])
        });
    let may_fit = off.undecided.iter().map(|one| {
        let (why, needs) = (one.matched.value().why, one.needs.join(", "));
        let why = format!("off: {why}; whether its conditions hold depends on {needs}");
        near(&one.matched, one.matched.value().name.as_deref(), &[why])
    });
    let others = explanation.misses.iter().map(|miss| {
        let whys: Vec<String> = miss
            .whys
            .iter()
            .flat_map(|why| why::sentences(&miss.matched, why, request, found))
            .collect();
        near(&miss.matched, miss.matched.value().name.as_deref(), &whys)
    });
    let mut all: Vec<Value> = switched_off.chain(may_fit).chain(others).collect();
    let more = all.len().saturating_sub(limit) + explanation.left_out;
    all.truncate(limit);
    (all, more)
}

fn near<T>(matched: &Match<'_, T>, name: Option<&str>, whys: &[String]) -> Value {
    json!({"route": matched.id(), "name": name, "uri": matched.path(), "why": whys})
}

/// Keys of the objects that the request meets on its way.
fn concerned(routed: &Routed<'_>, keys: &mut BTreeSet<String>) {
    let Some(route) = routed.route() else { return };
    keys.insert(format!("routes/{}", route.id));
    if let Some(service) = &route.service {
        keys.insert(format!("services/{}", service.id));
    }
    if let Target::Upstream(upstream) = &route.target {
        keys.insert(upstream.about().key.to_string());
    }
    if let Some(consumer) = routed.consumer {
        keys.insert(format!("consumers/{}", consumer.name));
    }
}

type Problems = [(Arc<str>, Problem)];

/// Routes that are not in force as they are stored: what conditions they have cannot be told.
fn not_in_force(problems: &Problems, limit: usize) -> Value {
    let routes = problems.iter().filter_map(|(key, problem)| {
        let id = key.strip_prefix("routes/")?;
        let is_in_force = matches!(problem, Problem::NotHonoured(_));
        (!is_in_force).then(|| json!({"route": id, "problem": problem.to_string()}))
    });
    routes.take(limit).collect()
}

fn of_keys(problems: &Problems, keys: &BTreeSet<String>) -> Value {
    let problems = problems.iter().filter(|(key, _)| keys.contains(&**key));
    problems
        .map(|(key, problem)| json!({"key": &**key, "problem": problem.to_string()}))
        .collect()
}

/// Bytes as text, for people.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
