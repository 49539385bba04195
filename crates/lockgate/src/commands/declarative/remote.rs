//! The Admin API of a gateway, as its client.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use lockgate_client::{Client, Options};
use lockgate_declare::{Document, Id, Kind, Object};
use lockgate_model::boot::AdminRole;
use lockgate_net::{
    dns::{DnsOptions, Resolver},
    tls::ClientTls,
};
use serde_json::Value;
use thiserror::Error;

use crate::{
    cli::{Access, Flags},
    configuration::Configuration,
};

/// Longest for one call. A listing of many objects takes a while.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Largest answer: some 100 000 objects.
const ANSWER_BYTES: usize = 1 << 30;

/// The Admin API.
pub(super) struct Remote {
    client: Client,
    /// Such as `http://127.0.0.1:9180/apisix/admin`.
    base: String,
    key: Option<HeaderValue>,
}

/// An object that was not written.
#[derive(Debug, Error)]
pub(super) enum WriteError {
    /// The gateway takes no such object, or not yet.
    #[error("{status}: {reason}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it says.
        reason: String,
    },
    /// It cannot be asked, or cannot write.
    #[error("{0}")]
    Away(String),
}

impl Remote {
    /// By the flags and the environment, and the gateway's configuration for what they do not say.
    pub(super) fn of(flags: &Flags, access: &Access) -> anyhow::Result<Self> {
        let from_environment =
            |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let url = access
            .admin_url
            .clone()
            .or_else(|| from_environment("LOCKGATE_ADMIN_URL"));
        let key = access
            .admin_key
            .clone()
            .or_else(|| from_environment("LOCKGATE_ADMIN_KEY"));
        // Of another machine's gateway, this configuration says nothing.
        let (url, key) = if let Some(url) = url {
            (url, key)
        } else {
            let configuration = Configuration::read(flags)?;
            let own_key = || key_in(&configuration);
            (url_in(&configuration)?, key.or_else(own_key))
        };
        let mut options = Options::new(Resolver::new(DnsOptions::default()));
        options.tls = tls(access)?;
        options.timeout = TIMEOUT;
        options.max_body_bytes = ANSWER_BYTES;
        let key = key.map(|key| {
            let key = lockgate_client::secret(&key);
            key.context("the key of the Admin API has letters that no key can have")
        });
        Ok(Self {
            client: Client::new(options)?,
            base: format!("{}/apisix/admin", url.trim_end_matches('/')),
            key: key.transpose()?,
        })
    }

