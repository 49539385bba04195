//! What the gateway says of itself.

use crate::cli::Name;

/// The version of APISIX whose behaviour is matched; clients see it in the `Server` field.
pub(crate) const REFERENCE: &str = "3.18.0";

/// The answer of `version`. Called as the reference, the program answers with its version alone, as scripts expect.
pub(crate) fn text(name: Name) -> String {
    match name {
        Name::Apisix => format!("{REFERENCE}\n"),
        Name::Lockgate => format!(
            "lockgate {} (compatible with APISIX {REFERENCE})\n",
            env!("CARGO_PKG_VERSION")
        ),
    }
}

/// The `Server` field; without the version where `apisix.enable_server_tokens` is off.
pub(crate) fn server(has_version: bool) -> String {
    if has_version {
        format!("APISIX/{REFERENCE}")
    } else {
        "APISIX".to_owned()
    }
}
