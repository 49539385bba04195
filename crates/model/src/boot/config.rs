//! The options of `config.yaml` that have an effect, with the names they have there.
//!
//! What each does, its default, and which options have no effect: [`super::OPTIONS`]. A boolean that a file removes with
//! `null` is false, as in the reference.

#![expect(
    missing_docs,
    reason = "the options are described in one place, the table"
)]

use serde::Deserialize;

use super::{
    discovery::Discovery,
    units::{Count, EncryptionKeys, NameServers, Networks, Seconds, Size, Switch, Time},
};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    pub apisix: Apisix,
    pub nginx_config: NginxConfig,
    pub deployment: Deployment,
    /// Checked and read on its own.
    #[serde(skip)]
    pub discovery: Discovery,
    #[serde(default)]
    pub graphql: Graphql,
    #[serde(default)]
    pub lockgate: Lockgate,
    #[serde(default)]
    pub plugins: Vec<String>,
    #[serde(default)]
    pub plugin_attr: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    pub stream_plugins: Vec<String>,
}

/// `graphql`
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Graphql {
    pub max_size: Option<Count>,
}

/// `lockgate`, which the reference does not have and passes over.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Lockgate {
    #[serde(default)]
    pub reason_header: bool,
}

/// `apisix`
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as many as the file has")]
pub struct Apisix {
    #[serde(default)]
    pub enable_admin: bool,
    #[serde(default)]
    pub enable_dev_mode: bool,
    #[serde(default)]
    pub show_upstream_status_in_response_header: bool,
    #[serde(default)]
    pub enable_ipv6: bool,
    #[serde(default)]
    pub enable_server_tokens: bool,
    #[serde(default)]
    pub delete_uri_tail_slash: bool,
    #[serde(default)]
    pub normalize_uri_like_servlet: bool,
    #[serde(default)]
    pub match_uri_encoded_slash: bool,
    pub max_post_args_readable_size: Option<Count>,
    pub router: Router,
    pub proxy_mode: ProxyMode,
    #[serde(default)]
    pub dns_resolver: NameServers,
    pub dns_resolver_valid: Option<Count>,
    pub resolver_timeout: Seconds,
    #[serde(default)]
    pub enable_resolv_search_opt: bool,
    #[serde(default)]
    pub dns_all_addresses: bool,
    #[serde(default)]
    pub ssl: Ssl,
    #[serde(default)]
    pub enable_control: bool,
    #[serde(default)]
    pub disable_upstream_healthcheck: bool,
    #[serde(default)]
    pub data_encryption: DataEncryption,
    #[serde(default)]
    pub trusted_addresses: Networks,
    #[serde(default)]
    pub lru: Lru,
    pub proxy_cache: Option<ProxyCache>,
    #[serde(default, deserialize_with = "text_of")]
    pub id: Option<String>,
}

/// `apisix.lru`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Lru {
    pub secret: SecretCache,
}

/// `apisix.lru.secret`; what is taken away means the default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SecretCache {
    pub ttl: Option<Seconds>,
    pub count: Option<Count>,
    pub neg_ttl: Option<Seconds>,
    pub neg_count: Option<Count>,
}

/// `apisix.proxy_cache`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProxyCache {
    #[serde(default)]
    pub zones: Vec<CacheZone>,
}

/// One of `apisix.proxy_cache.zones`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CacheZone {
    pub name: String,
    /// In memory without it.
    pub disk_path: Option<String>,
}

/// `apisix.data_encryption`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct DataEncryption {
    #[serde(default)]
    pub enable_encrypt_fields: bool,
    #[serde(default)]
    pub keyring: EncryptionKeys,
}

/// `apisix.router`
#[derive(Debug, Clone, Deserialize)]
pub struct Router {
    pub http: RouterMode,
}

/// `apisix.router.http`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouterMode {
    RadixtreeUri,
    RadixtreeHostUri,
    RadixtreeUriWithParameter,
}

/// `apisix.proxy_mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ProxyMode {
    #[serde(rename = "http")]
    Http,
    #[serde(rename = "stream")]
    Stream,
    #[serde(rename = "http&stream")]
    HttpAndStream,
}

/// `apisix.ssl`
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Ssl {
    pub ssl_trusted_certificate: Option<String>,
    #[serde(default)]
    pub ssl_protocols: String,
    #[serde(default)]
    pub ssl_ciphers: String,
}

/// `nginx_config`
#[derive(Debug, Clone, Deserialize)]
pub struct NginxConfig {
    pub error_log: String,
    pub error_log_level: Level,
    pub worker_processes: Workers,
    pub worker_rlimit_nofile: Option<Count>,
    pub worker_shutdown_timeout: Time,
    #[serde(default)]
    pub enable_cpu_affinity: bool,
    pub event: Event,
    pub http: Http,
}

/// `nginx_config.error_log_level`, from the finest to the coarsest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Debug,
    Info,
    Notice,
    Warn,
    Error,
    Crit,
    Alert,
    Emerg,
}

/// `nginx_config.worker_processes`; `None` for `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers(pub Option<std::num::NonZeroUsize>);

/// `nginx_config.event`
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    pub worker_connections: Count,
}

/// `nginx_config.http`
#[derive(Debug, Clone, Deserialize)]
pub struct Http {
    #[serde(default)]
    pub enable_access_log: bool,
    pub access_log: String,
    pub access_log_buffer: Size,
    pub access_log_format: String,
    pub access_log_format_escape: Escape,
    pub keepalive_timeout: Time,
    pub client_header_timeout: Time,
    pub client_body_timeout: Time,
    pub client_max_body_size: Size,
    pub send_timeout: Time,
    pub real_ip_header: String,
    pub real_ip_recursive: Switch,
    #[serde(default)]
    pub real_ip_from: Networks,
    pub upstream: UpstreamDefaults,
    pub charset: String,
}

