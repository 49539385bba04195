//! DNS: SRV records with ports, weights and priorities, addresses without.
//!
//! Services are asked for while somebody wants them, again when their time to live is over. A name without records has no
//! nodes; while DNS does not answer, the nodes are those it named last. Neither hosts file nor another registry's answers
//! count. Source: `apisix/discovery/dns/init.lua`, `apisix/core/dns/client.lua`.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use lockgate_model::{
    boot::discovery::{self as config, Order},
    resource::Node,
};
use lockgate_net::dns::records::{Found, Records, RecordsError, RecordsOptions};
use tokio::task::JoinSet;

use crate::{
    Options, Registry, StartError, Tasks, board::Board, limits, name_servers, pace::Pace,
    shown::Show,
};

/// The order of the reference.
const ORDER: [Order; 5] = [Order::Last, Order::Srv, Order::A, Order::Aaaa, Order::Cname];

pub(crate) fn start(
    config: &config::Dns,
    options: &Options<'_>,
    tasks: &mut Tasks,
) -> Result<Registry, StartError> {
    let wrong = |message: String| StartError {
        kind: "dns",
        message,
    };
    let resolv_conf = config.resolv_conf.as_deref();
    let records = Records::new(&RecordsOptions {
        servers: name_servers(&config.servers).map_err(wrong)?,
        resolv_conf: resolv_conf.unwrap_or("/etc/resolv.conf").into(),
        uses_search: options.uses_search,
        timeout: limits::DNS_TIMEOUT,
    });
    let records =
        records.map_err(|reason| wrong(format!("failed to init the dns client: {reason}")))?;
    let order = config.order.clone().unwrap_or_else(|| ORDER.to_vec());
    let order = order
        .into_iter()
        .filter(|kind| options.uses_ipv6 || *kind != Order::Aaaa);
    let asking = Asking {
        records,
        order: order.collect(),
    };
    let board = Arc::new(Board::new(1, None));
    tasks.add(follow_all(board.clone(), Arc::new(asking)));
    Ok(Registry {
        board,
        key: |service| service.name.clone(),
        shown: Show::Nothing,
    })
}

/// Has one task for each name that is wanted.
async fn follow_all(board: Arc<Board>, asking: Arc<Asking>) {
    let mut names = HashSet::new();
    let mut tasks = JoinSet::new();
    loop {
        for name in board.wanted() {
            if names.insert(name.clone()) {
                tasks.spawn(follow(board.clone(), asking.clone(), name));
            }
        }
        tokio::select! {
            () = board.wait_for_wanted() => {}
            Some(Ok(name)) = tasks.join_next() => {
                names.remove(&name);
            }
        }
    }
}

/// Asks for a name again and again while it is wanted.
async fn follow(board: Arc<Board>, asking: Arc<Asking>, name: String) -> String {
    let mut pace = Pace::default();
    let mut last = None;
    while board.keep(&name) {
        let pause = match asking.nodes(&name, &mut last).await {
            Ok(found) => {
                pace.succeeded();
                board.put(0, &name, Some(found.records.into()));
                found.ttl.clamp(limits::DNS_SHORTEST, limits::DNS_LONGEST)
            }
            Err(error @ RecordsError::None { ttl, .. }) => {
                pace.succeeded();
                tracing::warn!(service = name, %error, "failed to query the DNS server: the service has no nodes");
                board.put(0, &name, Some([].into()));
                let ttl = ttl.unwrap_or(limits::DNS_NONE);
                ttl.clamp(limits::DNS_SHORTEST, limits::DNS_NONE)
            }
            Err(error) => {
                tracing::error!(service = name, %error, "failed to query the DNS server: the service keeps the nodes it had");
                board.settle_one(0, &name);
                pace.failed()
            }
        };
        tokio::time::sleep(pause).await;
    }
    name
}

struct Asking {
    records: Records,
    order: Vec<Order>,
}

/// A machine, and what its SRV record says of it.
struct Machine {
    addresses: Vec<IpAddr>,
    port: Option<u16>,
    weight: u64,
    priority: i64,
}

impl Asking {
    /// The nodes of a service, from the first type of record that it has.
    async fn nodes(
        &self,
        service: &str,
        last: &mut Option<Order>,
    ) -> Result<Found<Node>, RecordsError> {
        let (host, port) = split(service);
        let mut name = host.to_owned();
        for _ in 0..=limits::DNS_ALIASES {
            let (kind, found) = self.machines(&name, *last).await?;
            match found {
                Answer::Machines(machines, ttl) => {
                    *last = Some(kind);
                    let records = nodes(&machines, port);
                    return Ok(Found { records, ttl });
                }
                Answer::Alias(alias) => name = alias,
            }
        }
        Err(RecordsError::Failed {
            name: host.to_owned(),
            kind: "CNAME",
            reason: "the name is an alias of an alias without end".into(),
        })
    }

