//! Packets as the specifications draw them, cut off, and noise.

use proptest::prelude::*;

use super::*;

const BOTH: [Version; 2] = [Version::V311, Version::V5];

fn whole(version: Version, bytes: &[u8]) -> Packet {
    let (packet, taken) = decode(version, bytes).unwrap().unwrap();
    assert_eq!(taken, bytes.len());
    packet
}

#[test]
fn connect_is_laid_out_as_the_specifications_say() {
    let said = Connect { client_id: "c", username: Some("u"), password: Some("pw"), keep_alive: 60 };
    assert_eq!(connect(Version::V311, &said), b"\x10\x14\0\x04MQTT\x04\xc2\0\x3c\0\x01c\0\x01u\0\x02pw");
    let said = Connect { client_id: "c", username: None, password: None, keep_alive: 0 };
    assert_eq!(connect(Version::V5, &said), b"\x10\x16\0\x04MQTT\x05\x02\0\0\x08\x21\0\x10\x27\0\0\xff\xf0\0\x01c");
}

#[test]
fn subscriptions_and_messages_are_laid_out_as_the_specifications_say() {
    assert_eq!(subscribe(Version::V311, 1, "a/+"), b"\x82\x08\0\x01\0\x03a/+\x01");
    assert_eq!(subscribe(Version::V5, 1, "a/+"), b"\x82\x09\0\x01\0\0\x03a/+\x21");
    assert_eq!(publish(Version::V311, 7, "a", b"hi", 60), b"\x32\x07\0\x01a\0\x07hi");
    assert_eq!(publish(Version::V5, 7, "a", b"hi", 60), b"\x32\x0d\0\x01a\0\x07\x05\x02\0\0\0\x3chi");
    let long = publish(Version::V311, 7, "a", &[b'x'; 200], 60);
    assert_eq!((&long[..3], long.len()), (&b"\x32\xcd\x01"[..], 208));
    for version in BOTH {
        let Packet::Publish(message) = whole(version, &publish(version, 7, "a/b", b"hi", 60)) else { panic!() };
        assert_eq!(message, Publish { id: Some(7), retained: false, payload: b"hi".to_vec() });
    }
}

#[test]
fn answers_of_servers() {
    let answer = |code, keep_alive, wildcards| Packet::ConnAck(ConnAck { code, keep_alive, wildcards });
    assert_eq!(whole(Version::V311, &[0x20, 2, 0, 5]), answer(5, None, true));
    assert_eq!(whole(Version::V5, &[0x20, 3, 0, 0x87, 0]), answer(0x87, None, true));
    let properties = [0x20, 8, 1, 0, 5, 0x13, 0, 30, 0x28, 0];
    assert_eq!(whole(Version::V5, &properties), answer(0, Some(30), false));
    assert_eq!(whole(Version::V5, &[0x90, 4, 0, 1, 0, 0x87]), Packet::SubAck(1, 0x87));
    assert_eq!(whole(Version::V311, &[0x90, 3, 0, 1, 0x80]), Packet::SubAck(1, 0x80));
    assert_eq!(whole(Version::V5, &[0x40, 2, 0, 9]), Packet::PubAck(9, 0));
    assert_eq!(whole(Version::V5, &[0x40, 3, 0, 9, 0x97]), Packet::PubAck(9, 0x97));
    assert_eq!(whole(Version::V5, &[0xe0, 1, 0x8e]), Packet::Disconnect(0x8e));
    assert_eq!(whole(Version::V5, &[0xe0, 0]), Packet::Disconnect(0));
    assert_eq!(whole(Version::V311, &[0xd0, 0]), Packet::PingResp);
    assert_eq!(whole(Version::V311, &[0x10, 0]), Packet::OutOfTurn(1));
    let Packet::Publish(kept) = whole(Version::V311, b"\x31\x05\0\x01ahi") else { panic!() };
    assert!(kept.retained && kept.id.is_none());
}

#[test]
fn what_is_not_complete_is_waited_for_and_what_is_too_long_is_not() {
    for version in BOTH {
        for part in [&b""[..], b"\x20", b"\x20\x02", b"\x20\x02\0", b"\x32\x80"] {
            assert_eq!(decode(version, part), Ok(None), "{part:x?}");
        }
        // Said by the length alone: nothing of it is read.
        assert_eq!(decode(version, b"\x30\xff\xff\xff\x7f"), Err(Wrong::TooLong(268_435_455)));
        for bad in [
            &b"\x30\xff\xff\xff\xff\x7f"[..],
            b"\x00\x00",
            b"\x20\x01\0",
            b"\x90\x01\0",
            b"\x40\x00",
            b"\x30\x03\0\x09a",
        ] {
            assert!(matches!(decode(version, bad), Err(Wrong::Malformed(_))), "{bad:x?}");
        }
    }
}

proptest! {
    #[test]
    fn noise_breaks_nothing_and_takes_no_more_than_there_is(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for version in BOTH {
            if let Ok(Some((_, taken))) = decode(version, &bytes) {
                prop_assert!((2..=bytes.len()).contains(&taken));
            }
        }
    }

    #[test]
    fn packets_of_the_right_shape_with_noise_inside(
        first in 0x20_u8..=0xf0,
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = packet(first, &body);
        for version in BOTH {
            match decode(version, &bytes) {
                Ok(whole) => prop_assert_eq!(whole.map(|(_, taken)| taken), Some(bytes.len())),
                Err(wrong) => prop_assert!(matches!(wrong, Wrong::Malformed(_))),
            }
        }
    }
}
