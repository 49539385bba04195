//! `/ui`: the files of a dashboard, as nginx serves them in the reference (`apisix/cli/ngx_tpl.lua`).
//!
//! A path without a file gets `index.html`, for the dashboard has paths of its own. Ranges and compression are left to
//! whoever stands in front.

use std::{
    path::{Path as FilePath, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::fs;

use crate::{limits::UI_FILE_BYTES, request::Call, response::Answer};

/// How long browsers keep the files (`expires 7200s` in the reference).
const KEPT: Duration = Duration::from_hours(2);

/// Is told of files that cannot be read. Clients cause it, so it is to keep from filling the log.
pub(crate) type Unreadable<'a> = &'a (dyn Fn(&FilePath, &std::io::Error) + Sync);

/// Answers for paths below `/ui`; `None` for all others.
pub(crate) async fn answer(
    root: &FilePath,
    call: &Call,
    unreadable: Unreadable<'_>,
) -> Option<Answer> {
    let segments = call.path.segments();
    match segments.as_slice() {
        ["ui"] if !call.path.ends_with_slash() => Some(
            Answer::page(StatusCode::MOVED_PERMANENTLY)
                .with(header::LOCATION, HeaderValue::from_static("/ui/")),
        ),
        ["ui", inside @ ..] => Some(file(root, inside, call, unreadable).await),
        _ => None,
    }
}

async fn file(root: &FilePath, inside: &[&str], call: &Call, unreadable: Unreadable<'_>) -> Answer {
    if call.method != Method::GET && call.method != Method::HEAD {
        return Answer::page(StatusCode::METHOD_NOT_ALLOWED);
    }
    // Invariant: no segment is empty, a dot or two, or holds a slash, so that the path stays below the root.
    let mut path: PathBuf = root.to_owned();
    path.extend(inside);
    let found = if call.path.ends_with_slash() {
        None
    } else {
        read(&path, unreadable).await
    };
    let found = match found {
        Some(found) => Some(found),
        None => read(&root.join("index.html"), unreadable).await,
    };
    match found {
        Some(found) => found.answer(call),
        None => Answer::page(StatusCode::NOT_FOUND),
    }
}

/// A file that was read.
struct Found {
    bytes: Bytes,
    kind: &'static str,
    modified: SystemTime,
}

async fn read(path: &FilePath, unreadable: Unreadable<'_>) -> Option<Found> {
    let about = fs::metadata(path).await.ok()?;
    if !about.is_file() || about.len() > UI_FILE_BYTES {
        return None;
    }
    let bytes = fs::read(path).await;
    let bytes = bytes.map_err(|error| unreadable(path, &error)).ok()?;
    Some(Found {
        bytes: bytes.into(),
        kind: kind_of(path),
        modified: about.modified().unwrap_or(UNIX_EPOCH),
    })
}

impl Found {
    fn answer(self, call: &Call) -> Answer {
        let seconds = self.modified.duration_since(UNIX_EPOCH);
        let seconds = seconds.map_or(0, |since| since.as_secs());
        // nginx's form of the tag.
        let tag = format!("\"{seconds:x}-{:x}\"", self.bytes.len());
        let modified = httpdate::fmt_http_date(self.modified);
        let is_known = match call.header("if-none-match") {
            Some(tags) => tags.split(',').any(|known| {
                let known = known.trim();
                known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
            }),
            None => call.header("if-modified-since").as_deref() == Some(&*modified),
        };
        let expires = httpdate::fmt_http_date(SystemTime::now() + KEPT);
        let answer = if is_known {
            Answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            Answer::bytes(StatusCode::OK, self.bytes, self.kind)
        };
        let fields = [
            (header::LAST_MODIFIED, modified),
            (header::ETAG, tag),
            (header::EXPIRES, expires),
        ];
        let answer = answer.with(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private,max-age=7200"),
        );
        fields.into_iter().fold(answer, |answer, (name, text)| {
            match HeaderValue::from_str(&text) {
                Ok(value) => answer.with(name, value),
                Err(_) => answer,
            }
        })
    }
}

/// The type of a file by its name, with the charset where nginx adds one (`mime.types`, `charset_types`).
fn kind_of(path: &FilePath) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css",
        "js" | "mjs" => "application/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" | "svgz" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "wasm" => "application/wasm",
        "xml" => "text/xml; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        _ => "text/plain; charset=utf-8",
    }
}
