//! The PROXY protocol, versions 1 and 2: who the client of the proxy in front is.
//!
//! Bytes in, a verdict out; whoever accepts the connection reads and waits. As nginx (`ngx_proxy_protocol.c`), but for the lengths: a header
//! of version 2 may have 4096 bytes. Extensions (TLVs) are skipped. Specification: `proxy-protocol.txt` of HAProxy, 2020-03-05.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// Longest header of version 1 with its line end (§2.1 of the specification).
pub const V1_BYTES: usize = 107;

/// Longest header of version 2 that is read; nginx's `NGX_PROXY_PROTOCOL_MAX_HEADER`.
pub const V2_BYTES: usize = 4096;

/// What every header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What every header of version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// Bytes in front of the addresses of version 2.
const FIXED: usize = 16;

/// A connection as the proxy in front saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxied {
    /// Its client.
    pub source: SocketAddr,
    /// Where that client connected to.
    pub destination: SocketAddr,
}

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes that it takes.
    pub len: usize,
    /// What it says; `None` where the proxy speaks for itself (`LOCAL`), does not know (`UNKNOWN`), or names what is no TCP address.
    pub proxied: Option<Proxied>,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Neither version begins so.
    #[error("it begins with no PROXY protocol header")]
    Signature,
    /// A line of version 1 that is malformed.
    #[error("its line is malformed")]
    Line,
    /// A line of version 1 without an end.
    #[error("its line is too long")]
    LineTooLong,
    /// Another version behind the signature of version 2.
    #[error("its version is not 2")]
    Version,
    /// A command other than `LOCAL` and `PROXY`.
    #[error("its command is unknown")]
    Command,
    /// Too few bytes for the addresses of its family.
    #[error("its addresses are cut short")]
    TooShort,
    /// More bytes than are read.
    #[error("it is too long")]
    TooLong,
}

/// Reads the header at the front of `bytes`; `None` while it is not complete.
///
/// # Errors
/// The bytes are no header, nor the beginning of one: the connection is of no use.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let begins = |start: &[u8]| {
        let len = bytes.len().min(start.len());
        bytes.get(..len) == start.get(..len)
    };
    if bytes.is_empty() {
        Ok(None)
    } else if begins(SIGNATURE) {
        parse_binary(bytes)
    } else if begins(WORD) {
        parse_line(bytes)
    } else {
        Err(HeaderError::Signature)
    }
}

fn parse_line(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let known = bytes.get(..V1_BYTES).unwrap_or(bytes);
    let Some(end) = known.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < V1_BYTES {
            Ok(None)
        } else {
            Err(HeaderError::LineTooLong)
        };
    };
    let line = known
        .get(WORD.len()..end)
        .and_then(|line| line.strip_suffix(b"\r"));
    let line = line
        .and_then(|line| std::str::from_utf8(line).ok())
        .ok_or(HeaderError::Line)?;
    let len = end + 1;
    // What follows `UNKNOWN` means nothing.
    if line
        .strip_prefix("UNKNOWN")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    {
        let proxied = None;
        return Ok(Some(Header { len, proxied }));
    }
    let proxied = Some(parse_addresses(line).ok_or(HeaderError::Line)?);
    Ok(Some(Header { len, proxied }))
}

