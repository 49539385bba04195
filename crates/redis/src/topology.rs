//! Which node of a cluster serves which slot, and how a worker comes to know.

use std::sync::Arc;

use tokio::{sync::watch, task::AbortHandle, time::Instant};

use crate::{
    error::Error,
    gate::Gate,
    limits,
    settings::Address,
    value::{Arg, Value},
};

/// Who serves what, as one node has told (`CLUSTER SLOTS`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    /// First and last slot of each range, and its master; in order.
    ranges: Vec<(u16, u16, Arc<Address>)>,
    /// All nodes that were named.
    pub(crate) nodes: Vec<Arc<Address>>,
}

impl Topology {
    /// Reads an answer of `asked`; `None` where it is none.
    pub(crate) fn read(answer: &Value, asked: &Address) -> Option<Self> {
        let Value::Array(items) = answer else {
            return None;
        };
        let mut ranges = Vec::with_capacity(items.len());
        let mut nodes: Vec<Arc<Address>> = Vec::new();
        for item in items {
            let [first, last, servers @ ..] = item.items() else {
                return None;
            };
            let slot = |it: &Value| u16::try_from(it.int()?).ok();
            let mut master = None;
            for (place, server) in servers.iter().enumerate() {
                let [host, port, ..] = server.items() else {
                    return None;
                };
                let port = slot(port)?;
                let address = match host.text() {
                    // A node that does not know where it is found means: where it was asked.
                    None | Some("") => Address::new(&*asked.host, port),
                    Some("?") => continue,
                    Some(host) => Address::new(host, port),
                };
                let node = match nodes.iter().find(|it| ***it == address) {
                    Some(known) => known.clone(),
                    None => Arc::new(address),
                };
                if place == 0 {
                    master = Some(node.clone());
                }
                if !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
            if let Some(master) = master {
                ranges.push((slot(first)?, slot(last)?, master));
            }
        }
        ranges.sort_by_key(|&(first, ..)| first);
        Some(Self { ranges, nodes })
    }

    /// The master of a slot.
    pub(crate) fn owner(&self, slot: u16) -> Option<&Arc<Address>> {
        let after = self.ranges.partition_point(|&(first, ..)| first <= slot);
        let (_, last, node) = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= *last).then_some(node)
    }
}

/// The slot of a key: of what stands in its first braces, where something does (Redis cluster specification).
pub(crate) fn slot(key: &Arg<'_>) -> u16 {
    match key {
        Arg::Bytes(bytes) => slot_of(bytes),
        Arg::Int(number) => slot_of(number.to_string().as_bytes()),
        // Nobody counts by a fraction; the server redirects what is not at home where this leads.
        Arg::Float(number) => slot_of(number.to_string().as_bytes()),
    }
}

fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|&it| it == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let length = rest.iter().position(|&it| it == b'}')?;
        rest.get(..length).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % limits::SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _bit| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    })
}

/// What one runtime knows of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    current: Option<Arc<Topology>>,
    /// Whether something showed that it is out of date.
    is_stale: bool,
    asked: Option<Instant>,
    gate: Gate,
    asking: Option<Asking>,
}

/// A task that asks the nodes. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Asking {
    task: AbortHandle,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What asking the nodes has brought.
pub(crate) type Outcome = Result<Arc<Topology>, Error>;

/// What a caller can go by.
pub(crate) enum Look {
    /// This.
    Known(Arc<Topology>),
    /// What is being asked for.
    Wait(watch::Receiver<Option<Outcome>>),
    /// Nothing.
    Unknown(Error),
}

