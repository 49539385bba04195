//! The keys, and the format of what they encrypt (`apisix/core/data_encryption.lua`, `apisix/ssl.lua`).

use std::{borrow::Cow, fmt, sync::Arc};

use aws_lc_rs::{
    cipher::{
        AES_128, AES_256, AES_CBC_IV_LEN, DecryptionContext, EncryptionContext,
        PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    error::Unspecified,
    iv::FixedLength,
};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use thiserror::Error;

/// Bytes of a block of AES. Every ciphertext is a whole number of them.
const BLOCK_BYTES: usize = 16;

/// What private keys in PEM begin with; what begins otherwise is taken for a ciphertext.
const PEM: &str = "---";

/// Base64 as nginx reads it: the bits that the last character has too many do not count.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// `apisix.data_encryption.keyring`: the first key encrypts, and each may decrypt. Without keys everything stays as it is.
#[derive(Clone, Default)]
pub struct Keyring {
    ciphers: Arc<[Cipher]>,
}

/// A text that no key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecryptError {
    /// It cannot be a ciphertext: it is not base64 of whole blocks. Most likely it was stored without encryption.
    #[error("it is not encrypted")]
    NotCiphertext,
    /// It has the form of a ciphertext, and no key of the keyring fits.
    #[error("no key of the keyring decrypts it")]
    NoKeyFits,
}

impl Keyring {
    /// Takes keys of 16 bytes (AES-128) and of 32 (AES-256). Others are left out and named in the log by their length; `config.yaml` is
    /// refused before that.
    pub fn new<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let ciphers = keys.into_iter().filter_map(|key| {
            let key = key.as_ref().as_bytes();
            let cipher = Cipher::new(key);
            if cipher.is_none() {
                let bytes = key.len();
                tracing::error!(
                    bytes,
                    "a key of data_encryption.keyring is ignored: it should have 16 bytes (AES-128) or 32 (AES-256)"
                );
            }
            cipher
        });
        Self {
            ciphers: ciphers.collect(),
        }
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.ciphers.is_empty()
    }

    /// Encrypts with the first key.
    pub fn encrypt(&self, text: &str) -> String {
        match self.ciphers.first() {
            Some(cipher) => cipher.encrypt(text),
            None => text.to_owned(),
        }
    }

    /// Decrypts with the first key that fits. A wrong key fits one text in 256 by chance, and what comes out is not UTF-8 then; the reference
    /// takes it, and here the next key is tried.
    ///
    /// # Errors
    /// See [`DecryptError`].
    pub fn decrypt(&self, text: &str) -> Result<String, DecryptError> {
        if self.is_empty() {
            return Ok(text.to_owned());
        }
        let blocks = decode(text).ok_or(DecryptError::NotCiphertext)?;
        self.ciphers
            .iter()
            .find_map(|cipher| cipher.decrypt(&blocks))
            .ok_or(DecryptError::NoKeyFits)
    }

    /// A text as it may be stored: as it is, and encrypted with each key. The same text is always encrypted to the same.
    pub fn forms(&self, text: &str) -> Vec<String> {
        let encrypted = self.ciphers.iter().map(|cipher| cipher.encrypt(text));
        std::iter::once(text.to_owned()).chain(encrypted).collect()
    }

    /// Encrypts a private key that is PEM. Whatever else stands there stays: a ciphertext, a reference to a secret.
    pub fn encrypt_private_key<'a>(&self, key: &'a str) -> Cow<'a, str> {
        if key.starts_with(PEM) {
            Cow::Owned(self.encrypt(key))
        } else {
            Cow::Borrowed(key)
        }
    }

    /// A private key as PEM, which it may be already.
    ///
    /// # Errors
    /// See [`DecryptError`].
    pub fn decrypt_private_key<'a>(&self, key: &'a str) -> Result<Cow<'a, str>, DecryptError> {
        if key.starts_with(PEM) {
            Ok(Cow::Borrowed(key))
        } else {
            self.decrypt(key).map(Cow::Owned)
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Keyring({} keys)", self.ciphers.len())
    }
}

impl PartialEq for Keyring {
    fn eq(&self, other: &Self) -> bool {
        let keys = |ring: &Self| -> Vec<Box<[u8]>> {
            let ciphers = ring.ciphers.iter();
            ciphers.map(|cipher| cipher.key.clone()).collect()
        };
        keys(self) == keys(other)
    }
}

impl Eq for Keyring {}

/// One key.
struct Cipher {
    key: Box<[u8]>,
    iv: [u8; AES_CBC_IV_LEN],
    encrypting: PaddedBlockEncryptingKey,
    decrypting: PaddedBlockDecryptingKey,
}

