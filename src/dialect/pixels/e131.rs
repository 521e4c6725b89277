//! E1.31, "sACN" (ANSI E1.31-2018, tables 4-1, 5-1, 5-2, 6-1; UDP port 5568).

/// Highest universe of data (section 6.2.7).
pub(super) const LAST_UNIVERSE: u16 = 63_999;
/// Name of the sender, as consoles list it; 64 bytes on the wire.
const NAME: &[u8] = b"Loa";
/// Priority of ordinary data (section 6.2.3).
const PRIORITY: u8 = 100;

/// How often the end of a stream is told (section 6.2.6).
pub(super) const FAREWELLS: usize = 3;
/// The option that says so.
const TERMINATED: u8 = 0x40;
/// Where the options stand in a packet.
const OPTIONS: usize = 112;

/// Returns one packet that ends the stream.
pub(super) fn last_packet(cid: &[u8; 16], universe: u16, sequence: u8, slots: &[u8]) -> Vec<u8> {
    let mut packet = packet(cid, universe, sequence, slots);
    packet[OPTIONS] = TERMINATED;
    packet
}

/// Returns one packet. `slots` holds 512 bytes at most.
pub(super) fn packet(cid: &[u8; 16], universe: u16, sequence: u8, slots: &[u8]) -> Vec<u8> {
    let total = 126 + slots.len();
    // The upper four bits of a length are flags; a length counts from its own place.
    let length =
        |from: usize| (0x7000 | u16::try_from(total - from).unwrap_or(0x0FFF)).to_be_bytes();
    let mut packet = Vec::with_capacity(total);
    // Root layer.
    packet.extend([0x00, 0x10, 0x00, 0x00]);
    packet.extend(b"ASC-E1.17\0\0\0");
    packet.extend(length(16));
    packet.extend([0, 0, 0, 4]);
    packet.extend(cid);
    // Framing layer.
    packet.extend(length(38));
    packet.extend([0, 0, 0, 2]);
    packet.extend(NAME);
    packet.resize(packet.len() + 64 - NAME.len(), 0);
    packet.push(PRIORITY);
    packet.extend([0, 0]);
    packet.push(sequence);
    packet.push(0);
    packet.extend(universe.to_be_bytes());
    // Device management layer.
    packet.extend(length(115));
    packet.extend([0x02, 0xA1, 0, 0, 0, 1]);
    packet.extend(u16::try_from(slots.len() + 1).unwrap_or(513).to_be_bytes());
    // Start code of dimmer data.
    packet.push(0);
    packet.extend_from_slice(slots);
    packet
}
