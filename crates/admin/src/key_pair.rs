//! Whether a certificate and a private key can be read (`validate` in `apisix/ssl.lua`). That they belong together is not checked, as in the
//! reference.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_keyring::Keyring;

/// Labels that OpenSSL takes for a certificate.
const CERTIFICATE: &[&str] = &["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
/// Labels that OpenSSL takes for a private key that needs no password.
const KEY: &[&str] = &[
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
];

/// Checks a certificate and, where there is one, its key, which is PEM or encrypted with a key of the keyring.
///
/// # Errors
/// One of them cannot be read.
pub(crate) fn check(keyring: &Keyring, certificate: &str, key: Option<&str>) -> Result<(), String> {
    if !has_block(certificate, CERTIFICATE) {
        return Err("failed to parse cert: PEM_read_bio_X509_AUX() failed".into());
    }
    let Some(key) = key else { return Ok(()) };
    let Ok(key) = keyring.decrypt_private_key(key) else {
        return Err("failed to decrypt previous encrypted key".into());
    };
    if !has_block(&key, KEY) {
        return Err("failed to parse key: PEM_read_bio_PrivateKey() failed".into());
    }
    Ok(())
}

/// Whether the first PEM block of one of the labels begins with a whole DER sequence.
fn has_block(text: &str, labels: &[&str]) -> bool {
    let block = labels
        .iter()
        .filter_map(|label| {
            let begin = format!("-----BEGIN {label}-----");
            let (place, rest) = (text.find(&begin)?, text.split_once(&begin)?.1);
            let (inner, _) = rest.split_once(&format!("-----END {label}-----"))?;
            Some((place, inner))
        })
        .min_by_key(|(place, _)| *place);
    let Some((_, inner)) = block else {
        return false;
    };
    let base64: String = inner.lines().map(str::trim).collect();
    STANDARD.decode(base64).is_ok_and(|der| is_sequence(&der))
}

/// Whether bytes begin with a DER sequence that is all there. A trusted certificate has more behind it.
fn is_sequence(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else {
        return false;
    };
    let (length, content) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let Some((bytes, content)) = rest.split_at_checked(usize::from(long - 0x80)) else {
                return false;
            };
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, content)
        }
        _ => return false,
    };
    length <= content.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, inner: &str) -> String {
        format!("-----BEGIN {label}-----\n{inner}\n-----END {label}-----\n")
    }

    #[test]
    fn reads_blocks_of_der() {
        for (text, is_certificate) in [
            (block("CERTIFICATE", "MAMCAQE="), true),
            (block("CERTIFICATE", "MAMC\n  AQE="), true),
            (block("X509 CERTIFICATE", "MAMCAQE="), true),
            // Something behind the sequence, as in a trusted certificate.
            (block("TRUSTED CERTIFICATE", "MAMCAQEA"), true),
            (
                format!("text before\n{}", block("CERTIFICATE", "MAMCAQE=")),
                true,
            ),
            (
                block("PRIVATE KEY", "MAMCAQE=") + &block("CERTIFICATE", "MAMCAQE="),
                true,
            ),
            // The first block counts.
            (
                block("CERTIFICATE", "????") + &block("CERTIFICATE", "MAMCAQE="),
                false,
            ),
            (block("CERTIFICATE", ""), false),
            (block("CERTIFICATE", "MAQCAQE="), false),
            (block("CERTIFICATE", "MIQAAAAB"), false),
            (block("CERTIFICATE", "AgEB"), false),
            (block("CERTIFICATE REQUEST", "MAMCAQE="), false),
            ("-----BEGIN CERTIFICATE-----\nMAMCAQE=".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(has_block(&text, CERTIFICATE), is_certificate, "{text}");
        }
    }

    #[test]
    fn takes_keys_as_pem_or_as_ciphertext() {
        let certificate = block("CERTIFICATE", "MAMCAQE=");
        let keyring = Keyring::new(["qeddd145sfvddff3"]);
        let key = block("EC PRIVATE KEY", "MAMCAQE=");
        for (key, refusal) in [
            (None, None),
            (Some(keyring.encrypt(&key)), None),
            (Some(key), None),
            (
                Some(keyring.encrypt("no key")),
                Some("failed to parse key: PEM_read_bio_PrivateKey() failed"),
            ),
            (
                Some("c2VjcmV0".to_owned()),
                Some("failed to decrypt previous encrypted key"),
            ),
            (
                Some(block("ENCRYPTED PRIVATE KEY", "MAMCAQE=")),
                Some("failed to parse key: PEM_read_bio_PrivateKey() failed"),
            ),
            (
                Some("no base64".to_owned()),
                Some("failed to decrypt previous encrypted key"),
            ),
        ] {
            let outcome = check(&keyring, &certificate, key.as_deref());
            assert_eq!(outcome.err().as_deref(), refusal, "{key:?}");
        }
    }
}
