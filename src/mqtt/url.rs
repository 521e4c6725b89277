//! Addresses of brokers: `mqtt://host[:port]` and `mqtts://host[:port]`.

use std::fmt;
use std::str::FromStr;

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Name or address, without brackets.
    pub host: String,
    /// 1883, or 8883 with TLS, unless named.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// A text that is not a broker's address; never holds what may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("`{text}` begins with neither `mqtt://` nor `mqtts://`")]
    Scheme { text: String },
    #[error("a broker's address holds a user name or password")]
    Credentials,
    #[error("`{text}` is not a host")]
    Host { text: String },
    #[error("`{text}` is not a port")]
    Port { text: String },
    #[error("`{text}` stands after the port")]
    Path { text: String },
}

impl UrlError {
    /// Says what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Credentials => {
                "user and password file have settings of their own; addresses end up in logs"
            }
            _ => "`mqtt://127.0.0.1:1883`, or `mqtts://broker.example:8883` with TLS",
        }
    }
}

impl BrokerUrl {
    /// Says whether the broker runs on this machine, so that no TLS is needed.
    pub fn is_loopback(&self) -> bool {
        let address: Option<std::net::IpAddr> = self.host.parse().ok();
        self.host == "localhost" || address.is_some_and(|a| a.is_loopback())
    }
}

impl FromStr for BrokerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // An `@` may follow a password: such a text is never shown.
        if text.contains('@') {
            return Err(UrlError::Credentials);
        }
        let shown = |text: &str| text.chars().take(120).collect::<String>();
        let (tls, rest) = match (text.strip_prefix("mqtt://"), text.strip_prefix("mqtts://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(UrlError::Scheme { text: shown(text) }),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            return Err(UrlError::Path { text: shown(path) });
        }
        let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
            let (host, after) =
                inner.split_once(']').ok_or_else(|| UrlError::Host { text: shown(authority) })?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(UrlError::Host { text: shown(host) });
            }
            let port = after.strip_prefix(':');
            if port.is_none() && !after.is_empty() {
                return Err(UrlError::Port { text: shown(after) });
            }
            (host, port)
        } else {
            match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return Err(UrlError::Host { text: shown(host) });
        }
        let port = match port {
            None => {
                if tls {
                    8883
                } else {
                    1883
                }
            }
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(UrlError::Port { text: shown(port) }),
            },
        };
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, shown) in [
            ("mqtt://127.0.0.1", "mqtt://127.0.0.1:1883"),
            ("mqtt://localhost:2883/", "mqtt://localhost:2883"),
            ("mqtts://broker.example", "mqtts://broker.example:8883"),
            ("mqtt://[::1]:99", "mqtt://[::1]:99"),
            ("mqtts://[fe80::1]", "mqtts://[fe80::1]:8883"),
        ] {
            let url: BrokerUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(shown.parse(), Ok(url));
        }
        assert!("mqtt://[::1]".parse::<BrokerUrl>().unwrap().is_loopback());
        assert!(!"mqtt://10.0.0.1".parse::<BrokerUrl>().unwrap().is_loopback());
    }

    #[test]
    fn what_is_not_an_address_is_refused_by_name() {
        let refusals: Vec<String> = [
            "127.0.0.1:1883",
            "http://x",
            "mqtt://",
            "mqtt://host:0",
            "mqtt://host:65536",
            "mqtt://ho st",
            "mqtt://[::1",
            "mqtt://[zz]",
            "mqtt://[::1]9",
            "mqtt://host/x",
            "mqtt://user:secret@host",
        ]
        .iter()
        .map(|text| text.parse::<BrokerUrl>().unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(refusals.join("\n"), @r"
        `127.0.0.1:1883` begins with neither `mqtt://` nor `mqtts://`
        `http://x` begins with neither `mqtt://` nor `mqtts://`
        `` is not a host
        `0` is not a port
        `65536` is not a port
        `ho st` is not a host
        `[::1` is not a host
        `zz` is not a host
        `9` is not a port
        `x` stands after the port
        a broker's address holds a user name or password
        ");
    }
}
