//! A web server that can be switched off: then it answers 503.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

/// The server, for as long as the tests run.
pub struct Switched {
    pub address: SocketAddr,
    well: Arc<AtomicBool>,
}

impl Switched {
    /// Switched on.
    pub fn start() -> Self {
        Self::after(Duration::ZERO)
    }

    /// Switched on, answering after a pause: what is as quick as loopback looks slow as soon as the machine has other work.
    pub fn after(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, well) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let now = Arc::clone(&well);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let now = Arc::clone(&now);
                std::thread::spawn(move || {
                    let Ok(reading) = stream.try_clone() else { return };
                    let (mut reader, mut line) = (BufReader::new(reading), String::new());
                    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                        line.clear();
                    }
                    std::thread::sleep(pause);
                    let answer: &[u8] = if now.load(SeqCst) {
                        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
                    } else {
                        b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    };
                    let _ = stream.write_all(answer);
                });
            }
        });
        Self { address, well }
    }

    /// Switches it.
    pub fn switch(&self, well: bool) {
        self.well.store(well, SeqCst);
    }
}
