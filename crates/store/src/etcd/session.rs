//! The token of a user, made when it is first needed and anew when etcd no longer knows it.

use tokio::sync::Mutex;
use tonic::{Code, Status};

use super::{
    Credentials,
    connection::{Connection, Token},
    failure::Failure,
    proto::{AuthenticateRequest, AuthenticateResponse},
};

/// A user and its newest token, shared by all connections: tokens hold for the whole cluster.
#[derive(Debug)]
pub(super) struct Session {
    credentials: Credentials,
    held: Mutex<Option<Held>>,
}

/// A token, and which one it is.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) generation: u64,
    /// `None` where etcd asks nobody who they are.
    pub(super) token: Option<Token>,
}

impl Session {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            held: Mutex::default(),
        }
    }

    pub(super) fn user(&self) -> &str {
        &self.credentials.user
    }

    /// The token to use; another than the one of generation `stale`.
    pub(super) async fn token(
        &self,
        connection: &Connection,
        stale: Option<u64>,
    ) -> Result<Held, Failure> {
        // Held while etcd is asked, so that of many calls with an old token one renews it. Callers have their time limits.
        let mut held = self.held.lock().await;
        if let Some(held) = &*held
            && stale != Some(held.generation)
        {
            return Ok(held.clone());
        }
        let renewed = Held {
            generation: stale.map_or(0, |stale| stale + 1),
            token: self
                .authenticate(connection)
                .await
                .map_err(|status| Failure::of(&status, Some(self.user())))?,
        };
        *held = Some(renewed.clone());
        Ok(renewed)
    }

    async fn authenticate(&self, connection: &Connection) -> Result<Option<Token>, Status> {
        let question = AuthenticateRequest {
            name: self.credentials.user.clone(),
            password: self.credentials.password.clone(),
        };
        let answer: Result<AuthenticateResponse, Status> = connection
            .unary("/etcdserverpb.Auth/Authenticate", question, None)
            .await;
        match answer {
            Ok(answer) => {
                let token = answer.token.parse();
                let token =
                    token.map_err(|_| Status::invalid_argument("the token is no header value"))?;
                Ok(Some(token))
            }
            Err(status)
                if status.code() == Code::FailedPrecondition
                    && status.message().contains("not enabled") =>
            {
                tracing::warn!(
                    user = self.user(),
                    "deployment.etcd.user is set, but etcd asks for none"
                );
                Ok(None)
            }
            Err(status) => Err(status),
        }
    }
}
