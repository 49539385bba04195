//! What is asked: the arguments of the query, read strictly, because a question that is misunderstood is answered wrongly.

use lockgate_proxy::Question;

use crate::limits;

/// What may be asked.
const ARGUMENTS: &str =
    "method, uri, host, header (as often as needed), remote_addr, port, consumer, limit";

/// A question, read.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request.
    pub(crate) request: Question,
    /// Name of the consumer who would be found out to have sent it.
    pub(crate) consumer: Option<String>,
    /// How many near misses are shown.
    pub(crate) limit: usize,
}

impl Asked {
    /// Reads arguments.
    ///
    /// # Errors
    /// One of them is unknown, missing, twice there or malformed; the sentence says what to write.
    pub(crate) fn read(arguments: &[(&str, &str)]) -> Result<Self, String> {
        let mut asked = Self {
            request: Question::default(),
            consumer: None,
            limit: limits::MISSES,
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, text) in arguments {
            if *name != "header" && seen.contains(name) {
                return Err(format!("{name}: give it once"));
            }
            seen.push(name);
            asked.take(name, text)?;
        }
        if asked.request.target.is_empty() {
            return Err("uri: say which path the request has, such as uri=/api/users?id=1, percent-encoded where it has a query".to_owned());
        }
        if asked.request.method.is_empty() {
            "GET".clone_into(&mut asked.request.method);
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, text: &str) -> Result<(), String> {
        let request = &mut self.request;
        match name {
            "method" => text.clone_into(&mut request.method),
            "uri" => text.clone_into(&mut request.target),
            "host" => request.host = Some(text.to_owned()),
            "consumer" => self.consumer = Some(text.to_owned()),
            "header" => {
                let (name, value) = text.split_once(':').ok_or_else(|| {
                    format!("header: write a name, a colon and a value, such as header=X-Env:%20canary, and not {text}")
                })?;
                request
                    .headers
                    .push((name.to_owned(), value.trim().to_owned()));
            }
            "remote_addr" => {
                let bare = text.trim_matches(['[', ']']);
                let address = bare.parse();
                request.remote_addr = Some(address.map_err(|_| {
                    format!("remote_addr: write an IPv4 or IPv6 address, and not {text}")
                })?);
            }
            "port" => {
                let port = text.parse();
                request.port = Some(port.map_err(|_| {
                    format!("port: write a number from 0 to 65535, and not {text}")
                })?);
            }
            "limit" => {
                let limit: Option<usize> = text.parse().ok();
                self.limit = limit
                    .filter(|limit| *limit <= limits::MISSES_MOST)
                    .ok_or_else(|| {
                        let most = limits::MISSES_MOST;
                        format!("limit: write a number from 0 to {most}, and not {text}")
                    })?;
            }
            _ => {
                return Err(format!(
                    "{name}: there is no such argument; there are {ARGUMENTS}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_asked() {
        let asked = Asked::read(&[
            ("uri", "/a?b"),
            ("method", "PUT"),
            ("host", "a.com"),
            ("header", "X-A: 1"),
            ("header", "x-b:2:3"),
            ("remote_addr", "[::1]"),
            ("port", "80"),
            ("consumer", "jack"),
            ("limit", "3"),
        ])
        .expect("a question");
        let request = &asked.request;
        let headers: Vec<String> = request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(headers, ["X-A=1", "x-b=2:3"]);
        assert_eq!(
            (&*request.method, &*request.target, request.host.as_deref()),
            ("PUT", "/a?b", Some("a.com"))
        );
        assert_eq!(
            request.remote_addr.map(|one| one.to_string()),
            Some("::1".to_owned())
        );
        assert_eq!((request.port, asked.limit), (Some(80), 3));
        assert_eq!(asked.consumer.as_deref(), Some("jack"));
        let bare = Asked::read(&[("uri", "/")]).expect("a question");
        assert_eq!((&*bare.request.method, bare.limit), ("GET", limits::MISSES));
    }

    #[test]
    fn says_what_to_ask_instead() {
        let uri = ("uri", "/");
        for (arguments, begin) in [
            (vec![], "uri: say which path"),
            (vec![("method", "GET")], "uri: say which path"),
            (
                vec![uri, ("hots", "a.com")],
                "hots: there is no such argument; there are method, uri, host",
            ),
            (
                vec![uri, ("host", "a"), ("host", "b")],
                "host: give it once",
            ),
            (
                vec![uri, ("header", "X-A")],
                "header: write a name, a colon and a value",
            ),
            (
                vec![uri, ("remote_addr", "a.com")],
                "remote_addr: write an IPv4 or IPv6 address, and not a.com",
            ),
            (
                vec![uri, ("port", "65536")],
                "port: write a number from 0 to 65535, and not 65536",
            ),
            (
                vec![uri, ("limit", "1001")],
                "limit: write a number from 0 to 1000, and not 1001",
            ),
            (vec![uri, ("limit", "-1")], "limit: write a number"),
        ] {
            let refused = Asked::read(&arguments).expect_err("no question");
            assert!(refused.starts_with(begin), "{refused}");
        }
    }
}
