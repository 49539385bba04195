//! Where the API of a cluster is, and what opens it.

use std::{path::PathBuf, time::Duration};

use lockgate_model::boot::discovery as config;

use crate::{
    Options,
    http::{AskError, Http, Times},
};

/// Times of the reference (`informer_factory.lua`).
const TIMES: Times = Times {
    connect: Duration::from_secs(2),
    read: Duration::from_secs(10),
};

/// The API of a cluster.
#[derive(Debug)]
pub(super) struct ApiServer {
    http: Http,
    base: String,
    token: Token,
}

/// What stands behind `Bearer`.
#[derive(Debug)]
enum Token {
    Given(String),
    /// Read anew for each question, for it is changed now and then.
    File(PathBuf),
}

impl ApiServer {
    pub(super) fn new(config: &config::Cluster, options: &Options<'_>) -> Result<Self, String> {
        let read = |text: &str| from_environment(text, options.environment);
        let schema = &config.service.schema;
        let host = read(&config.service.host)?;
        if host.is_empty() {
            return Err("service.host should set to non-empty string".into());
        }
        let port = read(&config.service.port)?;
        let number = port.parse::<u16>().ok().filter(|port| *port > 0);
        let number = number.ok_or_else(|| format!("invalid port value: {port}"))?;
        let client = &config.client;
        let token = match (&client.token, &client.token_file) {
            (Some(token), _) => Token::Given(read(token)?.trim().to_owned()),
            (None, Some(path)) if !path.is_empty() => Token::File(read(path)?.into()),
            _ => {
                return Err(
                    "one of [client.token,client.token_file] should be set but none".into(),
                );
            }
        };
        if schema == "https" && matches!(&token, Token::Given(token) if token.is_empty()) {
            return Err(
                "apiserver.token should set to non-empty string when service.schema is https"
                    .into(),
            );
        }
        let http = Http::new(options, TIMES, config.service.ssl_verify);
        Ok(Self {
            http: http.map_err(|error| error.to_string())?,
            base: format!("{schema}://{host}:{number}"),
            token,
        })
    }

    /// Its address.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// What asks it, with its token.
    pub(super) fn http(&self) -> Result<Http, AskError> {
        let token = match &self.token {
            Token::Given(token) => token.clone(),
            Token::File(path) => std::fs::read_to_string(path).map_err(|error| {
                let path = path.display();
                AskError::Refused(format!("failed to read token from file {path}: {error}"))
            })?,
        };
        let bearer = lockgate_client::bearer(token.trim());
        let bearer = bearer.ok_or_else(|| AskError::Refused("the token is no header".into()))?;
        Ok(self.http.clone().with("authorization", bearer))
    }
}

/// A text, or the variable of the environment that it names as `${NAME}`.
fn from_environment(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    match name {
        None => Ok(text.to_owned()),
        Some(name) => {
            environment(name).ok_or_else(|| format!("not found environment variable {name}"))
        }
    }
}