impl Cipher {
    /// `None` for a key of another length than 16 or 32 bytes.
    fn new(key: &[u8]) -> Option<Self> {
        let algorithm = match key.len() {
            16 => &AES_128,
            32 => &AES_256,
            _ => return None,
        };
        let unbound = || UnboundCipherKey::new(algorithm, key).ok();
        Some(Self {
            key: key.into(),
            iv: *key.first_chunk()?,
            encrypting: PaddedBlockEncryptingKey::cbc_pkcs7(unbound()?).ok()?,
            decrypting: PaddedBlockDecryptingKey::cbc_pkcs7(unbound()?).ok()?,
        })
    }

    fn encrypt(&self, text: &str) -> String {
        let mut blocks = text.as_bytes().to_vec();
        let iv = EncryptionContext::Iv128(FixedLength::from(self.iv));
        let outcome = self.encrypting.less_safe_encrypt(&mut blocks, iv);
        let _context: DecryptionContext = outcome.expect(
            "invariant: the mode and the context are both CBC's, and any text can be padded",
        );
        STANDARD.encode(blocks)
    }

    /// `None` where the padding, or the text, shows that it is another key's.
    fn decrypt(&self, blocks: &[u8]) -> Option<String> {
        let mut blocks = blocks.to_vec();
        let iv = DecryptionContext::Iv128(FixedLength::from(self.iv));
        let text: Result<&mut [u8], Unspecified> = self.decrypting.decrypt(&mut blocks, iv);
        let bytes = text.ok()?.len();
        blocks.truncate(bytes);
        String::from_utf8(blocks).ok()
    }
}

