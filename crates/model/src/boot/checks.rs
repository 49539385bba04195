//! What ends a start although each option is well formed (`apisix/cli/ops.lua`), in the reference's order and words.

use std::net::IpAddr;

use lockgate_expr::{Part, Template, Variable};

use super::{
    Warning,
    config::{Config, Provider, ProxyMode, Role},
    discovery,
    environment::Environment,
    syslog::Syslog,
    tree::{Node, Value},
};

/// A start that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) path: &'static str,
    pub(super) message: String,
}

fn refuse(path: &'static str, message: impl Into<String>) -> Result<(), Refusal> {
    let message = message.into();
    Err(Refusal { path, message })
}

/// What the reference refuses, then what is not built yet and must not be passed over.
pub(super) fn check(
    tree: &Node,
    config: &Config,
    environment: Environment<'_>,
) -> Result<(), Refusal> {
    stand_alone(config, environment)?;
    admin_keys(tree, config)?;
    admin_certificate(tree, config)?;
    plugins(tree)?;
    stream_ports(tree, config)?;
    variables(tree)?;
    lua_paths(tree)?;
    log_format(config)?;
    syslog(config)?;
    not_built(config)
}

/// What is said of values, beyond [`super::options::warnings`], which looks at options.
pub(super) fn warnings(tree: &Node, config: &Config) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut warn = |path: &str, message: String| {
        let line = tree.place_of(path).line;
        found.push(Warning {
            line,
            path: path.to_owned(),
            message,
        });
    };
    for server in &config.apisix.dns_resolver.ignored {
        warn(
            "apisix.dns_resolver",
            format!("unsupported DNS resolver: {server}, would ignore this item"),
        );
    }
    let nginx = &config.nginx_config;
    if nginx.error_log.starts_with("memory:") {
        warn(
            "nginx_config.error_log",
            "is not kept in memory: the log goes to the standard error stream".to_owned(),
        );
    }
    if !is_file(&nginx.http.access_log) {
        warn(
            "nginx_config.http.access_log",
            "only files are written yet: requests are not logged".to_owned(),
        );
    }
    let format = Template::parse_log_format(&nginx.http.access_log_format);
    for part in format.iter().flat_map(Template::parts) {
        if let Part::Variable {
            variable: Variable::Unknown(name),
            ..
        } = part
        {
            warn(
                "nginx_config.http.access_log_format",
                format!("there is no variable ${name}: it is always absent"),
            );
        }
    }
    if config.apisix.enable_admin
        && config
            .deployment
            .admin
            .allow_admin
            .as_ref()
            .is_some_and(|allow| allow.0.is_empty())
    {
        warn(
            "deployment.admin.allow_admin",
            "lets nobody in: the Admin API answers everybody 403".to_owned(),
        );
    }
    if config.apisix.proxy_mode == ProxyMode::HttpAndStream {
        warn(
            "apisix.proxy_mode",
            "TCP and UDP are not proxied yet: stream routes can be stored and do nothing"
                .to_owned(),
        );
    }
    if config.deployment.admin.https_admin {
        for name in config.apisix.ssl.ssl_protocols.split_whitespace() {
            if !["TLSv1.2", "TLSv1.3"].contains(&name) {
                warn(
                    "apisix.ssl.ssl_protocols",
                    format!("{name} is not spoken: it is not safe"),
                );
            }
        }
    }
    found
}

/// Whether the place of a log is a file and none of nginx's other kinds.
pub(super) fn is_file(log: &str) -> bool {
    !log.starts_with("syslog:") && !log.starts_with("memory:")
}

fn syslog(config: &Config) -> Result<(), Refusal> {
    let Some(log) = config.nginx_config.error_log.strip_prefix("syslog:") else {
        return Ok(());
    };
    Syslog::parse(log)
        .map(drop)
        .or_else(|wrong| refuse("nginx_config.error_log", wrong))
}

fn log_format(config: &Config) -> Result<(), Refusal> {
    match Template::parse_log_format(&config.nginx_config.http.access_log_format) {
        Ok(_) => Ok(()),
        Err(error) => refuse("nginx_config.http.access_log_format", error.to_string()),
    }
}

fn stand_alone(config: &Config, environment: Environment<'_>) -> Result<(), Refusal> {
    let provider = config.deployment.provider();
    if environment("APISIX_STAND_ALONE").as_deref() != Some("true")
        || matches!(provider, Provider::Yaml | Provider::Json)
    {
        return Ok(());
    }
    let name = format!("{provider:?}").to_lowercase();
    let path = match config.deployment.role {
        Role::Traditional => "deployment.role_traditional",
        Role::ControlPlane => "deployment.role_control_plane",
        Role::DataPlane => "deployment.role_data_plane",
    };
    refuse(
        path,
        format!(
            "APISIX_STAND_ALONE is set to 'true' but config_provider is '{name}': it must be 'yaml' or 'json'"
        ),
    )
}

fn admin_keys(tree: &Node, config: &Config) -> Result<(), Refusal> {
    let path = "deployment.admin.admin_key";
    let admin = &config.deployment.admin;
    // As written: the reference compares the texts.
    let allow = tree.at("deployment.admin.allow_admin").map(Node::to_json);
    let is_local = allow == Some(serde_json::json!(["127.0.0.0/24"]));
    if !config.apisix.enable_admin || is_local || !admin.admin_key_required {
        return Ok(());
    }
    if admin.admin_key.as_deref().unwrap_or_default().is_empty() {
        return refuse(
            path,
            "ERROR: missing valid Admin API token. Please modify \"admin_key\" in conf/config.yaml .",
        );
    }
    Ok(())
}

