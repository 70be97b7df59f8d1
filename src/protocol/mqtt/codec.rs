//! Packets of MQTT 3.1.1 and 5 to bytes and back, as far as a client that looks needs them. Owns the two layouts and how
//! much of what comes is believed; knows no connection and no meaning of a code.

/// No packet that comes may be longer.
pub(super) const PACKET_AT_MOST: usize = 64 * 1024;

/// Which MQTT is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
pub enum Version {
    /// MQTT 3.1.1, which every server speaks.
    #[default]
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5.
    #[serde(rename = "5")]
    V5,
}

/// What a client says of itself.
#[derive(Debug)]
pub(super) struct Connect<'a> {
    pub(super) client_id: &'a str,
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    /// Seconds.
    pub(super) keep_alive: u16,
}

/// A packet that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// The answer to CONNECT.
    ConnAck(ConnAck),
    /// The answer to SUBSCRIBE: the packet that is answered, and the code of its first filter.
    SubAck(u16, u8),
    /// The answer to PUBLISH: the packet that is answered, and its code.
    PubAck(u16, u8),
    /// A message.
    Publish(Publish),
    /// The answer to PINGREQ.
    PingResp,
    /// The server takes its leave, with a code (MQTT 5).
    Disconnect(u8),
    /// A packet that no server sends to a client like us, by its type.
    OutOfTurn(u8),
}

#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct ConnAck {
    pub(super) code: u8,
    /// What the server wants instead of our keep-alive, in seconds.
    pub(super) keep_alive: Option<u16>,
    /// Whether a filter may have wildcards.
    pub(super) wildcards: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Publish {
    /// The packet to acknowledge, unless it is sent at most once.
    pub(super) id: Option<u16>,
    /// Kept by the server from an earlier time.
    pub(super) retained: bool,
    pub(super) payload: Vec<u8>,
}

/// Why bytes are no packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Longer than [`PACKET_AT_MOST`].
    TooLong(usize),
    /// Against the specification.
    Malformed(&'static str),
}

/// The first packet of what has come, and how many bytes it took; nothing while it is not complete.
pub(super) fn decode(version: Version, bytes: &[u8]) -> Result<Option<(Packet, usize)>, Wrong> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    match (first >> 4, first & 0x0f) {
        (0, _) => return Err(Wrong::Malformed("a packet of no type")),
        (3, _) | (6 | 8 | 10, 2) | (_, 0) => {}
        _ => return Err(Wrong::Malformed("a packet with flags that its type does not have")),
    }
    let Some((length, rest)) = length(rest)? else { return Ok(None) };
    if length > PACKET_AT_MOST {
        return Err(Wrong::TooLong(length));
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let taken = bytes.len() - rest.len() + length;
    let mut body = Body(body);
    let packet = match first >> 4 {
        2 => body.conn_ack(version),
        3 => body.publish(version, first),
        4 => body.acknowledged(version).map(|(id, code)| Packet::PubAck(id, code.unwrap_or(0))),
        9 => body.sub_ack(version),
        13 => Some(Packet::PingResp),
        14 => Some(Packet::Disconnect(body.byte().unwrap_or(0))),
        other => Some(Packet::OutOfTurn(other)),
    };
    packet.map(|packet| Some((packet, taken))).ok_or(Wrong::Malformed("a packet shorter than it must be"))
}

/// A length as both versions write it: seven bits a byte, at most four bytes.
fn length(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, Wrong> {
    let mut length = 0;
    for index in 0..4 {
        let Some(byte) = bytes.get(index) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, &bytes[index + 1..])));
        }
    }
    Err(Wrong::Malformed("a length of more than four bytes"))
}

