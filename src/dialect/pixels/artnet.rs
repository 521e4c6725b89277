//! Art-Net 4 (Artistic Licence, "Art-Net 4 Protocol Release", packet ArtDmx; UDP port 6454).

/// Highest port address: 15 bits.
pub(super) const LAST_UNIVERSE: u16 = 0x7FFF;

/// Returns the number of the next picture: 1 to 255, 0 means "not counted".
pub(super) fn next(sequence: u8) -> u8 {
    sequence % 255 + 1
}

/// Returns one packet. `slots` holds 512 bytes at most.
pub(super) fn packet(universe: u16, sequence: u8, slots: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(18 + slots.len() + 1);
    packet.extend(b"Art-Net\0");
    // OpDmx, low byte first; then the protocol's version, high byte first.
    packet.extend([0x00, 0x50, 0, 14]);
    packet.push(sequence);
    packet.push(0);
    packet.extend((universe & LAST_UNIVERSE).to_le_bytes());
    // The length is even.
    let even = slots.len() + slots.len() % 2;
    packet.extend(u16::try_from(even).unwrap_or(512).to_be_bytes());
    packet.extend_from_slice(slots);
    packet.resize(18 + even, 0);
    packet
}
