//! Packets byte by byte, as the documents of each protocol draw them.

use super::*;

fn ramp(width: u32, height: u32) -> Frame {
    let bytes = (0..width * height * 3).map(|n| n.to_le_bytes()[0]).collect();
    Frame::new(width, height, bytes).unwrap()
}

fn packer(protocol: PixelProtocol, universe: u16) -> Packer {
    Packer::new(protocol, universe, UNIVERSE_PIXELS, 1_000, *b"0123456789abcdef")
}

#[test]
fn a_small_picture_is_one_ddp_packet_that_pushes() {
    let packets = packer(PixelProtocol::Ddp, 0).packets(&ramp(2, 1));
    let wanted = [0x41, 1, 0x0B, 1, 0, 0, 0, 0, 0, 6, 0, 1, 2, 3, 4, 5];
    assert_eq!(packets, [wanted.to_vec()]);
}

#[test]
fn a_large_picture_is_cut_every_480_pixels_and_pushed_once() {
    let mut packer = packer(PixelProtocol::Ddp, 0);
    let packets = packer.packets(&ramp(64, 16));
    let heads: Vec<&[u8]> = packets.iter().map(|p| &p[..10]).collect();
    assert_eq!(
        heads,
        [
            [0x40, 1, 0x0B, 1, 0, 0, 0, 0, 0x05, 0xA0],
            [0x40, 1, 0x0B, 1, 0, 0, 0x05, 0xA0, 0x05, 0xA0],
            [0x41, 1, 0x0B, 1, 0, 0, 0x0B, 0x40, 0, 192],
        ]
    );
    let joined: Vec<u8> = packets.iter().flat_map(|p| &p[10..]).copied().collect();
    assert_eq!(joined, ramp(64, 16).rgb());
    let sequences: Vec<u8> = (0..16).map(|_| packer.packets(&ramp(1, 1))[0][1]).collect();
    assert_eq!(sequences, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 2]);
}

#[test]
fn an_e131_packet_has_the_layers_of_the_standard() {
    let packet = packer(PixelProtocol::E131, 7).packets(&ramp(170, 1)).remove(0);
    assert_eq!(packet.len(), 126 + 510);
    assert_eq!(packet[..16], *b"\x00\x10\x00\x00ASC-E1.17\x00\x00\x00");
    assert_eq!(packet[16..22], [0x72, 0x6C, 0, 0, 0, 4]);
    assert_eq!(packet[22..38], *b"0123456789abcdef");
    assert_eq!(packet[38..44], [0x72, 0x56, 0, 0, 0, 2]);
    assert_eq!(packet[44..48], *b"Loa\0");
    assert_eq!(packet[108..115], [100, 0, 0, 0, 0, 0, 7]);
    assert_eq!(packet[115..126], [0x72, 0x09, 0x02, 0xA1, 0, 0, 0, 1, 0x01, 0xFF, 0]);
    assert_eq!(packet[126..129], [0, 1, 2]);
}

#[test]
fn the_end_of_an_e131_stream_is_told_three_times_in_each_universe() {
    let mut packer = packer(PixelProtocol::E131, 7);
    let before = packer.packets(&ramp(32, 16)).len();
    let packets = packer.farewell(32 * 16 * 3);
    assert_eq!(packets.len(), 3 * before);
    let told: Vec<_> = packets.iter().map(|p| (p[111], p[112], p[114])).collect();
    assert_eq!(told[..5], [(1, 0x40, 7), (1, 0x40, 8), (1, 0x40, 9), (1, 0x40, 10), (2, 0x40, 7)]);
    let mut ddp = Packer::new(PixelProtocol::Ddp, 0, 170, 800, [0; 16]);
    assert!(ddp.farewell(6).is_empty());
}

#[test]
fn universes_follow_each_other_with_170_pixels_each() {
    let packets = packer(PixelProtocol::E131, 7).packets(&ramp(32, 16));
    let universes: Vec<&[u8]> = packets.iter().map(|p| &p[113..115]).collect();
    assert_eq!(universes, [[0, 7], [0, 8], [0, 9], [0, 10]]);
    assert_eq!(packets[3].len(), 126 + 6);
}

#[test]
fn an_art_net_packet_counts_its_even_length() {
    let mut packer = packer(PixelProtocol::ArtNet, 0x0102);
    let packet = packer.packets(&ramp(1, 1)).remove(0);
    let wanted = b"Art-Net\0\x00\x50\x00\x0e\x01\x00\x02\x01\x00\x04\x00\x01\x02\x00";
    assert_eq!(packet, wanted);
    let sequences: Vec<u8> = (0..255).map(|_| packer.packets(&ramp(1, 1))[0][12]).collect();
    assert_eq!((sequences[0], sequences[253], sequences[254]), (2, 255, 1), "0 is never sent");
}

#[test]
fn universes_of_128_pixels_suit_a_matrix_that_counts_by_the_packet_before() {
    let sender = *b"0123456789abcdef";
    let mut packer = Packer::new(PixelProtocol::ArtNet, 0, 128, 500, sender);
    let packets = packer.packets(&ramp(32, 8));
    assert_eq!(packets.iter().map(Vec::len).collect::<Vec<_>>(), [18 + 384, 18 + 384]);
    assert_eq!([packets[0][14], packets[1][14]], [0, 1]);
}

#[test]
fn wled_packets_carry_the_dead_man_switch() {
    let packet = packer(PixelProtocol::WledDrgb, 0).packets(&ramp(2, 1)).remove(0);
    assert_eq!(packet, [2, 4, 0, 1, 2, 3, 4, 5]);
    let packets = packer(PixelProtocol::WledDnrgb, 0).packets(&ramp(32, 16));
    assert_eq!([&packets[0][..4], &packets[1][..4]], [[4, 4, 0, 0], [4, 4, 0x01, 0xE9]]);
    assert_eq!(packets.iter().map(|p| p.len() - 4).sum::<usize>(), 32 * 16 * 3);
}

#[test]
fn the_largest_picture_fits_every_protocol_that_says_so() {
    let (frame, pixels) = (ramp(1_024, 256), 1_024 * 256);
    for (name, protocol) in PixelProtocol::ALL {
        let first = protocol.universes().0;
        if protocol.most_pixels(first, UNIVERSE_PIXELS) < pixels {
            assert!(matches!(name, "wled-drgb" | "wled-dnrgb"), "{name}");
            continue;
        }
        let packets = packer(protocol, first).packets(&frame);
        assert!(packets.iter().all(|p| p.len() <= 1_472), "{name}: fits a frame of Ethernet");
        assert!(packets.len() * 512 >= pixels * 3 || protocol == PixelProtocol::Ddp, "{name}");
    }
}