fn admin_certificate(tree: &Node, config: &Config) -> Result<(), Refusal> {
    let is_set = |field: &str| match tree.at(&format!("deployment.admin.admin_api_mtls.{field}")) {
        Some(Node {
            value: Value::Text(text),
            ..
        }) => !text.is_empty(),
        _ => false,
    };
    if config.deployment.admin.https_admin
        && !(is_set("admin_ssl_cert") && is_set("admin_ssl_cert_key"))
    {
        return refuse(
            "deployment.admin.https_admin",
            "missing ssl cert for https admin",
        );
    }
    Ok(())
}

fn plugins(tree: &Node) -> Result<(), Refusal> {
    let names = |path: &str| match tree.at(path) {
        Some(Node {
            value: Value::List(items),
            ..
        }) => items.iter().map(Node::to_json).collect(),
        _ => Vec::new(),
    };
    let (http, stream) = (names("plugins"), names("stream_plugins"));
    let has = |list: &[serde_json::Value], name: &str| list.iter().any(|listed| listed == name);
    if has(&http, "proxy-cache") && tree.at("apisix.proxy_cache").is_none() {
        return refuse(
            "apisix.proxy_cache",
            "missing apisix.proxy_cache for plugin proxy-cache",
        );
    }
    if has(&http, "batch-requests")
        && !names("nginx_config.http.real_ip_from")
            .iter()
            .any(is_own_address)
    {
        return refuse(
            "nginx_config.http.real_ip_from",
            "missing loopback or unspecified in the nginx_config.http.real_ip_from for plugin batch-requests",
        );
    }
    let exports = tree
        .at("plugin_attr.prometheus.enable_export_server")
        .map(Node::to_json);
    if has(&stream, "prometheus") && exports != Some(true.into()) {
        return refuse(
            "stream_plugins",
            "L4 prometheus metric should be exposed via export server",
        );
    }
    Ok(())
}

/// Whether a text is a loopback or unspecified address, or such a network.
fn is_own_address(text: &serde_json::Value) -> bool {
    let address = text
        .as_str()
        .unwrap_or_default()
        .split('/')
        .next()
        .unwrap_or_default();
    address
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

fn stream_ports(tree: &Node, config: &Config) -> Result<(), Refusal> {
    if config.apisix.proxy_mode == ProxyMode::Http {
        return Ok(());
    }
    for (path, name) in [
        ("apisix.stream_proxy.tcp", "tcp"),
        ("apisix.stream_proxy.udp", "udp"),
    ] {
        let Some(Node {
            value: Value::List(items),
            ..
        }) = tree.at(path)
        else {
            continue;
        };
        for item in items {
            let entry = item.at("addr").unwrap_or(item);
            if let Err(reason) = port_or_range(entry) {
                return refuse(path, format!("invalid stream_proxy.{name} entry: {reason}"));
            }
        }
    }
    Ok(())
}

/// Checks a port, a range of ports, or either after an address. What is neither digits nor a range is nginx's to judge.
fn port_or_range(entry: &Node) -> Result<(), String> {
    let in_range = |port: &str| match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("port out of range (1-65535): {port}")),
    };
    let text = match &entry.value {
        Value::Int(port) => return in_range(&port.to_string()).map(drop),
        Value::Float(port) => return Err(format!("port must be an integer, got: {port}")),
        Value::Text(text) => text,
        _ => return Err(format!("invalid port value type: {}", entry.lua_type())),
    };
    let port = if text.contains('[') {
        match text.split_once("]:") {
            Some((_, port)) => port,
            None => return Ok(()),
        }
    } else {
        text.split_once(':').map_or(text.as_str(), |(_, port)| port)
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((from, to)) = port
        .split_once('-')
        .filter(|(from, to)| is_number(from) && is_number(to))
    {
        if in_range(from)? > in_range(to)? {
            return Err(format!("invalid port range (start > end): {text}"));
        }
        return Ok(());
    }
    if port.is_empty() {
        return Err(format!("missing port: {text}"));
    }
    if is_number(port) {
        return in_range(port).map(drop);
    }
    if port.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!("invalid port format: {text}"));
    }
    Ok(())
}

fn variables(tree: &Node) -> Result<(), Refusal> {
    let path = "discovery.kubernetes";
    match tree.at(path).map(Node::to_json) {
        Some(kubernetes) if discovery::names_bad_variable(&kubernetes) => refuse(
            path,
            "invalid environment variable entry: control characters are not allowed",
        ),
        _ => Ok(()),
    }
}

fn lua_paths(tree: &Node) -> Result<(), Refusal> {
    for path in ["apisix.extra_lua_path", "apisix.extra_lua_cpath"] {
        if let Some(Node {
            value: Value::Text(text),
            ..
        }) = tree.at(path)
            && text.len() == 1
        {
            return refuse(
                path,
                format!("invalid extra_lua_path/extra_lua_cpath: \"{text}\""),
            );
        }
    }
    Ok(())
}

fn not_built(config: &Config) -> Result<(), Refusal> {
    let deployment = &config.deployment;
    if config.apisix.proxy_mode == ProxyMode::Stream {
        return refuse(
            "apisix.proxy_mode",
            "TCP and UDP are not proxied yet, and nothing else is served in this mode: choose http or http&stream",
        );
    }
    match (deployment.role, deployment.provider()) {
        (Role::DataPlane, Provider::Xds) => refuse(
            "deployment.role_data_plane.config_provider",
            "xds is not built yet: use etcd, yaml or json",
        ),
        (Role::Traditional | Role::ControlPlane | Role::DataPlane, _) => Ok(()),
    }
}
