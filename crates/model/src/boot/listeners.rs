//! Which addresses are listened on, and that no two listeners want the same port (`apisix/cli/ops.lua`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::tree::{Node, Value};

/// The addresses of all listeners.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listeners {
    /// `apisix.node_listen`
    pub http: Vec<HttpListener>,
    /// Ports of `apisix.ssl.listen`, for what leads clients to HTTPS; none where `apisix.ssl.enable` is off.
    pub https_ports: Vec<u16>,
    /// `apisix.proxy_protocol.listen_http_port`
    pub proxy_protocol: Vec<HttpListener>,
    /// `deployment.admin.admin_listen`; `None` where the Admin API is off.
    pub admin: Option<SocketAddr>,
    /// `apisix.control`; `None` where the control API is off.
    pub control: Option<SocketAddr>,
    /// `apisix.status`; `None` where there is no such block.
    pub status: Option<SocketAddr>,
    /// `plugin_attr.prometheus.export_addr`; `None` where metrics have no port of their own.
    pub metrics: Option<SocketAddr>,
}

/// One address of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpListener {
    /// Where.
    pub address: SocketAddr,
    /// Whether it is only there because of `apisix.enable_ipv6`; a machine without IPv6 can do without it.
    pub is_implied: bool,
}

/// Listeners that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) path: String,
    pub(super) message: String,
}

/// Works out the listeners of a merged file.
pub(super) fn of(tree: &Node) -> Result<Listeners, Refusal> {
    let mut taken = Taken::default();
    let is_on = |path: &str| {
        matches!(
            tree.at(path),
            Some(Node {
                value: Value::Bool(true),
                ..
            })
        )
    };
    let mut listeners = Listeners::default();
    if is_on("apisix.enable_admin") {
        let address = taken.own(
            tree,
            "admin port",
            "deployment.admin.admin_listen",
            "0.0.0.0",
            9180,
        )?;
        listeners.admin = Some(address);
    }
    if tree.at("apisix.status").is_some() {
        let address = taken.own(tree, "status port", "apisix.status", "127.0.0.1", 7085)?;
        listeners.status = Some(address);
    }
    if is_on("apisix.enable_control") {
        listeners.control =
            Some(taken.own(tree, "control port", "apisix.control", "127.0.0.1", 9090)?);
    }
    if is_on("plugin_attr.prometheus.enable_export_server") {
        let path = "plugin_attr.prometheus.export_addr";
        let address = taken.own(tree, "prometheus port", path, "127.0.0.1", 9091)?;
        listeners.metrics = Some(address);
    }
    let ipv6 = is_on("apisix.enable_ipv6");
    for (address, is_implied) in shared(tree, "node_listen", 9080, ipv6, &taken)? {
        if !listeners.http.iter().any(|known| known.address == address) {
            listeners.http.push(HttpListener {
                address,
                is_implied,
            });
        }
    }
    for (address, _) in shared(tree, "ssl.listen", 9443, ipv6, &taken)? {
        let port = address.port();
        if is_on("apisix.ssl.enable") && !listeners.https_ports.contains(&port) {
            listeners.https_ports.push(port);
        }
    }
    listeners.proxy_protocol = proxy_protocol(tree, ipv6, &taken, &listeners.http)?;
    Ok(listeners)
}

