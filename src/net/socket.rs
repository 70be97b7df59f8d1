//! A TCP connection that can be asked about while somebody else reads from it and writes to it. Knows what the kernel
//! tells of a connection (`TCP_INFO`); knows nothing of what travels on it.

use std::{
    io,
    os::fd::AsRawFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::model::TcpFacts;

/// A handle to a TCP connection; the connection closes with its last handle.
#[derive(Debug, Clone)]
pub struct Socket(Arc<TcpStream>);

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }
}

impl Socket {
    /// What the kernel knows of the connection now.
    #[must_use]
    pub fn facts(&self) -> Option<TcpFacts> {
        let known = tcp_info(&self.0)?;
        Some(TcpFacts { rtt: f64::from(known.rtt) / 1e6, retransmits: known.total_retrans })
    }
}

impl Socket {
    /// Has the kernel ask after five seconds of silence whether the other end is there: one that is not, and has not
    /// said so, is found within fifteen.
    pub fn keep_alive(&self) {
        let second = std::time::Duration::from_secs(1);
        let habits = socket2::TcpKeepalive::new().with_time(5 * second).with_interval(3 * second).with_retries(3);
        // Without it the connection is merely found dead later.
        let _ = socket2::SockRef::from(&*self.0).set_tcp_keepalive(&habits);
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read_buf(buffer) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Socket {
    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(
            self.0.try_io(Interest::WRITABLE, || socket2::SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write)),
        )
    }
}

/// The beginning of the kernel's `struct tcp_info` (linux/tcp.h), which only ever grows at its end. libc's own
/// definition differs between gnu and musl, hence this one.
#[repr(C)]
#[derive(Default)]
struct TcpInfo {
    states_and_options: [u8; 8],
    rto_to_rcv_ssthresh: [u32; 15],
    rtt: u32,
    rttvar_to_rcv_space: [u32; 7],
    total_retrans: u32,
}

#[expect(unsafe_code, reason = "std, tokio and socket2 offer no TCP_INFO")]
fn tcp_info(stream: &TcpStream) -> Option<TcpInfo> {
    let mut known = TcpInfo::default();
    let whole = libc::socklen_t::try_from(size_of::<TcpInfo>()).ok()?;
    let mut length = whole;
    // SAFETY: the descriptor is open, as `stream` is borrowed. `known` and `length` live through the call; the kernel
    // writes at most `length` bytes into `known`, whose fields are integers for which every pattern of bits is valid.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut known).cast(),
            &raw mut length,
        )
    };
    (status == 0 && length == whole).then_some(known)
}
