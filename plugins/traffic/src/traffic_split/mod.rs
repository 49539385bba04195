//! `traffic-split`: sends shares of the traffic to other upstreams, for releases step by step.
//!
//! Runs in `access`, behind authentication, so that rules may ask who asks. The first rule that matches decides; the upstreams of a
//! rule take turns by their weights (`turns.rs`). What is different from the reference is listed in `README.md`.

#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;

use lockgate_expr::Expr;
use lockgate_plugin::{
    About, Access, Compile, ConfigError, Destination, Exchange, Flow, Hooks, Plugin, Reply,
};
use lockgate_upstream::Upstream;
use serde::Deserialize;
use serde_json::Value;

use turns::Turns;

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    rules: Option<Vec<RuleConfig>>,
}

#[derive(Debug, Deserialize)]
struct RuleConfig {
    #[serde(rename = "match")]
    matches: Option<Vec<MatchConfig>>,
    weighted_upstreams: Vec<ShareConfig>,
}

#[derive(Debug, Deserialize)]
struct MatchConfig {
    #[serde(default)]
    vars: Value,
}

#[derive(Debug, Deserialize)]
struct ShareConfig {
    upstream_id: Option<Value>,
    upstream: Option<Value>,
    weight: u64,
}

/// The plugin, configured.
#[derive(Debug)]
pub struct TrafficSplit {
    rules: Box<[Rule]>,
}

#[derive(Debug)]
struct Rule {
    /// One of them has to hold; `None` where nothing has to.
    matches: Option<Box<[Expr]>>,
    shares: Box<[Share]>,
    turns: Turns,
    /// The sentence about the first upstream that does not exist.
    missing: Option<Box<str>>,
}

/// Where a share of the traffic goes.
#[derive(Debug, Clone)]
enum Share {
    /// To an upstream of the plugin's, or one that it names.
    Upstream(Arc<Upstream>),
    /// Where the route says.
    Route,
}

impl Plugin for TrafficSplit {
    const ABOUT: About = About::new("traffic-split", 966, include_str!("schema.json"));
    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let rules = config.rules.unwrap_or_default().into_iter().enumerate();
        let rules: Result<_, _> = rules
            .map(|(number, rule)| Rule::compile(rule, number, cx))
            .collect();
        Ok(Self { rules: rules? })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access(self);
    }
}

impl Rule {
    fn compile(rule: RuleConfig, number: usize, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let compile = |one: &MatchConfig| {
            Expr::compile(&one.vars).map_err(|error| {
                ConfigError(format!("failed to validate the 'vars' expression: {error}"))
            })
        };
        let matches = rule.matches.map(|all| all.iter().map(compile).collect());
        let mut missing = None;
        let mut shares = Vec::new();
        let mut weights = Vec::new();
        for (place, one) in rule.weighted_upstreams.iter().enumerate() {
            let share = match (&one.upstream_id, &one.upstream) {
                (Some(id), _) => {
                    let id = match id {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    let Some(upstream) = cx.host.upstream_by_id(&id) else {
                        let sentence =
                            || format!("failed to fetch upstream info by upstream id: {id}").into();
                        missing.get_or_insert_with(sentence);
                        continue;
                    };
                    Share::Upstream(upstream)
                }
                (None, Some(upstream)) => {
                    Share::Upstream(cx.host.upstream(&format!("{number}#{place}"), upstream)?)
                }
                (None, None) => Share::Route,
            };
            // The same place twice has the weight that was said last.
            let same = shares.iter().position(|known| is_same(known, &share));
            if let Some(weight) = same.and_then(|same| weights.get_mut(same)) {
                *weight = one.weight;
            } else {
                shares.push(share);
                weights.push(one.weight);
            }
        }
        Ok(Self {
            matches: matches.transpose()?,
            shares: shares.into(),
            turns: Turns::new(&weights, cx.node.workers()),
            missing,
        })
    }
}

fn is_same(one: &Share, other: &Share) -> bool {
    match (one, other) {
        (Share::Upstream(one), Share::Upstream(other)) => Arc::ptr_eq(one, other),
        (Share::Route, Share::Route) => true,
        _ => false,
    }
}

impl Access for TrafficSplit {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let mut has_matched = true;
        for rule in &self.rules {
            // Looked at for each rule up to the one that matches, as the reference does.
            if let Some(sentence) = &rule.missing {
                return Reply::bytes(500, sentence.as_bytes().to_vec()).into();
            }
            match &rule.matches {
                None => has_matched = true,
                Some(matches) if matches.is_empty() => {}
                Some(matches) => has_matched = matches.iter().any(|one| one.eval(ex)),
            }
            if has_matched {
                let turn = rule.turns.next(ex.worker());
                if let Some(Share::Upstream(upstream)) = rule.shares.get(turn) {
                    ex.set_destination(Destination::Upstream(upstream.clone()));
                }
                return Flow::Next;
            }
        }
        Flow::Next
    }
}
