//! One probe of one node.

use std::{io, time::Duration};

use lockgate_model::resource::ProbeKind;
use lockgate_net::{stream::Stream, tls::server_name};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Target, settings::Settings, verdict::Report};
use crate::limits::{NO_FILES, STATUS_LINE_BYTES};

/// Why a step of a probe failed.
enum Failure {
    TimedOut,
    Broken(io::Error),
}

impl Failure {
    fn report(&self) -> Option<Report> {
        match self {
            Self::TimedOut => Some(Report::Timeout),
            // That this process is out of something says nothing of the node.
            Self::Broken(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable
                    || error
                        .raw_os_error()
                        .is_some_and(|code| NO_FILES.contains(&code)) =>
            {
                tracing::error!(%error, "a node cannot be probed");
                None
            }
            Self::Broken(_) => Some(Report::TcpFailure),
        }
    }
}

/// Asks a node how it is; `None` where the answer counts neither for nor against it.
pub(crate) async fn probe(settings: &Settings, target: &Target) -> Option<Report> {
    let limit = settings.timeout;
    let tcp = match step(limit, Stream::connect(target.address)).await {
        Ok(tcp) => tcp,
        Err(failure) => return failure.report(),
    };
    match settings.kind {
        ProbeKind::Tcp => Some(Report::Success),
        ProbeKind::Http => ask(settings, target, tcp).await,
        ProbeKind::Https => {
            let name = name(target);
            let shaken = match &settings.tls {
                Some(tls) => {
                    let connector = tokio_rustls::TlsConnector::from(tls.clone());
                    step(limit, connector.connect(name, tcp)).await.ok()
                }
                None => None,
            };
            match shaken {
                Some(stream) => ask(settings, target, stream).await,
                // However a handshake fails (`run_single_check`).
                None => Some(Report::TcpFailure),
            }
        }
    }
}

/// Whom the certificate must name.
fn name(target: &Target) -> ServerName<'static> {
    server_name(target.host()).unwrap_or_else(|| ServerName::from(target.address.ip()))
}

/// Sends the request and judges the status.
async fn ask(
    settings: &Settings,
    target: &Target,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Option<Report> {
    let request = [&settings.head, target.host(), &settings.tail].concat();
    let sending = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    if let Err(failure) = step(settings.timeout, sending).await {
        return failure.report();
    }
    match step(settings.timeout, read_line(&mut stream)).await {
        Err(failure) => failure.report(),
        Ok(line) => match status(&line) {
            Some(status) => settings.active.judge(status),
            // What is no HTTP is a failure, whatever statuses are listed.
            None => Some(Report::HttpFailure),
        },
    }
}

async fn step<T>(
    limit: Duration,
    future: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, future).await {
        Err(_elapsed) => Err(Failure::TimedOut),
        Ok(Err(error)) => Err(Failure::Broken(error)),
        Ok(Ok(value)) => Ok(value),
    }
}

/// Reads up to the end of the first line, or as much of it as is looked at.
async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    while line.len() < STATUS_LINE_BYTES && !line.contains(&b'\n') {
        if stream.read_buf(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(line)
}

/// The status of a line `HTTP/digits.digits spaces digits`, as the reference reads it.
fn status(line: &[u8]) -> Option<u16> {
    let (protocol, version) = line.split_at_checked(5)?;
    if !protocol.eq_ignore_ascii_case(b"http/") {
        return None;
    }
    let (major, rest) = digits(version);
    let (minor, rest) = digits(rest.strip_prefix(b".")?);
    let spaces = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    let (status, _) = digits(rest.get(spaces.count()..)?);
    if major.is_empty() || minor.is_empty() || !rest.first()?.is_ascii_whitespace() {
        return None;
    }
    // A number too large for a status is in no list.
    let text = std::str::from_utf8(status)
        .ok()
        .filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or(u16::MAX))
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_lines() {
        for (line, expected) in [
            ("HTTP/1.1 200 OK\r\n", Some(200)),
            ("http/1.0  404\n", Some(404)),
            ("HTTP/2.0\t503\r\n", Some(503)),
            ("HTTP/1.1 99999 x\n", Some(u16::MAX)),
            ("HTTP/1.1 2x\n", Some(2)),
            ("HTTP/1 200\n", None),
            ("HTTP/1.1200\n", None),
            ("HTTP/1.1 \n", None),
            ("HTTP/.1 200\n", None),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("HT", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), expected, "{line:?}");
        }
    }
}
