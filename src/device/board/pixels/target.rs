//! Where pixels go, as `--output` says it: `ddp://10.0.0.5`, `e131://multicast?universe=7`.
//!
//! | Address | Goes to |
//! |---|---|
//! | `ddp://HOST[:4048]` | DDP |
//! | `e131://HOST[:5568]?universe=N` | E1.31 (sACN) straight to one receiver |
//! | `e131://multicast?universe=N` | E1.31 to the group of each universe (239.255.…) |
//! | `artnet://HOST[:6454]?universe=N` | Art-Net |
//! | `wled://HOST[:21324]` | WLED realtime: DRGB up to 490 lamps, DNRGB above |
//!
//! Options after `?`, joined by `&`: `universe` the first one, `per` lamps of a universe, 170 unless
//! said, `refresh` milliseconds after which a standing picture is sent again, 800 unless said,
//! `from` our own address, which also chooses the network of a multicast.

use crate::dialect::model::PixelProtocol;
use crate::dialect::pixels::UNIVERSE_PIXELS;
use std::net::IpAddr;
use std::str::FromStr;

/// How often a standing picture is sent again, in milliseconds: E1.31 asks for 800 to 1,000
/// (section 6.6.2), and every receiver we know of lets go after 2.5 s at the earliest.
pub const REFRESH_MS: i64 = 800;

/// Longest name of a host.
const MOST_HOST: usize = 253;

/// The protocol as the address names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Ddp,
    E131,
    ArtNet,
    Wled,
}

impl Scheme {
    const ALL: [(&'static str, Self); 4] =
        [("ddp", Self::Ddp), ("e131", Self::E131), ("artnet", Self::ArtNet), ("wled", Self::Wled)];

    /// Returns the protocol for so many lamps.
    pub fn protocol(self, lamps: usize) -> PixelProtocol {
        match self {
            Self::Ddp => PixelProtocol::Ddp,
            Self::E131 => PixelProtocol::E131,
            Self::ArtNet => PixelProtocol::ArtNet,
            Self::Wled if lamps <= PixelProtocol::WledDrgb.most_pixels(0, 1) => {
                PixelProtocol::WledDrgb
            }
            Self::Wled => PixelProtocol::WledDnrgb,
        }
    }

    fn has_universes(self) -> bool {
        matches!(self, Self::E131 | Self::ArtNet)
    }
}

/// Who gets the packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// One host, by name or address.
    Host { host: String, port: u16 },
    /// The multicast group of each universe.
    Groups { port: u16 },
}

/// An address of pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub scheme: Scheme,
    pub receiver: Receiver,
    pub universe: u16,
    pub per_universe: usize,
    pub refresh_ms: i64,
    pub from: Option<IpAddr>,
}

