//! From when and until when a token holds.

use serde::Deserialize;

use super::token::Token;

/// A claim that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Claim {
    /// When the token ends.
    Exp,
    /// When it begins.
    Nbf,
}

impl Claim {
    fn name(self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Nbf => "nbf",
        }
    }
}

/// What is asked of the claims of tokens.
#[derive(Debug)]
pub(super) struct Claims {
    checked: Box<[Claim]>,
    /// Whether a token without one of them is refused.
    are_required: bool,
}

impl Claims {
    /// These have to be there and to hold. Where none is named, both have to hold where they are there.
    pub(super) fn new(named: Option<Vec<Claim>>) -> Self {
        match named {
            Some(named) if !named.is_empty() => Self {
                checked: named.into(),
                are_required: true,
            },
            _ => Self {
                checked: [Claim::Nbf, Claim::Exp].into(),
                are_required: false,
            },
        }
    }

    /// Checks them at a time, with seconds of grace on both sides. An error says what does not hold.
    pub(super) fn check(
        &self,
        token: &Token<'_>,
        now: f64,
        grace: f64,
    ) -> Result<(), &'static str> {
        for claim in &self.checked {
            let at = match token.claim(claim.name()) {
                None if self.are_required => return Err("a claim is missing"),
                None => continue,
                Some(value) => value.as_f64().ok_or("a claim is not a number")?,
            };
            match claim {
                Claim::Exp if at <= now - grace => return Err("'exp' claim expired"),
                Claim::Nbf if at >= now + grace => return Err("'nbf' claim not valid yet"),
                Claim::Exp | Claim::Nbf => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    const NOW: f64 = 1000.0;

    fn check(named: Option<&[Claim]>, claims: &Value, grace: f64, expected: Result<(), &str>) {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        let text = format!("e30.{payload}.YQ");
        let token = Token::parse(text.as_bytes()).expect("a token");
        let asked = Claims::new(named.map(<[Claim]>::to_vec));
        let came = asked.check(&token, NOW, grace);
        assert_eq!(came, expected, "{named:?} {claims} {grace}");
    }

    #[test]
    fn both_are_checked_where_they_are_there() {
        for named in [None, Some(&[][..])] {
            for (claims, expected) in [
                (json!({}), Ok(())),
                (json!({"exp": 1001, "nbf": 999}), Ok(())),
                (json!({"exp": 1000.5}), Ok(())),
                (json!({"exp": 1000}), Err("'exp' claim expired")),
                (json!({"nbf": 1000}), Err("'nbf' claim not valid yet")),
                (
                    json!({"exp": 1, "nbf": 2000}),
                    Err("'nbf' claim not valid yet"),
                ),
                (json!({"exp": "2000"}), Err("a claim is not a number")),
                (json!({"nbf": null}), Err("a claim is not a number")),
                (json!([]), Ok(())),
            ] {
                check(named, &claims, 0.0, expected);
            }
        }
    }

    #[test]
    fn those_that_are_named_have_to_be_there() {
        for (named, claims, expected) in [
            (
                &[Claim::Nbf][..],
                json!({"exp": 1}),
                Err("a claim is missing"),
            ),
            (&[Claim::Nbf], json!({"exp": 1, "nbf": 1}), Ok(())),
            (&[Claim::Exp], json!({"exp": 1001, "nbf": 2000}), Ok(())),
            (
                &[Claim::Exp, Claim::Nbf],
                json!({"exp": 1001}),
                Err("a claim is missing"),
            ),
            (
                &[Claim::Exp, Claim::Nbf],
                json!({"exp": 1, "nbf": 2000}),
                Err("'exp' claim expired"),
            ),
            (
                &[Claim::Exp],
                json!({"exp": true}),
                Err("a claim is not a number"),
            ),
        ] {
            check(Some(named), &claims, 0.0, expected);
        }
    }

    #[test]
    fn grace_is_given_on_both_sides() {
        for (claims, grace, expected) in [
            (json!({"exp": 999}), 1.0, Err("'exp' claim expired")),
            (json!({"exp": 999}), 2.0, Ok(())),
            (json!({"nbf": 1001}), 1.0, Err("'nbf' claim not valid yet")),
            (json!({"nbf": 1001}), 2.0, Ok(())),
        ] {
            check(None, &claims, grace, expected);
        }
    }
}
