//! Packets of E1.31 and Art-Net read by other people's programs (`tests/python/judge_pixels.py`).

use super::conversation::picture;
use loa::dialect::model::PixelProtocol;
use loa::dialect::pixels::Packer;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn strangers_read_the_pixels_that_were_sent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "no Python environment: run `make setup`");
    let frame = picture(64, 16);
    let mut lines = String::new();
    let mut wanted = Vec::new();
    for (name, protocol) in [("e131", PixelProtocol::E131), ("artnet", PixelProtocol::ArtNet)] {
        let mut packer = Packer::new(protocol, 17, 170, 1_000, *b"0123456789abcdef");
        // The second picture: its number is no longer the first.
        packer.packets(&frame);
        let parts = frame.rgb().chunks(510);
        for ((packet, part), universe) in packer.packets(&frame).iter().zip(parts).zip(17..) {
            lines.extend([name, " ", &hex(packet), "\n"]);
            let sequence = if name == "e131" { 1 } else { 2 };
            wanted.push(format!("{universe} {sequence} {}", hex(part)));
        }
    }
    let mut judge = Command::new(python)
        .arg(root.join("tests/python/judge_pixels.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    judge.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    // The library for sACN fills a universe up to its 512 channels.
    let told: Vec<&str> = told.lines().filter(|line| line.split(' ').count() == 3).collect();
    assert_eq!(told.len(), wanted.len());
    for (told, wanted) in told.iter().zip(&wanted) {
        assert!(told.starts_with(wanted.as_str()), "{told}\n{wanted}");
        assert!(told[wanted.len()..].bytes().all(|b| b == b'0'), "{told}");
    }
}
