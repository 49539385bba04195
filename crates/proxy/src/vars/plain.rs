//! Values that are made when they are asked for: numbers, times, addresses. Written where they are wanted, with nothing allocated.
//!
//! None has a character that a log escapes.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use lockgate_expr::Variable;
use lockgate_net::proxy_protocol::Proxied;

use super::Facts;
use crate::{
    access_log::time,
    exchange::{Answer, Attempt},
    respond::{three_digits, write_decimal},
};

/// Whether a variable has such a value, so that [`Facts::append_plain`] is asked first.
pub(crate) fn is_made(variable: &Variable) -> bool {
    matches!(
        variable,
        Variable::ServerAddr
            | Variable::ServerPort
            | Variable::RemoteAddr
            | Variable::RemotePort
            | Variable::RealipRemotePort
            | Variable::ProxyProtocolAddr
            | Variable::ProxyProtocolPort
            | Variable::ProxyProtocolServerAddr
            | Variable::ProxyProtocolServerPort
            | Variable::RequestTime
            | Variable::RequestLength
            | Variable::RequestId
            | Variable::ApisixRequestId
            | Variable::Status
            | Variable::LockgateReason
            | Variable::BytesSent
            | Variable::BodyBytesSent
            | Variable::Connection
            | Variable::ConnectionRequests
            | Variable::ConnectionTime
            | Variable::Msec
            | Variable::TimeLocal
            | Variable::TimeIso8601
            | Variable::Pid
            | Variable::UpstreamAddr
            | Variable::UpstreamStatus
            | Variable::UpstreamResponseTime
            | Variable::ApisixUpstreamResponseTime
            | Variable::UpstreamHeaderTime
            | Variable::UpstreamConnectTime
            | Variable::UpstreamResponseLength
            | Variable::UpstreamBytesReceived
            | Variable::UpstreamBytesSent
            | Variable::BalancerIp
            | Variable::BalancerPort
    )
}

impl Facts<'_> {
    /// Appends such a value; false where the variable is no such or has none.
    pub(super) fn append_plain(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let (exchange, client) = (self.exchange, self.client);
        match variable {
            Variable::ServerAddr => address(client.local.ip().to_canonical(), out),
            Variable::ServerPort => port(client.local, out),
            Variable::RemoteAddr if self.remote() == client.peer.ip() => {
                out.extend_from_slice(client.address.as_bytes());
            }
            Variable::RemoteAddr => address(self.remote(), out),
            Variable::RemotePort if exchange.remote.is_none() => port(client.peer, out),
            // Who told the address told no port: the value is empty.
            Variable::RemotePort if exchange.remote_port == 0 => {}
            Variable::RemotePort => write_decimal(u64::from(exchange.remote_port), out),
            Variable::RealipRemotePort => port(client.peer, out),
            Variable::ProxyProtocolAddr
            | Variable::ProxyProtocolPort
            | Variable::ProxyProtocolServerAddr
            | Variable::ProxyProtocolServerPort => match &client.proxied {
                Some(proxied) => proxy_protocol(variable, proxied, out),
                None => return false,
            },
            Variable::RequestTime => seconds(self.now().saturating_sub(exchange.began), out),
            Variable::RequestLength => {
                let length = exchange.request.len() as u64 + exchange.upload.received();
                write_decimal(length, out);
            }
            Variable::RequestId | Variable::ApisixRequestId => {
                write_hex(self.worker.request_id(&exchange.id), out);
            }
            Variable::Status if exchange.status > 0 => {
                write_decimal(u64::from(exchange.status), out);
            }
            // It is about to be sent.
            Variable::Status if exchange.answer != Answer::None => {
                write_decimal(u64::from(exchange.response.status()), out);
            }
            // Empty where the status is not the gateway's own.
            Variable::LockgateReason => {
                if let Some(reason) = exchange.reason {
                    let _infallible = write!(out, "{reason}");
                }
            }
            Variable::BytesSent => write_decimal(exchange.bytes_sent, out),
            Variable::BodyBytesSent => write_decimal(exchange.body_bytes_sent, out),
            Variable::Connection => write_decimal(client.number, out),
            Variable::ConnectionRequests => write_decimal(client.requests.get(), out),
            Variable::ConnectionTime => seconds(self.now().saturating_sub(client.accepted), out),
            Variable::Msec => {
                let wall = self.wall();
                let _infallible = write!(out, "{}.{:03}", wall.as_secs(), wall.subsec_millis());
            }
            Variable::TimeLocal => time::local(self.wall(), out),
            Variable::TimeIso8601 => time::iso8601(self.wall(), out),
            Variable::Pid => write_decimal(u64::from(std::process::id()), out),
            Variable::UpstreamAddr => {
                return self.per_attempt(out, |attempt, out| socket(attempt.address, out));
            }
            Variable::UpstreamStatus => {
                return self.per_attempt(out, |attempt, out| match attempt.status {
                    0 => out.push(b'-'),
                    status => write_decimal(u64::from(status), out),
                });
            }
            Variable::UpstreamResponseTime | Variable::ApisixUpstreamResponseTime => {
                return self.per_attempt(out, |attempt, out| time_of(attempt.response_us, out));
            }
            Variable::UpstreamHeaderTime => {
                return self.per_attempt(out, |attempt, out| time_of(attempt.header_us, out));
            }
            Variable::UpstreamConnectTime => {
                return self.per_attempt(out, |attempt, out| {
                    // A kept connection took no time to make.
                    let connect_us = attempt.connect_us.or(attempt.header_us.map(|_| 0));
                    time_of(connect_us, out);
                });
            }
            Variable::UpstreamResponseLength => {
                return self.per_attempt(out, |attempt, out| write_decimal(attempt.body, out));
            }
            Variable::UpstreamBytesReceived => {
                return self.per_attempt(out, |attempt, out| write_decimal(attempt.received, out));
            }
            Variable::UpstreamBytesSent => {
                return self.per_attempt(out, |attempt, out| write_decimal(attempt.sent, out));
            }
            Variable::BalancerIp | Variable::BalancerPort => {
                let Some(attempt) = exchange.attempts.last() else {
                    return false;
                };
                match variable {
                    Variable::BalancerIp => address(attempt.address.ip(), out),
                    _ => port(attempt.address, out),
                }
            }
            _ => return false,
        }
        true
    }

    /// One text per attempt, as nginx lists them: `a, b`. False where there was none.
    fn per_attempt(&self, out: &mut Vec<u8>, write: impl Fn(&Attempt, &mut Vec<u8>)) -> bool {
        for (place, attempt) in self.exchange.attempts.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(b", ");
            }
            write(attempt, out);
        }
        !self.exchange.attempts.is_empty()
    }
}