/// Ports that are one listener's own.
#[derive(Debug, Default)]
struct Taken(Vec<(u16, &'static str)>);

impl Taken {
    /// The address of a listener that shares its port with no other.
    fn own(
        &mut self,
        tree: &Node,
        name: &'static str,
        path: &str,
        ip: &str,
        port: u16,
    ) -> Result<SocketAddr, Refusal> {
        let ip = match tree.at(&format!("{path}.ip")) {
            None => ip.to_owned(),
            Some(node) => text_of(node).ok_or_else(|| refusal(path, "ip must be an address"))?,
        };
        let port = match tree.at(&format!("{path}.port")) {
            None => port,
            Some(node) => port_of(node)
                .ok_or_else(|| refusal(path, "port must be a number from 1 to 65535"))?,
        };
        self.check(name, port, path)?;
        self.0.push((port, name));
        address(&ip, port).ok_or_else(|| refusal(path, &format!("ip {ip:?} is no address")))
    }

    fn check(&self, name: &str, port: u16, path: &str) -> Result<(), Refusal> {
        match self.0.iter().find(|(taken, _)| *taken == port) {
            Some((_, other)) => Err(refusal(
                path,
                &format!("{name} {port} conflicts with {other}"),
            )),
            None => Ok(()),
        }
    }
}

/// The addresses of `node_listen` or `ssl.listen`, and whether each is implied.
fn shared(
    tree: &Node,
    option: &str,
    default_port: u16,
    ipv6: bool,
    taken: &Taken,
) -> Result<Vec<(SocketAddr, bool)>, Refusal> {
    let path = format!("apisix.{option}");
    let name = if option == "node_listen" {
        "http listen port"
    } else {
        "https listen port"
    };
    let wrong = || {
        refusal(
            &path,
            "must be a port, or a list of ports and of maps with ip and port",
        )
    };
    let Some(node) = tree.at(&path) else {
        return Ok(Vec::new());
    };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut addresses = Vec::new();
    for item in items {
        let (ip, port) = match &item.value {
            Value::Int(_) => (None, port_of(item).ok_or_else(wrong)?),
            Value::Map(_) => {
                if item.at("enable_http2").is_some() {
                    let message = format!(
                        "ERROR: port level enable_http2 in {option} is deprecated from 3.9 version, \
                         and you should use enable_http2 in apisix level."
                    );
                    return Err(refusal(&path, &message));
                }
                let ip = item
                    .at("ip")
                    .map(|ip| text_of(ip).ok_or_else(wrong))
                    .transpose()?;
                let port = item
                    .at("port")
                    .map(|port| port_of(port).ok_or_else(wrong))
                    .transpose()?;
                (ip, port.unwrap_or(default_port))
            }
            _ => return Err(wrong()),
        };
        taken.check(name, port, &path)?;
        let any = ip.is_none();
        let ip = ip.unwrap_or_else(|| "0.0.0.0".to_owned());
        let address = address(&ip, port)
            .ok_or_else(|| refusal(&path, &format!("ip {ip:?} is no address")))?;
        addresses.push((address, false));
        if any && ipv6 {
            addresses.push((SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), true));
        }
    }
    Ok(addresses)
}

/// The addresses of the port for the PROXY protocol: all of this machine.
fn proxy_protocol(
    tree: &Node,
    ipv6: bool,
    taken: &Taken,
    http: &[HttpListener],
) -> Result<Vec<HttpListener>, Refusal> {
    const PATH: &str = "apisix.proxy_protocol.listen_http_port";
    let Some(node) = tree.at(PATH) else {
        return Ok(Vec::new());
    };
    let port = port_of(node).ok_or_else(|| refusal(PATH, "must be a number from 1 to 65535"))?;
    taken.check("PROXY protocol port", port, PATH)?;
    if http.iter().any(|listener| listener.address.port() == port) {
        let message = format!("PROXY protocol port {port} conflicts with node_listen");
        return Err(refusal(PATH, &message));
    }
    let any = |address: IpAddr, is_implied| HttpListener {
        address: SocketAddr::new(address, port),
        is_implied,
    };
    let mut listeners = vec![any(Ipv4Addr::UNSPECIFIED.into(), false)];
    if ipv6 {
        listeners.push(any(Ipv6Addr::UNSPECIFIED.into(), true));
    }
    Ok(listeners)
}

fn refusal(path: &str, message: &str) -> Refusal {
    Refusal {
        path: path.to_owned(),
        message: message.to_owned(),
    }
}

fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn port_of(node: &Node) -> Option<u16> {
    let port = match &node.value {
        Value::Int(port) => u16::try_from(*port).ok(),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    port.filter(|port| *port != 0)
}

/// An address, IPv6 with or without its brackets.
fn address(ip: &str, port: u16) -> Option<SocketAddr> {
    let bare = ip
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(ip);
    Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let tree = Node::parse(text)
            .map_err(|error| error.reason)
            .expect("YAML");
        let outcome = of(&tree).map(|listeners| {
            let written = |one: &HttpListener| {
                let implied = if one.is_implied { " implied" } else { "" };
                format!("{}{implied}", one.address)
            };
            let http = listeners.http.iter().map(written);
            let proxied = listeners.proxy_protocol.iter();
            let http = http.chain(proxied.map(|one| format!("proxied {}", written(one))));
            let admin = listeners
                .admin
                .iter()
                .map(|address| format!("admin {address}"));
            let control = listeners
                .control
                .iter()
                .map(|address| format!("control {address}"));
            http.chain(admin).chain(control).collect::<Vec<_>>()
        });
        let outcome = outcome.map_err(|refusal| refusal.message);
        let expected = expected
            .map(|all| all.iter().map(|one| (*one).to_owned()).collect())
            .map_err(str::to_owned);
        assert_eq!(outcome, expected, "{text}");
    }

    #[test]
    fn takes_every_notation() {
        let cases: [(&str, &[&str]); 12] = [
            (
                "apisix: {proxy_protocol: {listen_http_port: 9181}}",
                &["proxied 0.0.0.0:9181"],
            ),
            (
                "apisix: {proxy_protocol: {listen_http_port: 9181}, enable_ipv6: true}",
                &["proxied 0.0.0.0:9181", "proxied [::]:9181 implied"],
            ),
            ("apisix: {node_listen: 9080}", &["0.0.0.0:9080"]),
            (
                "apisix: {node_listen: [9080, 9081]}",
                &["0.0.0.0:9080", "0.0.0.0:9081"],
            ),
            ("apisix: {node_listen: [9080, 9080]}", &["0.0.0.0:9080"]),
            (
                "apisix: {node_listen: [9080], enable_ipv6: true}",
                &["0.0.0.0:9080", "[::]:9080 implied"],
            ),
            (
                "apisix: {node_listen: [{ip: 127.0.0.2, port: 1}], enable_ipv6: true}",
                &["127.0.0.2:1"],
            ),
            (
                "apisix: {node_listen: [{port: 1}], enable_ipv6: true}",
                &["0.0.0.0:1", "[::]:1 implied"],
            ),
            (
                "apisix: {node_listen: [{ip: '::1'}, {ip: '[::2]'}]}",
                &["[::1]:9080", "[::2]:9080"],
            ),
            ("apisix: {enable_admin: true}", &["admin 0.0.0.0:9180"]),
            (
                "apisix: {enable_admin: true}\ndeployment: {admin: {admin_listen: {ip: 127.0.0.1, port: '1'}}}",
                &["admin 127.0.0.1:1"],
            ),
            (
                "apisix: {enable_control: true, control: {port: 2}}",
                &["control 127.0.0.1:2"],
            ),
        ];
        for (text, expected) in cases {
            check(text, Ok(expected));
        }
    }

    #[test]
    fn refuses_what_the_reference_refuses() {
        let wrong = "must be a port, or a list of ports and of maps with ip and port";
        let cases = [
            (
                "apisix: {enable_admin: true, enable_control: true, control: {port: 9180}}",
                "control port 9180 conflicts with admin port",
            ),
            (
                "apisix: {enable_admin: true, status: {port: 9180}}",
                "status port 9180 conflicts with admin port",
            ),
            (
                "apisix: {enable_control: true, node_listen: 9090}",
                "http listen port 9090 conflicts with control port",
            ),
            (
                "apisix: {enable_control: true, ssl: {listen: [{port: 9090}]}}",
                "https listen port 9090 conflicts with control port",
            ),
            (
                "apisix: {enable_control: true, control: {port: 9091}}\nplugin_attr: {prometheus: {enable_export_server: true}}",
                "prometheus port 9091 conflicts with control port",
            ),
            (
                "apisix: {node_listen: [{port: 9081, enable_http2: true}]}",
                "ERROR: port level enable_http2 in node_listen is deprecated from 3.9 version, and you should use enable_http2 in apisix level.",
            ),
            (
                "apisix: {ssl: {listen: [{port: 9444, enable_http2: false}]}}",
                "ERROR: port level enable_http2 in ssl.listen is deprecated from 3.9 version, and you should use enable_http2 in apisix level.",
            ),
            (
                "apisix: {node_listen: 9080, proxy_protocol: {listen_http_port: 9080}}",
                "PROXY protocol port 9080 conflicts with node_listen",
            ),
            (
                "apisix: {enable_control: true, proxy_protocol: {listen_http_port: 9090}}",
                "PROXY protocol port 9090 conflicts with control port",
            ),
            (
                "apisix: {proxy_protocol: {listen_http_port: 0}}",
                "must be a number from 1 to 65535",
            ),
            ("apisix: {node_listen: '9080'}", wrong),
            ("apisix: {node_listen: ['9080']}", wrong),
            ("apisix: {node_listen: [0]}", wrong),
            ("apisix: {node_listen: [65536]}", wrong),
            ("apisix: {node_listen: [{ip: 1}]}", wrong),
            (
                "apisix: {node_listen: [{ip: localhost}]}",
                "ip \"localhost\" is no address",
            ),
            (
                "apisix: {enable_control: true, control: {ip: here}}",
                "ip \"here\" is no address",
            ),
            (
                "apisix: {enable_control: true, control: {port: none}}",
                "port must be a number from 1 to 65535",
            ),
        ];
        for (text, message) in cases {
            check(text, Err(message));
        }
    }
}