/// The blocks of a ciphertext in base64. What is behind the first `=` does not count, as in nginx.
fn decode(text: &str) -> Option<Vec<u8>> {
    let (digits, _) = text.split_once('=').unwrap_or((text, ""));
    let blocks = LENIENT.decode(digits).ok()?;
    let is_whole = !blocks.is_empty() && blocks.len().is_multiple_of(BLOCK_BYTES);
    is_whole.then_some(blocks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: &str = "qeddd145sfvddff3";
    const SECOND: &str = "edd1c9f0985e76a2";
    const LONG: &str = "qeddd145sfvddff3qeddd145sfvddff3";

    /// Made with the reference; those of `SECOND` are recorded in its `t/node/data_encrypt.t`, `t/node/data_encrypt2.t` and
    /// `t/admin/routes4.t`.
    const VECTORS: &[(&str, &str, &str)] = &[
        (FIRST, "new-key", "523EisB/dvqlIT9RzfF3ZQ=="),
        (FIRST, "", "CEGh183MAO3X8/ZV2jzHeA=="),
        (
            FIRST,
            "exactly 16 bytes",
            "F3qODiZliPL827Gu7zKX7GByDI85MvlE/tAFJu7sIec=",
        ),
        (SECOND, "new-key", "UeJuAFvpOGP7/yzKCoRCPA=="),
        (SECOND, "bar", "77+NmbYqNfN+oLm0aX5akg=="),
        (SECOND, "auth-two", "vU/ZHVJw7b0XscDJ1Fhtig=="),
        (LONG, "new-key", "W7+JURwKP2q24LKCzVv3MQ=="),
    ];

    #[test]
    fn encrypts_as_the_reference_does() {
        for (key, text, expected) in VECTORS {
            let ring = Keyring::new([key]);
            assert_eq!(ring.encrypt(text), *expected, "{key} {text}");
            assert_eq!(ring.decrypt(expected).as_deref(), Ok(*text), "{key} {text}");
        }
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let ring = Keyring::new([LONG, FIRST, SECOND]);
        for (key, text, ciphertext) in VECTORS {
            assert_eq!(ring.decrypt(ciphertext).as_deref(), Ok(*text), "{key}");
            assert_eq!(ring.encrypt(text), Keyring::new([LONG]).encrypt(text));
            assert!(ring.forms(text).contains(&(*ciphertext).to_owned()));
        }
        let forms = ring.forms("new-key");
        assert_eq!((forms.len(), forms[0].as_str()), (4, "new-key"));
    }

    #[test]
    fn what_a_wrong_key_makes_of_a_text_is_not_taken() {
        // Texts of the second key whose last byte the first key turns into a padding of one.
        let (wrong, right) = (Keyring::new([FIRST]), Keyring::new([SECOND]));
        let both = Keyring::new([FIRST, SECOND]);
        let mut is_padded = 0;
        for number in 0..2000 {
            let text = format!("secret {number}");
            let encrypted = right.encrypt(&text);
            let blocks = decode(&encrypted).expect("whole blocks");
            let iv = DecryptionContext::Iv128(FixedLength::from(wrong.ciphers[0].iv));
            let mut bytes = blocks.clone();
            let outcome = wrong.ciphers[0].decrypting.decrypt(&mut bytes, iv);
            is_padded += usize::from(outcome.is_ok());
            assert_eq!(both.decrypt(&encrypted).as_deref(), Ok(&*text));
        }
        assert!(is_padded > 0, "the wrong key fits one in 256");
    }

    #[test]
    fn says_why_a_text_cannot_be_decrypted() {
        let ring = Keyring::new([FIRST]);
        for (text, expected) in [
            ("", DecryptError::NotCiphertext),
            ("bar", DecryptError::NotCiphertext),
            ("not base64!", DecryptError::NotCiphertext),
            ("====", DecryptError::NotCiphertext),
            // 15 bytes and 17.
            ("AAAAAAAAAAAAAAAAAAAA", DecryptError::NotCiphertext),
            ("AAAAAAAAAAAAAAAAAAAAAAA", DecryptError::NotCiphertext),
            ("UeJuAFvpOGP7/yzKCoRCPA==", DecryptError::NoKeyFits),
            ("AAAAAAAAAAAAAAAAAAAAAA==", DecryptError::NoKeyFits),
        ] {
            assert_eq!(ring.decrypt(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn reads_base64_as_nginx_does() {
        let ring = Keyring::new([FIRST]);
        for text in [
            "523EisB/dvqlIT9RzfF3ZQ==",
            "523EisB/dvqlIT9RzfF3ZQ",
            "523EisB/dvqlIT9RzfF3ZQ=",
            "523EisB/dvqlIT9RzfF3ZQ==behind",
            "523EisB/dvqlIT9RzfF3ZR==",
        ] {
            assert_eq!(ring.decrypt(text).as_deref(), Ok("new-key"), "{text}");
        }
    }

    #[test]
    fn keys_of_other_lengths_are_left_out() {
        for (keys, count) in [
            (vec![], 0),
            (vec!["short", FIRST], 1),
            (vec!["", "qeddd145sfvddff3qeddd145"], 0),
            (vec![LONG, SECOND], 2),
        ] {
            let ring = Keyring::new(&keys);
            assert_eq!((ring.ciphers.len(), ring.is_empty()), (count, count == 0));
            assert_eq!(format!("{ring:?}"), format!("Keyring({count} keys)"));
        }
        assert_eq!(Keyring::new(["short", FIRST]), Keyring::new([FIRST]));
        assert_ne!(Keyring::new([SECOND]), Keyring::new([FIRST]));
    }

    #[test]
    fn without_keys_everything_stays() {
        let ring = Keyring::default();
        for text in ["", "a", "---a", "523EisB/dvqlIT9RzfF3ZQ=="] {
            assert_eq!(ring.encrypt(text), text);
            assert_eq!(ring.decrypt(text).as_deref(), Ok(text));
            assert_eq!(ring.encrypt_private_key(text), text);
            assert_eq!(ring.decrypt_private_key(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn private_keys_are_encrypted_where_they_are_pem() {
        let ring = Keyring::new([FIRST]);
        let pem = "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n";
        let encrypted = ring.encrypt_private_key(pem);
        assert_eq!(encrypted, ring.encrypt(pem));
        assert_eq!(ring.encrypt_private_key(&encrypted), encrypted);
        assert_eq!(ring.decrypt_private_key(&encrypted).as_deref(), Ok(pem));
        assert_eq!(ring.decrypt_private_key(pem).as_deref(), Ok(pem));
        assert_eq!(ring.encrypt_private_key("$env://KEY"), "$env://KEY");
        let reference = ring.decrypt_private_key("$env://KEY");
        assert_eq!(reference, Err(DecryptError::NotCiphertext));
    }

    proptest! {
        #[test]
        fn what_was_encrypted_comes_back(text in any::<String>(), long in any::<bool>()) {
            let ring = Keyring::new([if long { LONG } else { SECOND }, FIRST]);
            let encrypted = ring.encrypt(&text);
            prop_assert_eq!(ring.decrypt(&encrypted), Ok(text));
        }

        #[test]
        fn anything_can_be_tried(text in any::<String>(), blocks in prop::collection::vec(any::<u8>(), 0..100)) {
            let ring = Keyring::new([FIRST, LONG]);
            let is_ciphertext = !blocks.is_empty() && blocks.len() % BLOCK_BYTES == 0;
            let outcome = ring.decrypt(&STANDARD.encode(&blocks));
            prop_assert_eq!(outcome == Err(DecryptError::NotCiphertext), !is_ciphertext);
            let _either = ring.decrypt(&text);
        }
    }
}
