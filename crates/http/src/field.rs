//! Names of the header fields that the engine itself acts upon.

/// A field name the engine knows; found by length first, so that most names cost one comparison of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    /// Any other name.
    Other,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Content-Type`
    ContentType,
    /// `Date`
    Date,
    /// `Expect`
    Expect,
    /// `Forwarded`
    Forwarded,
    /// `Host`
    Host,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Server`
    Server,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Upgrade`
    Upgrade,
    /// `X-Accel-*` and `X-Pad`, which nginx keeps to itself
    XAccel,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `X-Forwarded-Host`
    XForwardedHost,
    /// `X-Forwarded-Port`
    XForwardedPort,
    /// `X-Forwarded-Proto`
    XForwardedProto,
    /// `X-Real-IP`
    XRealIp,
}

impl Known {
    /// The known name that `name` spells, in any case.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let candidates: &[(&[u8], Self)] = match name.len() {
            2 => &[(b"te", Self::Te)],
            4 => &[(b"host", Self::Host), (b"date", Self::Date)],
            5 => &[(b"x-pad", Self::XAccel)],
            6 => &[(b"server", Self::Server), (b"expect", Self::Expect)],
            7 => &[(b"upgrade", Self::Upgrade), (b"trailer", Self::Trailer)],
            9 => &[
                (b"x-real-ip", Self::XRealIp),
                (b"forwarded", Self::Forwarded),
            ],
            10 => &[
                (b"connection", Self::Connection),
                (b"keep-alive", Self::KeepAlive),
            ],
            12 => &[(b"content-type", Self::ContentType)],
            14 => &[(b"content-length", Self::ContentLength)],
            15 => &[
                (b"x-forwarded-for", Self::XForwardedFor),
                (b"x-accel-expires", Self::XAccel),
            ],
            16 => &[
                (b"proxy-connection", Self::ProxyConnection),
                (b"x-forwarded-host", Self::XForwardedHost),
                (b"x-forwarded-port", Self::XForwardedPort),
                (b"x-accel-redirect", Self::XAccel),
                (b"x-accel-charset", Self::Other),
            ],
            17 => &[
                (b"transfer-encoding", Self::TransferEncoding),
                (b"x-forwarded-proto", Self::XForwardedProto),
                (b"x-accel-buffering", Self::XAccel),
            ],
            18 => &[(b"x-accel-limit-rate", Self::XAccel)],
            _ => return Self::Other,
        };
        candidates
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |(_, field)| *field)
    }
}

/// Whether `list`, a comma-separated field value, has the element `token` in any case.
pub fn has_token(list: &[u8], token: &[u8]) -> bool {
    tokens(list).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a comma-separated field value, without the white space around them; empty ones are left out.
pub fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_names_in_any_case() {
        for (name, known) in [
            ("Host", Known::Host),
            ("CONTENT-length", Known::ContentLength),
            ("x-Forwarded-PORT", Known::XForwardedPort),
            ("X-Accel-Buffering", Known::XAccel),
            ("Hosts", Known::Other),
            ("", Known::Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }

    #[test]
    fn finds_tokens() {
        assert!(has_token(b"keep-alive, Upgrade", b"upgrade"));
        assert!(!has_token(b"upgraded,  ,x", b"upgrade"));
    }
}
