//! Where etcd is, and how to speak to it.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use http::Uri;
use rustls::{ClientConfig, pki_types::ServerName};

use super::{ConnectError, limits};

/// Settings of an etcd store: `deployment.etcd` of `config.yaml`.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// `host`: URLs of the members, all `http` or all `https`. Default `http://127.0.0.1:2379`.
    pub endpoints: Vec<String>,
    /// `prefix`: what all keys begin with, without a slash at the end. Default `/apisix`.
    pub prefix: String,
    /// `user` and `password`.
    pub credentials: Option<Credentials>,
    /// Trust and identity towards `https` endpoints, as `lockgate_net::tls::client_config` makes it: CA, client certificate,
    /// whether to verify. The protocols in it are replaced.
    pub tls: Option<Arc<ClientConfig>>,
    /// `tls.sni`: the name asked for and verified instead of each endpoint's host.
    pub sni: Option<String>,
    /// `timeout`: longest that one call may take, over all endpoints tried. Default 30 s.
    pub timeout: Duration,
    /// `watch_timeout`: longest that a watch may give no sign of life, which it is asked for five times as often. Default 50 s.
    pub watch_timeout: Duration,
    /// `health_check_timeout`: how long an endpoint that failed comes after all others. Default 10 s.
    pub health_check_timeout: Duration,
    /// `startup_retry`: attempts to reach etcd at the start, at least one. Default 2.
    pub startup_retry: u32,
    /// `resync_delay`: pause before a watch that cannot be opened is tried again; up to half as much is added by chance, so that
    /// not all gateways come back at once. Default 5 s.
    pub resync_delay: Duration,
    /// File that holds the newest configuration seen, for a start while etcd is away; `None` for no such copy. Everything that
    /// is in etcd is in it, as it is there; it can be read by its owner only.
    pub local_copy: Option<PathBuf>,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            endpoints: vec!["http://127.0.0.1:2379".to_owned()],
            prefix: "/apisix".to_owned(),
            credentials: None,
            tls: None,
            sni: None,
            timeout: Duration::from_secs(30),
            watch_timeout: Duration::from_secs(50),
            health_check_timeout: Duration::from_secs(10),
            startup_retry: 2,
            resync_delay: Duration::from_secs(5),
            local_copy: None,
        }
    }
}

/// Who speaks to etcd.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the user.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// One member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// As it was written, for messages.
    pub(super) url: String,
    /// Scheme and authority of requests.
    pub(super) origin: Uri,
    /// Name or address, an IPv6 one without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The name asked for in a handshake; `None` without TLS.
    pub(super) tls_name: Option<ServerName<'static>>,
}

/// Reads the endpoints.
pub(super) fn endpoints(options: &EtcdOptions) -> Result<Vec<Endpoint>, ConnectError> {
    let endpoints: Vec<Endpoint> = options
        .endpoints
        .iter()
        .map(|url| endpoint(url, options.sni.as_deref()))
        .collect::<Result<_, _>>()?;
    let is_tls = |endpoint: &Endpoint| endpoint.tls_name.is_some();
    match endpoints.iter().find(|endpoint| is_tls(endpoint)) {
        None if endpoints.is_empty() => Err(ConnectError::Options(
            "no etcd endpoint is given".to_owned(),
        )),
        Some(_) if !endpoints.iter().all(is_tls) => Err(ConnectError::Options(
            "etcd endpoints must be all http or all https".to_owned(),
        )),
        Some(endpoint) if options.tls.is_none() => Err(ConnectError::Options(format!(
            "the etcd endpoint {} needs TLS, which is not set up",
            endpoint.url
        ))),
        _ => Ok(endpoints),
    }
}

fn endpoint(url: &str, sni: Option<&str>) -> Result<Endpoint, ConnectError> {
    let wrong = |what: &str| ConnectError::Options(format!("the etcd endpoint {url} {what}"));
    let not_a_url = || wrong("is not a URL such as http://127.0.0.1:2379");
    let uri: Uri = url.parse().map_err(|_| not_a_url())?;
    let is_tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(not_a_url()),
    };
    let authority = uri.authority().ok_or_else(not_a_url)?;
    if !matches!(uri.path(), "" | "/") || authority.as_str().contains('@') {
        return Err(wrong(
            "must be a scheme, a host and a port, and nothing else",
        ));
    }
    let host = authority.host();
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let tls_name = if is_tls {
        let name = sni.unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| wrong(&format!("cannot be asked for the name {name}")))?;
        Some(name)
    } else {
        None
    };
    let mut origin = uri.clone().into_parts();
    origin.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    Ok(Endpoint {
        url: url.trim_end_matches('/').to_owned(),
        origin: Uri::from_parts(origin).map_err(|_| not_a_url())?,
        host: host.to_owned(),
        port: authority.port_u16().unwrap_or(limits::PORT),
        tls_name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(urls: &[&str]) -> Result<Vec<(String, u16)>, String> {
        let options = EtcdOptions {
            endpoints: urls.iter().map(|url| (*url).to_owned()).collect(),
            ..EtcdOptions::default()
        };
        let endpoints = endpoints(&options).map_err(|error| error.to_string())?;
        Ok(endpoints
            .into_iter()
            .map(|endpoint| (endpoint.host, endpoint.port))
            .collect())
    }

    #[test]
    fn reads_endpoints() {
        let check = |url: &str, host: &str, port: u16| {
            assert_eq!(read(&[url]), Ok(vec![(host.to_owned(), port)]), "{url}");
        };
        check("http://127.0.0.1:2379", "127.0.0.1", 2379);
        check("http://etcd.example:1/", "etcd.example", 1);
        check("http://etcd", "etcd", 2379);
        check("http://[::1]:2380", "::1", 2380);
    }

    #[test]
    fn says_what_is_wrong_with_endpoints() {
        let check = |urls: &[&str], expected: &str| {
            assert_eq!(read(urls), Err(expected.to_owned()), "{urls:?}");
        };
        check(&[], "no etcd endpoint is given");
        check(
            &["127.0.0.1:2379"],
            "the etcd endpoint 127.0.0.1:2379 is not a URL such as http://127.0.0.1:2379",
        );
        check(
            &["ftp://a:1"],
            "the etcd endpoint ftp://a:1 is not a URL such as http://127.0.0.1:2379",
        );
        check(
            &["http://a:1/v3"],
            "the etcd endpoint http://a:1/v3 must be a scheme, a host and a port, and nothing else",
        );
        check(
            &["http://a:1", "https://b:1"],
            "etcd endpoints must be all http or all https",
        );
        check(
            &["https://a:1"],
            "the etcd endpoint https://a:1 needs TLS, which is not set up",
        );
    }

    #[test]
    fn keeps_the_password_out_of_logs() {
        let credentials = Credentials {
            user: "root".to_owned(),
            password: "secret".to_owned(),
        };
        assert_eq!(
            format!("{credentials:?}"),
            "Credentials { user: \"root\", .. }"
        );
    }
}
