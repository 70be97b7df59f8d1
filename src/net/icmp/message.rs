//! Echo requests and replies as bytes (RFC 792, RFC 4443 §4). Pure.

/// What tells our requests from everybody else's.
pub(super) type Nonce = [u8; 16];

/// Which of the four kinds of socket the bytes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flavour {
    /// ICMPv6.
    pub(super) v6: bool,
    /// A raw socket: it sees the IPv4 header, and everybody's packets.
    pub(super) raw: bool,
}

impl Flavour {
    /// The type of an echo reply.
    pub(super) const fn reply_type(self) -> u8 {
        if self.v6 { 129 } else { 0 }
    }
}

/// Header and as much payload as ping(8) sends.
const LENGTH: usize = 8 + 56;

/// An echo request. The kernel fills in the id of an unprivileged socket and the checksum of ICMPv6.
pub(super) fn request(flavour: Flavour, id: u16, sequence: u16, nonce: &Nonce) -> [u8; LENGTH] {
    let mut packet = [0; LENGTH];
    packet[0] = if flavour.v6 { 128 } else { 8 };
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[8..24].copy_from_slice(nonce);
    for (place, byte) in packet.iter_mut().enumerate().skip(24) {
        *byte = u8::try_from(place).unwrap_or_default();
    }
    if !flavour.v6 {
        let sum = checksum(&packet).to_be_bytes();
        packet[2..4].copy_from_slice(&sum);
    }
    packet
}

/// The sequence number of a reply to one of our requests, and the time to live where the packet shows it.
pub(super) fn reply(flavour: Flavour, packet: &[u8], id: u16, nonce: &Nonce) -> Option<(u16, Option<u8>)> {
    let (message, ttl) = match flavour {
        Flavour { v6: false, raw: true } => {
            let header = usize::from(packet.first()? & 0x0f) * 4;
            (packet.get(header..)?, packet.get(8).copied())
        }
        _ => (packet, None),
    };
    let same_id = !flavour.raw || message.get(4..6)? == id.to_be_bytes();
    let ours = *message.first()? == flavour.reply_type() && same_id && message.get(8..24)? == nonce;
    let sequence = message.get(6..8)?.try_into().ok()?;
    ours.then(|| (u16::from_be_bytes(sequence), ttl))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = *b"0123456789abcdef";

    #[test]
    fn a_request_sums_up_to_nothing() {
        let packet = request(Flavour { v6: false, raw: true }, 0x1234, 7, &NONCE);
        assert_eq!(checksum(&packet), 0);
    }

    #[test]
    fn only_replies_to_our_own_requests_count() {
        let flavour = Flavour { v6: false, raw: true };
        let mut answer = request(flavour, 0x1234, 7, &NONCE);
        let with_header = |message: &[u8]| [&[0x45, 0, 0, 0, 0, 0, 0, 0, 57, 1][..], &[0; 10], message].concat();
        assert_eq!(reply(flavour, &with_header(&answer), 0x1234, &NONCE), None, "our own request");
        answer[0] = 0;
        assert_eq!(reply(flavour, &with_header(&answer), 0x1234, &NONCE), Some((7, Some(57))));
        assert_eq!(reply(flavour, &with_header(&answer), 0x1235, &NONCE), None, "another process's id");
        assert_eq!(reply(flavour, &with_header(&answer), 0x1234, &[0; 16]), None, "another process's payload");
        let unprivileged = Flavour { v6: false, raw: false };
        assert_eq!(reply(unprivileged, &answer, 0x9999, &NONCE), Some((7, None)), "the kernel chose the id");
    }

    proptest::proptest! {
        #[test]
        fn whatever_arrives_is_read_without_panic(packet: Vec<u8>, v6: bool, raw: bool) {
            let _ = reply(Flavour { v6, raw }, &packet, 1, &NONCE);
        }
    }
}
