//! The plainest web site there is: a thread that answers every request with the same few bytes, until it is dropped.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

/// A site whose status can be changed while it runs.
pub struct Plain {
    /// Where it listens.
    pub address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Plain {
    /// Starts a site that answers 200.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
        let (said, count) = (Arc::clone(&status), Arc::clone(&asked));
        // The thread ends with the test's process: it holds nothing but a loopback socket.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (said, count) = (Arc::clone(&said), Arc::clone(&count));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut buffer = [0; 4096];
                    if matches!(stream.read(&mut buffer), Ok(1..)) {
                        count.fetch_add(1, Ordering::SeqCst);
                        let status = said.load(Ordering::SeqCst);
                        let _ =
                            write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
                    }
                });
            }
        });
        Self { address, status, asked }
    }

    /// What it answers from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
