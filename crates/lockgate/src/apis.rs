//! The APIs beside traffic: Admin API, control API, status API. Each is given what it needs and served where it is configured.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use lockgate_admin::{
    AdminTls, Control, Environment, ListSource, MetricsApi, MetricsPieces, MetricsText, Plugins,
    Readiness, StatusApi, TlsFiles,
};
use lockgate_discovery::Discovery;
use lockgate_explain::Explainer;
use lockgate_keyring::PluginSecrets;
use lockgate_model::boot::{Boot, File, Listeners};
use lockgate_net::listen::Sockets;
use lockgate_plugin::Node;
use lockgate_plugins::prometheus;
use lockgate_proxy::Serving;
use lockgate_snapshot::Status;
use lockgate_upstream::Registry;
use tokio::net::TcpListener;

use crate::{
    configuration::Configuration, control_plane::ControlPlane, listeners, store::Opened, version,
    wiring,
};

/// Where metrics are shown by default.
const METRICS_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9091);

/// Where the APIs are served.
pub(crate) struct Apis {
    pub(crate) admin: Option<TcpListener>,
    /// The Admin API's certificate, where it is served over HTTPS.
    pub(crate) admin_tls: Option<AdminTls>,
    pub(crate) control: Option<TcpListener>,
    pub(crate) status: Option<TcpListener>,
    pub(crate) metrics: Option<TcpListener>,
}

/// What they tell of, and write to.
pub(crate) struct Told {
    pub(crate) opened: Opened,
    pub(crate) status: Arc<Status>,
    pub(crate) registry: Registry,
    pub(crate) secrets: Arc<PluginSecrets>,
    pub(crate) serving: Serving,
    pub(crate) discovery: Discovery,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) node: Node,
    pub(crate) explainer: Explainer,
}

impl Apis {
    /// Serves them as tasks of the control plane.
    pub(crate) fn serve(
        self,
        configuration: &Configuration,
        told: Told,
        control_plane: &mut ControlPlane,
    ) {
        let plugins = told.plugins.clone();
        let (opened, discovery) = (told.opened.clone(), told.discovery.clone());
        if let Some(listener) = self.admin {
            // Which plugins are on is for the plugins to say: their lists can be read again.
            let environment = Environment {
                plugins: None,
                stream_plugins: None,
                ..wiring::environment(configuration)
            };
            let options = wiring::admin(configuration);
            let admin = told.opened.admin(options, told.status.clone());
            let admin = admin
                .with_environment(environment)
                .with_plugins(plugins.clone());
            let admin = Arc::new(admin);
            if matches!(told.opened, Opened::Single(_)) {
                let admin = admin.clone();
                control_plane.serve("the list of plugins", async move {
                    if let Err(error) = admin.reset_plugins().await {
                        tracing::error!(%error, "failed to set plugins");
                    }
                    Ok(())
                });
            }
            let stopped = control_plane.stopped();
            let name = "the Admin API";
            match self.admin_tls {
                Some(tls) => control_plane.serve(name, admin.serve_tls(listener, tls, stopped)),
                None => control_plane.serve(name, admin.serve(listener, stopped)),
            }
        }
        if let Some(listener) = self.metrics {
            let server = version::server(configuration.boot.config.apisix.enable_server_tokens);
            let path = prometheus::export_uri(&told.node);
            let metrics = Arc::new(MetricsApi::new(&server, path, metrics_text(&told.node)));
            control_plane.serve(
                "the metrics",
                metrics.serve(listener, control_plane.stopped()),
            );
        }
        if let Some(listener) = self.control {
            let Told {
                opened,
                status,
                registry,
                secrets,
                discovery,
                explainer,
                ..
            } = told;
            let options = wiring::control(
                configuration,
                &opened,
                status,
                registry,
                secrets,
                plugins,
                discovery,
                explainer,
            );
            let control = Arc::new(Control::new(options));
            control_plane.serve(
                "the control API",
                control.serve(listener, control_plane.stopped()),
            );
        }
        if let Some(listener) = self.status {
            let server = version::server(configuration.boot.config.apisix.enable_server_tokens);
            let readiness = readiness(opened, told.serving, discovery);
            let status = Arc::new(StatusApi::new(&server, readiness));
            control_plane.serve(
                "the status API",
                status.serve(listener, control_plane.stopped()),
            );
        }
    }
}

