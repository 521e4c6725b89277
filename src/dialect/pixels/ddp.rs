//! DDP, the Distributed Display Protocol (3waylabs, "DDP header", UDP port 4048).

/// Bytes of pixels in a packet: 480 pixels, so that a datagram fits an Ethernet frame.
const MOST_DATA: usize = 1_440;
/// Version 1.
const VERSION_1: u8 = 0x40;
/// Show what was sent: on the last packet of a picture.
const PUSH: u8 = 0x01;
/// Three bytes of 8 bits a pixel: red, green, blue.
const RGB24: u8 = 0x0B;
/// The default output of the device.
const DEFAULT_OUTPUT: u8 = 1;

/// Returns the number of the next picture: 1 to 15, 0 means "not counted".
pub(super) fn next(sequence: u8) -> u8 {
    sequence % 15 + 1
}

pub(super) fn packets(rgb: &[u8], sequence: u8) -> Vec<Vec<u8>> {
    let parts = rgb.len().div_ceil(MOST_DATA);
    let packet = |(at, part): (usize, &[u8])| {
        let push = if at + 1 == parts { PUSH } else { 0 };
        let mut packet = vec![VERSION_1 | push, sequence, RGB24, DEFAULT_OUTPUT];
        // Offsets and lengths are bounded by the size of a picture (786,432) and of a part.
        let offset = u32::try_from(at * MOST_DATA).unwrap_or(u32::MAX);
        packet.extend(offset.to_be_bytes());
        packet.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend_from_slice(part);
        packet
    };
    rgb.chunks(MOST_DATA).enumerate().map(packet).collect()
}
