//! `consumer-restriction`: who may ask, or through which route or service, by lists.
//!
//! Phases: `access`; who asks has been found out by then.
//! README.md is the user's page (the reference: `apisix/plugins/consumer-restriction.lua`).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use lockgate_plugin::{About, Access, Compile, ConfigError, Exchange, Flow, Hooks, Plugin};
use serde::Deserialize;

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    #[serde(rename = "type")]
    subject: Subject,
    #[serde(default)]
    whitelist: HashSet<String>,
    #[serde(default)]
    blacklist: HashSet<String>,
    #[serde(default)]
    allowed_by_methods: Vec<Allowed>,
    rejected_code: u16,
    rejected_msg: Option<String>,
}

/// What is looked for in the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The name of the consumer.
    ConsumerName,
    /// The id of the service.
    ServiceId,
    /// The id of the route.
    RouteId,
    /// The id of the consumer's group.
    ConsumerGroupId,
}

/// What one of them may do.
#[derive(Debug, Deserialize)]
struct Allowed {
    user: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct ConsumerRestriction {
    subject: Subject,
    whitelist: HashSet<String>,
    blacklist: HashSet<String>,
    /// The methods of those that may not use all.
    methods: HashMap<String, Vec<String>>,
    rejected_code: u16,
    rejected_msg: String,
}

impl Plugin for ConsumerRestriction {
    const ABOUT: About = About::new("consumer-restriction", 2400, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        // The schema has no upper bound.
        if config.rejected_code > 999 {
            return Err(ConfigError::new("rejected_code is no status of HTTP"));
        }
        let mut methods = HashMap::new();
        for allowed in config.allowed_by_methods {
            // Of several entries for one, the first counts.
            if let Some(user) = allowed.user {
                methods.entry(user).or_insert(allowed.methods);
            }
        }
        let subject = config.subject.name();
        Ok(Self {
            subject: config.subject,
            whitelist: config.whitelist,
            blacklist: config.blacklist,
            methods,
            rejected_code: config.rejected_code,
            rejected_msg: config
                .rejected_msg
                .unwrap_or_else(|| format!("The {subject} is forbidden.")),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access(self);
    }
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Self::ConsumerName => "consumer_name",
            Self::ServiceId => "service_id",
            Self::RouteId => "route_id",
            Self::ConsumerGroupId => "consumer_group_id",
        }
    }

    fn of<'e>(self, ex: &'e Exchange<'_>) -> Option<&'e str> {
        match self {
            Self::ConsumerName => ex.consumer().map(|consumer| &*consumer.name),
            Self::ConsumerGroupId => ex.consumer()?.group_id.as_deref(),
            Self::RouteId => ex.route().map(|route| route.id),
            Self::ServiceId => ex.route()?.service_id,
        }
    }
}

impl Access for ConsumerRestriction {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        let Some(subject) = self.subject.of(ex) else {
            let name = self.subject.name();
            return Flow::message(
                401,
                &format!("The request is rejected, please check the {name} for this request"),
            );
        };
        if self.allows(subject, ex.method()) {
            Flow::Next
        } else {
            Flow::message(self.rejected_code, &self.rejected_msg)
        }
    }
}

impl ConsumerRestriction {
    fn allows(&self, subject: &str, method: &[u8]) -> bool {
        if self.blacklist.contains(subject) {
            return false;
        }
        if !self.whitelist.is_empty() {
            // Who is on it may use every method.
            return self.whitelist.contains(subject);
        }
        self.methods
            .get(subject)
            .is_none_or(|methods| methods.iter().any(|known| known.as_bytes() == method))
    }
}

#[cfg(test)]
mod tests {
    use lockgate_plugin::testing::{self, Kit, Request};
    use serde_json::{Value, json};

    use super::*;

    /// What comes of a method of jack's, who is in the group staff, on route 1: 200, or status and message.
    fn check(config: &Value, method: &str, expected: (u16, &str)) {
        let mut jack = testing::consumer("jack");
        Arc::get_mut(&mut jack).expect("new").group_id = Some("staff".into());
        let request = Request::new(method, "/").by(jack);
        check_request(config, request, expected);
    }

    fn check_request(config: &Value, mut request: Request, expected: (u16, &str)) {
        let kit = Kit::new();
        let plugin = kit
            .plugin::<ConsumerRestriction>(config)
            .expect("a configuration");
        let came = plugin.access(&mut request).map(|reply| {
            let status = reply.status;
            let body = reply.json_body();
            (
                status,
                body["message"].as_str().expect("a message").to_owned(),
            )
        });
        let came = came.unwrap_or((200, String::new()));
        assert_eq!(
            came,
            (expected.0, expected.1.to_owned()),
            "{config} {request:?}"
        );
    }

    const FORBIDDEN: (u16, &str) = (403, "The consumer_name is forbidden.");
    const FINE: (u16, &str) = (200, "");

