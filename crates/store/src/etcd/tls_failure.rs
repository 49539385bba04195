//! What is wrong with TLS, in words that name the option to look at.
//!
//! A handshake that fails says nothing about whether etcd is there for others; it counts as away all the same, so that another
//! member is asked, and a gateway with a local copy starts.

use std::io;

use rustls::CertificateError;

use super::failure::chain;

/// What the alerts of a peer that does not like our certificate begin with, in the words of rustls and of those who pass them on.
const ALERT: &str = "received fatal alert: ";

/// Says why a handshake failed.
pub(super) fn of_handshake(error: &io::Error) -> String {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let text = chain(error);
    let hint = match cause {
        Some(rustls::Error::InvalidCertificate(wrong)) => of_certificate(wrong),
        Some(rustls::Error::InvalidMessage(_)) => {
            "what answers does not speak TLS: is it an http endpoint?"
        }
        // Found again by the name of the alert.
        Some(rustls::Error::AlertReceived(_)) => return format!("TLS: {}", explained(text)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed in the handshake: is it an http endpoint?"
        }
        _ => return format!("TLS: {text}"),
    };
    format!("TLS: {text}: {hint}")
}

fn of_certificate(wrong: &CertificateError) -> &'static str {
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "etcd's certificate is signed by nobody who is trusted: apisix.ssl.ssl_trusted_certificate must have its authority"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "etcd's certificate has another name than deployment.etcd.host: deployment.etcd.tls.sni can say which"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "etcd's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "etcd's certificate is not valid yet: is the clock right?"
        }
        _ => "etcd's certificate will not do",
    }
}

/// Adds to a reason what an alert in it means. With TLS 1.3 a client hears only after its handshake that its certificate was
/// refused, and then HTTP/2 passes on the words and not the error.
pub(super) fn explained(reason: String) -> String {
    let Some((_, alert)) = reason.split_once(ALERT) else {
        return reason;
    };
    let hint = if alert.starts_with("CertificateRequired") {
        "etcd wants a certificate: deployment.etcd.tls.cert and key"
    } else if alert.starts_with("UnrecognisedName") {
        "etcd does not know the name that it was asked for: deployment.etcd.tls.sni"
    } else if [
        "BadCertificate",
        "UnknownCA",
        "DecryptError",
        "AccessDenied",
    ]
    .iter()
    .any(|name| alert.starts_with(name))
        || alert.starts_with("Certificate")
    {
        "etcd refuses the certificate of deployment.etcd.tls.cert, or wants one"
    } else {
        return reason;
    };
    format!("{reason}: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_handshake() {
        let check = |error: rustls::Error, expected: &str| {
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            let text = of_handshake(&error);
            assert!(text.starts_with("TLS: "), "{text}");
            assert!(text.ends_with(expected), "{text}");
        };
        let certificate = rustls::Error::InvalidCertificate;
        check(
            certificate(CertificateError::UnknownIssuer),
            "invalid peer certificate: UnknownIssuer: etcd's certificate is signed by nobody who is trusted: \
             apisix.ssl.ssl_trusted_certificate must have its authority",
        );
        check(
            certificate(CertificateError::NotValidForName),
            ": etcd's certificate has another name than deployment.etcd.host: deployment.etcd.tls.sni can say which",
        );
        check(
            certificate(CertificateError::Expired),
            ": etcd's certificate has expired",
        );
        check(
            certificate(CertificateError::NotValidYet),
            ": etcd's certificate is not valid yet: is the clock right?",
        );
        check(
            certificate(CertificateError::Revoked),
            ": etcd's certificate will not do",
        );
        check(
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
            ": what answers does not speak TLS: is it an http endpoint?",
        );
        check(
            rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired),
            "CertificateRequired: etcd wants a certificate: deployment.etcd.tls.cert and key",
        );
        let eof = io::Error::new(io::ErrorKind::UnexpectedEof, "eof");
        assert!(of_handshake(&eof).ends_with("is it an http endpoint?"));
        let reset = io::Error::new(io::ErrorKind::ConnectionReset, "reset");
        assert_eq!(of_handshake(&reset), "TLS: reset");
    }

    #[test]
    fn says_what_an_alert_after_the_handshake_means() {
        let explain = |alert: &str| explained(format!("connection error: {ALERT}{alert}"));
        let refuses = "etcd refuses the certificate of deployment.etcd.tls.cert, or wants one";
        for alert in [
            "BadCertificate",
            "UnknownCA",
            "CertificateExpired",
            "CertificateUnknown",
        ] {
            assert_eq!(
                explain(alert),
                format!("connection error: {ALERT}{alert}: {refuses}")
            );
        }
        for other in ["InternalError", "ProtocolVersion"] {
            assert_eq!(explain(other), format!("connection error: {ALERT}{other}"));
        }
        assert_eq!(explained("broken pipe".to_owned()), "broken pipe");
    }
}