    async fn machines(
        &self,
        name: &str,
        last: Option<Order>,
    ) -> Result<(Order, Answer), RecordsError> {
        let mut tried = Vec::with_capacity(self.order.len());
        let mut none = None;
        let mut failed = None;
        for kind in &self.order {
            let kind = match (kind, last) {
                (Order::Last, None) => continue,
                (Order::Last, Some(last)) => last,
                (kind, _) => *kind,
            };
            if tried.contains(&kind) {
                continue;
            }
            tried.push(kind);
            match self.ask(name, kind).await {
                Ok(answer) => return Ok((kind, answer)),
                Err(error @ RecordsError::None { .. }) => none = Some(error),
                // What there was is not given up for another type because nobody answered.
                Err(error) if last == Some(kind) => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.or(none).unwrap_or_else(|| RecordsError::None {
            name: name.to_owned(),
            kind: "configured",
            ttl: None,
        }))
    }

    async fn ask(&self, name: &str, kind: Order) -> Result<Answer, RecordsError> {
        let one = |found: Found<IpAddr>| {
            let machine = Machine {
                addresses: found.records,
                port: None,
                weight: 1,
                priority: 0,
            };
            Answer::Machines(vec![machine], found.ttl)
        };
        match kind {
            Order::A => self.records.ipv4(name).await.map(one),
            Order::Aaaa => self.records.ipv6(name).await.map(one),
            Order::Srv => self.services(name).await,
            Order::Cname | Order::Last => {
                let found = self.records.aliases(name).await?;
                let alias = found.records.into_iter().next();
                alias.map(Answer::Alias).ok_or(RecordsError::None {
                    name: name.to_owned(),
                    kind: "CNAME",
                    ttl: None,
                })
            }
        }
    }

    async fn services(&self, name: &str) -> Result<Answer, RecordsError> {
        let found = self.records.services(name).await?;
        let mut ttl = found.ttl;
        let mut machines = Vec::with_capacity(found.records.len());
        let mut none = None;
        for service in found.records {
            match self.addresses(&service.target).await {
                Ok(addresses) => {
                    ttl = ttl.min(addresses.ttl);
                    machines.push(Machine {
                        addresses: addresses.records,
                        port: Some(service.port).filter(|port| *port != 0),
                        weight: u64::from(service.weight).max(1),
                        priority: -i64::from(service.priority),
                    });
                }
                Err(error @ RecordsError::None { .. }) => {
                    tracing::warn!(name, %error, "a machine of an SRV record has no address");
                    none = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match none {
            Some(error) if machines.is_empty() => Err(error),
            _ => Ok(Answer::Machines(machines, ttl)),
        }
    }

    /// The addresses of a machine: of the type that comes first in the order and that it has.
    async fn addresses(&self, target: &str) -> Result<Found<IpAddr>, RecordsError> {
        let place = |kind| self.order.iter().position(|it| *it == kind);
        let (v4, v6) = (place(Order::A), place(Order::Aaaa));
        if v6.is_some() && (v4.is_none() || v6 < v4) {
            match self.records.ipv6(target).await {
                Err(RecordsError::None { .. }) if v4.is_some() => self.records.ipv4(target).await,
                answer => answer,
            }
        } else {
            match self.records.ipv4(target).await {
                Err(RecordsError::None { .. }) if v6.is_some() => self.records.ipv6(target).await,
                answer => answer,
            }
        }
    }
}

enum Answer {
    Machines(Vec<Machine>, Duration),
    Alias(String),
}

/// `host:port` or `host`.
fn split(service: &str) -> (&str, Option<u16>) {
    match service.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (service, None),
        },
        _ => (service, None),
    }
}

/// One node for each address. The addresses of a machine share its weight, which is scaled so that the shares are whole.
fn nodes(machines: &[Machine], port: Option<u16>) -> Vec<Node> {
    let counts = machines.iter().map(|it| it.addresses.len().max(1) as u64);
    let scale = counts.fold(1, lcm).min(limits::DNS_SCALE);
    let mut nodes = Vec::new();
    for machine in machines {
        let count = machine.addresses.len().max(1) as u64;
        let weight = (machine.weight * scale / count).max(1);
        nodes.extend(machine.addresses.iter().map(|address| Node {
            host: address.to_string(),
            port: port.or(machine.port),
            weight: i64::try_from(weight).unwrap_or(i64::MAX),
            priority: machine.priority,
            metadata: None,
        }));
    }
    nodes
}

fn lcm(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_ports_off_services() {
        for (service, expected) in [
            ("a.test", ("a.test", None)),
            ("a.test:81", ("a.test", Some(81))),
            ("_http._tcp.a.test", ("_http._tcp.a.test", None)),
            ("a.test:x", ("a.test:x", None)),
        ] {
            assert_eq!(split(service), expected);
        }
    }

    #[test]
    fn shares_weights_among_the_addresses_of_a_machine() {
        let machine = |addresses: &[u8], weight| Machine {
            addresses: addresses.iter().map(|it| [127, 0, 0, *it].into()).collect(),
            port: Some(1),
            weight,
            priority: -1,
        };
        let weights = |machines: &[Machine]| -> Vec<i64> {
            nodes(machines, None)
                .iter()
                .map(|node| node.weight)
                .collect()
        };
        assert_eq!(
            weights(&[machine(&[1], 100), machine(&[3, 4], 1)]),
            [200, 1, 1]
        );
        assert_eq!(
            weights(&[machine(&[1, 2, 3], 2), machine(&[4, 5], 3)]),
            [4, 4, 4, 9, 9]
        );
        let overridden = nodes(&[machine(&[1], 1)], Some(9));
        assert_eq!((overridden[0].port, overridden[0].priority), (Some(9), -1));
    }
}
