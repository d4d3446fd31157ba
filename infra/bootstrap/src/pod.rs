//! How a pod is known to the others of its cluster.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// Names are shown in tables and logs.
const POD_NAME_BYTES_MAX: usize = 64;

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised(String);

/// One word that tells a pod from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName(String);

impl Advertised {
    pub fn address(&self) -> &str {
        &self.0
    }
}

impl FromStr for Advertised {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Advertised, &'static str> {
        let (host, port) = text.rsplit_once(':').unwrap_or_default();
        let is_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-[]:_".contains(&byte));
        match is_host && port.parse::<u16>().is_ok_and(|port| port != 0) {
            true => Ok(Advertised(text.to_owned())),
            false => Err("must be host:port"),
        }
    }
}

impl<'de> Deserialize<'de> for Advertised {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Advertised, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl PodName {
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl FromStr for PodName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<PodName, &'static str> {
        let is_word = text.bytes().all(|byte| byte.is_ascii_graphic());
        match is_word && (1..=POD_NAME_BYTES_MAX).contains(&text.len()) {
            true => Ok(PodName(text.to_owned())),
            false => Err("must be one word of at most 64 visible ASCII characters"),
        }
    }
}

impl<'de> Deserialize<'de> for PodName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<PodName, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Where Redis is: `redis://…`, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl(redacted)")
    }
}

impl FromStr for RedisUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<RedisUrl, &'static str> {
        match text.strip_prefix("redis://") {
            Some(place) if !place.is_empty() => Ok(RedisUrl(text.to_owned())),
            // Not repeated: it may hold a password.
            Some(_) | None => Err("must be redis://host:port"),
        }
    }
}

impl<'de> Deserialize<'de> for RedisUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RedisUrl, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["engine-0.engines:7402", "10.0.0.1:1", "[::1]:65535"] {
            assert_eq!(good.parse::<Advertised>().unwrap().address(), good);
        }
        for bad in ["", "host", ":1", "host:", "host:0", "host:65536", "a b:1", "http://a:1"] {
            assert_eq!(bad.parse::<Advertised>(), Err("must be host:port"), "{bad}");
        }
    }

    #[test]
    fn a_name_is_one_word() {
        assert_eq!("engine-0".parse::<PodName>().unwrap().text(), "engine-0");
        for bad in ["", "a b", "\u{1b}[2J", "ü", "a".repeat(65).as_str()] {
            bad.parse::<PodName>().unwrap_err();
        }
    }
}
