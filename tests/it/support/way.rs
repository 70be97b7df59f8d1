//! A way to a server that can be cut as a network is: nothing comes through any more, and nobody is told.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

/// The way, for as long as the test runs.
pub struct Way {
    /// Where it begins.
    pub address: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Way {
    /// To a server.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, cut) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let state = Arc::clone(&cut);
        std::thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    while state.load(SeqCst) {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    let Ok(there) = TcpStream::connect(server) else { return };
                    let back = (there.try_clone().unwrap(), here.try_clone().unwrap(), Arc::clone(&state));
                    std::thread::spawn(move || carry(back.0, back.1, &back.2));
                    carry(here, there, &state);
                });
            }
        });
        Self { address, cut }
    }

    /// Cuts it, or mends it.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut piece = [0; 16 << 10];
    while let Ok(size) = from.read(&mut piece) {
        while cut.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if size == 0 || to.write_all(&piece[..size]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