/// Why a text is no address of pixels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("`{text}` names no protocol for pixels")]
    Scheme { text: String },
    #[error("`{text}` is not a host, or a host and port")]
    Host { text: String },
    #[error("`{key}` is no option of `{scheme}`")]
    Option { key: String, scheme: &'static str },
    #[error("`{key}` is `{value}`, outside {least} to {most}")]
    Range { key: &'static str, value: String, least: i64, most: i64 },
    #[error("`{key}` is named twice")]
    Twice { key: String },
    #[error("`from` is `{value}`, not an address of this machine")]
    From { value: String },
    #[error("only E1.31 has multicast groups")]
    Groups,
}

impl TargetError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Scheme { .. } => "`ddp://`, `e131://`, `artnet://` or `wled://`, then the host",
            Self::Host { .. } => "as in `192.168.1.50`, `bang-cong.local:4048` or `[fe80::5]:4048`",
            Self::Option { .. } => {
                "`universe` and `per` (E1.31 and Art-Net), `refresh` in milliseconds, `from`"
            }
            Self::Range { .. } => "a whole number within these bounds",
            Self::Twice { .. } => "keep one of the two",
            Self::From { .. } => "as in `from=192.168.1.2`: one address of the network to send on",
            Self::Groups => "name the host that shall get the pixels",
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(80).collect();
        let (word, rest) = text.split_once("://").unwrap_or((text, ""));
        let known = Scheme::ALL.iter().find(|(name, _)| *name == word);
        let Some((name, scheme)) = known.copied() else {
            return Err(TargetError::Scheme { text: shown(word) });
        };
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.strip_suffix('/').unwrap_or(place);
        let usual = scheme.protocol(1);
        let (host, port) = host_and_port(place, usual.port())
            .ok_or_else(|| TargetError::Host { text: shown(place) })?;
        let receiver = match (host.as_str(), scheme) {
            ("multicast", Scheme::E131) => Receiver::Groups { port },
            ("multicast", _) => return Err(TargetError::Groups),
            _ => Receiver::Host { host, port },
        };
        let (least, most) = usual.universes();
        let (refresh_ms, per_universe) = (REFRESH_MS, UNIVERSE_PIXELS);
        let mut target =
            Self { scheme, receiver, universe: least, per_universe, refresh_ms, from: None };
        let mut seen: Vec<&str> = Vec::new();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            if seen.contains(&key) {
                return Err(TargetError::Twice { key: shown(key) });
            }
            seen.push(key);
            let number = |key: &'static str, least: i64, most: i64| {
                let number = value.parse().ok().filter(|n| (least..=most).contains(n));
                number.ok_or_else(|| TargetError::Range { key, value: shown(value), least, most })
            };
            match key {
                "universe" if scheme.has_universes() => {
                    let universe = number("universe", least.into(), most.into())?;
                    target.universe = u16::try_from(universe).unwrap_or(least);
                }
                "per" if scheme.has_universes() => {
                    let per = number("per", 1, i64::try_from(UNIVERSE_PIXELS).unwrap_or(1))?;
                    target.per_universe = usize::try_from(per).unwrap_or(UNIVERSE_PIXELS);
                }
                "refresh" => target.refresh_ms = number("refresh", 100, 60_000)?,
                "from" => {
                    let from = value.parse().ok().filter(|from: &IpAddr| !from.is_multicast());
                    target.from =
                        Some(from.ok_or_else(|| TargetError::From { value: shown(value) })?);
                }
                _ => return Err(TargetError::Option { key: shown(key), scheme: name }),
            }
        }
        Ok(target)
    }
}

/// Reads `host`, `host:port`, `[v6]` and `[v6]:port`.
fn host_and_port(text: &str, usual: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let v6 = text.starts_with('[');
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if host.is_empty() || host.len() > MOST_HOST || !(v6 || host.bytes().all(plain)) {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
        None => usual,
    };
    (port != 0).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_protocol_receiver_and_options() {
        let target: Target = "ddp://10.0.0.5".parse().unwrap();
        let receiver = Receiver::Host { host: "10.0.0.5".into(), port: 4_048 };
        assert_eq!((target.receiver, target.refresh_ms), (receiver, 800));
        let target: Target = "e131://multicast?universe=7&per=128&from=10.0.0.2".parse().unwrap();
        assert_eq!(target.receiver, Receiver::Groups { port: 5_568 });
        assert_eq!((target.universe, target.per_universe), (7, 128));
        assert_eq!(target.from, Some("10.0.0.2".parse().unwrap()));
        let target: Target = "artnet://[fe80::5]:7000?refresh=4000".parse().unwrap();
        assert_eq!(target.receiver, Receiver::Host { host: "fe80::5".into(), port: 7_000 });
        assert_eq!((target.universe, target.refresh_ms), (0, 4_000));
        let target: Target = "e131://bang-cong.local".parse().unwrap();
        assert_eq!(target.universe, 1);
        let wled: Target = "wled://bang".parse().unwrap();
        assert_eq!(wled.scheme.protocol(490), PixelProtocol::WledDrgb);
        assert_eq!(wled.scheme.protocol(491), PixelProtocol::WledDnrgb);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value_and_its_remedy() {
        let mut told = Vec::new();
        for wrong in [
            "dpp://a",
            "ddp://",
            "ddp://a:0",
            "ddp://a:70000",
            "ddp://a b",
            "ddp://[::1",
            "ddp://user@host",
            "ddp://a?universe=1",
            "ddp://multicast",
            "e131://a?universe=0",
            "artnet://a?universe=40000",
            "artnet://a?per=171",
            "ddp://a?refresh=5",
            "ddp://a?refresh=900&refresh=900",
            "ddp://a?from=bang",
        ] {
            let error = wrong.parse::<Target>().unwrap_err();
            told.push(format!("{wrong}: {error}; {}", error.hint()));
        }
        insta::assert_snapshot!(told.join("\n"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in "(ddp|e131|artnet|wled)?:?/?/?[ -~ạ]{0,40}") {
            let _ = text.parse::<Target>();
        }
    }
}
