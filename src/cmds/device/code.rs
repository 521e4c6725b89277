//! A code as people get it: text, link, picture.

use crate::app::registry::Issued;
use crate::cmds::{Advise as _, print_json, print_text};
use crate::domain::ids::DeviceId;
use serde::Serialize;

/// A code as it is shown once.
#[derive(Serialize)]
struct Shown {
    device: DeviceId,
    code: String,
    link: String,
    expires_ms: i64,
    id: String,
}

/// Shows a code, once.
pub(super) fn show_code(
    issued: Issued,
    hours: u32,
    qr: Option<&std::path::Path>,
    json: bool,
) -> anyhow::Result<()> {
    let code = Shown {
        device: issued.device,
        code: issued.code,
        link: issued.link,
        expires_ms: issued.expires_ms.0,
        id: issued.id.to_string(),
    };
    if let Some(path) = qr {
        let qr = qrcode::QrCode::new(&code.link)?;
        let svg = qr.render::<qrcode::render::svg::Color<'_>>().min_dimensions(320, 320).build();
        std::fs::write(path, svg).advise("name a file in a folder that is there")?;
    }
    if json {
        print_json(&code)?;
    } else {
        print_text(&format!("{}\n", code.code))?;
        eprintln!(
            "Works once, for {hours} hours, and leads the device to {}.\n\
             On the device: loa speaker --enrol CODE --data DIR\n\
             (a board: loa board --enrol CODE --data DIR)",
            code.link.rsplit_once("/enrol").map_or(code.link.as_str(), |(server, _)| server)
        );
    }
    Ok(())
}
