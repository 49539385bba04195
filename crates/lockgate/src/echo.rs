//! `lockgate echo`: a small origin for examples and tests, so that both work with no Internet.
//!
//! Any path and method is answered with 200 and what was seen, as JSON. Nothing here is fast or configurable.

use std::{collections::BTreeMap, convert::Infallible, io::Write as _, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::cli::Echo;

/// Bytes of a body that an answer shows; more are read and counted.
const SHOWN_BYTES: usize = 64 * 1024;

/// Answers until the process is ended.
pub(crate) fn run(options: &Echo) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(serve(options))
}

async fn serve(options: &Echo) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", options.listen))?;
    let tls = if options.tls {
        Some(acceptor(&options.name)?)
    } else {
        None
    };
    let scheme = if options.tls { "https" } else { "http" };
    let address = listener.local_addr().context("the listener is gone")?;
    // Whoever started this waits for the line, and may have gone since.
    let _closed = writeln!(
        std::io::stdout(),
        "{} answers on {scheme}://{address}",
        options.name
    );
    let name: Arc<str> = options.name.as_str().into();
    loop {
        // Errors are about one connection, or pass when others close.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let (name, tls) = (name.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(stream, name).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, name).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, name: Arc<str>) {
    let service = service_fn(move |request| answer(request, name.clone()));
    // A connection that breaks is its client's affair.
    let _broken = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    name: Arc<str>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, mut body) = request.into_parts();
    let (mut shown, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        // What was read of a body that breaks off is shown.
        let Ok(frame) = frame else { break };
        if let Some(data) = frame.data_ref() {
            length += data.len();
            shown.extend(data.iter().take(SHOWN_BYTES.saturating_sub(shown.len())));
        }
    }
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    let seen = json!({
        "name": &*name,
        "method": head.method.as_str(),
        "uri": head.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&shown),
        "body_bytes": length,
    });
    let mut response = Response::new(Full::from(format!("{seen}\n")));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// TLS with a certificate that only this process knows.
fn acceptor(name: &str) -> anyhow::Result<TlsAcceptor> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.push(name.to_owned());
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
        })
        .context("cannot set TLS up")?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
