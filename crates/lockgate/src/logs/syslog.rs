//! Lines of the error log for syslog, as nginx sends them: `<187>Nov 28 00:00:00 host nginx: ` and the line.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
};

use jiff::{Timestamp, tz::TimeZone};
use lockgate_model::boot::{Syslog, SyslogServer};

/// Bytes of a line that are sent (`NGX_MAX_ERROR_STR`).
const LINE_BYTES: usize = 2048;

/// A connection to syslog.
#[derive(Debug)]
pub(super) struct Remote {
    socket: Socket,
    facility: u8,
    /// What stands between the time and the line.
    name: String,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    /// With the path of the other end, which may be made anew while this process runs.
    Unix(UnixDatagram, PathBuf),
}

impl Remote {
    /// Opens the socket. That somebody listens at the other end is not asked for.
    pub(super) fn open(log: &Syslog) -> io::Result<Self> {
        let host = log.has_hostname.then(|| {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
                + " "
        });
        Ok(Self {
            socket: Socket::open(&log.server)?,
            facility: log.facility,
            name: format!("{}{}: ", host.unwrap_or_default(), log.tag),
        })
    }

    /// Sends a line, without waiting.
    pub(super) fn send(&self, line: &str) -> io::Result<()> {
        let now = Timestamp::now().to_zoned_datetime(TimeZone::system());
        let priority = u16::from(self.facility) * 8 + severity(line);
        let time = now.strftime("%b %e %H:%M:%S");
        let line = line.trim_end();
        let line = line
            .get(..line.floor_char_boundary(LINE_BYTES))
            .unwrap_or(line);
        let message = format!("<{priority}>{time} {}{line}", self.name);
        match &self.socket {
            Socket::Udp(socket) => socket.send(message.as_bytes()),
            Socket::Unix(socket, path) => socket.send_to(message.as_bytes(), path),
        }
        .map(drop)
    }
}

impl Socket {
    fn open(server: &SyslogServer) -> io::Result<Self> {
        match server {
            SyslogServer::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(socket, path.clone()))
            }
            SyslogServer::Udp(host, port) => {
                let address = (host.as_str(), *port).to_socket_addrs()?.next();
                let address = address.ok_or(io::ErrorKind::NotFound)?;
                let socket = if address.is_ipv4() {
                    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?
                } else {
                    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?
                };
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp(socket))
            }
        }
    }
}

/// The number of a line's level.
fn severity(line: &str) -> u16 {
    const LEVELS: [&str; 8] = [
        "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
    ];
    const ERROR: u16 = 3;
    let level = line
        .split_once('[')
        .and_then(|(_, rest)| Some(rest.split_once(']')?.0));
    let place = LEVELS.iter().position(|known| Some(*known) == level);
    place
        .and_then(|place| u16::try_from(place).ok())
        .unwrap_or(ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(server: SyslogServer, has_hostname: bool) -> Syslog {
        Syslog {
            server,
            facility: 23,
            tag: "edge".to_owned(),
            has_hostname,
        }
    }

    #[track_caller]
    fn check(received: &[u8], priority: &str, end: &str) {
        let text = std::str::from_utf8(received).expect("text");
        let rest = text.strip_prefix(priority).expect(text);
        // `Nov 28 00:00:00 `
        let (time, rest) = rest.split_at(16);
        assert_eq!(
            time.bytes().filter(|byte| *byte == b':').count(),
            2,
            "{text}"
        );
        assert_eq!(rest, end, "{text}");
    }

    #[test]
    fn sends_to_a_socket_of_this_machine_that_may_come_and_go() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("log");
        let remote = Remote::open(&log(SyslogServer::Unix(path.clone()), false)).expect("opens");
        let line = "2026/11/28 00:00:00 [warn] 7#9: it is so\n";
        assert!(remote.send(line).is_err(), "nobody listens");
        let mut bytes = [0; 4096];
        for _ in 0..2 {
            let listening = UnixDatagram::bind(&path).expect("bound");
            remote.send(line).expect("sent");
            let count = listening.recv(&mut bytes).expect("received");
            let end = "edge: 2026/11/28 00:00:00 [warn] 7#9: it is so";
            check(&bytes[..count], "<188>", end);
            std::fs::remove_file(&path).expect("there");
        }
    }

    #[test]
    fn sends_over_udp_with_the_name_of_the_machine() {
        let listening = UdpSocket::bind("127.0.0.1:0").expect("free port");
        let port = listening.local_addr().expect("bound").port();
        let server = SyslogServer::Udp("127.0.0.1".to_owned(), port);
        let remote = Remote::open(&log(server, true)).expect("opens");
        remote.send("a line without a level").expect("sent");
        let mut bytes = [0; 4096];
        let count = listening.recv(&mut bytes).expect("received");
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        check(
            &bytes[..count],
            "<187>",
            &format!("{host} edge: a line without a level"),
        );
        remote.send(&"ä".repeat(4000)).expect("sent");
        let count = listening.recv(&mut bytes).expect("received");
        assert!(count < LINE_BYTES + 100 && std::str::from_utf8(&bytes[..count]).is_ok());
    }
}
