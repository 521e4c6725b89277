//! `loa broker`: what to install on an external broker.

use super::data::{DataFolder, DataOption};
use super::{Answer, failed, print_json, print_text, runtime, wrong_use};
use crate::app::mosquitto;
use crate::app::ports::Registry as _;
use crate::wire::topic::Topics;
use serde::Serialize;
use std::fmt::Write as _;

/// Prints what to install on an external broker
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Prints the access list for the devices of the register, with the settings it relies on
    ///
    /// Print and install it again when devices or units change; with `--format dynsec` nothing but
    /// the settings is installed, once.
    Acl(Acl),
}

#[derive(Debug, clap::Args)]
struct Acl {
    #[command(flatten)]
    data: DataOption,
    /// `mosquitto`: access list and password file; `dynsec`: its dynamic-security plugin, in which
    /// the server then keeps accounts and roles itself (`loa serve --broker-admin dynsec`)
    #[arg(
        long, value_name = "BROKER", value_parser = ["mosquitto", "dynsec"],
        default_value = "mosquitto"
    )]
    format: String,
    /// User name of the server at that broker: `broker.user` of the station file. Of several
    /// servers on one store each needs its own: give the option again
    #[arg(long = "server-user", value_name = "NAME", default_value = mosquitto::SERVER_USER)]
    server_users: Vec<String>,
    /// Prefix of all topics: `broker.prefix` of the station file
    #[arg(long, value_name = "PREFIX", default_value = "loa/1")]
    prefix: String,
    /// Print `{format, acl, config, passwords, devices}`, without `acl` and `passwords` for
    /// `dynsec`
    #[arg(long)]
    json: bool,
}

/// What to install.
#[derive(Debug, Serialize)]
struct Shown {
    format: String,
    /// The access list, unless the server keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    acl: Option<String>,
    /// The settings it relies on.
    config: String,
    /// The password file that the server keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    passwords: Option<std::path::PathBuf>,
    /// Devices that the broker is to know.
    devices: usize,
}

/// Prints it.
pub fn run(args: Args) -> anyhow::Result<Answer> {
    let Act::Acl(args) = args.act;
    let folder = DataFolder::existing(&args.data.data)?;
    let topics = Topics::new(&args.prefix).map_err(|error| {
        let hint = error.hint();
        failed(error, hint)
    })?;
    for name in &args.server_users {
        mosquitto::check_server_user(name).map_err(|error| {
            let hint = error.hint();
            wrong_use(error, hint)
        })?;
    }
    let (devices, units) = runtime()?.block_on(async {
        let store = folder.open_store().await?;
        let read = (store.devices().await?, store.units().await?);
        store.close().await;
        anyhow::Ok(read)
    })?;
    let logins = mosquitto::Login::all(&devices, &units);
    let (place, devices) = ("/etc/mosquitto/loa", logins.len());
    let shown = if args.format == "dynsec" {
        let config = mosquitto::dynsec_config("1883", place);
        Shown { format: args.format, acl: None, config, passwords: None, devices }
    } else {
        Shown {
            acl: Some(mosquitto::acl(&topics, &args.server_users, logins)),
            config: mosquitto::config("1883", place),
            passwords: Some(folder.mosquitto_passwords()),
            devices,
            format: args.format,
        }
    };
    if args.json {
        print_json(&shown)?;
    } else {
        print_text(&text(&shown, &args.server_users)?)?;
    }
    Ok(Answer::Yes)
}

/// The access list with everything else as comments, so that it can be installed as it is.
fn text(shown: &Shown, server_users: &[String]) -> anyhow::Result<String> {
    let mut text = String::new();
    let (Some(acl), Some(passwords)) = (&shown.acl, &shown.passwords) else {
        return dynsec_text(shown);
    };
    let file = passwords.display();
    let server_user = server_users.join("|");
    for line in [
        "Install this text as /etc/mosquitto/loa/acl, the settings below as a file of",
        "/etc/mosquitto/conf.d, and the passwords as /etc/mosquitto/loa/passwords:",
        &format!("  1. mosquitto_passwd -b {file} {server_user} PASSWORD"),
        "     (the one in `broker.password_file` of the station file)",
        &format!("  2. `loa serve` adds each device to {file} when it enrols;"),
        "     copy or link it, and reload mosquitto after each enrolment.",
        "",
    ] {
        writeln!(text, "{}", format!("# {line}").trim_end())?;
    }
    for line in shown.config.lines() {
        writeln!(text, "{}", format!("#   {line}").trim_end())?;
    }
    write!(text, "\n{acl}")?;
    Ok(text)
}

/// The settings, with what to do as comments.
fn dynsec_text(shown: &Shown) -> anyhow::Result<String> {
    let mut text = String::new();
    for line in [
        "Install this text as a file of /etc/mosquitto/conf.d. Then, once:",
        "  1. mosquitto_ctrl dynsec init /etc/mosquitto/loa/dynamic-security.json admin",
        "  2. chown -R mosquitto: /etc/mosquitto/loa && systemctl restart mosquitto",
        "  3. the password given in step 1 into a file of the station folder, and in station.toml",
        "       [broker]",
        "       url = \"mqtts://HOST:8883\"",
        "       admin = \"dynsec\"",
        "       admin_user = \"admin\"",
        "       admin_password_file = \"broker-admin-password\"",
        "`loa serve` makes its own account there and one for each device, and keeps them.",
        "",
    ] {
        writeln!(text, "{}", format!("# {line}").trim_end())?;
    }
    write!(text, "{}", shown.config)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_list_is_a_comment() {
        let device = "loa-1".parse().unwrap();
        let login = mosquitto::Login { device: &device, units: Vec::new(), behind: Vec::new() };
        let acl = mosquitto::acl(&Topics::default(), &["loa.server"], [login]);
        let shown = Shown {
            format: "mosquitto".into(),
            config: mosquitto::config("1883", "/etc/mosquitto/loa"),
            passwords: Some("data/mosquitto/passwords".into()),
            devices: 1,
            acl: Some(acl.clone()),
        };
        let text = text(&shown, &["loa.server".to_owned()]).unwrap();
        let rules = |text: &str| -> Vec<String> {
            let rules = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            rules.map(str::to_owned).collect()
        };
        assert_eq!(rules(&text), rules(&acl));
        assert!(text.contains("use_username_as_clientid true"));
    }
}
