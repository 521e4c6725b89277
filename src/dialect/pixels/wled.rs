//! WLED's realtime protocol (WLED documentation, "UDP Realtime / tpm2.net", UDP port 21324).
//!
//! The second byte says after how many seconds without a packet WLED shows its own picture again:
//! a board whose gateway died does not show an old page for ever.

/// Most pixels of a DRGB packet.
pub(super) const DRGB_PIXELS: usize = 490;
/// Most pixels of a DNRGB packet.
const DNRGB_PIXELS: usize = 489;
const DRGB: u8 = 2;
const DNRGB: u8 = 4;

/// Returns one packet from the first pixel on; pixels beyond 490 are left out, which the reader of
/// profiles refuses before.
pub(super) fn drgb(rgb: &[u8], seconds: u8) -> Vec<u8> {
    let mut packet = vec![DRGB, seconds];
    packet.extend(rgb.iter().take(DRGB_PIXELS * 3));
    packet
}

/// Returns packets that each say where they begin.
pub(super) fn dnrgb(rgb: &[u8], seconds: u8) -> Vec<Vec<u8>> {
    let starts = (0..=u16::MAX).step_by(DNRGB_PIXELS);
    let packet = |(part, start): (&[u8], u16)| {
        let mut packet = vec![DNRGB, seconds];
        packet.extend(start.to_be_bytes());
        packet.extend_from_slice(part);
        packet
    };
    rgb.chunks(DNRGB_PIXELS * 3).zip(starts).map(packet).collect()
}
