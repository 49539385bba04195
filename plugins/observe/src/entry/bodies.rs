//! Bodies in logs: when they are, and how they are held until then.

use std::{
    io::{self, Read as _},
    sync::Arc,
};

use lockgate_expr::{Expr, Variable};
use lockgate_plugin::{BodyFilter, ConfigError, Exchange, Filtered};
use serde_json::Value;

use crate::limits;

/// Whether a body is logged.
#[derive(Debug)]
pub(super) enum When {
    Never,
    Always,
    If(Expr),
}

/// A body that is logged, up to so many bytes.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) when: When,
    pub(super) max_bytes: usize,
}

/// What becomes of an expression that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The configuration is refused.
    Refused,
    /// The body is not logged.
    Ignored,
}

impl Logged {
    /// Reads `include_<side>_body`, `include_<side>_body_expr` and `max_<side>_body_bytes`.
    pub(super) fn compile(config: &Value, side: &str, broken: Broken) -> Result<Self, ConfigError> {
        let is_on = config.get(format!("include_{side}_body")) == Some(&Value::Bool(true));
        let name = format!("include_{side}_body_expr");
        let expr = config.get(&name).map(Expr::compile).transpose();
        let when = match (is_on, expr) {
            (_, Err(why)) if broken == Broken::Refused => {
                return Err(ConfigError(format!(
                    "failed to validate the '{name}' expression: {why}"
                )));
            }
            (_, Err(why)) => {
                tracing::error!("generate {side} expr err {why}");
                When::Never
            }
            (false, Ok(_)) => When::Never,
            (true, Ok(None)) => When::Always,
            (true, Ok(Some(expr))) => When::If(expr),
        };
        let max_bytes = config
            .get(format!("max_{side}_body_bytes"))
            .and_then(|max| max.as_u64().or_else(|| Some(max.as_f64()? as u64)))
            .map_or(limits::BODY_BYTES, |max| {
                usize::try_from(max).unwrap_or(usize::MAX)
            });
        Ok(Self { when, max_bytes })
    }

    pub(super) fn applies(&self, ex: &Exchange<'_>) -> bool {
        match &self.when {
            When::Never => false,
            When::Always => true,
            When::If(expr) => expr.eval(ex),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        !matches!(self.when, When::Never)
    }
}

/// Holds the body of a response on its way, and leaves it as the variable `resp_body`: of several loggers the last one counts, as in
/// the reference.
pub(super) struct Holding {
    of: Arc<Logged>,
    held: Vec<u8>,
    /// `Content-Encoding` of what the upstream sent; empty for none.
    encoding: Vec<u8>,
    is_done: bool,
}

impl Holding {
    pub(super) fn new(of: Arc<Logged>) -> Self {
        Self {
            of,
            held: Vec::new(),
            encoding: Vec::new(),
            is_done: false,
        }
    }
}

impl BodyFilter for Holding {
    fn begin(&mut self, ex: &mut Exchange<'_>) -> bool {
        // What encodes for the client says so later: it comes last.
        let encoding = ex.response().headers.get(b"content-encoding");
        self.encoding = encoding.unwrap_or_default().to_ascii_lowercase();
        self.of.applies(ex)
    }

    fn filter(
        &mut self,
        ex: &mut Exchange<'_>,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Filtered {
        out.extend_from_slice(piece);
        if self.is_done {
            return Filtered::More;
        }
        let room = self.of.max_bytes.saturating_sub(self.held.len());
        self.held
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
        if is_last || self.held.len() >= self.of.max_bytes {
            self.is_done = true;
            let held = std::mem::take(&mut self.held);
            let body = decoded(&self.encoding, held, self.of.max_bytes);
            ex.set_variable(&Variable::RespBody, body);
        }
        Filtered::More
    }

    fn keeps_length(&self) -> bool {
        true
    }
}

/// A body without the coding that it was sent in, up to so many bytes; as it came where that cannot be undone.
fn decoded(encoding: &[u8], body: Vec<u8>, max_bytes: usize) -> Vec<u8> {
    let read = |from: &mut dyn io::Read| {
        let mut out = Vec::new();
        from.take(max_bytes as u64).read_to_end(&mut out)?;
        Ok(out)
    };
    let outcome: io::Result<_> = match encoding {
        b"" => return body,
        b"gzip" => read(&mut flate2::read::MultiGzDecoder::new(&*body)),
        b"br" => read(&mut brotli_decompressor::Decompressor::new(
            &*body,
            limits::DECODING_BYTES,
        )),
        other => {
            tracing::warn!(
                "unsupported compression encoding type: {}",
                other.escape_ascii()
            );
            return body;
        }
    };
    outcome.unwrap_or_else(|error| {
        tracing::warn!("try decode compressed data err: {error}");
        body
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn undoes_the_coding_of_a_body() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"gzip hello world").expect("in memory");
        let gzip = encoder.finish().expect("in memory");
        let brotli = b"\x0b\x02\x80hello\x03".to_vec();
        let cut = gzip.get(..gzip.len() / 2).unwrap_or_default().to_vec();
        for (encoding, body, max, expected) in [
            ("", b"plain".to_vec(), 99, b"plain".to_vec()),
            ("gzip", gzip.clone(), 99, b"gzip hello world".to_vec()),
            ("gzip", gzip, 4, b"gzip".to_vec()),
            ("br", brotli, 99, b"hello".to_vec()),
            // As it came where it cannot be read.
            ("gzip", cut.clone(), 99, cut),
            ("br", b"no".to_vec(), 99, b"no".to_vec()),
            ("zstd", b"x".to_vec(), 99, b"x".to_vec()),
        ] {
            assert_eq!(
                decoded(encoding.as_bytes(), body, max),
                expected,
                "{encoding}"
            );
        }
    }
}