impl Asking {
    /// Asks on the runtime of the caller.
    pub(crate) fn start(asking: impl Future<Output = Outcome> + Send + 'static) -> Self {
        let (sender, outcome) = watch::channel(None);
        let task = tokio::spawn(async move {
            sender.send_replace(Some(asking.await));
        });
        Self {
            task: task.abort_handle(),
            outcome,
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Knowledge {
    /// What is known was seen to be wrong.
    pub(crate) fn doubt(&mut self, seen: &Arc<Topology>) {
        self.is_stale |= self
            .current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, seen));
    }

    /// What is known. Where nothing is, or what is known is stale, `start` asks; it is given the nodes that are known.
    /// `wants_fresh` is for callers who have nothing to go by otherwise, and may have to wait.
    pub(crate) fn look(
        &mut self,
        wants_fresh: bool,
        start: impl FnOnce(&[Arc<Address>]) -> Asking,
    ) -> Look {
        self.harvest();
        let current = self.current.clone();
        match current {
            Some(current) if !wants_fresh && !self.is_stale => return Look::Known(current),
            _ => {}
        }
        let known_or = |error: Error| match &current {
            Some(current) => Look::Known(current.clone()),
            None => Look::Unknown(error),
        };
        if let Some(asking) = &self.asking {
            return match (self.gate.doubted(), &current) {
                (_, Some(current)) if !wants_fresh => Look::Known(current.clone()),
                (Some(error), _) => known_or(error),
                (None, _) => Look::Wait(asking.outcome.clone()),
            };
        }
        let now = Instant::now();
        if let Some(error) = self.gate.refusal(now) {
            return known_or(error);
        }
        let asked = self.asked.map(|it| it + limits::TOPOLOGY_INTERVAL);
        if let (Some(current), Some(next)) = (&current, asked)
            && now < next
        {
            return Look::Known(current.clone());
        }
        self.asked = Some(now);
        let asking = start(current.as_ref().map_or(&[], |it| &it.nodes));
        let outcome = asking.outcome.clone();
        self.asking = Some(asking);
        match current {
            Some(current) if !wants_fresh => Look::Known(current),
            _ => Look::Wait(outcome),
        }
    }

    /// Takes in what was asked for, once it is there.
    fn harvest(&mut self) {
        let Some(asking) = &self.asking else { return };
        let outcome = asking.outcome.borrow().clone();
        match outcome {
            None if !asking.task.is_finished() => return,
            Some(Ok(topology)) => {
                self.current = Some(topology);
                self.is_stale = false;
                self.gate.succeed();
            }
            Some(Err(error)) => self.gate.fail(error, Instant::now()),
            None => self.gate.fail(Error::CLOSED, Instant::now()),
        }
        self.asking = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_slot_of_a_key() {
        for (key, expected) in [
            ("123456789", 0x31C3),
            ("foo", 12182),
            ("{user1000}.following", slot_of(b"user1000")),
            ("foo{}{bar}", crc16(b"foo{}{bar}") % 16384),
            ("foo{{bar}}zap", slot_of(b"{bar")),
            ("foo{bar}{zap}", slot_of(b"bar")),
            ("}foo{bar", crc16(b"}foo{bar") % 16384),
        ] {
            assert_eq!(slot(&Arg::from(key)), expected, "{key}");
        }
        assert_eq!(slot(&Arg::Int(12)), slot_of(b"12"));
    }

    fn server(host: Option<&str>, port: i64) -> Value {
        let host = host.map_or(Value::Nil, |it| Value::Bytes(it.into()));
        Value::Array(vec![host, Value::Int(port)])
    }

    #[test]
    fn reads_who_serves_what() {
        let range = |first, last, servers: Vec<Value>| {
            let mut items = vec![Value::Int(first), Value::Int(last)];
            items.extend(servers);
            Value::Array(items)
        };
        let answer = Value::Array(vec![
            range(100, 199, vec![server(None, 2), server(Some("c"), 3)]),
            range(0, 49, vec![server(Some("a"), 1)]),
            range(50, 60, vec![server(Some("?"), 1)]),
        ]);
        let topology = Topology::read(&answer, &Address::new("here", 9)).expect("a topology");
        for (slot, expected) in [
            (0, Some("a:1")),
            (49, Some("a:1")),
            (50, None),
            (100, Some("here:2")),
            (199, Some("here:2")),
            (200, None),
        ] {
            let found = topology.owner(slot).map(ToString::to_string);
            assert_eq!(found.as_deref(), expected, "{slot}");
        }
        let nodes: Vec<String> = topology.nodes.iter().map(ToString::to_string).collect();
        assert_eq!(nodes, ["here:2", "c:3", "a:1"]);
    }

    #[test]
    fn takes_no_other_answer_for_a_topology() {
        for answer in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Array(vec![
                Value::Int(0),
                Value::Int(70_000),
                server(Some("a"), 1),
            ])]),
            Value::Array(vec![Value::Array(vec![
                Value::Int(0),
                Value::Int(1),
                server(Some("a"), -1),
            ])]),
        ] {
            assert_eq!(
                Topology::read(&answer, &Address::new("here", 9)),
                None,
                "{answer:?}"
            );
        }
    }
}