    #[test]
    fn lists_say_who_may_ask() {
        for (config, expected) in [
            (json!({"whitelist": ["ann", "jack"]}), FINE),
            (json!({"whitelist": ["ann"]}), FORBIDDEN),
            (json!({"blacklist": ["ann"]}), FINE),
            (json!({"blacklist": ["ann", "jack"]}), FORBIDDEN),
            (
                json!({"blacklist": ["jack"], "whitelist": ["jack"]}),
                FORBIDDEN,
            ),
            (
                json!({"blacklist": ["ann"], "whitelist": ["rose"]}),
                FORBIDDEN,
            ),
            (json!({"whitelist": ["Jack"]}), FORBIDDEN),
            (
                json!({"blacklist": ["jack"], "rejected_code": 401}),
                (401, FORBIDDEN.1),
            ),
            (
                json!({"blacklist": ["jack"], "rejected_msg": "no \"jack\""}),
                (403, "no \"jack\""),
            ),
        ] {
            check(&config, "GET", expected);
        }
    }

    #[test]
    fn methods_are_allowed_one_by_one() {
        let may = |user: &str, methods: &[&str]| json!({"user": user, "methods": methods});
        for (config, method, expected) in [
            (
                json!({"allowed_by_methods": [may("jack", &["POST", "GET"])]}),
                "GET",
                FINE,
            ),
            (
                json!({"allowed_by_methods": [may("jack", &["POST"])]}),
                "GET",
                FORBIDDEN,
            ),
            (
                json!({"allowed_by_methods": [may("ann", &["POST"])]}),
                "GET",
                FINE,
            ),
            (json!({"allowed_by_methods": []}), "GET", FINE),
            (
                json!({"allowed_by_methods": [may("jack", &["GET"]), may("jack", &["POST"])]}),
                "POST",
                FORBIDDEN,
            ),
            (
                json!({"allowed_by_methods": [{"user": "jack"}]}),
                "GET",
                FORBIDDEN,
            ),
            (
                json!({"allowed_by_methods": [{"methods": ["POST"]}]}),
                "GET",
                FINE,
            ),
            (
                json!({"whitelist": ["jack"], "allowed_by_methods": [may("jack", &["POST"])]}),
                "GET",
                FINE,
            ),
            (
                json!({"whitelist": ["ann"], "allowed_by_methods": [may("jack", &["GET"])]}),
                "GET",
                FORBIDDEN,
            ),
            (
                json!({"blacklist": ["jack"], "allowed_by_methods": [may("jack", &["GET"])]}),
                "GET",
                FORBIDDEN,
            ),
        ] {
            check(&config, method, expected);
        }
    }

    #[test]
    fn other_things_can_be_looked_for() {
        for (subject, name, expected) in [
            ("route_id", "1", FINE),
            ("route_id", "2", (403, "The route_id is forbidden.")),
            ("consumer_group_id", "staff", FINE),
            (
                "consumer_group_id",
                "jack",
                (403, "The consumer_group_id is forbidden."),
            ),
            (
                "service_id",
                "1",
                (
                    401,
                    "The request is rejected, please check the service_id for this request",
                ),
            ),
        ] {
            check(
                &json!({"type": subject, "whitelist": [name]}),
                "GET",
                expected,
            );
        }
    }

    #[test]
    fn nobody_is_refused() {
        let mut nowhere = [Request::get("/"), Request::get("/")];
        for request in &mut nowhere {
            request.route = None;
        }
        let [first, second] = nowhere;
        for (subject, request) in [
            ("consumer_name", Request::get("/")),
            ("consumer_group_id", Request::get("/")),
            (
                "consumer_group_id",
                Request::get("/").by(testing::consumer("ann")),
            ),
            ("route_id", first),
            ("service_id", second),
        ] {
            let message =
                format!("The request is rejected, please check the {subject} for this request");
            let config = json!({"type": subject, "blacklist": ["x"], "rejected_code": 418});
            check_request(&config, request, (401, &message));
        }
    }

    #[test]
    fn checks_configurations_by_the_schema() {
        for (config, is_good) in [
            (json!({"whitelist": ["a"]}), true),
            (json!({}), false),
            (json!({"whitelist": []}), false),
            (json!({"blacklist": []}), false),
            (json!({"blacklist": [1]}), false),
            (json!({"whitelist": ["a"], "type": "consumer"}), false),
            (json!({"whitelist": ["a"], "rejected_code": 199}), false),
            (json!({"whitelist": ["a"], "rejected_code": 1000}), false),
            (
                json!({"allowed_by_methods": [{"user": "a", "methods": ["FETCH"]}]}),
                false,
            ),
            (
                json!({"allowed_by_methods": [{"user": "a", "methods": []}]}),
                false,
            ),
        ] {
            let compiled = Kit::new().plugin::<ConsumerRestriction>(&config);
            assert_eq!(compiled.is_ok(), is_good, "{config}");
        }
    }
}
