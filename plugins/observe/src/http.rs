//! Whom logs are sent to over HTTP: clients, and the words of the reference for what goes wrong.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use lockgate_client::{Client, ClientError, Endpoint, Failure, Options};
use lockgate_net::tls::{ClientTls, TlsError};
use lockgate_plugin::Node;

/// The clients of all loggers, with certificates checked or not: loggers share connections.
#[derive(Default)]
struct Clients(Mutex<[Option<Client>; 2]>);

/// The client that checks certificates, or the one that does not. A reload makes others, which read the trusted roots again and
/// resolve names as the configuration says then.
///
/// # Errors
/// The trusted roots cannot be read.
pub(crate) fn client(node: &Node, verify: bool) -> Result<Client, TlsError> {
    let clients: Arc<Clients> = node.shared_until_reload(|_| Clients::default());
    let mut clients = clients.0.lock().unwrap_or_else(PoisonError::into_inner);
    let [plain, verifying] = &mut *clients;
    let place = if verify { verifying } else { plain };
    if let Some(known) = place {
        return Ok(known.clone());
    }
    let options = node.options();
    let client = Client::new(Options {
        tls: ClientTls {
            verify,
            trusted: options.trusted.clone().filter(|_| verify),
            ..ClientTls::default()
        },
        ..Options::new(options.resolver.clone())
    })?;
    Ok(place.insert(client).clone())
}

/// Where logs go, as the reference's lines name it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    host: Box<str>,
    port: u16,
}

impl Place {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        Self {
            host: endpoint.host().into(),
            port: endpoint.port(),
        }
    }

    /// Why a call failed.
    pub(crate) fn failed(&self, error: &ClientError) -> String {
        let Self { host, port } = self;
        let at = format!("host[{host}] port[{port}]");
        match &error.failure {
            Failure::Connect(_, error) => format!("failed to connect to {at} {}", kind(error)),
            Failure::ConnectTime => format!("failed to connect to {at} timeout"),
            Failure::Resolve(error) => format!("failed to connect to {at} {error}"),
            Failure::Tls(_, error) => {
                format!("failed to perform SSL with {at} handshake failed: {error}")
            }
            other if other.is_timeout() => {
                format!("error while sending data to [{host}] port[{port}] timeout")
            }
            other => format!("error while sending data to [{host}] port[{port}] {other}"),
        }
    }

    /// What a server answered that did not take the logs.
    pub(crate) fn refused(&self, status: u16, body: &[u8]) -> String {
        let Self { host, port } = self;
        let body = String::from_utf8_lossy(body);
        format!("server returned status code[{status}] host[{host}] port[{port}] body[{body}]")
    }
}

/// An error in nginx's words.
fn kind(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "timeout".to_owned(),
        _ => error.to_string(),
    }
}
