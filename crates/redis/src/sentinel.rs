//! Finding a server through sentinels.

use std::sync::Arc;

use redis::Cmd;

use crate::{
    connect::{Connector, Greeting, Opened, Proof},
    error::{Error, SentinelError},
    settings::{Address, Role, Sentinel},
    value::Value,
};

/// The reference's word for a name that no sentinel knows (lua-resty-redis-connector).
const UNKNOWN_NAME: &str = "invalid master name";

/// The reference's words where nobody could be reached (lua-resty-redis-connector).
const NOBODY: &str = "no hosts available";

/// A connection to the server that the sentinels name.
///
/// Sentinels are asked in their order until one names a server that is reached and that is what it should be: after a failover
/// some may not have heard of it yet. Each sentinel and each server has the connect timeout for itself.
pub(crate) async fn open(
    connector: &Connector,
    settings: &Sentinel,
    worker: usize,
) -> Result<Opened, Error> {
    let mut unreached = Vec::new();
    let mut told = None;
    let mut tried: Vec<Address> = Vec::new();
    for sentinel in &settings.sentinels {
        let servers = match ask(connector, settings, sentinel).await {
            Ok(servers) => servers,
            Err(Answer::None(error)) => {
                unreached.push(error.to_string());
                continue;
            }
            Err(Answer::Refusal(reason)) => {
                told = Some(reason);
                continue;
            }
        };
        // Workers spread over the replicas.
        let first = worker.checked_rem(servers.len()).unwrap_or_default();
        let (before, after) = servers.split_at(first);
        for server in after.iter().chain(before) {
            if tried.contains(server) {
                continue;
            }
            let greeting = Greeting {
                credentials: &settings.credentials,
                database: settings.database,
                proof: match settings.role {
                    Role::Master => Proof::IsMaster,
                    Role::Replica => Proof::Answers,
                },
            };
            match connector
                .open(server, greeting, settings.connect_timeout)
                .await
            {
                Ok(opened) => return Ok(opened),
                Err(Error::Database(reply)) => told = Some(reply.as_str().into()),
                Err(error) => told = Some(error.to_string().into()),
            }
            tried.push(server.clone());
        }
    }
    Err(Error::Sentinel(match told {
        Some(last) => SentinelError {
            last,
            previous: Arc::default(),
        },
        None => SentinelError {
            last: NOBODY.into(),
            previous: unreached.into(),
        },
    }))
}

/// A sentinel that names no server.
enum Answer {
    /// There is no answer.
    None(Error),
    /// It says why.
    Refusal(Arc<str>),
}

async fn ask(
    connector: &Connector,
    settings: &Sentinel,
    sentinel: &Address,
) -> Result<Vec<Address>, Answer> {
    let asking = async {
        let greeting = Greeting {
            credentials: &settings.sentinel_credentials,
            database: 0,
            proof: Proof::None,
        };
        let mut opened = connector
            .open(sentinel, greeting, settings.connect_timeout)
            .await?;
        opened.ask(&question(settings)).await
    };
    // Bounds the answer as well; the connection alone has the same bound.
    let answer = tokio::time::timeout(settings.connect_timeout, asking).await;
    let answer = answer.unwrap_or(Err(Error::Timeout));
    match answer {
        Ok(answer) => match settings.role {
            Role::Master => master(&answer).map(|it| vec![it]),
            Role::Replica => Some(replicas(&answer)),
        }
        .ok_or_else(|| Answer::Refusal(UNKNOWN_NAME.into())),
        Err(Error::Reply(reply) | Error::Refused(reply)) => {
            Err(Answer::Refusal(reply.as_str().into()))
        }
        Err(error) => Err(Answer::None(error)),
    }
}

fn question(settings: &Sentinel) -> Cmd {
    let mut command = redis::cmd("SENTINEL");
    command.arg(match settings.role {
        Role::Master => "get-master-addr-by-name",
        // `replicas` is unknown to sentinels before 5.0.
        Role::Replica => "slaves",
    });
    command.arg(&settings.master_name);
    command
}

fn master(answer: &Value) -> Option<Address> {
    let [host, port, ..] = answer.items() else {
        return None;
    };
    let port = u16::try_from(port.int()?).ok()?;
    Some(Address::new(host.text()?, port))
}

/// Those that are up.
fn replicas(answer: &Value) -> Vec<Address> {
    let mut found = Vec::new();
    for replica in answer.items() {
        let field = |name: &str| {
            let mut pairs = replica.items().chunks_exact(2);
            pairs.find_map(|pair| match pair {
                [key, value] if key.text() == Some(name) => value.text(),
                _ => None,
            })
        };
        let flags = field("flags").unwrap_or_default();
        let is_down = flags
            .split(',')
            .any(|it| matches!(it, "s_down" | "o_down" | "disconnected"));
        let port = field("port").and_then(|it| it.parse().ok());
        if let (false, Some(host), Some(port)) = (is_down, field("ip"), port) {
            found.push(Address::new(host, port));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[&str]) -> Value {
        Value::Array(items.iter().map(|it| Value::Bytes((*it).into())).collect())
    }

    #[test]
    fn reads_the_master() {
        for (answer, expected) in [
            (texts(&["10.0.0.1", "6379"]), Some("10.0.0.1:6379")),
            (Value::Nil, None),
            (texts(&["10.0.0.1", "x"]), None),
        ] {
            let found = master(&answer).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{answer:?}");
        }
    }

    #[test]
    fn leaves_replicas_out_that_are_down() {
        let of = |port: &str, flags: &str| {
            texts(&["name", "x", "ip", "10.0.0.1", "port", port, "flags", flags])
        };
        let answer = Value::Array(vec![
            of("1", "slave"),
            of("2", "s_down,slave"),
            of("3", "slave,disconnected"),
            of("4", "slave"),
            texts(&["name", "y"]),
        ]);
        let ports: Vec<u16> = replicas(&answer).iter().map(|it| it.port).collect();
        assert_eq!(ports, [1, 4]);
    }
}
