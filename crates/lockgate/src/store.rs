//! The store that the configuration asks for.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::{Context as _, ensure};
use lockgate_admin::{Admin, AdminOptions, Configs, Environment};
use lockgate_model::boot::{self, Provider, Role};
use lockgate_net::tls::{ClientTls, client_config};
use lockgate_snapshot::{Status, Visible};
use lockgate_store::{
    BoxFuture, Credentials, Embedded, EmbeddedOptions, Etcd, EtcdOptions, File, Rejected, Store,
};

use crate::{config_file, configuration::Configuration, wiring};

/// An open store, by how the configuration comes into it.
#[derive(Clone)]
pub(crate) enum Opened {
    /// Object by object.
    Single(Arc<dyn Store>),
    /// From a file.
    File(Arc<File>),
    /// As a whole, through the Admin API.
    Pushed(Arc<Configs>),
}

/// Opens it; with etcd, waits until it answers. `before` is the store in whose place it comes: one with a configuration does not make
/// way for a file that has none, because it is missing, say, or still being written.
pub(crate) async fn open(
    configuration: &Configuration,
    before: Option<&Opened>,
) -> anyhow::Result<Opened> {
    if let Some(file) = config_file::open(configuration).await {
        ensure!(
            file.is_filled() || !before.is_some_and(Opened::is_filled),
            "the configuration file cannot be used in place of the configuration that is in force"
        );
        return Ok(Opened::File(Arc::new(file)));
    }
    let config = &configuration.boot.config;
    if config.is_pushed() {
        return Ok(Opened::Pushed(Arc::default()));
    }
    // What is neither has ended the start.
    if config.deployment.provider() == Provider::Etcd {
        return Ok(Opened::Single(Arc::new(etcd(configuration).await?)));
    }
    let path = embedded_path(configuration);
    let embedded = Embedded::open(path, EmbeddedOptions::default())?;
    Ok(Opened::Single(Arc::new(embedded)))
}

impl Opened {
    /// The store.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Single(store) => store.clone(),
            Self::File(file) => file.clone(),
            Self::Pushed(configs) => configs.store(),
        }
    }

    /// The Admin API that writes to it; answers wait until `status` says that what was written is in force.
    pub(crate) fn admin(&self, options: AdminOptions, status: Arc<Status>) -> Admin {
        match self {
            Self::Pushed(configs) => {
                let in_force = move |revision| -> BoxFuture<'static, ()> {
                    let status = status.clone();
                    Box::pin(async move { status.reached_soon(revision).await })
                };
                Admin::standalone(options, configs.clone(), Arc::new(in_force))
            }
            Self::Single(_) | Self::File(_) => {
                Admin::new(options, Arc::new(Visible::new(self.store(), status)))
            }
        }
    }

    /// Whether there is a configuration: one that is read from a store there is from the start on.
    pub(crate) fn is_filled(&self) -> bool {
        match self {
            Self::Single(_) => true,
            Self::File(file) => file.is_filled(),
            Self::Pushed(configs) => configs.is_filled(),
        }
    }

    /// What a file holds and was left out.
    pub(crate) fn rejected(&self) -> Vec<Rejected> {
        match self {
            Self::File(file) => file.rejected(),
            Self::Single(_) | Self::Pushed(_) => Vec::new(),
        }
    }
}

/// The file of the embedded store.
pub(crate) fn embedded_path(configuration: &Configuration) -> PathBuf {
    configuration.below_prefix("data/store.redb")
}

/// The file with the newest configuration that came from etcd.
pub(crate) fn local_copy_path(configuration: &Configuration) -> PathBuf {
    configuration.below_prefix("data/last-known-good.json")
}

/// All that a store is opened with: two configurations for which it is the same can share one that is open.
#[derive(PartialEq, Eq)]
pub(crate) struct Identity {
    provider: Provider,
    /// Where it is etcd: its options mean nothing to others.
    etcd: Option<boot::Etcd>,
    /// With what is in its files, which may be replaced.
    etcd_tls: Option<ClientTls>,
    /// Its authorities, which may be replaced under the same name.
    etcd_roots: Option<Vec<u8>>,
    /// The configuration file, and what its objects are checked with.
    file: Option<(PathBuf, Environment)>,
    is_pushed: bool,
}

