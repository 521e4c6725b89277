//! The name under which the server logs in at a foreign broker.
//!
//! Invariant: no device can have it, and it is one line: it stands in access lists.

use super::ids::DeviceId;

/// A name under which the server must not log in at a broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a user name for the server", name.escape_debug())]
pub struct ServerUserError {
    /// What was given, shortened.
    pub name: String,
}

impl ServerUserError {
    /// Says what a right one looks like.
    pub fn hint(&self) -> &'static str {
        "1 to 64 characters on one line, without `:`, `#`, `+`, `/` or spaces at its ends, and with \
         something no device id has, such as a dot: `loa.server`"
    }
}

/// Checks a name before it enters the access list: a device of that name would have all the rights
/// of the server, and a line break would begin another rule.
pub fn check_server_user(name: &str) -> Result<(), ServerUserError> {
    let plain = |c: char| !c.is_control() && ![':', '#', '+', '/'].contains(&c);
    let fits = (1..=64).contains(&name.len()) && name.trim() == name && name.chars().all(plain);
    if fits && name.parse::<DeviceId>().is_err() {
        Ok(())
    } else {
        Err(ServerUserError { name: name.chars().take(64).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_the_server_is_one_no_device_can_have_and_one_line() {
        for good in ["loa.server", "loa.server-2", "Loa", "máy chủ"] {
            assert_eq!(check_server_user(good), Ok(()), "{good}");
        }
        let long = "x".repeat(65);
        for bad in
            ["", "loa-1", "loa", "a\ntopic readwrite #", " x.", "x. ", "x:y", "#x", "+", &long]
        {
            let error = check_server_user(bad).unwrap_err();
            assert!(!error.to_string().contains('\n'), "{error}");
            assert!(!error.hint().is_empty());
        }
    }
}
