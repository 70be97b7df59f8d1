//! Real programs of other makes: finding them, starting them, asking them, and ending them with the test.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The program of that name, or nothing where it is not installed, so that the test can be skipped. With
/// `USORYOU_PEERS=required` a missing one is a failure.
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/postgresql"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var("USORYOU_PEERS").as_deref() != Ok("required"), "{name} is not installed");
        skipped(name);
    }
    found
}

/// The program of that name that `make setup` has built, or nothing where it is missing.
pub fn tool(name: &str) -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/bin").join(name);
    if built.is_file() { Some(built) } else { peer(name) }
}

/// The Python that has the packages of `tests/peers/requirements.txt` (`make setup`), or nothing where it is missing.
pub fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/python/bin/python");
    if python.is_file() {
        return Some(python);
    }
    assert!(std::env::var("USORYOU_PEERS").as_deref() != Ok("required"), "{} is missing: make setup", python.display());
    skipped("the Python of target/peers");
    None
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what they did not test")]
fn skipped(name: &str) {
    eprintln!("skipped: {name} is not installed");
}

/// A started program that ends with the test.
pub struct Started {
    child: Child,
    log: PathBuf,
}

impl Started {
    /// Starts a program; what it prints goes to a file in `folder`.
    pub fn new(command: &mut Command, folder: &Path) -> Self {
        let name = Path::new(command.get_program()).file_name().unwrap().to_string_lossy().into_owned();
        let log = folder.join(format!("{name}-{}.log", free_port()));
        let out = std::fs::File::create(&log).unwrap();
        let error = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(error).spawn().unwrap();
        Self { child, log }
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The file that it prints to.
    pub fn log_file(&self) -> PathBuf {
        self.log.clone()
    }

    /// Polls until `look` finds something; fails with the program's log when it ends or the time is over.
    pub fn wait_for<T>(&mut self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(found) = look() {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "no {what} (ended: {ended:?}):\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago, for programs that cannot choose one themselves.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head of the answer, in lower case.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request over a connection of its own, with HTTP/1.0 so that the body comes as it is; nothing when nobody listens.
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Answer> {
    exchange(address, method, path, headers, b"")
}

/// The answer to a `POST` of a body.
pub fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let length = body.len().to_string();
    exchange(address, "POST", path, &[headers, &[("Content-Length", &length)]].concat(), body)
}

fn exchange(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n").ok()?;
    // Whoever has seen enough may close before all is written.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if body.is_empty() {
        read.ok()?;
    }
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..split]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: answer.split_off(split + 4) })
}

/// `GET` without headers.
pub fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    request(address, "GET", path, &[])
}

/// Text as a query's value.
pub fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
