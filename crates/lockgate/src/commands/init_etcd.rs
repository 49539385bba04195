//! `init_etcd`: whether etcd can be used, and the keys that the reference keeps as directories (`apisix/cli/etcd.lua`).

use std::{io, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use lockgate_client::{Client, ClientError, Failure, Options};
use lockgate_model::boot::{Provider, Role};
use lockgate_net::dns::Resolver;
use lockgate_store::{Etcd, EtcdOptions};
use serde_json::{Value, json};

use crate::{complain, configuration::Configuration, say, store, wiring};

/// Longest for one question; the reference's.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Attempts for each host where the configuration does not say; the reference's.
const ATTEMPTS: u64 = 2;

/// The oldest etcd that will do.
const OLDEST: Version = Version([3, 4, 0]);

/// Does it, where the configuration is in etcd.
pub(super) fn init(configuration: &Configuration, is_verbose: bool) -> anyhow::Result<()> {
    if configuration.boot.config.deployment.provider() != Provider::Etcd {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(init_async(configuration, is_verbose))
}

async fn init_async(configuration: &Configuration, is_verbose: bool) -> anyhow::Result<()> {
    let deployment = &configuration.boot.config.deployment;
    let hosts = &deployment.etcd.host;
    let client = client(configuration)?;
    let attempts = deployment
        .etcd
        .startup_retry
        .map_or(ATTEMPTS, |count| count.0);
    let mut healthy = Vec::new();
    for host in hosts {
        let url = format!("{host}/version");
        match ask(&client, &url, attempts).await {
            Ok(body) => {
                check_version(&url, &body)?;
                healthy.push(host.clone());
            }
            Err(reason) => complain(&format!("request etcd endpoint '{url}' error, {reason}\n")),
        }
    }
    if healthy.is_empty() {
        bail!("all etcd nodes are unavailable");
    }
    if healthy.len() * 2 <= hosts.len() {
        bail!("the etcd cluster needs at least 50% and above healthy nodes");
    }
    if deployment.role == Role::DataPlane {
        say(
            "access from the data plane to etcd should be read-only, skip initializing the data of etcd\n",
        );
        return Ok(());
    }
    say("trying to initialize the data of etcd\n");
    if let (Some(user), Some(password), Some(host)) = (
        &deployment.etcd.user,
        &deployment.etcd.password,
        healthy.first(),
    ) {
        say_without_authentication(&client, host, user, password).await;
    }
    let options = EtcdOptions {
        endpoints: healthy,
        // Who is told that etcd is ready wants etcd itself.
        local_copy: None,
        ..store::etcd_options(configuration)?
    };
    let etcd = Etcd::connect(options).await?;
    let count = etcd
        .init_directories()
        .await
        .context("cannot initialize the data of etcd")?;
    if is_verbose {
        say(&format!(
            "{count} keys of directories were written to etcd\n"
        ));
    }
    Ok(())
}

/// Says where a user is of no use. One that etcd does not know is refused when something is written; etcd without its JSON
/// interface is not asked.
async fn say_without_authentication(client: &Client, host: &str, user: &str, password: &str) {
    let question = json!({ "name": user, "password": password }).to_string();
    let request = Request::post(format!("{host}/v3/auth/authenticate")).body(question.into());
    let Ok(request) = request else { return };
    let Ok(answer) = client.send(request).await else {
        return;
    };
    let body = String::from_utf8_lossy(answer.body());
    if body.contains("authentication is not enabled") {
        complain(
            "Warning! authentication is not enabled in etcd: deployment.etcd.user has no effect\n",
        );
    }
}

fn client(configuration: &Configuration) -> anyhow::Result<Client> {
    let etcd = &configuration.boot.config.deployment.etcd;
    Ok(Client::new(Options {
        tls: store::etcd_tls(configuration)?,
        sni: etcd.tls.sni.clone(),
        timeout: TIMEOUT,
        ..Options::new(Resolver::new(wiring::dns(configuration)))
    })?)
}

/// Asks for a document, some times.
async fn ask(client: &Client, url: &str, attempts: u64) -> Result<Bytes, String> {
    let mut reason = String::from("not asked");
    for attempt in 1..=attempts.max(1) {
        let request = Request::get(url).body(Bytes::new());
        let request = request.map_err(|error| error.to_string())?;
        match client.send(request).await {
            Ok(answer) => return Ok(answer.into_body()),
            Err(error) => reason = words(&error),
        }
        say(&format!(
            "Warning! Request etcd endpoint '{url}' error, {reason}, retry time={attempt}\n"
        ));
    }
    Err(reason)
}

/// Why nothing came, in the words that scripts look for.
fn words(error: &ClientError) -> String {
    match &error.failure {
        failure if failure.is_timeout() => "timeout".to_owned(),
        Failure::Connect(_, error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        Failure::Tls(_, error) if is_about_certificate(error) => {
            format!("certificate verify failed ({error})")
        }
        Failure::Resolve(error) => format!("host or service not provided, or not known ({error})"),
        failure => failure.to_string(),
    }
}

fn is_about_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(tokio_rustls::rustls::Error::InvalidCertificate(_))
    )
}

fn check_version(url: &str, body: &[u8]) -> anyhow::Result<()> {
    let malformed = || {
        let body = String::from_utf8_lossy(body);
        format!("got malformed version message: \"{body}\" from etcd \"{url}\"")
    };
    let answer: Value = serde_json::from_slice(body).ok().with_context(malformed)?;
    let text = answer.get("etcdcluster").and_then(Value::as_str);
    let text = text.with_context(malformed)?;
    let version =
        Version::parse(text).with_context(|| format!("invalid semantic version: {text}"))?;
    if version < OLDEST {
        let Version([major, minor, patch]) = OLDEST;
        bail!(
            "etcd cluster version {text} is less than the required version {major}.{minor}.{patch}, please upgrade your etcd cluster"
        );
    }
    Ok(())
}

/// A version of three numbers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl Version {
    /// Reads one; what follows a dash does not count.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let numbers = parts.next()?;
        if parts.count() > 1 {
            return None;
        }
        let numbers: Vec<u32> = numbers
            .split('.')
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self(numbers.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etcd_must_be_new_enough() {
        let malformed =
            |body: &str| format!("got malformed version message: \"{body}\" from etcd \"u\"");
        let cases = [
            (r#"{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}"#, String::new()),
            (r#"{"etcdcluster":"3.4.0-pre"}"#, String::new()),
            (r#"{"etcdcluster":"10.0.0"}"#, String::new()),
            (
                r#"{"etcdcluster":"3.3.9"}"#,
                "etcd cluster version 3.3.9 is less than the required version 3.4.0, please upgrade your etcd cluster".to_owned(),
            ),
            (r#"{"etcdcluster":"3.4"}"#, "invalid semantic version: 3.4".to_owned()),
            (r#"{"etcdcluster":"3.4.0-a-b"}"#, "invalid semantic version: 3.4.0-a-b".to_owned()),
            ("{}", malformed("{}")),
            ("hello", malformed("hello")),
        ];
        for (body, expected) in cases {
            let checked = check_version("u", body.as_bytes());
            let found = checked.err().map(|error| error.to_string());
            assert_eq!(found.unwrap_or_default(), expected, "{body}");
        }
    }
}
