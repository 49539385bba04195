//! Clients by their settings.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use lockgate_net::{
    dns::Resolver,
    tls::{self, ClientTls, TlsError},
};
use rustls::ClientConfig;

use crate::{
    client::Client,
    connect::Connector,
    settings::{Settings, Tls},
};

/// What all clients of the process have in common.
#[derive(Debug, Clone)]
pub struct Options {
    /// What resolves names of servers.
    pub resolver: Resolver,
    /// File of the roots that certificates are verified against, PEM (`apisix.ssl.ssl_trusted_certificate`); `None` for the
    /// system's.
    pub trusted: Option<PathBuf>,
    /// How many workers there are: calls come with numbers below this.
    pub workers: usize,
}

/// The clients in use, one for all who ask with equal settings. It keeps none alive.
#[derive(Debug)]
pub struct Clients {
    options: Options,
    known: Mutex<HashMap<Settings, Weak<Client>>>,
    /// Settings of TLS that were made, without and with verification: roots are read once.
    tls: Mutex<[Option<Arc<ClientConfig>>; 2]>,
}

impl Clients {
    /// None yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            known: Mutex::default(),
            tls: Mutex::default(),
        }
    }

    /// The client for these settings. It and its connections end with the last who holds it. Opens no connection: the first
    /// call does.
    ///
    /// # Errors
    /// Certificates are to be verified, and the trusted roots cannot be read.
    pub fn get(&self, settings: &Settings) -> Result<Arc<Client>, TlsError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.get(settings).and_then(Weak::upgrade) {
            return Ok(client);
        }
        let connector = Connector {
            resolver: self.options.resolver.clone(),
            tls: settings.tls().map(|tls| self.tls(tls)).transpose()?,
        };
        let client = Client::new(settings.clone(), connector, self.options.workers);
        let client = Arc::new(client);
        known.retain(|_settings, client| client.strong_count() > 0);
        known.insert(settings.clone(), Arc::downgrade(&client));
        Ok(client)
    }

    fn tls(&self, tls: Tls) -> Result<Arc<ClientConfig>, TlsError> {
        let mut made = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let [plain, verifying] = &mut *made;
        let place = if tls.verify { verifying } else { plain };
        if let Some(config) = place {
            return Ok(config.clone());
        }
        let config = tls::client_config(&ClientTls {
            verify: tls.verify,
            trusted: self.options.trusted.clone(),
            ..ClientTls::default()
        })?;
        // There is no name for the protocol to negotiate.
        let mut config = ClientConfig::clone(&config);
        config.alpn_protocols.clear();
        Ok(place.insert(Arc::new(config)).clone())
    }
}
