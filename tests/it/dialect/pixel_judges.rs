//! Packets read by other people's programs: E1.31 and Art-Net by `tests/python/judge_pixels.py`,
//! DDP by the crate `ddp-rs`. Once as the packer makes them, once as `--output` really sends them.

use super::conversation::picture;
use ddp_rs::packet::PacketRef;
use ddp_rs::protocol::{DataType, ID, PixelFormat};
use loa::dialect::model::PixelProtocol;
use loa::dialect::pixels::Packer;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Returns what the judge says of lines of packets, one line each.
fn judged(lines: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "no Python environment: run `make setup`");
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
    let lines = told.lines().filter(|line| line.split(' ').count() == 3);
    lines.map(str::to_owned).collect()
}

/// The library for sACN fills a universe up to its 512 channels.
fn same(told: &[String], wanted: &[String]) {
    assert_eq!(told.len(), wanted.len());
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted.as_str()), "{told}\n{wanted}");
        assert!(told[wanted.len()..].bytes().all(|b| b == b'0'), "{told}");
    }
}

/// Puts a picture together from packets of DDP, as a receiver does.
fn shown_by_ddp(packets: &[Vec<u8>], bytes: usize) -> Vec<u8> {
    let mut lamps = vec![0; bytes];
    for (at, packet) in packets.iter().enumerate() {
        let PacketRef { header, data } = PacketRef::from_bytes(packet).unwrap();
        let kind = header.packet_type;
        assert_eq!((kind.version, kind.query, kind.reply, kind.timecode), (1, false, false, false));
        assert_eq!(kind.push, at + 1 == packets.len());
        let pixels = header.pixel_config;
        assert_eq!((pixels.data_type, pixels.data_size), (DataType::RGB, PixelFormat::Pixel8Bits));
        assert_eq!((header.id, usize::from(header.length)), (ID::Default, data.len()));
        let from = usize::try_from(header.offset).unwrap();
        lamps[from..from + data.len()].copy_from_slice(data);
    }
    lamps
}

#[test]
fn a_stranger_puts_a_picture_of_ddp_together() {
    let frame = picture(64, 32);
    let mut packer = Packer::new(PixelProtocol::Ddp, 0, 170, 1_000, [0; 16]);
    assert_eq!(shown_by_ddp(&packer.packets(&frame), 64 * 32 * 3), frame.rgb());
}

#[cfg(feature = "board")]
mod sent {
    use super::*;
    use loa::device::board::{Output as _, Pixels};
    use loa::domain::profile::BoardProfile;
    use loa::raster::{Board, Frame, Rgb};
    use std::net::UdpSocket;
    use std::time::Duration;

    /// What an output sends of a picture to an address with this port.
    fn sent(target: &str, profile: &BoardProfile, frame: &Frame, packets: usize) -> Vec<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let target = target.replace("PORT", &socket.local_addr().unwrap().port().to_string());
        let sender = *b"0123456789abcdef";
        let mut output = Pixels::new(target.parse().unwrap(), profile, sender).unwrap();
        output.show(frame, 1_000).unwrap();
        let read = || {
            let mut buffer = [0; 2_048];
            let length = socket.recv(&mut buffer).unwrap();
            buffer[..length].to_vec()
        };
        (0..packets).map(|_| read()).collect()
    }

    #[test]
    fn strangers_read_what_a_board_really_sends() {
        let colours = vec!["rgb".to_owned()];
        let profile =
            BoardProfile { width_px: 64, height_px: 16, colours, ..BoardProfile::default() };
        let mut frame = Frame::dark(&Board::from(&profile));
        let mut wanted = Vec::new();
        for (x, y) in (0..16).flat_map(|y| (0..64).map(move |x| (x, y))) {
            let lamp = [u8::try_from(x).unwrap(), u8::try_from(y).unwrap(), 255];
            frame.set(x, y, Rgb(lamp[0], lamp[1], lamp[2]));
            wanted.extend(lamp);
        }
        let ddp = sent("ddp://127.0.0.1:PORT", &profile, &frame, 3);
        assert_eq!(shown_by_ddp(&ddp, wanted.len()), wanted);
        let (mut lines, mut parts) = (String::new(), Vec::new());
        for (name, sequence) in [("e131", 0), ("artnet", 1)] {
            let target = format!("{name}://127.0.0.1:PORT?universe=17");
            for packet in sent(&target, &profile, &frame, 7) {
                lines.extend([name, " ", &hex(&packet), "\n"]);
            }
            let universes = wanted.chunks(510).zip(17..);
            parts.extend(universes.map(|(part, u)| format!("{u} {sequence} {}", hex(part))));
        }
        same(&judged(&lines), &parts);
    }
}

#[test]
fn strangers_read_the_pixels_that_were_sent() {
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
    same(&judged(&lines), &wanted);
}
