//! Everything that has no large block of its own.

use super::{ConfigOption, honoured, later, never};

/// These options.
pub(super) const OPTIONS: &[ConfigOption] = &[
    honoured(
        "plugins",
        "list of names",
        "The plugins that objects may name. `PUT /apisix/admin/plugins/reload` and `PUT /v1/plugins/reload` read the list again.",
    ),
    honoured(
        "stream_plugins",
        "list of names",
        "The same for stream routes.",
    ),
    honoured(
        "plugin_attr.*",
        "map",
        "Settings of plugins that hold for the whole process, by name; each plugin's page has its own.",
    ),
    honoured(
        "graphql.max_size",
        "number of bytes",
        "The largest body that is read to match `graphql_` variables.",
    ),
    honoured(
        "lockgate.reason_header",
        "boolean",
        "Whether answers that the gateway makes itself tell the client why, in `X-Lockgate-Reason`. Not in APISIX, which passes the block over.",
    ),
    honoured(
        "discovery.dns.*",
        "map",
        "Nodes from DNS: `servers` or `resolv_conf`, `order`; see [discovery](discovery.md), as for the others.",
    ),
    honoured(
        "discovery.consul.*",
        "map",
        "Nodes from the services of Consul.",
    ),
    honoured("discovery.consul_kv.*", "map", "Nodes from keys of Consul."),
    honoured("discovery.eureka.*", "map", "Nodes from Eureka."),
    honoured("discovery.nacos.*", "map", "Nodes from Nacos."),
    honoured(
        "discovery.kubernetes.*",
        "map, or list of maps",
        "Nodes from the endpoints of one Kubernetes cluster or several.",
    ),
    never(
        "discovery.tars.*",
        "map",
        "Nodes from the database of Tars.",
        "there is no MySQL client: name the nodes in an upstream, or register the services elsewhere",
    ),
    later(
        "ext-plugin.cmd",
        "list of texts",
        "Program that runs external plugins.",
        "no plugin runs outside of the gateway",
    ),
    later(
        "wasm.plugins",
        "list of maps",
        "WebAssembly plugins.",
        "there is no host for WebAssembly",
    ),
    later(
        "xrpc.protocols",
        "list of maps",
        "Protocols on top of TCP.",
        "TCP and UDP are not proxied",
    ),
    never(
        "etcd.*",
        "map",
        "A copy of `deployment.etcd`.",
        "the reference writes it when it stores a key; write deployment.etcd",
    ),
    never(
        "http.custom_lua_shared_dict.*",
        "map",
        "More Lua dictionaries.",
        "there are no Lua dictionaries, so leave it out",
    ),
];