    /// All objects of these kinds.
    pub(super) async fn read(&self, kinds: &[&'static Kind]) -> anyhow::Result<Document> {
        let mut document = Document::default();
        for kind in kinds {
            let ids = self.read_list(kind, kind.name, &mut document).await?;
            let Some(owned) = kind.owned() else { continue };
            for id in ids {
                let path = format!("{}/{id}/{owned}", kind.name);
                self.read_list(kind, &path, &mut document).await?;
            }
        }
        Ok(document)
    }

    /// Adds the objects of one listing; their ids.
    async fn read_list(
        &self,
        kind: &'static Kind,
        path: &str,
        document: &mut Document,
    ) -> anyhow::Result<Vec<String>> {
        let answer = self.call(Method::GET, path, Bytes::new()).await?;
        let (status, body) = (answer.status(), answer.into_body());
        // A gateway without this kind, or one that proxies no streams, has none of its objects. A path that is not the Admin API's
        // says nothing of objects.
        let has_none = match status {
            StatusCode::NOT_FOUND => {
                path != kind.name || reason(&body).starts_with("Unsupported resource type")
            }
            StatusCode::BAD_REQUEST => kind.name == "stream_routes",
            _ => false,
        };
        if has_none {
            return Ok(Vec::new());
        }
        if !status.is_success() {
            bail!(
                "the Admin API does not list {path}: {status}: {}",
                reason(&body)
            );
        }
        let malformed = || format!("the Admin API lists {path} in a form that is not known");
        let read: Value = serde_json::from_slice(&body).with_context(malformed)?;
        // Version 3, and the older shape. An empty list may come as a map.
        let list = read.get("list").or_else(|| read.get("node")?.get("nodes"));
        let mut ids = Vec::new();
        for node in list.and_then(Value::as_array).into_iter().flatten() {
            let key = node.get("key").and_then(Value::as_str);
            let (_, id) = key
                .and_then(|key| key.split_once(&format!("/{}/", kind.name)))
                .with_context(malformed)?;
            let mut item = node.get("value").cloned().with_context(malformed)?;
            let fields = item.as_object_mut().with_context(malformed)?;
            fields.insert("id".to_owned(), id.into());
            document
                .insert(kind, item)
                .map_err(|why| anyhow::anyhow!("{}: {why}", malformed()))?;
            ids.push(id.to_owned());
        }
        Ok(ids)
    }

    /// Makes or replaces an object.
    pub(super) async fn put(&self, id: &Id, object: &Object) -> Result<(), WriteError> {
        let body = Value::Object(object.clone()).to_string();
        self.write(Method::PUT, id, body.into()).await
    }

    /// Removes an object, if it is there.
    pub(super) async fn delete(&self, id: &Id) -> Result<(), WriteError> {
        match self.write(Method::DELETE, id, Bytes::new()).await {
            Err(WriteError::Refused {
                status: StatusCode::NOT_FOUND,
                ..
            }) => Ok(()),
            written => written,
        }
    }

    async fn write(&self, method: Method, id: &Id, body: Bytes) -> Result<(), WriteError> {
        let answer = self.call(method, &id.to_string(), body).await;
        let answer = answer.map_err(|error| WriteError::Away(format!("{error:#}")))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = reason(answer.body());
        if status.is_client_error() && status != StatusCode::UNAUTHORIZED {
            return Err(WriteError::Refused { status, reason });
        }
        Err(WriteError::Away(format!("{status}: {reason}")))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Response<Bytes>> {
        let url = format!("{}/{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(key) = &self.key {
            request = request.header("X-API-KEY", key);
        }
        let request = request
            .body(body)
            .with_context(|| format!("{url} is no address"))?;
        Ok(self.client.send(request).await?)
    }
}

/// What an answer that is no success says.
fn reason(body: &[u8]) -> String {
    let read: Option<Value> = serde_json::from_slice(body).ok();
    let said = ["error_msg", "message"]
        .iter()
        .find_map(|field| read.as_ref()?.get(*field)?.as_str());
    match said {
        Some(said) => said.to_owned(),
        None => String::from_utf8_lossy(body).trim().to_owned(),
    }
}

/// Where the Admin API of a configuration is reached from its own machine.
fn url_in(configuration: &Configuration) -> anyhow::Result<String> {
    let Some(mut address) = configuration.boot.listeners.admin else {
        bail!("the configuration has no Admin API: name one with --admin-url");
    };
    if address.ip().is_unspecified() {
        let own: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(own);
    }
    let is_tls = configuration.boot.config.deployment.admin.https_admin;
    let scheme = if is_tls { "https" } else { "http" };
    Ok(format!("{scheme}://{address}"))
}

/// A key that may write, of those in a configuration.
fn key_in(configuration: &Configuration) -> Option<String> {
    let admin = &configuration.boot.config.deployment.admin;
    let mut keys = admin.admin_key.iter().flatten();
    let key = keys.find(|key| key.role == AdminRole::Admin && !key.key.is_empty())?;
    Some(key.key.clone())
}

fn tls(access: &Access) -> anyhow::Result<ClientTls> {
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path);
        text.with_context(|| format!("cannot read {}", path.display()))
    };
    let client_cert = match (&access.admin_cert, &access.admin_cert_key) {
        (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
        _ => None,
    };
    Ok(ClientTls {
        verify: !access.insecure,
        client_cert,
        trusted: access.admin_ca.clone(),
    })
}
