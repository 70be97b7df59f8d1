//! The two things that neither std nor socket2 offers for ICMP sockets: having ICMP errors reported, and the hop limit
//! of what arrives.
#![expect(unsafe_code, reason = "two socket options and an ancillary message have no safe interface")]

use std::{ffi::c_int, io, mem::MaybeUninit, os::fd::AsRawFd as _};

use socket2::{MaybeUninitSlice, MsgHdrMut, SockFilter, Socket};

use super::message::Flavour;

/// Room for one number with its header, and to spare.
const CONTROL: usize = 64;

/// Asks for ICMP errors, which unprivileged sockets otherwise keep to themselves, and for hop limits; on a raw socket
/// also for nothing but replies to this id.
pub(super) fn prepare(socket: &Socket, flavour: Flavour, id: u16) -> io::Result<()> {
    if flavour.raw {
        socket.attach_filter(&replies_to(flavour, id))?;
    }
    if flavour.v6 {
        switch_on(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR)?;
        socket.set_recv_hoplimit_v6(true)
    } else {
        switch_on(socket, libc::IPPROTO_IP, libc::IP_RECVERR)?;
        switch_on(socket, libc::IPPROTO_IP, libc::IP_RECVTTL)
    }
}

/// A program for the kernel's packet filter. It is an economy: what it lets through is looked at all the same.
fn replies_to(flavour: Flavour, id: u16) -> [SockFilter; 7] {
    let line = |code: u32, missed, number| SockFilter::new(code as u16, 0, missed, number);
    let (load, jump, leave) =
        (libc::BPF_LD | libc::BPF_IND, libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::BPF_RET);
    let start = match flavour.v6 {
        // A raw IPv4 socket sees the IP header, whose length is in its first byte.
        false => line(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0),
        true => line(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM, 0, 0),
    };
    [
        start,
        line(load | libc::BPF_B, 0, 0),
        line(jump, 3, flavour.reply_type().into()),
        line(load | libc::BPF_H, 0, 4),
        line(jump, 1, id.into()),
        line(leave | libc::BPF_K, 0, u32::MAX),
        line(leave | libc::BPF_K, 0, 0),
    ]
}

fn switch_on(socket: &Socket, level: c_int, option: c_int) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the pointer and the length describe `on`, which outlives the call; the descriptor is open.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&on).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives a packet: how long it is, and its hop limit where the kernel tells it.
pub(super) fn receive(socket: &Socket, packet: &mut [u8]) -> io::Result<(usize, Option<u8>)> {
    let mut control = [MaybeUninit::new(0_u8); CONTROL];
    // SAFETY: initialised bytes are valid as bytes that need not be, and recvmsg(2) never makes them uninitialised.
    let packet = unsafe { &mut *(std::ptr::from_mut(packet) as *mut [MaybeUninit<u8>]) };
    let mut buffers = [MaybeUninitSlice::new(packet)];
    let mut message = MsgHdrMut::new().with_buffers(&mut buffers).with_control(&mut control);
    let length = socket.recvmsg(&mut message, 0)?;
    let filled = message.control_len();
    // SAFETY: every byte was initialised above.
    let control = control.map(|byte| unsafe { byte.assume_init() });
    Ok((length, hop_limit(control.get(..filled).unwrap_or_default())))
}

/// The number in the first ancillary message (cmsg(3)); it is the only one that we ask for.
fn hop_limit(control: &[u8]) -> Option<u8> {
    const WORD: usize = size_of::<usize>();
    let number = |at: usize| Some(c_int::from_ne_bytes(control.get(at..at + 4)?.try_into().ok()?));
    let (level, kind) = (number(WORD)?, number(WORD + 4)?);
    let ours = [(libc::IPPROTO_IP, libc::IP_TTL), (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)];
    ours.contains(&(level, kind)).then(|| u8::try_from(number(WORD + 8)?).ok()).flatten()
}
