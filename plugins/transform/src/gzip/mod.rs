//! `gzip`: compresses responses for clients that take it.
//!
//! `header_filter` looks at what the configuration asks for; when all plugins have had their say, the rules of nginx's gzip module decide
//! (`ngx_http_gzip_filter_module`, `ngx_http_gzip_ok`), and the body is compressed as it comes, after all other plugins have seen it.
//! Differences from the reference are in `README.md`.

mod accept;

use std::{io::Write as _, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use lockgate_http::head::Version;
use lockgate_plugin::{
    About, BodyFilter, Compile, ConfigError, Exchange, FieldName, Filtered, HeaderFilter, Hooks,
    Plugin,
};
use serde::Deserialize;
use serde_json::Value;

/// The configuration as users write it. `buffers` is taken and changes nothing: pieces are passed on as they come.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Content types to compress, or `*`.
    pub types: Value,
    /// Bytes below which a body of known length stays as it is.
    pub min_length: u64,
    /// How hard to try, from 1 to 9.
    pub comp_level: u32,
    /// The least version of the request.
    pub http_version: f64,
    /// Whether responses say that they depend on `Accept-Encoding`.
    pub vary: Option<bool>,
}

/// `gzip`, compiled.
#[derive(Debug)]
pub struct Gzip {
    /// All where there are none.
    types: Option<Box<[Box<[u8]>]>>,
    min_length: u64,
    level: Compression,
    is_for_1_0: bool,
    varies: bool,
}

const VARY: FieldName = FieldName::from_static("Vary");
const ETAG: FieldName = FieldName::from_static("ETag");
const CONTENT_LENGTH: FieldName = FieldName::from_static("Content-Length");
const ACCEPT_RANGES: FieldName = FieldName::from_static("Accept-Ranges");
const CONTENT_ENCODING: FieldName = FieldName::from_static("Content-Encoding");

impl Plugin for Gzip {
    const ABOUT: About = About::new("gzip", 995, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let types = config.types.as_array().map(|types| {
            let types = types.iter().filter_map(Value::as_str);
            types.map(|text| text.as_bytes().into()).collect()
        });
        Ok(Self {
            types,
            min_length: config.min_length,
            level: Compression::new(config.comp_level),
            is_for_1_0: config.http_version < 1.1,
            varies: config.vary == Some(true),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.header_filter(self);
    }
}

impl HeaderFilter for Gzip {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        if !self.is_meant(ex) {
            return;
        }
        ex.filter_body(Encoder {
            level: self.level,
            gzip: None,
        });
        if self.varies {
            ex.add_response_header(&VARY, b"Accept-Encoding");
        }
    }
}

impl Gzip {
    /// Whether the configuration asks for it.
    fn is_meant(&self, ex: &Exchange<'_>) -> bool {
        let headers = &ex.response().headers;
        let Some(content_type) = headers.get(b"content-type") else {
            return false;
        };
        if let Some(types) = &self.types {
            let mut parts = content_type.split(|byte| *byte == b';');
            let content_type = parts.next().unwrap_or_default();
            if !types.iter().any(|one| **one == *content_type) {
                return false;
            }
        }
        let length = headers.get(b"content-length");
        let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        length.is_none_or(|length: u64| length >= self.min_length)
            && (self.is_for_1_0 || ex.request().version() != Version::Http10)
    }
}

/// Compresses a body.
struct Encoder {
    level: Compression,
    /// There once it is sure that the body is compressed.
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl BodyFilter for Encoder {
    fn begin(&mut self, ex: &mut Exchange<'_>) -> bool {
        if !may_encode(ex) {
            return false;
        }
        let etag = ex.response().headers.get(b"etag").map(weak);
        if let Some(etag) = etag {
            ex.set_response_header(&ETAG, etag.as_deref());
        }
        ex.set_response_header(&CONTENT_LENGTH, None);
        ex.set_response_header(&ACCEPT_RANGES, None);
        ex.set_response_header(&CONTENT_ENCODING, Some(b"gzip"));
        self.gzip = Some(GzEncoder::new(Vec::new(), self.level));
        true
    }

    fn runs_last(&self) -> bool {
        true
    }

    fn filter(
        &mut self,
        _: &mut Exchange<'_>,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Filtered {
        let Some(gzip) = &mut self.gzip else {
            out.extend_from_slice(piece);
            return Filtered::More;
        };
        // Writing into memory cannot fail.
        let written = gzip.write_all(piece);
        let ended = if is_last { gzip.try_finish() } else { Ok(()) };
        if let Err(error) = written.and(ended) {
            tracing::error!(%error, "a body was not compressed");
            return Filtered::Abort;
        }
        out.append(gzip.get_mut());
        Filtered::More
    }
}

/// Whether the response can be compressed for this client.
fn may_encode(ex: &Exchange<'_>) -> bool {
    let request = ex.request();
    let encoding = ex.response().headers.get(b"content-encoding");
    matches!(ex.status(), 200 | 403 | 404)
        && request.method_name() != b"HEAD"
        && encoding.is_none_or(<[u8]>::is_empty)
        // `gzip_proxied off`: a proxy in front may not know whom it answers.
        && ex.header("via").is_none()
        && ex.header("accept-encoding").is_some_and(accept::takes_gzip)
}

/// The tag of a body that says the same in other bytes (`ngx_http_weak_etag`); nothing where the tag is none.
fn weak(etag: &[u8]) -> Option<Vec<u8>> {
    if etag.starts_with(b"W/") {
        Some(etag.to_vec())
    } else {
        etag.starts_with(b"\"").then(|| [b"W/", etag].concat())
    }
}

#[cfg(test)]
mod tests;
