//! What a file says that has no effect.

use std::fmt;

use super::{ConfigOption, Status, all, suggest::suggest};
use crate::boot::tree::{Entry, Node, Place, Value};

/// Something in a file that has no effect, or not the one that was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line of the file, from 1; 0 where it is about no line.
    pub line: u64,
    /// The option.
    pub path: String,
    /// What is to be said of it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.message)
    }
}

/// Goes through a file and finds what has no effect, in the order of the file.
pub(in crate::boot) fn warnings(file: &Node, defaults: &Node) -> Vec<Warning> {
    let mut found = Vec::new();
    walk(file, "", &mut |path, entry, option| {
        let message = match option {
            None if is_block(path) => Some("is a block of options, not a value".to_owned()),
            None => Some(unknown(path)),
            Some(option) => missing(option, &entry.node, defaults.at(path)),
        };
        if let Some(message) = message {
            found.push(warning(entry.place, path, message));
        }
    });
    repeated(file, "", &mut found);
    found.sort_by_key(|warning| warning.line);
    found
}

/// The paths of a tree that no option is listed for.
#[cfg(test)]
pub(super) fn unlisted(tree: &Node) -> Vec<String> {
    let mut found = Vec::new();
    walk(tree, "", &mut |path, _, option| {
        if option.is_none() {
            found.push(path.to_owned());
        }
    });
    found
}

/// Visits every entry that is an option, is all below one, or is none.
fn walk(
    node: &Node,
    parent: &str,
    visit: &mut dyn FnMut(&str, &Entry, Option<&'static ConfigOption>),
) {
    let Value::Map(entries) = &node.value else {
        return;
    };
    for entry in entries {
        let path = join(parent, &entry.key);
        let exact = all().find(|option| option.path.trim_end_matches(".*") == path);
        match exact {
            Some(option) => visit(&path, entry, Some(option)),
            // `null` takes a whole block away, which is no unknown option.
            None if is_block(&path) && matches!(entry.node.value, Value::Map(_) | Value::Null) => {
                walk(&entry.node, &path, visit);
            }
            None => visit(&path, entry, None),
        }
    }
}

/// Whether options lie below a path.
fn is_block(path: &str) -> bool {
    all().any(|option| {
        option
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// What to say of a listed option with this value, if anything.
fn missing(option: &ConfigOption, node: &Node, default: Option<&Node>) -> Option<String> {
    let is_default = match default {
        Some(default) => default.is_same(node),
        None => asks_for_nothing(node),
    };
    let is_off = matches!(node.value, Value::Bool(false) | Value::Null);
    match option.status {
        Status::Honoured => None,
        Status::Later(_) | Status::Never(_) if is_default || is_empty_snippet(node) => None,
        Status::LaterThoughOn(_) if is_off => None,
        Status::Later(missing) | Status::LaterThoughOn(missing) => {
            Some(format!("has no effect yet: {missing}"))
        }
        Status::Never(instead) => Some(format!("has no effect: {instead}")),
    }
}

/// Whether a value of an option without a default leaves it off.
fn asks_for_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::Text(text) => text.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Whether a text is nothing but comments, as the snippets of the reference's example are.
fn is_empty_snippet(node: &Node) -> bool {
    let Value::Text(text) = &node.value else {
        return false;
    };
    text.lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

fn unknown(path: &str) -> String {
    match suggest(path) {
        Some(near) => format!("there is no such option; is {near} meant?"),
        None => "there is no such option".to_owned(),
    }
}

/// Keys that a map has more than once.
fn repeated(node: &Node, parent: &str, found: &mut Vec<Warning>) {
    let Value::Map(entries) = &node.value else {
        return;
    };
    for (at, entry) in entries.iter().enumerate() {
        let path = join(parent, &entry.key);
        if entries
            .iter()
            .skip(at + 1)
            .any(|later| later.key == entry.key)
        {
            found.push(warning(
                entry.place,
                &path,
                "is given more than once: the last counts".to_owned(),
            ));
        }
        repeated(&entry.node, &path, found);
    }
}

fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

fn warning(place: Place, path: &str, message: String) -> Warning {
    Warning {
        line: place.line,
        path: path.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::defaults;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let file = Node::parse(text)
            .map_err(|error| error.reason)
            .expect("YAML");
        let found = warnings(&file, &defaults::built_in());
        let found: Vec<_> = found
            .iter()
            .map(|warning| format!("{}: {warning}", warning.line))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn is_silent_about_what_has_its_effect_or_changes_nothing() {
        let texts = [
            "apisix: {node_listen: 9080, enable_ipv6: false}",
            "apisix: {ssl: {enable: false}, tracing: false, router: {ssl: radixtree_sni}}",
            "nginx_config: {http_configuration_snippet: '', max_pending_timers: 16384}",
            "nginx_config:\n  main_configuration_snippet: |\n    # nothing\n    # at all\n",
            "apisix: {lua_module_hook: ~}",
            "apisix: ~",
            "discovery: {}",
            "apisix: {disable_upstream_healthcheck: false}",
            "deployment: {admin: {enable_admin_ui: false}}",
        ];
        for text in texts {
            check(text, &[]);
        }
    }

    #[test]
    fn names_what_has_no_effect() {
        check(
            "apisix:\n  ssl:\n    enable: true\n    listen: [{port: 9443, enable_http3: false}]\n  tracing: true\n",
            &[
                "3: apisix.ssl.enable: has no effect yet: HTTPS is not served: no port is opened for it",
                "5: apisix.tracing: has no effect yet: no traces are made",
            ],
        );
        check(
            "nginx_config:\n  http_configuration_snippet: chunked_transfer_encoding on;\n  http:\n    lua_shared_dict:\n      a: 1m\n      b: 1m\n",
            &[
                "2: nginx_config.http_configuration_snippet: has no effect: nginx directives cannot be taken over: \
                 use the option of config.yaml or the plugin that does the same",
                "4: nginx_config.http.lua_shared_dict: has no effect: there are no Lua dictionaries: \
                 memory is taken as it is needed, so leave the sizes out",
            ],
        );
    }

    #[test]
    fn names_what_is_no_option_or_is_given_twice() {
        check(
            "tests:\n  key: 1\napisix:\n  node_listn: 80\n  tracing: a\n  tracing: b\n  router: x\n",
            &[
                "1: tests: there is no such option",
                "4: apisix.node_listn: there is no such option; is apisix.node_listen meant?",
                "5: apisix.tracing: has no effect yet: no traces are made",
                "5: apisix.tracing: is given more than once: the last counts",
                "6: apisix.tracing: has no effect yet: no traces are made",
                "7: apisix.router: is a block of options, not a value",
            ],
        );
    }
}
