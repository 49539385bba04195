//! Opening a connection: name, TCP, TLS, and who the gateway is.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use lockgate_net::{dns::Resolver, stream::Stream, tls};
use redis::{
    AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, aio::MultiplexedConnection,
};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use crate::{
    error::{ConnectError, Error, Reply},
    limits,
    settings::{Address, Credentials},
    value::{self, Value},
};

/// What moves the bytes of a connection.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Opens connections.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) resolver: Resolver,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// What is said on a new connection before it is used.
#[derive(Debug)]
pub(crate) struct Greeting<'a> {
    pub(crate) credentials: &'a Credentials,
    /// 0 is where a connection begins.
    pub(crate) database: u32,
    /// What the server must be.
    pub(crate) proof: Proof,
}

/// What a server must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing: its answer to the first question will do.
    None,
    /// That it answers: a connection is also accepted by the system of a server that stands still.
    Answers,
    /// That it is a master.
    IsMaster,
}

/// A connection that nobody drives yet.
pub(crate) struct Opened {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) driver: Driver,
}

impl Connector {
    /// Opens a connection, ready to be used, within `limit`.
    pub(crate) async fn open(
        &self,
        address: &Address,
        greeting: Greeting<'_>,
        limit: Duration,
    ) -> Result<Opened, Error> {
        let deadline = Instant::now() + limit;
        let opening = async {
            let mut opened = self.reach(address, deadline).await?;
            opened.greet(&greeting).await?;
            Ok(opened)
        };
        timeout_at(deadline, opening)
            .await
            .unwrap_or(Err(Error::Connect(ConnectError::Timeout)))
    }

    /// Tries each address of the host in turn, each with an equal share of the time that is left.
    async fn reach(&self, address: &Address, deadline: Instant) -> Result<Opened, Error> {
        let answer = self.resolver.resolve(&address.host).await;
        let answer = answer.map_err(|error| ConnectError::Resolve {
            host: address.host.as_str().into(),
            reason: error.reason.into(),
        });
        let addresses = answer.map_err(Error::Connect)?.addresses;
        let mut failure = Error::Connect(ConnectError::Timeout);
        let count = addresses.len() as u32;
        for (tried, ip) in (0..count).zip(addresses) {
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / (count - tried);
            let trying = self.reach_at(&address.host, SocketAddr::new(ip, address.port));
            match timeout_at(now + share, trying).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => failure = error,
                Err(_elapsed) => failure = Error::Connect(ConnectError::Timeout),
            }
        }
        Err(failure)
    }

    async fn reach_at(&self, host: &str, address: SocketAddr) -> Result<Opened, Error> {
        let tcp = Stream::connect(address).await;
        let tcp = tcp.map_err(|error| Error::Connect(of_system(&error)))?;
        let Some(config) = &self.tls else {
            return Opened::over(tcp).await;
        };
        let failed = |reason: String| Error::Connect(ConnectError::Tls(reason.into()));
        let name = tls::server_name(host).ok_or_else(|| failed("no name of a server".into()))?;
        let secured = TlsConnector::from(config.clone()).connect(name, tcp).await;
        Opened::over(secured.map_err(|error| failed(error.to_string()))?).await
    }
}

impl Opened {
    async fn over<S>(stream: S) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Nothing is said by the library itself, so that the server's own words reach the log.
        let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new()
            .set_pipeline_buffer_size(limits::QUEUE)
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&silent, stream, config)
            .await
            .map_err(|error| of_library(&error).while_connecting())?;
        Ok(Self {
            connection,
            driver: Box::pin(driver),
        })
    }

    async fn greet(&mut self, greeting: &Greeting<'_>) -> Result<(), Error> {
        let password = greeting.credentials.password.expose();
        let mut is_proven = false;
        if !password.is_empty() {
            let mut command = redis::cmd("AUTH");
            if let Some(username) = &greeting.credentials.username {
                command.arg(username);
            }
            self.ask(command.arg(password))
                .await
                .map_err(Error::while_connecting)?;
            is_proven = true;
        }
        if greeting.database != 0 {
            let answer = self.ask(redis::cmd("SELECT").arg(greeting.database)).await;
            answer.map_err(|error| match error {
                // Without having authenticated, this is the first command to be refused.
                Error::Reply(reply) if reply.code() != "NOAUTH" => Error::Database(reply),
                other => other.while_connecting(),
            })?;
            is_proven = true;
        }
        match greeting.proof {
            Proof::None => Ok(()),
            Proof::Answers if is_proven => Ok(()),
            Proof::Answers => permitted(self.ask(&redis::cmd("PING")).await).map(|_pong| ()),
            Proof::IsMaster => match permitted(self.ask(&redis::cmd("ROLE")).await)? {
                Some(role) if role.items().first().and_then(Value::text) != Some("master") => Err(
                    Error::Connect(ConnectError::System("not a master any more".into())),
                ),
                _ => Ok(()),
            },
        }
    }

    /// Sends a command while nobody else drives the connection.
    pub(crate) async fn ask(&mut self, command: &Cmd) -> Result<Value, Error> {
        let mut connection = self.connection.clone();
        let mut answer = Box::pin(connection.send_packed_command(command));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What the server said before it closed has been handed over by then.
            () = &mut self.driver => answer.await,
        };
        answer
            .map_err(|error| of_library(&error))
            .and_then(value::read)
    }
}

/// An answer to a command by which the server shows that it is there. A user who may not send it has an answer, too.
fn permitted(answer: Result<Value, Error>) -> Result<Option<Value>, Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Error::Reply(reply)) if reply.code() == "NOPERM" => Ok(None),
        Err(error) => Err(error.while_connecting()),
    }
}

/// A failure of the protocol library.
pub(crate) fn of_library(error: &RedisError) -> Error {
    if let Some(code) = error.code() {
        return Error::Reply(Reply::new(code, error.detail()));
    }
    if !error.is_io_error() {
        return Error::Malformed(error.to_string().into());
    }
    let source = std::error::Error::source(error).and_then(|it| it.downcast_ref::<io::Error>());
    match source.map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset) => Error::Broken("connection reset by peer"),
        _ => Error::CLOSED,
    }
}

fn of_system(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused,
        io::ErrorKind::TimedOut => ConnectError::Timeout,
        io::ErrorKind::ConnectionReset => ConnectError::Broken("connection reset by peer"),
        _ => ConnectError::System(error.to_string().into()),
    }
}
