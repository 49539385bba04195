//! Listening sockets: one per worker and address, shared out by the kernel (`SO_REUSEPORT`), kept while workers change
//! ([`Sockets`]).

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, TcpListener as Bound},
    sync::Arc,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tokio::net::TcpListener;

/// Connections the kernel holds ready for one worker; nginx's default on Linux.
const BACKLOG: i32 = 511;

/// A listener could not be made.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct ListenError {
    /// The address asked for.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Binds a socket that several workers may bind again.
///
/// # Errors
/// When the address is taken by another process or may not be used.
pub fn bind(address: SocketAddr, is_shared: bool) -> Result<Bound, ListenError> {
    bind_socket(address, is_shared).map_err(|source| ListenError { address, source })
}

fn bind_socket(address: SocketAddr, is_shared: bool) -> io::Result<Bound> {
    let socket = bind_silent(address, is_shared)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket that has its address and gets no connections.
fn bind_silent(address: SocketAddr, is_shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Registers a bound listener with the runtime of this thread.
///
/// # Errors
/// When the runtime cannot watch the socket.
pub fn register(listener: Bound) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

/// Whether `address` is free: a socket without `SO_REUSEPORT` can be bound to it.
///
/// Shared sockets of another process of the same user would otherwise be joined silently.
///
/// # Errors
/// As [`bind`].
pub fn check_free(address: SocketAddr) -> Result<(), ListenError> {
    bind(address, false).map(drop)
}

/// The sockets that are listened on, so that those who accept can be replaced: a connection that waits in a socket, or arrives
/// while nobody accepts, is the next one's.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Of those before, not asked for yet.
    kept: BTreeMap<SocketAddr, Vec<Arc<Bound>>>,
    used: BTreeMap<SocketAddr, Vec<Arc<Bound>>>,
    /// Those of the used ones that are not listened on until [`Self::listen`].
    silent: Vec<(SocketAddr, Arc<Bound>)>,
}

impl Sockets {
    /// For those that come next: what they ask for is taken from these where they have it.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            kept: self.used.clone(),
            used: BTreeMap::new(),
            silent: Vec::new(),
        }
    }

    /// Sockets for `workers` workers on an address, and the address itself, whose port the system has chosen where it was 0.
    ///
    /// Every worker gets one of its own. Where there were more workers before, the sockets that are left over are accepted from
    /// by all: closing one would reset the connections that wait in it. Where there were fewer, the further ones get no connections
    /// until [`Self::listen`].
    ///
    /// # Errors
    /// When the address is taken by another process or may not be used.
    pub fn shared(
        &mut self,
        address: SocketAddr,
        workers: usize,
    ) -> Result<(SocketAddr, Vec<Vec<Bound>>), ListenError> {
        let mut bound = self.kept.remove(&address).unwrap_or_default();
        let mut actual = address;
        if let Some(first) = bound.first() {
            actual = local(address, first)?;
        } else if address.port() != 0 && !self.overlaps(address) {
            check_free(address)?;
        }
        let is_served = !bound.is_empty();
        while bound.len() < workers {
            if is_served {
                let socket = bind_silent(actual, true);
                let failed = |source| ListenError { address, source };
                let socket = Arc::new(Bound::from(socket.map_err(failed)?));
                self.silent.push((address, socket.clone()));
                bound.push(socket);
            } else {
                let socket = bind(actual, true)?;
                actual = local(address, &socket)?;
                bound.push(Arc::new(socket));
            }
        }
        let (own, left) = bound.split_at(workers.min(bound.len()));
        let mut shares = Vec::with_capacity(workers);
        for socket in own {
            let mut share = vec![again(address, socket)?];
            for socket in left {
                share.push(again(address, socket)?);
            }
            shares.push(share);
        }
        self.used.insert(address, bound);
        Ok((actual, shares))
    }

    /// The only socket on an address.
    ///
    /// # Errors
    /// As [`Self::shared`].
    pub fn alone(&mut self, address: SocketAddr) -> Result<Bound, ListenError> {
        let mut bound = self.kept.remove(&address).unwrap_or_default();
        bound.truncate(1);
        let socket = match bound.pop() {
            Some(socket) => socket,
            None => Arc::new(bind(address, false)?),
        };
        let handed_out = again(address, &socket)?;
        self.used.insert(address, vec![socket]);
        Ok(handed_out)
    }

    /// Listens on what was added to the sockets of those before. From then on the kernel gives these their share of the
    /// connections, so those who accept must be about to start: what waits in a socket when it is closed is reset.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn listen(&mut self) -> Result<(), ListenError> {
        for (address, socket) in self.silent.drain(..) {
            let listening = SockRef::from(&*socket).listen(BACKLOG);
            listening.map_err(|source| ListenError { address, source })?;
        }
        Ok(())
    }

    /// Closes what those before had and nobody asked for since.
    pub fn settle(&mut self) {
        self.kept.clear();
    }

    /// Whether those before listen on an address that the system takes for the same.
    fn overlaps(&self, address: SocketAddr) -> bool {
        self.kept.keys().any(|kept| {
            kept.port() == address.port()
                && kept.is_ipv4() == address.is_ipv4()
                && (kept.ip().is_unspecified() || address.ip().is_unspecified())
        })
    }
}

