//! Everything that has no large block of its own.

use super::{ConfigOption, honoured, later, never};

const NO_PLUGIN: &str = "no plugin is built in";
const NO_DISCOVERY: &str =
    "services are not discovered: upstreams with `discovery_type` have no nodes";

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
    later(
        "plugin_attr.*",
        "map",
        "Settings of plugins that hold for the whole process, by name.",
        NO_PLUGIN,
    ),
    honoured(
        "graphql.max_size",
        "number of bytes",
        "The largest body that is read to match `graphql_` variables.",
    ),
    later(
        "discovery.*",
        "map",
        "Registries that nodes come from, by kind.",
        NO_DISCOVERY,
    ),
    later(
        "ext-plugin.cmd",
        "list of texts",
        "Program that runs external plugins.",
        NO_PLUGIN,
    ),
    later(
        "wasm.plugins",
        "list of maps",
        "WebAssembly plugins.",
        NO_PLUGIN,
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
