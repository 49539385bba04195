//! One probe over a connection of its own.

use std::{io, net::TcpStream as Blocking, time::Duration};

use lockgate_model::resource::ProbeKind;
use lockgate_net::{stream::Stream, tls::server_name};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    answer::{Extent, extent},
    question::{Outcome, Probe},
};
use crate::limits::{NO_FILES, PROBE_REST, STATUS_LINE_BYTES};

/// Why a step of a probe failed.
enum Failure {
    TimedOut,
    Broken(io::Error),
}

impl Failure {
    fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut => Outcome::TimedOut,
            // That this process is out of something says nothing of the node.
            Self::Broken(error)
                if error.kind() == io::ErrorKind::AddrNotAvailable
                    || error
                        .raw_os_error()
                        .is_some_and(|code| NO_FILES.contains(&code)) =>
            {
                tracing::error!(%error, "a node cannot be probed");
                Outcome::Unknown
            }
            Self::Broken(_) => Outcome::Failed,
        }
    }
}

/// Asks a node how it is. Beside the outcome the connection, where it is to be kept and can be.
pub(crate) async fn probe(probe: &Probe, keeps: bool) -> (Outcome, Option<Blocking>) {
    let question = &probe.question;
    let limit = question.timeout;
    let mut tcp = match step(limit, Stream::connect(question.address)).await {
        Ok(tcp) => tcp,
        Err(failure) => return (failure.outcome(), None),
    };
    let outcome = match question.kind {
        ProbeKind::Tcp => Outcome::Connected,
        ProbeKind::Http => match ask(probe, &mut tcp).await {
            Ok(mut answer) => {
                let outcome = Outcome::of(&answer);
                let is_whole = keeps && rest(probe, &mut tcp, &mut answer).await;
                // Without the runtime, which is not told of what happens on a connection that nobody waits for.
                let kept = is_whole.then(|| tcp.into_std().ok()).flatten();
                return (outcome, kept);
            }
            Err(failure) => failure.outcome(),
        },
        ProbeKind::Https => {
            let shaken = match &probe.tls {
                Some(tls) => {
                    let connector = tokio_rustls::TlsConnector::from(tls.clone());
                    step(limit, connector.connect(name(probe), tcp)).await.ok()
                }
                None => None,
            };
            match shaken {
                Some(mut stream) => match ask(probe, &mut stream).await {
                    Ok(answer) => Outcome::of(&answer),
                    Err(failure) => failure.outcome(),
                },
                // However a handshake fails (`run_single_check`).
                None => Outcome::Failed,
            }
        }
    };
    (outcome, None)
}

/// Whom the certificate must name.
fn name(probe: &Probe) -> ServerName<'static> {
    let question = &probe.question;
    server_name(&question.host).unwrap_or_else(|| ServerName::from(question.address.ip()))
}

/// Sends the request and reads the status line.
async fn ask(
    probe: &Probe,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<Vec<u8>, Failure> {
    let question = &probe.question;
    let sending = async {
        stream.write_all(question.request.as_bytes()).await?;
        stream.flush().await
    };
    step(question.timeout, sending).await?;
    step(question.timeout, read_line(stream)).await
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
    let mut line = Vec::with_capacity(512);
    while line.len() < STATUS_LINE_BYTES && !line.contains(&b'\n') {
        if stream.read_buf(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(line)
}

/// Reads the rest of an answer; whether it came soon, and the connection can be used again.
async fn rest(probe: &Probe, stream: &mut TcpStream, answer: &mut Vec<u8>) -> bool {
    let is_head = probe.question.is_head;
    let reading = async {
        loop {
            match extent(answer, is_head) {
                Extent::Part if answer.len() < STATUS_LINE_BYTES => {}
                extent => return extent == Extent::Whole,
            }
            if !matches!(stream.read_buf(answer).await, Ok(1..)) {
                return false;
            }
        }
    };
    tokio::time::timeout(PROBE_REST, reading)
        .await
        .unwrap_or(false)
}