/// `nginx_config.http.access_log_format_escape`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Escape {
    Default,
    Json,
    None,
}

/// `nginx_config.http.upstream`
#[derive(Debug, Clone, Deserialize)]
pub struct UpstreamDefaults {
    pub keepalive: Count,
    pub keepalive_requests: Count,
    pub keepalive_timeout: Time,
}

/// `deployment`
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    pub role: Role,
    pub role_traditional: Option<Provided>,
    pub role_control_plane: Option<Provided>,
    pub role_data_plane: Option<Provided>,
    pub admin: Admin,
    pub etcd: Etcd,
}

/// `deployment.role`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Traditional,
    ControlPlane,
    DataPlane,
}

/// `deployment.role_traditional` and its siblings
#[derive(Debug, Clone, Deserialize)]
pub struct Provided {
    pub config_provider: Provider,
}

/// `config_provider`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Embedded,
    Etcd,
    Yaml,
    Json,
    Xds,
}

/// `deployment.admin`
#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as many as the file has")]
pub struct Admin {
    /// Only `false` itself takes the key away, as in the reference.
    #[serde(default = "yes")]
    pub admin_key_required: bool,
    pub admin_key: Option<Vec<AdminKey>>,
    #[serde(default)]
    pub enable_admin_cors: bool,
    pub allow_admin: Option<Networks>,
    #[serde(default)]
    pub enable_admin_ui: bool,
    #[serde(default)]
    pub https_admin: bool,
    #[serde(default)]
    pub admin_api_mtls: AdminMtls,
    pub admin_api_version: Option<String>,
}

/// `deployment.admin.admin_api_mtls`
#[derive(Debug, Clone, Default, Deserialize)]
pub struct AdminMtls {
    #[serde(default)]
    pub admin_ssl_cert: String,
    #[serde(default)]
    pub admin_ssl_cert_key: String,
    /// Empty where clients show no certificate.
    #[serde(default)]
    pub admin_ssl_ca_cert: String,
}

/// One of `deployment.admin.admin_key`
#[derive(Clone, Deserialize)]
pub struct AdminKey {
    #[serde(default)]
    pub name: String,
    /// Empty where one is to be made.
    #[serde(default, deserialize_with = "text_or_number")]
    pub key: String,
    pub role: AdminRole,
}

/// `role` of an admin key
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminRole {
    Admin,
    Viewer,
}

/// `deployment.etcd`
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Etcd {
    pub host: Vec<String>,
    pub prefix: String,
    pub timeout: Option<Seconds>,
    pub watch_timeout: Option<Seconds>,
    #[serde(default, deserialize_with = "from_zero")]
    pub resync_delay: Option<Seconds>,
    #[serde(default, deserialize_with = "from_zero")]
    pub health_check_timeout: Option<Seconds>,
    pub startup_retry: Option<Count>,
    pub user: Option<String>,
    pub password: Option<String>,
    #[serde(default)]
    pub tls: EtcdTls,
}

/// `deployment.etcd.tls`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EtcdTls {
    pub cert: Option<String>,
    pub key: Option<String>,
    /// Only `false` itself takes it away, as in the reference.
    #[serde(default = "yes")]
    pub verify: bool,
    pub sni: Option<String>,
}

impl Default for EtcdTls {
    fn default() -> Self {
        Self {
            cert: None,
            key: None,
            verify: true,
            sni: None,
        }
    }
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Etcd")
            .field("host", &self.host)
            .field("prefix", &self.prefix)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Whether the configuration is pushed as a whole through the Admin API (`apisix/admin/init.lua`).
    pub fn is_pushed(&self) -> bool {
        self.apisix.enable_admin && self.deployment.provider() == Provider::Yaml
    }
}

impl Deployment {
    /// Where the configuration comes from, by the role.
    pub fn provider(&self) -> Provider {
        let provided = match self.role {
            Role::Traditional => &self.role_traditional,
            Role::ControlPlane => &self.role_control_plane,
            Role::DataPlane => &self.role_data_plane,
        };
        provided
            .as_ref()
            .map_or(Provider::Etcd, |provided| provided.config_provider)
    }
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AdminKey")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Workers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "expected \"auto\" or a number from 1, got {text:?}"
            ))
        })
    }
}

impl Workers {
    /// Reads `auto` or a number; a fraction is dropped, as the reference drops it.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "auto" {
            return Some(Self(None));
        }
        let number = text
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|number| *number >= 1.0 && *number < 1e6)?;
        std::num::NonZeroUsize::new(number as usize).map(|count| Self(Some(count)))
    }
}

fn yes() -> bool {
    true
}

/// A key that consists of digits is read as a number; it is text all the same.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        serde_json::Value::Null => Ok(String::new()),
        _ => Err(serde::de::Error::custom("expected text")),
    }
}

/// A name that consists of digits is read as a number; it is text all the same.
fn text_of<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text_or_number(deserializer).map(|text| Some(text).filter(|text| !text.is_empty()))
}

/// A number of seconds; below zero counts as absent, as in the reference (`apisix/core/config_etcd.lua`).
fn from_zero<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Seconds>, D::Error> {
    let number = Option::<f64>::deserialize(deserializer)?;
    let duration = number.map(std::time::Duration::try_from_secs_f64);
    Ok(duration.and_then(Result::ok).map(Seconds))
}