fn proxy_protocol(variable: &Variable, proxied: &Proxied, out: &mut Vec<u8>) {
    match variable {
        Variable::ProxyProtocolAddr => address(proxied.source.ip(), out),
        Variable::ProxyProtocolPort => port(proxied.source, out),
        Variable::ProxyProtocolServerAddr => address(proxied.destination.ip(), out),
        _ => port(proxied.destination, out),
    }
}

fn address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => {
            for (place, byte) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                write_decimal(u64::from(byte), out);
            }
        }
        IpAddr::V6(address) => {
            let _infallible = write!(out, "{address}");
        }
    }
}

fn socket(socket: SocketAddr, out: &mut Vec<u8>) {
    match socket {
        SocketAddr::V4(_) => address(socket.ip(), out),
        SocketAddr::V6(_) => {
            out.push(b'[');
            address(socket.ip(), out);
            out.push(b']');
        }
    }
    out.push(b':');
    port(socket, out);
}

fn port(socket: SocketAddr, out: &mut Vec<u8>) {
    write_decimal(u64::from(socket.port()), out);
}

/// Seconds with milliseconds, as nginx writes times.
fn seconds(micros: u64, out: &mut Vec<u8>) {
    let millis = micros / 1000;
    write_decimal(millis / 1000, out);
    let [tenths, hundredths, thousandths] = three_digits(millis);
    out.extend_from_slice(&[b'.', tenths, hundredths, thousandths]);
}

fn time_of(micros: Option<u64>, out: &mut Vec<u8>) {
    match micros {
        Some(micros) => seconds(micros, out),
        None => out.push(b'-'),
    }
}

/// 32 hexadecimal digits.
fn write_hex(value: u128, out: &mut Vec<u8>) {
    let words = [96, 64, 32, 0].map(|shift| eight_digits((value >> shift) as u32));
    out.extend_from_slice(words.as_flattened());
}

/// Eight hexadecimal digits, all made at once: each digit is a byte of a word.
fn eight_digits(value: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let spread = u64::from(value);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // One where the digit is a letter.
    let is_letter = ((spread + 6 * EACH) >> 4) & EACH;
    (spread + u64::from(b'0') * EACH + is_letter * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn writes_what_formatting_would() {
        for text in [
            "127.0.0.1:1",
            "255.0.10.99:65535",
            "[::1]:80",
            "[2001:db8::1]:0",
        ] {
            let parsed: SocketAddr = text.parse().expect("an address");
            assert_eq!(written(|out| socket(parsed, out)), text);
        }
        for (micros, text) in [
            (0, "0.000"),
            (999, "0.000"),
            (1_000, "0.001"),
            (12_345_678, "12.345"),
        ] {
            assert_eq!(written(|out| seconds(micros, out)), text);
        }
        assert_eq!(written(|out| time_of(None, out)), "-");
        for value in [0, 1, 0x0123_4567_89ab_cdef_u128, u128::MAX] {
            assert_eq!(
                written(|out| write_hex(value, out)),
                format!("{value:032x}")
            );
        }
    }
}
