//! `uri-blocker`: refuses requests whose path and query match a pattern.
//!
//! Runs in `rewrite`. The patterns are one, so that a request is looked at once however many there are.

use std::sync::Arc;

use lockgate_expr::{Lookup as _, Variable};
use lockgate_pattern::{Flags, Pattern};
use lockgate_plugin::{
    About, Check, Compile, ConfigError, Exchange, Flow, Hooks, Plugin, Reply, Rewrite,
};
use serde::Deserialize;
use serde_json::json;

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Patterns as PCRE writes them.
    pub block_rules: Vec<String>,
    /// The status of requests that are refused.
    pub rejected_code: u16,
    /// What they are told; the page of the status where there is nothing.
    pub rejected_msg: Option<String>,
    /// Whether capital and small letters are the same.
    pub case_insensitive: bool,
}

/// `uri-blocker`, compiled.
#[derive(Debug)]
pub struct UriBlocker {
    /// `None` where there is no rule.
    blocked: Option<Pattern>,
    status: u16,
    message: Option<String>,
}

impl Plugin for UriBlocker {
    const ABOUT: About = About::new("uri-blocker", 2900, include_str!("schema.json"));

    const CHECK: Option<Check<Config>> = Some(|config| {
        // Each must be one by itself: together, one could end what another began.
        config.block_rules.iter().try_for_each(|rule| {
            let parsed = Pattern::parse(rule, Flags::default());
            parsed.map(drop).map_err(|why| ConfigError(why.to_string()))
        })
    });

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let compile = |rule: &str| {
            Pattern::compile(rule, config.case_insensitive)
                .ok_or_else(|| ConfigError::new(format!("block_rules: {rule} is no pattern")))
        };
        let blocked = if config.block_rules.is_empty() {
            None
        } else {
            Some(compile(&config.block_rules.join("|"))?)
        };
        Ok(Self {
            blocked,
            status: config.rejected_code,
            message: config.rejected_msg,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self);
    }
}

impl Rewrite for UriBlocker {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let uri = ex.lookup(&Variable::RequestUri).unwrap_or_default();
        match &self.blocked {
            // One that cannot be looked at whole is not let through.
            Some(blocked) if blocked.try_is_match(&uri).unwrap_or(true) => match &self.message {
                Some(message) => Reply::json(self.status, &json!({"error_msg": message})).into(),
                None => Flow::page(self.status),
            },
            _ => Flow::Next,
        }
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::testing::{Kit, Request};
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(config: &Value, target: &str, expected: Option<(u16, &str)>) {
        let plugin = Kit::new().plugin::<UriBlocker>(config).expect("a plugin");
        let reply = plugin.rewrite(&mut Request::get(target));
        let reply = reply.map(|reply| (reply.status, reply.text()));
        let expected = expected.map(|(status, body)| (status, body.to_owned()));
        assert_eq!(reply, expected, "{config} for {target}");
    }

    #[test]
    fn refuses_what_matches() {
        let rules = json!({"block_rules": ["^a", "root.exe", "root.m+"]});
        let refused = Some((403, ""));
        check(&rules, "/hello", None);
        check(&rules, "/aa?x=root.exe", refused);
        check(&rules, "/aroot.mm", refused);
        check(&rules, "/ROOT.EXE", None);
        let mut ignoring = rules;
        ignoring["case_insensitive"] = json!(true);
        check(&ignoring, "/ROOT.EXE", refused);
        check(&ignoring, "/x.RooT.M", refused);
        check(&json!({"block_rules": []}), "/root.exe", None);
        let told = json!({"block_rules": ["aa"], "rejected_code": 404, "rejected_msg": "no"});
        check(&told, "/aa", Some((404, "{\"error_msg\":\"no\"}\n")));
    }

    #[test]
    fn what_takes_too_many_steps_is_not_let_through() {
        let rules = json!({"block_rules": ["^(a+)+(?=b)$", "never"]});
        check(&rules, &format!("/{}", "a".repeat(10)), None);
        let long = format!("a{}", "a".repeat(4000));
        let rules = json!({"block_rules": [r"(a+)+\1c"]});
        check(&rules, &format!("/{long}"), Some((403, "")));
    }

    #[test]
    fn patterns_that_are_none_are_refused() {
        for rules in [json!([".+("]), json!(["(a", "b)"])] {
            let refused = Kit::new().plugin::<UriBlocker>(&json!({"block_rules": rules}));
            let sentence = refused.unwrap_err().to_string();
            assert!(
                sentence.starts_with("pcre_compile() failed: "),
                "{sentence}"
            );
        }
    }
}
