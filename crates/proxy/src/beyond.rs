//! What an upstream can do beyond the reference, on the path of a request: turns, sticky nodes, further attempts.
//!
//! Nothing here runs for an upstream without the field `lockgate`.

use std::hash::{BuildHasher as _, RandomState};

use lockgate_upstream::{Beyond, Full, Gate, Inside, NodeSet, Picked, Retry, Room, Sticky, Tried};
use tokio::time::Instant;

use crate::{client::Client, exchange::Exchange, io::while_there, worker::Worker};

/// A request that may be under way, and until when it may wait for a node.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    gate: &'a Gate,
    until: Instant,
    _inside: Inside<'a>,
}

/// Why a request is not sent on.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no room.
    Full(Full),
    /// The client left while it waited.
    ClientGone,
}

/// Waits for a request's turn, where its upstream has limits.
///
/// # Errors
/// It has none in time.
pub(crate) async fn turn<'a>(
    beyond: &'a Beyond,
    client: &Client,
) -> Result<Option<Turn<'a>>, Refused> {
    let Some(gate) = &beyond.gate else {
        return Ok(None);
    };
    let until = gate.patience();
    let inside = patient(client, gate.enter(until)).await?;
    Ok(Some(Turn {
        gate,
        until,
        _inside: inside,
    }))
}

/// The next node: the one that the client's cookie names, or another that has room. `None` when all have been tried.
///
/// # Errors
/// No node has room in time.
pub(crate) async fn pick<'n>(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
    beyond: &Beyond,
    turn: Option<&Turn<'_>>,
    nodes: &'n NodeSet,
    tried: &mut Tried,
) -> Result<Option<Picked<'n>>, Refused> {
    exchange.set_cookie.clear();
    let is_over =
        |picked: &Picked<'_>| turn.is_some_and(|turn| turn.gate.is_over(picked.in_flight()));
    if let Some(sticky) = &beyond.sticky
        && let Some(name) = cookie(exchange, sticky)
    {
        let before = tried.clone();
        match nodes.pick_named(name, tried) {
            Some(picked) if !is_over(&picked) => return Ok(Some(picked)),
            _ => *tried = before,
        }
    }
    let mut look = || match nodes.pick_with_room(worker.id, &worker.clock, tried, is_over) {
        Room::Node(picked) => Some(Some(picked)),
        Room::None => Some(None),
        Room::Full => None,
    };
    let picked = match turn {
        Some(turn) => patient(client, turn.gate.wait_for(turn.until, look)).await?,
        None => look().flatten(),
    };
    if let (Some(picked), Some(sticky)) = (&picked, &beyond.sticky) {
        sticky.set_cookie(picked, &mut exchange.set_cookie);
    }
    Ok(picked)
}

async fn patient<T>(
    client: &Client,
    waiting: impl Future<Output = Result<T, Full>>,
) -> Result<T, Refused> {
    match while_there(&client.stream, waiting).await {
        Some(outcome) => outcome.map_err(Refused::Full),
        None => Err(Refused::ClientGone),
    }
}

fn cookie<'e>(exchange: &'e Exchange, sticky: &Sticky) -> Option<&'e [u8]> {
    let headers = &exchange.request.headers;
    headers
        .get_all(b"cookie")
        .find_map(|cookies| sticky.value(cookies))
}

/// Lets one that waits for a node look again, once what holds the node has been dropped.
pub(crate) struct Freed<'a>(pub(crate) Option<&'a Turn<'a>>);

impl Drop for Freed<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(turn) = self.0 {
            turn.gate.freed();
        }
    }
}

/// Pauses before further attempt number `attempt`, which counts from 0.
pub(crate) async fn pause(retry: &Retry, attempt: u32) {
    let pause = retry.pause(attempt, RandomState::new().hash_one(attempt));
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}
