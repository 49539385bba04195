//! nginx's notation for logs that go to syslog: `syslog:server=address[,facility=…][,severity=…][,tag=…][,nohostname]`.

use std::path::PathBuf;

/// Where lines go, and what they say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    /// Who takes them.
    pub server: SyslogServer,
    /// Number of the facility (RFC 5424 §6.2.1); 23, `local7`, without one.
    pub facility: u8,
    /// What the lines call the program; `nginx` without one.
    pub tag: String,
    /// Whether the lines name the machine.
    pub has_hostname: bool,
}

/// Who takes the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogServer {
    /// A socket of this machine.
    Unix(PathBuf),
    /// Host and port, over UDP.
    Udp(String, u16),
}

/// By their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv",
    "ftp", "ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
];

impl Syslog {
    /// Reads what follows `syslog:`.
    ///
    /// # Errors
    /// What is wrong with it, in nginx's words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const LOCAL7: u8 = 23;
        let mut server = None;
        let mut log = Self {
            server: SyslogServer::Unix(PathBuf::new()),
            facility: LOCAL7,
            tag: "nginx".to_owned(),
            has_hostname: true,
        };
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("server", address)) => server = Some(parse_server(address)?),
                Some(("facility", name)) => {
                    let place = FACILITIES.iter().position(|known| *known == name);
                    let place = place.and_then(|place| u8::try_from(place).ok());
                    log.facility =
                        place.ok_or_else(|| format!("unknown syslog facility \"{name}\""))?;
                }
                // The level of a line decides.
                Some(("severity", name)) if SEVERITIES.contains(&name) => {}
                Some(("severity", name)) => {
                    return Err(format!("unknown syslog severity \"{name}\""));
                }
                Some(("tag", tag)) => {
                    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                    if !tag.chars().all(is_plain) {
                        return Err(
                            "syslog \"tag\" only allows alphanumeric characters and underscore"
                                .to_owned(),
                        );
                    }
                    tag.clone_into(&mut log.tag);
                }
                None if part == "nohostname" => log.has_hostname = false,
                _ => return Err(format!("unknown syslog parameter \"{part}\"")),
            }
        }
        log.server = server.ok_or("no syslog server specified")?;
        Ok(log)
    }
}

fn parse_server(address: &str) -> Result<SyslogServer, String> {
    const PORT: u16 = 514;
    if let Some(path) = address.strip_prefix("unix:") {
        return Ok(SyslogServer::Unix(path.into()));
    }
    let wrong = || format!("invalid port in syslog server \"{address}\"");
    let bare = |host: &str| host.trim_matches(['[', ']']).to_owned();
    // The colons of an address of IPv6 stand in brackets.
    let port = address
        .rfind(':')
        .filter(|at| !address[*at..].contains(']'));
    match port {
        Some(at) => {
            let port = address[at + 1..].parse().map_err(|_| wrong())?;
            Ok(SyslogServer::Udp(bare(&address[..at]), port))
        }
        None if address.is_empty() => Err("no syslog server specified".to_owned()),
        None => Ok(SyslogServer::Udp(bare(address), PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_nginx_reads() {
        let udp = |host: &str, port| SyslogServer::Udp(host.to_owned(), port);
        let cases = [
            ("server=127.0.0.1", udp("127.0.0.1", 514), 23, "nginx", true),
            (
                "server=log.example:1514,facility=user",
                udp("log.example", 1514),
                1,
                "nginx",
                true,
            ),
            (
                "server=[::1]:12345,tag=a_1,severity=info",
                udp("::1", 12345),
                23,
                "a_1",
                true,
            ),
            ("server=[::1]", udp("::1", 514), 23, "nginx", true),
            (
                "nohostname,server=unix:/dev/log",
                SyslogServer::Unix("/dev/log".into()),
                23,
                "nginx",
                false,
            ),
        ];
        for (text, server, facility, tag, has_hostname) in cases {
            let expected = Syslog {
                server,
                facility,
                tag: tag.to_owned(),
                has_hostname,
            };
            assert_eq!(Syslog::parse(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("", "unknown syslog parameter \"\""),
            ("facility=user", "no syslog server specified"),
            ("server=", "no syslog server specified"),
            ("server=a:b", "invalid port in syslog server \"a:b\""),
            ("server=a,facility=x", "unknown syslog facility \"x\""),
            ("server=a,severity=loud", "unknown syslog severity \"loud\""),
            (
                "server=a,tag=a-b",
                "syslog \"tag\" only allows alphanumeric characters and underscore",
            ),
            ("server=a,port=1", "unknown syslog parameter \"port=1\""),
        ] {
            assert_eq!(Syslog::parse(text), Err(expected.to_owned()), "{text}");
        }
    }
}
