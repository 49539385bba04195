//! What the limiting plugins have to say about a request: the variable `rate_limiting_info`.

use std::{cell::OnceCell, io::Write as _};

/// What the last limiting plugin that counted a request found (`set_var_rate_limiting_info` in `apisix/core/utils.lua`).
///
/// The text of the variable is made when somebody asks for it, which is rare; to note these few numbers is not.
#[derive(Debug, Default)]
pub struct RateLimiting {
    /// What was counted under, in the words of the reference: `/apisix/routes/1:3405691582:127.0.0.1`.
    pub key: Vec<u8>,
    /// What is allowed.
    pub limit: u64,
    /// What is left of it.
    pub remaining: i64,
    /// Seconds until there is more again, whole ones.
    pub reset_s: u64,
    is_said: bool,
    text: OnceCell<Vec<u8>>,
}

impl RateLimiting {
    /// Says what was found under a key, and leaves other memory in its place.
    #[inline]
    pub fn say(&mut self, key: &mut Vec<u8>, limit: u64, remaining: i64, reset_s: u64) {
        std::mem::swap(&mut self.key, key);
        self.limit = limit;
        self.remaining = remaining;
        self.reset_s = reset_s;
        self.is_said = true;
        self.text.take();
    }

    /// The value of the variable; `None` where no plugin counted.
    pub fn text(&self) -> Option<&[u8]> {
        self.is_said.then(|| {
            self.text
                .get_or_init(|| {
                    let mut text = b"{\"rate_limiting_key\":\"".to_vec();
                    text.extend_from_slice(&self.key);
                    let (limit, remaining, reset) = (self.limit, self.remaining, self.reset_s);
                    // Writing into memory does not fail.
                    let _written = write!(
                        text,
                        "\",\"rate_limiting_limit\":{limit},\"rate_limiting_remaining\":{remaining},\
                         \"rate_limiting_reset\":{reset}}}"
                    );
                    text
                })
                .as_slice()
        })
    }

    pub(crate) fn clear(&mut self) {
        self.is_said = false;
        self.text.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_said_last_and_nothing_of_the_request_before() {
        let mut said = RateLimiting::default();
        assert_eq!(said.text(), None);
        for (key, limit, remaining, reset_s, expected) in [
            (
                "/apisix/routes/1:7:a",
                2,
                1,
                10,
                r#"{"rate_limiting_key":"/apisix/routes/1:7:a","rate_limiting_limit":2,"rate_limiting_remaining":1,"rate_limiting_reset":10}"#,
            ),
            (
                "g:b",
                5,
                -1,
                0,
                r#"{"rate_limiting_key":"g:b","rate_limiting_limit":5,"rate_limiting_remaining":-1,"rate_limiting_reset":0}"#,
            ),
        ] {
            said.say(&mut key.as_bytes().to_vec(), limit, remaining, reset_s);
            assert_eq!(said.text(), Some(expected.as_bytes()));
        }
        said.clear();
        assert_eq!(said.text(), None);
    }
}
