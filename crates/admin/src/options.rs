//! Settings of both APIs, fixed at start.

use std::{path::PathBuf, sync::Arc};

use ipnet::IpNet;
use lockgate_keyring::PluginSecrets;
use lockgate_model::health::CheckedUpstream;
use lockgate_store::Store;

use crate::{plugins::Plugins, real_ip::RealIp};

/// What an admin key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Reading.
    Viewer,
}

/// One of `deployment.admin.admin_key`.
#[derive(Clone)]
pub struct AdminKey {
    /// For the history.
    pub name: String,
    /// What clients send.
    pub key: String,
    /// What it allows.
    pub role: Role,
}

impl std::fmt::Debug for AdminKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AdminKey")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Settings of the Admin API; the names of `config.yaml` are given with each.
#[derive(Debug, Clone)]
pub struct AdminOptions {
    /// `deployment.admin.admin_key`
    pub keys: Vec<AdminKey>,
    /// `deployment.admin.admin_key_required`
    pub is_key_required: bool,
    /// `deployment.admin.allow_admin`; `None` lets everybody in, an empty list nobody.
    pub allow: Option<Vec<IpNet>>,
    /// Whose word about the client's address is taken.
    pub real_ip: RealIp,
    /// `deployment.admin.enable_admin_cors`
    pub has_cors: bool,
    /// `deployment.admin.admin_api_version` is `v3`, which is the default; else answers have the older shape.
    pub is_v3: bool,
    /// `deployment.etcd.prefix`, as keys show in answers: `/apisix`.
    pub prefix: String,
    /// Value of the `Server` field.
    pub server: String,
    /// The directory that is served under `/ui`; `None` without `deployment.admin.enable_admin_ui`.
    pub ui: Option<PathBuf>,
}

/// A stored object that is not in force as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its key without the prefix.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// The object is in force, but for this; else it is not, or its predecessor is.
    pub is_in_force: bool,
}

/// Tells which stored objects are not in force as they stand.
pub type ProblemReport = Arc<dyn Fn() -> Vec<Problem> + Send + Sync>;

/// What health checks have found out.
pub type HealthReport = Arc<dyn Fn() -> Vec<CheckedUpstream> + Send + Sync>;

/// What registries of services are known to have.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovered {
    /// 200, as JSON.
    Json(serde_json::Value),
    /// 200, as text.
    Text(String),
    /// 503, and why.
    Unavailable(String),
}

/// What stands below `/v1/discovery/{kind}/`; `None` for what is not there.
pub type DiscoveryReport = Arc<dyn Fn(&str, &str) -> Option<Discovered> + Send + Sync>;

/// What would become of the request that these arguments describe; the error is a sentence for who asks.
pub type ExplainReport =
    Arc<dyn Fn(&[(&str, &str)]) -> Result<serde_json::Value, String> + Send + Sync>;

/// Settings of the control API.
#[derive(Clone)]
pub struct ControlOptions {
    /// Value of the `Server` field.
    pub server: String,
    /// Where the objects are.
    pub store: Arc<dyn Store>,
    /// `deployment.etcd.prefix`
    pub prefix: String,
    /// What is not in force.
    pub problems: ProblemReport,
    /// How the nodes of upstreams are.
    pub health: HealthReport,
    /// Decrypts the secret fields of plugins, which are shown as the data plane has them.
    pub secrets: Arc<PluginSecrets>,
    /// The plugins, shared with the Admin API.
    pub plugins: Arc<Plugins>,
    /// What registries have.
    pub discovery: DiscoveryReport,
    /// What would become of a request.
    pub explain: ExplainReport,
}

/// Tells whether this process is ready for traffic; the error is the sentence for the client.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