/// `TCP4 192.0.2.1 192.0.2.2 5000 80`, each behind one space.
fn parse_addresses(line: &str) -> Option<Proxied> {
    let mut words = line.split(' ');
    let family = words.next()?;
    let address = |word: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => word.parse().ok().map(IpAddr::V4),
            "TCP6" => word.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |word: &str| -> Option<u16> {
        let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| word.parse().ok())?
    };
    let (source, destination) = (address(words.next()?)?, address(words.next()?)?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(Proxied {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

fn parse_binary(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return match bytes.get(SIGNATURE.len()) {
            Some(version) if version >> 4 != 2 => Err(HeaderError::Version),
            _ => Ok(None),
        };
    };
    let [.., command, family, high, low] = *fixed;
    if command >> 4 != 2 {
        return Err(HeaderError::Version);
    }
    let len = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > V2_BYTES {
        return Err(HeaderError::TooLong);
    }
    if command & 15 > 1 {
        return Err(HeaderError::Command);
    }
    let Some(rest) = bytes.get(FIXED..len) else {
        return Ok(None);
    };
    let proxied = match (command & 15, family) {
        // TCP over IPv4 and IPv6.
        (1, 0x11) => Some(addresses::<4>(rest).ok_or(HeaderError::TooShort)?),
        (1, 0x21) => Some(addresses::<16>(rest).ok_or(HeaderError::TooShort)?),
        _ => None,
    };
    Ok(Some(Header { len, proxied }))
}

/// Two addresses of `N` bytes, two ports.
fn addresses<const N: usize>(bytes: &[u8]) -> Option<Proxied> {
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (from, rest) = rest.split_first_chunk::<2>()?;
    let to = rest.first_chunk::<2>()?;
    let address = |bytes: &[u8; N]| -> Option<IpAddr> {
        let four = bytes.as_slice().try_into().ok();
        let sixteen = || bytes.as_slice().try_into().ok();
        four.map(|four: [u8; 4]| IpAddr::V4(Ipv4Addr::from(four)))
            .or_else(|| sixteen().map(|sixteen: [u8; 16]| IpAddr::V6(Ipv6Addr::from(sixteen))))
    };
    let port = |bytes: &[u8; 2]| u16::from_be_bytes(*bytes);
    Some(Proxied {
        source: SocketAddr::new(address(source)?, port(from)),
        destination: SocketAddr::new(address(destination)?, port(to)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxied(source: &str, destination: &str) -> Proxied {
        Proxied {
            source: source.parse().expect("an address"),
            destination: destination.parse().expect("an address"),
        }
    }

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &len, rest].concat()
    }

    #[test]
    fn reads_lines() {
        let four = proxied("192.0.2.1:5000", "192.0.2.2:80");
        let six = proxied("[2001:db8::1]:1", "[::1]:65535");
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n", Ok(Some(four))),
            ("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", Ok(Some(six))),
            ("PROXY UNKNOWN\r\n", Ok(None)),
            ("PROXY UNKNOWN whatever it is\r\n", Ok(None)),
            ("PROXY UNKNOWNS\r\n", Err(HeaderError::Line)),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\n",
                Err(HeaderError::Line),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n",
                Err(HeaderError::Line),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80 1\r\n",
                Err(HeaderError::Line),
            ),
            (
                "PROXY TCP4 192.0.2.1  192.0.2.2 5000 80\r\n",
                Err(HeaderError::Line),
            ),
            (
                "PROXY TCP4 192.0.2.256 192.0.2.2 5000 80\r\n",
                Err(HeaderError::Line),
            ),
            ("PROXY TCP4 ::1 ::1 5000 80\r\n", Err(HeaderError::Line)),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 +1 80\r\n",
                Err(HeaderError::Line),
            ),
            (
                "PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n",
                Err(HeaderError::Line),
            ),
            (
                "PROXY UDP4 192.0.2.1 192.0.2.2 5000 80\r\n",
                Err(HeaderError::Line),
            ),
            ("PROXY \r\n", Err(HeaderError::Line)),
            ("GET / HTTP/1.1\r\n", Err(HeaderError::Signature)),
            ("proxy TCP4", Err(HeaderError::Signature)),
        ] {
            let found = parse(line.as_bytes());
            let found = found.map(|header| {
                let header = header.expect("complete");
                assert_eq!(header.len, line.len());
                header.proxied
            });
            assert_eq!(found, expected, "{line}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES));
        assert_eq!(parse(long.as_bytes()), Err(HeaderError::LineTooLong));
    }

    #[test]
    fn reads_the_binary_form() {
        let four = [192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 0, 80];
        let mut six = Ipv6Addr::LOCALHOST.octets().to_vec();
        six.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        six.extend_from_slice(&[0, 1, 0xff, 0xff]);
        let with_extension = [&four[..], &[4, 0, 1, 0]].concat();
        let known = proxied("192.0.2.1:5000", "192.0.2.2:80");
        for (header, expected) in [
            (binary(0x21, 0x11, &four), Ok(Some(known))),
            (binary(0x21, 0x11, &with_extension), Ok(Some(known))),
            (
                binary(0x21, 0x21, &six),
                Ok(Some(proxied("[::1]:1", "[2001:db8::1]:65535"))),
            ),
            (binary(0x20, 0x11, &four), Ok(None)),
            (binary(0x20, 0, &[]), Ok(None)),
            (binary(0x21, 0, &[]), Ok(None)),
            (binary(0x21, 0x12, &four), Ok(None)),
            (binary(0x21, 0x31, &[0; 216]), Ok(None)),
            (binary(0x21, 0x11, &four[..11]), Err(HeaderError::TooShort)),
            (binary(0x21, 0x21, &four), Err(HeaderError::TooShort)),
            (binary(0x22, 0x11, &four), Err(HeaderError::Command)),
            (binary(0x11, 0x11, &four), Err(HeaderError::Version)),
            (
                binary(0x21, 0x11, &[0; V2_BYTES]),
                Err(HeaderError::TooLong),
            ),
        ] {
            let found = parse(&header);
            let found = found.map(|found| {
                let found = found.expect("complete");
                assert_eq!(found.len, header.len());
                found.proxied
            });
            assert_eq!(found, expected, "{header:?}");
        }
        let early = [SIGNATURE.as_slice(), &[0x31]].concat();
        assert_eq!(parse(&early), Err(HeaderError::Version));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            source in any::<[u8; 16]>(), destination in any::<[u8; 16]>(), ports in any::<[u16; 2]>(),
        ) {
            let six = |bytes: [u8; 16], port| SocketAddr::new(Ipv6Addr::from(bytes).into(), port);
            let proxied = Proxied { source: six(source, ports[0]), destination: six(destination, ports[1]) };
            let line = format!(
                "PROXY TCP6 {} {} {} {}\r\n",
                proxied.source.ip(), proxied.destination.ip(), ports[0], ports[1]
            );
            let header = Header { len: line.len(), proxied: Some(proxied) };
            prop_assert_eq!(parse(line.as_bytes()), Ok(Some(header)));
            for cut in 0..line.len() {
                prop_assert_eq!(parse(&line.as_bytes()[..cut]), Ok(None));
            }
        }
    }
}