impl Identity {
    /// The identity of what [`open`] opens.
    pub(crate) fn of(configuration: &Configuration) -> anyhow::Result<Self> {
        let deployment = &configuration.boot.config.deployment;
        let provider = deployment.provider();
        let is_etcd = provider == Provider::Etcd;
        let etcd_tls = is_etcd.then(|| etcd_tls(configuration)).transpose()?;
        let roots = configuration.trusted().filter(|_| is_etcd);
        let etcd_roots = roots.map(|path| {
            fs::read(&path).with_context(|| {
                format!(
                    "cannot read {} (apisix.ssl.ssl_trusted_certificate)",
                    path.display()
                )
            })
        });
        Ok(Self {
            provider,
            etcd_roots: etcd_roots.transpose()?,
            etcd: is_etcd.then(|| deployment.etcd.clone()),
            etcd_tls,
            file: config_file::place(configuration)
                .map(|(path, _)| (path, wiring::environment(configuration))),
            is_pushed: configuration.boot.config.is_pushed(),
        })
    }
}

async fn etcd(configuration: &Configuration) -> anyhow::Result<Etcd> {
    let etcd = Etcd::connect(etcd_options(configuration)?).await?;
    let is_data_plane = configuration.boot.config.deployment.role == Role::DataPlane;
    // A data plane may have no right to write.
    if !etcd.starts_from_copy() && !is_data_plane {
        // For nodes of the reference that share this etcd; nothing here depends on it.
        match etcd.init_directories().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "placeholders of directories were written to etcd"),
            Err(error) => {
                tracing::warn!(%error, "placeholders of directories are not written to etcd");
            }
        }
    }
    Ok(etcd)
}

/// What a client of etcd is told.
pub(crate) fn etcd_options(configuration: &Configuration) -> anyhow::Result<EtcdOptions> {
    let etcd = &configuration.boot.config.deployment.etcd;
    let defaults = EtcdOptions::default();
    let is_tls = etcd.host.iter().any(|url| url.starts_with("https:"));
    let tls = is_tls.then(|| etcd_tls(configuration)).transpose()?;
    let credentials = etcd.user.as_ref().zip(etcd.password.as_ref());
    let startup_retry = etcd.startup_retry.map(|count| count.0);
    Ok(EtcdOptions {
        endpoints: etcd.host.clone(),
        prefix: etcd.prefix.clone(),
        credentials: credentials.map(|(user, password)| Credentials {
            user: user.clone(),
            password: password.clone(),
        }),
        tls: tls.map(|tls| client_config(&tls)).transpose()?,
        sni: etcd.tls.sni.clone(),
        timeout: etcd.timeout.map_or(defaults.timeout, |time| time.0),
        watch_timeout: etcd
            .watch_timeout
            .map_or(defaults.watch_timeout, |time| time.0),
        health_check_timeout: etcd
            .health_check_timeout
            .map_or(defaults.health_check_timeout, |time| time.0),
        startup_retry: startup_retry.map_or(defaults.startup_retry, |count| {
            u32::try_from(count).unwrap_or(u32::MAX)
        }),
        resync_delay: etcd
            .resync_delay
            .map_or(defaults.resync_delay, |time| time.0),
        local_copy: Some(local_copy_path(configuration)),
    })
}

/// How etcd is spoken to over TLS.
pub(crate) fn etcd_tls(configuration: &Configuration) -> anyhow::Result<ClientTls> {
    let tls = &configuration.boot.config.deployment.etcd.tls;
    // Relative to the current directory, as the reference takes them.
    let read = |path: &str, option: &str| {
        fs::read_to_string(path)
            .with_context(|| format!("cannot read {path} (deployment.etcd.tls.{option})"))
    };
    let client_cert = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => Some((read(cert, "cert")?, read(key, "key")?)),
        _ => None,
    };
    Ok(ClientTls {
        verify: tls.verify,
        client_cert,
        trusted: configuration.trusted(),
    })
}