fn local(address: SocketAddr, socket: &Bound) -> Result<SocketAddr, ListenError> {
    let failed = |source| ListenError { address, source };
    socket.local_addr().map_err(failed)
}

fn again(address: SocketAddr, socket: &Bound) -> Result<Bound, ListenError> {
    let failed = |source| ListenError { address, source };
    socket.try_clone().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// The address, and how many sockets each worker has.
    fn shares(
        sockets: &mut Sockets,
        address: SocketAddr,
        workers: usize,
    ) -> (SocketAddr, Vec<Vec<Bound>>) {
        sockets.shared(address, workers).expect("bound")
    }

    #[test]
    fn hands_sockets_on_with_the_connections_that_wait_in_them() {
        let any = ([127, 0, 0, 1], 0).into();
        let mut first = Sockets::default();
        let (address, before) = shares(&mut first, any, 3);
        assert!(before.iter().all(|share| share.len() == 1));
        let waiting: Vec<_> = (0..20)
            .map(|_| TcpStream::connect(address).expect("connected"))
            .collect();
        let mut second = first.next();
        let (same, mut after) = shares(&mut second, any, 2);
        drop((first, before));
        second.settle();
        assert_eq!(same, address);
        // One of its own, and the one that is left over.
        assert!(after.iter().all(|share| share.len() == 2), "{after:?}");
        let mut accepted = 0;
        for socket in after.iter_mut().flatten() {
            while socket.accept().is_ok() {
                accepted += 1;
            }
        }
        assert_eq!(accepted, waiting.len());
        let mut third = second.next();
        assert_eq!(
            shares(&mut third, any, 4)
                .1
                .iter()
                .map(Vec::len)
                .sum::<usize>(),
            4
        );
    }

    #[test]
    fn further_sockets_get_no_connections_before_they_are_listened_on() {
        let mut first = Sockets::default();
        let (address, before) = shares(&mut first, ([127, 0, 0, 1], 0).into(), 1);
        let mut second = first.next();
        // The address that was asked for: its port is 0.
        let asked = *first.used.keys().next().expect("one");
        let (_, after) = shares(&mut second, asked, 8);
        let connect = || -> Vec<_> {
            let streams = (0..200).map(|_| TcpStream::connect(address).expect("connected"));
            streams.collect()
        };
        let accepted = || std::iter::from_fn(|| before[0][0].accept().ok()).count();
        let waiting = connect();
        assert_eq!(accepted(), waiting.len());
        second.listen().expect("listening");
        let waiting = connect();
        // One in eight of them, give or take.
        assert!(accepted() < waiting.len());
        drop(after);
    }

    #[test]
    fn closes_what_nobody_asks_for() {
        let mut first = Sockets::default();
        let (address, sockets) = shares(&mut first, ([127, 0, 0, 1], 0).into(), 2);
        drop(sockets);
        let mut second = first.next();
        drop(first);
        assert!(check_free(address).is_err());
        second.settle();
        check_free(address).expect("free");
    }

    #[test]
    fn sockets_that_fail_leave_those_before_as_they_were() {
        let taken = bind(([127, 0, 0, 1], 0).into(), false).expect("free port");
        let mut first = Sockets::default();
        let alone = first.alone(([127, 0, 0, 1], 0).into()).expect("free port");
        let address = alone.local_addr().expect("bound");
        let mut second = first.next();
        assert!(second.alone(taken.local_addr().expect("bound")).is_err());
        drop((second, alone));
        assert!(check_free(address).is_err());
    }

    #[test]
    fn an_address_may_become_narrower() {
        let mut first = Sockets::default();
        let (wide, _before) = shares(&mut first, ([0, 0, 0, 0], 0).into(), 1);
        let narrow = ([127, 0, 0, 1], wide.port()).into();
        // The port that the system chose is not known as such.
        first.used = first
            .used
            .into_values()
            .map(|sockets| (wide, sockets))
            .collect();
        assert!(Sockets::default().shared(narrow, 1).is_err());
        shares(&mut first.next(), narrow, 1);
    }

    #[test]
    fn shares_an_address_and_sees_that_it_is_taken() {
        let first = bind(([127, 0, 0, 1], 0).into(), true).expect("free port");
        let address = first.local_addr().expect("bound");
        let second = bind(address, true).expect("shared");
        assert!(check_free(address).is_err());
        drop((first, second));
        check_free(address).expect("free again");
    }
}
