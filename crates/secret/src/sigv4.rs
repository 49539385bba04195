//! AWS request signing, version 4 (AWS "Signature Version 4 for API requests"). Paths and queries are taken as they are: the
//! services asked here have none that would have to be put in canonical form.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;

/// Name of the scheme.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    /// Of temporary credentials.
    pub(crate) session_token: Option<String>,
}

/// What a signature is bound to besides the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) time: Timestamp,
}

/// A value that cannot stand in a header.
#[derive(Debug)]
pub(crate) struct NoHeader;

/// Signs a request: adds `X-Amz-Date`, `X-Amz-Security-Token` where there is one, and `Authorization`. All headers are signed
/// that are there, and `Host` must be among them.
pub(crate) fn sign(
    request: &mut http::Request<bytes::Bytes>,
    credentials: &Credentials,
    scope: Scope<'_>,
) -> Result<(), NoHeader> {
    let time = scope.time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = scope.time.strftime("%Y%m%d").to_string();
    let (region, service) = (scope.region, scope.service);
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let headers = request.headers_mut();
    headers.insert("x-amz-date", value(&time)?);
    if let Some(token) = &credentials.session_token {
        headers.insert("x-amz-security-token", secret(token)?);
    }
    let (names, lines) = canonical(headers);
    let text = format!(
        "{method}\n{path}\n{query}\n{lines}\n{names}\n{body}",
        method = request.method(),
        path = request.uri().path(),
        query = request.uri().query().unwrap_or_default(),
        body = hex(digest::digest(&digest::SHA256, request.body()).as_ref()),
    );
    let hashed = hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hashed}");
    let first = format!("AWS4{}", credentials.secret_access_key);
    let key = [&date, region, service, "aws4_request"]
        .iter()
        .fold(first.into_bytes(), |key, part| {
            hmac(&key, part.as_bytes()).as_ref().to_vec()
        });
    let signature = hex(hmac(&key, to_sign.as_bytes()).as_ref());
    let id = &credentials.access_key_id;
    let authorization = format!(
        "{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, secret(&authorization)?);
    Ok(())
}

/// Names of headers and their lines, sorted.
fn canonical(headers: &HeaderMap) -> (String, String) {
    let mut sorted: Vec<(&HeaderName, &HeaderValue)> = headers.iter().collect();
    sorted.sort_by_key(|(name, _)| name.as_str());
    let names: Vec<&str> = sorted.iter().map(|(name, _)| name.as_str()).collect();
    let mut lines = String::new();
    for (name, value) in sorted {
        let value = String::from_utf8_lossy(value.as_bytes());
        let _infallible = writeln!(lines, "{name}:{value}");
    }
    (names.join(";"), lines)
}

fn value(text: &str) -> Result<HeaderValue, NoHeader> {
    HeaderValue::from_str(text).map_err(|_invalid| NoHeader)
}

fn secret(text: &str) -> Result<HeaderValue, NoHeader> {
    lockgate_client::secret(text).ok_or(NoHeader)
}

fn hmac(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Method, Request};

    use super::*;

    /// Signs as AWS's published vectors do.
    fn check(
        method: Method,
        uri: &str,
        headers: &[(&'static str, &str)],
        body: &'static str,
        token: Option<&str>,
        expected: (&str, &str),
    ) {
        let mut request = Request::new(Bytes::from_static(body.as_bytes()));
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().expect("a uri");
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a value"));
        }
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(str::to_owned),
        };
        let service = if uri.contains("ListUsers") {
            "iam"
        } else {
            "service"
        };
        let scope = Scope {
            region: "us-east-1",
            service,
            time: "2015-08-30T12:36:00Z".parse().expect("a time"),
        };
        sign(&mut request, &credentials, scope).expect("signed");
        let (names, signature) = expected;
        assert_eq!(
            request.headers()[header::AUTHORIZATION],
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request, SignedHeaders={names}, Signature={signature}"
            )
        );
        assert!(request.headers()[header::AUTHORIZATION].is_sensitive());
    }

    /// Vectors of the test suite that AWS publishes with its signing libraries (`get-vanilla` and so on), and the example of the
    /// documentation of IAM (`ListUsers`).
    #[test]
    fn signs_as_the_published_vectors_do() {
        let host = ("host", "example.amazonaws.com");
        let plain = "host;x-amz-date";
        check(
            Method::GET,
            "/",
            &[host],
            "",
            None,
            (
                plain,
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
        );
        check(
            Method::POST,
            "/",
            &[host],
            "",
            None,
            (
                plain,
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        );
        check(
            Method::GET,
            "/?Param1=value1&Param2=value2",
            &[host],
            "",
            None,
            (
                plain,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        );
        check(
            Method::POST,
            "/",
            &[
                ("content-type", "application/x-www-form-urlencoded"),
                host,
                ("content-length", "13"),
                (
                    "x-amz-content-sha256",
                    "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
                ),
            ],
            "Param1=value1",
            None,
            (
                "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
                "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            ),
        );
        check(
            Method::POST,
            "/",
            &[host],
            "",
            Some(concat!(
                "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7",
                "mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+",
                "xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==",
            )),
            (
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        );
        check(
            Method::GET,
            "/?Action=ListUsers&Version=2010-05-08",
            &[
                (
                    "content-type",
                    "application/x-www-form-urlencoded; charset=utf-8",
                ),
                ("host", "iam.amazonaws.com"),
            ],
            "",
            None,
            (
                "content-type;host;x-amz-date",
                "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        );
    }
}