#[cfg(test)]
mod tests {
    use lockgate_model::boot::{Boot, File};

    use super::*;

    fn configuration(text: &str) -> anyhow::Result<Configuration> {
        let file = File {
            name: "config.yaml",
            text,
        };
        Ok(Configuration {
            prefix: "p".into(),
            file: None,
            boot: Boot::read(Some(file), &|_| None)?,
        })
    }

    fn options(text: &str) -> anyhow::Result<EtcdOptions> {
        etcd_options(&configuration(text)?)
    }

    #[test]
    fn options_of_etcd_are_for_etcd_alone() {
        for (role, is_same) in [
            ("role_traditional: {config_provider: embedded}", true),
            // Pushed.
            ("role_traditional: {config_provider: yaml}", true),
            (
                "role: data_plane, role_data_plane: {config_provider: yaml}",
                true,
            ),
            ("role_traditional: {config_provider: etcd}", false),
        ] {
            let identity = |etcd: &str| {
                let text = format!("deployment: {{{role}, etcd: {{{etcd}}}}}");
                Identity::of(&configuration(&text).expect("valid")).expect("known")
            };
            assert!(identity("timeout: 3") == identity("timeout: 3"), "{role}");
            let is_kept = identity("timeout: 3") == identity("timeout: 4");
            assert_eq!(is_kept, is_same, "{role}");
        }
    }

    #[test]
    fn authorities_that_were_replaced_are_others() {
        let roots = tempfile::NamedTempFile::new().expect("a file");
        let path = roots.path().display();
        let text = format!(
            "{{apisix: {{ssl: {{ssl_trusted_certificate: '{path}'}}}}, deployment: {{role: traditional, role_traditional: {{config_provider: etcd}}}}}}"
        );
        let identity = || Identity::of(&configuration(&text).expect("valid")).expect("known");
        let before = identity();
        assert!(before == identity());
        fs::write(roots.path(), "another").expect("written");
        assert!(before != identity());
    }

    #[test]
    fn the_defaults_of_the_store_are_those_of_config_yaml() {
        let expected = EtcdOptions {
            local_copy: Some("p/data/last-known-good.json".into()),
            ..EtcdOptions::default()
        };
        let options = options("").expect("read");
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
    }

    #[test]
    fn every_option_of_etcd_arrives() {
        let text = "deployment: {etcd: {host: ['http://a:1'], prefix: /p, timeout: 1, watch_timeout: 2, resync_delay: 3,
            health_check_timeout: 4, startup_retry: 6, user: root, password: secret, tls: {sni: etcd.example}}}";
        let seconds = std::time::Duration::from_secs;
        let expected = EtcdOptions {
            endpoints: vec!["http://a:1".to_owned()],
            prefix: "/p".to_owned(),
            credentials: Some(Credentials {
                user: "root".to_owned(),
                password: "secret".to_owned(),
            }),
            tls: None,
            sni: Some("etcd.example".to_owned()),
            timeout: seconds(1),
            watch_timeout: seconds(2),
            health_check_timeout: seconds(4),
            startup_retry: 6,
            resync_delay: seconds(3),
            local_copy: Some("p/data/last-known-good.json".into()),
        };
        let options = options(text).expect("read");
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
        assert_eq!(options.credentials, expected.credentials);
    }

    #[test]
    fn tls_is_set_up_where_a_host_asks_for_it() {
        let options_of = |etcd: &str| options(&format!("deployment: {{etcd: {{{etcd}}}}}"));
        let unverified = options_of("host: ['https://a:1'], tls: {verify: false}").expect("read");
        assert!(unverified.tls.is_some());
        let missing = options_of("host: ['https://a:1'], tls: {cert: no/such.pem, key: k.pem}");
        assert_eq!(
            missing.map(drop).unwrap_err().to_string(),
            "cannot read no/such.pem (deployment.etcd.tls.cert)"
        );
    }
}
