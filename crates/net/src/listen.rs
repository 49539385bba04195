//! Listening sockets: one per worker and address, shared out by the kernel (`SO_REUSEPORT`).

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
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
pub fn bind(address: SocketAddr, is_shared: bool) -> Result<std::net::TcpListener, ListenError> {
    bind_socket(address, is_shared).map_err(|source| ListenError { address, source })
}

fn bind_socket(address: SocketAddr, is_shared: bool) -> io::Result<std::net::TcpListener> {
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
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Registers a bound listener with the runtime of this thread.
///
/// # Errors
/// When the runtime cannot watch the socket.
pub fn register(listener: std::net::TcpListener) -> io::Result<TcpListener> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