/// The rest of a packet. Each piece is `None` when there is no more of it.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (piece, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(piece)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }

    /// The properties of MQTT 5, by themselves.
    fn properties(&mut self, version: Version) -> Option<Body<'a>> {
        if version == Version::V311 || self.0.is_empty() {
            return Some(Body(&[]));
        }
        let (length, rest) = length(self.0).ok()??;
        self.0 = rest;
        self.take(length).map(Body)
    }

    /// The next property: which, and its value where that is a number of one or two bytes.
    fn property(&mut self) -> Option<(u8, u16)> {
        let name = self.byte()?;
        let value = match name {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => self.byte()?.into(),
            0x13 | 0x21..=0x23 => self.number()?,
            0x02 | 0x11 | 0x18 | 0x27 => self.take(4).map(|_| 0)?,
            0x0b => {
                let (_, rest) = length(self.0).ok()??;
                self.0 = rest;
                0
            }
            0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => self.text().map(|_| 0)?,
            0x26 => self.text().and_then(|_| self.text()).map(|_| 0)?,
            _ => return None,
        };
        Some((name, value))
    }

    fn conn_ack(&mut self, version: Version) -> Option<Packet> {
        let _session_present = self.byte()?;
        let mut answer = ConnAck { code: self.byte()?, keep_alive: None, wildcards: true };
        let mut properties = self.properties(version)?;
        while let Some((name, value)) = properties.property() {
            match name {
                0x13 => answer.keep_alive = Some(value),
                0x28 => answer.wildcards = value != 0,
                _ => {}
            }
        }
        Some(Packet::ConnAck(answer))
    }

    fn publish(&mut self, version: Version, first: u8) -> Option<Packet> {
        self.text()?;
        let id = if first & 0b110 == 0 { None } else { Some(self.number()?) };
        self.properties(version)?;
        Some(Packet::Publish(Publish { id, retained: first & 1 != 0, payload: self.0.to_vec() }))
    }

    /// The packet that is answered, and a code where there is one.
    fn acknowledged(&mut self, version: Version) -> Option<(u16, Option<u8>)> {
        let id = self.number()?;
        let code = if version == Version::V5 { self.byte() } else { None };
        Some((id, code))
    }

    fn sub_ack(&mut self, version: Version) -> Option<Packet> {
        let id = self.number()?;
        self.properties(version)?;
        Some(Packet::SubAck(id, self.byte()?))
    }
}

/// CONNECT: nothing is kept from an earlier session.
pub(super) fn connect(version: Version, connect: &Connect<'_>) -> Vec<u8> {
    const CLEAN: u8 = 0x02;
    let Connect { client_id, username, password, keep_alive } = connect;
    let mut body = Vec::with_capacity(64);
    text(&mut body, b"MQTT");
    body.push(if version == Version::V5 { 5 } else { 4 });
    body.push(CLEAN | if username.is_some() { 0x80 } else { 0 } | if password.is_some() { 0x40 } else { 0 });
    body.extend(keep_alive.to_be_bytes());
    if version == Version::V5 {
        // Receive Maximum, Maximum Packet Size.
        body.extend([8, 0x21, 0, 16, 0x27, 0, 0]);
        body.extend(u16::try_from(PACKET_AT_MOST - 16).unwrap_or(u16::MAX).to_be_bytes());
    }
    text(&mut body, client_id.as_bytes());
    for given in [username, password].into_iter().flatten() {
        text(&mut body, given.as_bytes());
    }
    packet(0x10, &body)
}

/// SUBSCRIBE to one filter, at least once, without what was kept.
pub(super) fn subscribe(version: Version, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    text(&mut body, filter.as_bytes());
    body.push(if version == Version::V5 { 0x21 } else { 1 });
    packet(0x82, &body)
}

/// PUBLISH, at least once, not kept. MQTT 5 servers forget it after `lasts` seconds.
pub(super) fn publish(version: Version, id: u16, topic: &str, payload: &[u8], lasts: u32) -> Vec<u8> {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 16);
    text(&mut body, topic.as_bytes());
    body.extend(id.to_be_bytes());
    if version == Version::V5 {
        body.extend([5, 0x02]);
        body.extend(lasts.to_be_bytes());
    }
    body.extend(payload);
    packet(0x32, &body)
}

/// PUBACK.
pub(super) fn pub_ack(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// PINGREQ.
pub(super) const PING_REQ: [u8; 2] = [0xc0, 0];

/// DISCONNECT: all is well.
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

/// Text with its length in front. What the configuration allows is shorter than two bytes can say.
fn text(body: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(u16::MAX.into())];
    body.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend_from_slice(text);
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
