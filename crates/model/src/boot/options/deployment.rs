//! `deployment`

use super::{ConfigOption, honoured, never};

const NO_CERTS: &str =
    "planes meet in etcd, and the reference does not use it either: set deployment.etcd.tls";
const WRITTEN_BY_REFERENCE: &str =
    "the reference writes it when it stores a key; deployment.role decides";

/// The options of this block.
pub(super) const OPTIONS: &[ConfigOption] = &[
    honoured(
        "deployment.role",
        "`traditional`, `control_plane` or `data_plane`",
        "What this instance is. `traditional` serves both the Admin API and traffic, a control plane the Admin API alone, a data plane traffic alone, whatever `apisix.enable_admin` says.",
    ),
    honoured(
        "deployment.role_traditional.config_provider",
        "`embedded`, `etcd` or `yaml`",
        "Where routes and the like are kept. `embedded` is Lockgate's own: a store under `data/` of the prefix. \
         `etcd` can be shared with APISIX. `yaml` is `conf/apisix.yaml` without the Admin API, and a configuration that is pushed as a \
         whole with it ([standalone.md](standalone.md)).",
    ),
    honoured(
        "deployment.role_control_plane.config_provider",
        "`etcd`",
        "The same for a control plane.",
    ),
    honoured(
        "deployment.role_data_plane.config_provider",
        "`etcd`, `yaml`, `json` or `xds`",
        "The same for a data plane, which takes `yaml` and `json` from `conf/apisix.yaml` and `conf/apisix.json`. `xds` is not built yet and \
         ends the start.",
    ),
    never(
        "deployment.config_provider",
        "text",
        "The provider, by the role.",
        WRITTEN_BY_REFERENCE,
    ),
    honoured(
        "deployment.admin.admin_key_required",
        "boolean",
        "Whether the Admin API asks for a key.",
    ),
    honoured(
        "deployment.admin.admin_key",
        "list of maps with `name`, `key` and `role`",
        "Who may use the Admin API. Role `admin` may do everything, `viewer` may read. An empty key of an `admin` is replaced \
         by a random one, which is written into the file.",
    ),
    honoured(
        "deployment.admin.enable_admin_cors",
        "boolean",
        "Whether pages of other sites may use the Admin API from a browser.",
    ),
    honoured(
        "deployment.admin.enable_admin_ui",
        "boolean",
        "Whether files of the directory `ui` below the prefix are served under `/ui`. A dashboard comes with neither.",
    ),
    honoured(
        "deployment.admin.allow_admin",
        "list of addresses and networks",
        "Who may reach the Admin API; `null` lets everybody, `[]` nobody.",
    ),
    honoured(
        "deployment.admin.admin_listen.ip",
        "address",
        "Where the Admin API is served.",
    ),
    honoured("deployment.admin.admin_listen.port", "port", "Its port."),
    honoured(
        "deployment.admin.https_admin",
        "boolean",
        "Whether the Admin API is served over HTTPS.",
    ),
    honoured(
        "deployment.admin.admin_api_mtls.admin_ssl_cert",
        "path",
        "Its certificate, in PEM; relative to `conf/`.",
    ),
    honoured(
        "deployment.admin.admin_api_mtls.admin_ssl_cert_key",
        "path",
        "The key of the certificate.",
    ),
    honoured(
        "deployment.admin.admin_api_mtls.admin_ssl_ca_cert",
        "path",
        "Authority that clients' certificates come from; without it they show none.",
    ),
    honoured(
        "deployment.admin.admin_api_version",
        "`v3` or `v2`",
        "Shape of the answers.",
    ),
    honoured(
        "deployment.etcd.host",
        "list of URLs",
        "The members of the etcd cluster, all `http` or all `https`. The variable `APISIX_DEPLOYMENT_ETCD_HOST`, a JSON list, wins.",
    ),
    honoured(
        "deployment.etcd.prefix",
        "text",
        "What keys begin with, in etcd and in answers of the Admin API.",
    ),
    honoured(
        "deployment.etcd.timeout",
        "number of seconds",
        "How long an answer of etcd is waited for, over all its members.",
    ),
    honoured(
        "deployment.etcd.watch_timeout",
        "number of seconds",
        "How long the watch on etcd may give no sign of life. It is asked for one five times as often.",
    ),
    honoured(
        "deployment.etcd.resync_delay",
        "number of seconds",
        "Pause before a watch that cannot be opened is tried again, and by chance up to half as much more. 5 without the option.",
    ),
    honoured(
        "deployment.etcd.health_check_timeout",
        "number of seconds",
        "How long a member of etcd that failed comes after all others. 10 without the option.",
    ),
    honoured(
        "deployment.etcd.startup_retry",
        "number",
        "Attempts to reach etcd at start.",
    ),
    honoured("deployment.etcd.user", "text", "User of etcd."),
    honoured("deployment.etcd.password", "text", "Its password."),
    honoured(
        "deployment.etcd.tls.cert",
        "path",
        "Certificate shown to etcd, in PEM.",
    ),
    honoured(
        "deployment.etcd.tls.key",
        "path",
        "The key of the certificate, in PEM.",
    ),
    honoured(
        "deployment.etcd.tls.verify",
        "boolean",
        "Whether etcd's certificate is checked, against `apisix.ssl.ssl_trusted_certificate`.",
    ),
    honoured(
        "deployment.etcd.tls.sni",
        "text",
        "The name etcd is asked for in TLS, and checked for, instead of each member's host.",
    ),
    never(
        "deployment.certs.cert",
        "path",
        "Certificate between planes.",
        NO_CERTS,
    ),
    never(
        "deployment.certs.cert_key",
        "path",
        "The key of the certificate.",
        NO_CERTS,
    ),
    never(
        "deployment.certs.trusted_ca_cert",
        "path",
        "Authority that both planes trust.",
        NO_CERTS,
    ),
];
