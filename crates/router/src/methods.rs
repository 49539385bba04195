//! Sets of request methods.

use std::ops::BitOr;

/// A set of the methods a route can name. The empty set is special in a route: it accepts every method, known or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Methods(u16);

/// The methods of the reference (`apisix/schema_def.lua`), in the order of their bits.
const NAMES: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PURGE",
];

impl Methods {
    /// The empty set: what an unknown method is, and what a route without methods has.
    pub const NONE: Self = Self(0);

    /// The set of this one method; empty when it is not one a route can name. Methods are case-sensitive (RFC 9110 §9.1).
    pub fn of(name: &[u8]) -> Self {
        let bit = match name {
            b"GET" => 0,
            b"POST" => 1,
            b"PUT" => 2,
            b"DELETE" => 3,
            b"PATCH" => 4,
            b"HEAD" => 5,
            b"OPTIONS" => 6,
            b"CONNECT" => 7,
            b"TRACE" => 8,
            b"PURGE" => 9,
            _ => return Self::NONE,
        };
        Self(1 << bit)
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the sets share a method.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .into_iter()
            .filter(move |name| self.intersects(Self::of(name.as_bytes())))
    }
}

impl BitOr for Methods {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl<'a> FromIterator<&'a str> for Methods {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        names
            .into_iter()
            .fold(Self::NONE, |set, name| set | Self::of(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_own_bit() {
        let all: Methods = NAMES.into_iter().collect();
        assert_eq!(all.names().collect::<Vec<_>>(), NAMES);
        assert_eq!(all, Methods((1 << NAMES.len()) - 1));
    }

    #[test]
    fn unknown_methods_are_in_no_set() {
        assert!(Methods::of(b"get").is_empty());
        assert!(Methods::of(b"PROPFIND").is_empty());
        assert!(!Methods::of(b"GET").intersects(Methods::of(b"POST")));
    }
}
