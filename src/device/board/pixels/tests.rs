use super::*;
use crate::raster::{Board, Rgb};
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

fn listener() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn profile(width_px: u32, height_px: u32) -> BoardProfile {
    let colours = vec!["rgb".to_owned()];
    BoardProfile { width_px, height_px, colours, ..BoardProfile::default() }
}

fn output(target: &str, profile: &BoardProfile) -> Pixels {
    Pixels::new(target.parse().unwrap(), profile, sender("bang-cong")).unwrap()
}

fn heard(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2_048];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

fn lit(profile: &BoardProfile) -> Frame {
    let mut frame = Frame::dark(&Board::from(profile));
    frame.set(0, 0, Rgb(255, 160, 0));
    frame
}

#[test]
fn a_picture_is_sent_at_once_again_when_asked_and_dark_at_the_end() {
    let (socket, port) = listener();
    let profile = profile(16, 8);
    let mut output = output(&format!("ddp://127.0.0.1:{port}"), &profile);
    assert_eq!(output.refresh_ms(), Some(800));
    output.show(&lit(&profile), 5_000).unwrap();
    let first = heard(&socket);
    assert_eq!((&first[..2], &first[10..14]), (&[0x41, 1][..], &[255, 160, 0, 0][..]));
    output.refresh().unwrap();
    let again = heard(&socket);
    assert_eq!((again[1], &again[10..]), (2, &first[10..]), "another number, the same lamps");
    output.end().unwrap();
    for _ in 0..3 {
        assert!(heard(&socket)[10..].iter().all(|lamp| *lamp == 0));
    }
}

#[test]
fn the_end_of_an_e131_stream_is_told_to_its_receiver() {
    let (socket, port) = listener();
    let mut output =
        output(&format!("e131://localhost:{port}?universe=9&from=127.0.0.1"), &profile(16, 8));
    output.blank().unwrap();
    assert_eq!(heard(&socket)[112..115], [0, 0, 9]);
    output.end().unwrap();
    let options: Vec<u8> = (0..6).map(|_| heard(&socket)[112]).collect();
    assert_eq!(options, [0, 0, 0, 0x40, 0x40, 0x40]);
}

#[test]
fn each_universe_goes_to_its_own_group() {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = socket.local_addr().unwrap().port();
    // Groups that nothing else in this network uses, on the loopback alone.
    for low in [201, 202] {
        let group = Ipv4Addr::new(239, 255, 249, low);
        socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
    }
    let universe = 249 * 256 + 201;
    let target = format!("e131://multicast:{port}?universe={universe}&from=127.0.0.1&per=64");
    let profile = profile(16, 8);
    let mut output = output(&target, &profile);
    output.show(&lit(&profile), 1_000).unwrap();
    let universes: BTreeSet<[u8; 2]> =
        (0..2).map(|_| heard(&socket)[113..115].try_into().unwrap()).collect();
    assert_eq!(universes, BTreeSet::from([[249, 201], [249, 202]]));
}

#[test]
fn wled_is_told_how_long_to_wait_and_takes_either_form() {
    for (width_px, form) in [(16, 2), (64, 4)] {
        let (socket, port) = listener();
        let profile = profile(width_px, 8);
        let mut output = output(&format!("wled://127.0.0.1:{port}"), &profile);
        output.show(&lit(&profile), 1_000).unwrap();
        let packet = heard(&socket);
        // Four times 800 ms, up to whole seconds.
        assert_eq!(packet[..2], [form, 4]);
    }
}

#[test]
fn where_nobody_listens_the_picture_fails_and_the_next_finds_who_came() {
    let (socket, port) = listener();
    drop(socket);
    let profile = profile(16, 8);
    let mut output = output(&format!("artnet://127.0.0.1:{port}"), &profile);
    let error = output.show(&lit(&profile), 1_000).unwrap_err();
    assert_eq!(error.to_string(), format!("`127.0.0.1:{port}` takes no pixels"));
    assert!(error.hint().contains("listens on that port"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    output.show(&lit(&profile), 1_000).unwrap();
    assert_eq!(heard(&socket)[..8], *b"Art-Net\0");
    drop(socket);
    // One packet is lost before word of it comes back; the one after it knows.
    let told = (0..200).find_map(|_| output.refresh().err());
    assert!(matches!(told, Some(OutputError::Send { .. })), "{told:?}");
}

#[test]
fn what_can_not_be_reached_is_said_with_its_remedy() {
    let small = profile(16, 8);
    let mut lost = output("ddp://khong-co.invalid", &small);
    let error = lost.blank().unwrap_err();
    assert_eq!(error.to_string(), "cannot find `khong-co.invalid`");
    // An address kept for documents (RFC 5737) is none of this machine's.
    let mut foreign = output("ddp://127.0.0.1:4048?from=192.0.2.1", &small);
    assert!(matches!(foreign.blank(), Err(OutputError::From { .. })));
    let mut mixed = output("ddp://127.0.0.1:4048?from=::1", &small);
    assert!(matches!(mixed.blank(), Err(OutputError::Host { .. })));
    let target = format!("ddp://[{}]:1", Ipv6Addr::LOCALHOST).parse::<Target>().unwrap();
    assert_eq!(target.receiver, Receiver::Host { host: "::1".into(), port: 1 });
    let many = "artnet://127.0.0.1?universe=32767".parse().unwrap();
    let error = Pixels::new(many, &profile(64, 32), [0; 16]).unwrap_err();
    assert_eq!(error.to_string(), "2048 lamps, where artnet reaches 170 from universe 32767 on");
    assert!(error.hint().contains("ddp://"), "{}", error.hint());
}

#[test]
fn a_device_keeps_its_name_among_senders() {
    let (one, other) = (sender("bang-cong"), sender("bang-cho"));
    assert_eq!(one, sender("bang-cong"));
    assert_ne!(one, other);
    assert_eq!((one[6] >> 4, one[8] >> 6), (8, 2), "a UUID of version 8");
}

#[test]
fn the_largest_board_reaches_a_receiver_whole() {
    let (socket, port) = listener();
    let profile = profile(1_024, 256);
    let reader = std::thread::spawn(move || {
        let mut bytes = 0;
        let mut last = false;
        while !last {
            let packet = heard(&socket);
            bytes += packet.len() - 10;
            last = packet[0] & 1 == 1;
        }
        bytes
    });
    let mut output = output(&format!("ddp://127.0.0.1:{port}"), &profile);
    output.show(&lit(&profile), 1_000).unwrap();
    assert_eq!(reader.join().unwrap(), 1_024 * 256 * 3);
}
