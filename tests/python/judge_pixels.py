"""Decodes packets with other people's libraries: `sacn` and `stupidArtnet`, without sockets.

Reads lines `e131 HEX` and `artnet HEX`; writes `UNIVERSE SEQUENCE HEX-OF-SLOTS` for each.
"""

import sys

from sacn.messages.data_packet import DataPacket
from stupidArtnet import ArtnetUtils, StupidArtnet, StupidArtnetServer


def e131(packet):
    read = DataPacket.make_data_packet(tuple(packet))
    assert read.sourceName.rstrip("\0") == "Loa" and read.priority == 100, str(read)
    assert bytes(read.cid) == b"0123456789abcdef" and read.dmxStartCode == 0, str(read)
    # The library fills a universe up; apart from lengths and filling it writes the same packet.
    again = bytes(read.getBytes())
    for start, end in ((0, 16), (18, 38), (40, 115), (117, 123), (125, len(packet))):
        assert again[start:end] == packet[start:end], f"{start}: {again[start:end]}"
    return read.universe, read.sequence, bytes(read.dmxData)


def artnet(packet):
    assert StupidArtnetServer.validate_header(packet)
    universe = packet[14] | packet[15] << 8
    assert bytes(ArtnetUtils.make_address_mask(universe, 0, 0, True)) == packet[14:16]
    # The library's own sender makes the same packet but for the sequence.
    sender = StupidArtnet("127.0.0.1", universe, len(packet) - 18)
    try:
        sender.set(bytearray(packet[18:]))
        sender.make_artdmx_header()
        header = bytes(sender.packet_header)
    finally:
        sender.close()
    assert header[:12] + header[13:18] == packet[:12] + packet[13:18], header
    return universe, packet[12], packet[18:]


for line in sys.stdin:
    kind, text = line.split()
    told = (e131 if kind == "e131" else artnet)(bytes.fromhex(text))
    print(told[0], told[1], told[2].hex())
