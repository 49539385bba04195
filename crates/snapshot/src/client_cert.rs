//! The certificate that an upstream shows: written into it, or an `ssl` object of type client; either may refer to secrets.

use std::borrow::Cow;

use lockgate_model::resource::Upstream;
use lockgate_secret::{Secrets, is_reference};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Problem, needs::Needs};

/// Of an object under `/ssls`, what upstreams need.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ssl {
    #[serde(rename = "type")]
    kind: Option<String>,
    cert: String,
    key: String,
}

/// The upstream with its certificate as text; notes what it needs for that.
///
/// # Errors
/// There is no such certificate, or not yet.
pub(crate) fn in_place<'a, 'ssl>(
    stored: &'a Upstream,
    secrets: &Secrets,
    ssl: impl FnOnce(&str) -> Option<&'ssl Ssl>,
    needs: &mut Needs,
) -> Result<Cow<'a, Upstream>, Problem> {
    let unchanged = Ok(Cow::Borrowed(stored));
    let Some(tls) = stored.tls.as_ref().filter(|_| stored.scheme.is_tls()) else {
        return unchanged;
    };
    let (cert, key) = match (&tls.client_cert_id, &tls.client_cert, &tls.client_key) {
        (Some(id), ..) => {
            needs.object(format!("ssls/{id}").into());
            let wrong =
                |problem: String| Problem::Malformed(format!("failed to get ssl cert: {problem}"));
            // Both sentences are the reference's.
            match ssl(id) {
                None => return Err(wrong(format!("ssl id [{id}] not exits"))),
                Some(ssl) if ssl.kind.as_deref() != Some("client") => {
                    return Err(wrong("ssl type should be 'client'".into()));
                }
                Some(ssl) => (&ssl.cert, &ssl.key),
            }
        }
        (None, Some(cert), Some(key)) if is_reference(cert) || is_reference(key) => (cert, key),
        _ => return unchanged,
    };
    let resolved = secrets.resolve(&json!({"cert": cert, "key": key}));
    needs.secrets(resolved.uses);
    if let Some(reference) = resolved.pending.first() {
        return Err(Problem::Waiting(reference.to_string()));
    }
    if let Some(missing) = resolved.unresolved.first() {
        let (reference, why) = (&missing.reference, &missing.why);
        return Err(Problem::Malformed(format!(
            "{reference} has no value: {why}"
        )));
    }
    let text = |name: &str| {
        resolved
            .value
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let mut tls = tls.clone();
    tls.client_cert_id = None;
    tls.client_cert = text("cert");
    tls.client_key = text("key");
    if tls.client_cert.is_none() || tls.client_key.is_none() {
        return Err(Problem::Malformed(
            "a secret of the client certificate is no text".into(),
        ));
    }
    Ok(Cow::Owned(Upstream {
        tls: Some(tls),
        ..stored.clone()
    }))
}