/// Where metrics are shown, where the plugin is on that counts. The port that it has by default is given up where another process
/// has it: whoever runs two gateways on a machine need not know of it.
pub(crate) fn metrics_listener(
    sockets: &mut Sockets,
    bound: &Listeners,
    plugins: &Plugins,
) -> anyhow::Result<Option<TcpListener>> {
    let address = bound.metrics.filter(|_| plugins.has("prometheus"));
    let listener = listeners::bind(sockets, address, "plugin_attr.prometheus.export_addr");
    match listener {
        Err(error) if address == Some(METRICS_DEFAULT) => {
            let reason = format!("{error:#}");
            tracing::warn!(reason, "metrics have no port");
            Ok(None)
        }
        other => other,
    }
}

fn metrics_text(node: &Node) -> MetricsText {
    let metrics = prometheus::Metrics::of(node);
    Arc::new(move || {
        let metrics = metrics.clone();
        Box::pin(async move { Box::new(metrics.text().await) as MetricsPieces })
    })
}

/// The certificate that the Admin API is served with; `None` where it is served over plain HTTP, or not at all.
pub(crate) fn admin_tls(configuration: &Configuration) -> anyhow::Result<Option<AdminTls>> {
    let config = &configuration.boot.config;
    let admin = &config.deployment.admin;
    if !admin.https_admin || configuration.boot.listeners.admin.is_none() {
        return Ok(None);
    }
    // Relative to the directory of the configuration, as nginx takes them.
    let path = |text: &str| configuration.below_prefix(Path::new("conf").join(text));
    let files = &admin.admin_api_mtls;
    let ca = Some(&files.admin_ssl_ca_cert).filter(|ca| !ca.is_empty());
    let tls = AdminTls::load(&TlsFiles {
        cert: path(&files.admin_ssl_cert),
        key: path(&files.admin_ssl_cert_key),
        ca: ca.map(|ca| path(ca)),
        protocols: config.apisix.ssl.ssl_protocols.clone(),
        ciphers: config.apisix.ssl.ssl_ciphers.clone(),
    })?;
    Ok(Some(tls))
}

/// The plugins, whose lists are read from the file again when that is asked for.
pub(crate) fn plugins(configuration: &Configuration) -> Plugins {
    let plugins = Plugins::new(wiring::plugin_lists(&configuration.boot.config));
    let Some(file) = configuration.file.clone() else {
        return plugins;
    };
    let source: ListSource = Arc::new(move || {
        read_again(&file)
            .map_err(|error| {
                let reason = format!("{error:#}");
                tracing::error!(reason, "the lists of plugins are not read anew");
            })
            .ok()
            .map(|boot| wiring::plugin_lists(&boot.config))
    });
    plugins.reading(source)
}

fn read_again(file: &Path) -> anyhow::Result<Boot> {
    let text = fs::read_to_string(file)?;
    let read = File {
        name: &file.display().to_string(),
        text: &text,
    };
    Ok(Boot::read(Some(read), &|name| std::env::var(name).ok())?)
}

/// There is a configuration, every worker serves by it, and registries that are read as a whole have been read.
fn readiness(opened: Opened, serving: Serving, discovery: Discovery) -> Readiness {
    Arc::new(move || {
        let missing = if opened.is_filled() {
            serving.missing()
        } else {
            Some(0)
        };
        if let Some(id) = missing {
            return Err(format!("worker id: {id} has not received configuration"));
        }
        discovery.ready().map_err(str::to_owned)
    })
}
