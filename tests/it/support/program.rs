//! The real binary as a process: started in a directory of its own, its log read as it comes, asked over HTTP, stopped
//! by signals. Every wait has an end, and no process outlives its test.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, atomic::AtomicUsize, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

/// No step of a test may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command of the binary, in a directory, with nothing of the tester's environment that would change it.
pub fn usoryou(directory: &Path) -> Command {
    alone(directory, Command::new(env!("CARGO_BIN_EXE_usoryou")))
}

/// The same, for a test that limits how far its files may grow: it gets an error and not a signal.
pub fn usoryou_unharmed_by_limits(directory: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_usoryou")]);
    alone(directory, command)
}

fn alone(directory: &Path, mut command: Command) -> Command {
    command.current_dir(directory).stdin(Stdio::null());
    for name in ["USORYOU_CONFIG", "USORYOU_LISTEN", "USORYOU_STORE", "USORYOU_REGION", "USORYOU_NODE", "USORYOU_HUB"] {
        command.env_remove(name);
    }
    command
}

/// `usoryou run` under way.
pub struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Its internal listener.
    pub address: SocketAddr,
}

impl Program {
    /// Starts it on a free port and waits until it listens.
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    /// The same with more arguments.
    pub fn start_with(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = usoryou(directory);
        command.args(["run", "--listen", "127.0.0.1:0"]).args(arguments);
        Self::start_by(command)
    }

    /// The same by a command that says everything.
    pub fn start_by(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let mut program = Self { child, log, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        let line = program.logs("listening on http://");
        let address = line.split("listening on http://").nth(1).unwrap();
        program.address = address.split([',', ' ', '"']).next().unwrap().parse().unwrap();
        program
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line of the log that holds a text.
    pub fn logs(&mut self, text: &str) -> String {
        eventually(&format!("`{text}` in the log"), || {
            if let Some(line) = self.log().lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}:\n{}", self.log());
            Err(self.log())
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A signal by its number.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Waits for the end: the status, and how long it took.
    pub fn ended(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        let status = eventually("the end of the process", || self.child.try_wait().unwrap().ok_or_else(|| self.log()));
        (status, asked.elapsed())
    }

    /// A page: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    /// `POST` without a body.
    pub fn post(&self, path: &str) -> (u16, String) {
        self.ask("POST", path)
    }

    /// A figure of `/metrics`: the first whose line holds all the given texts.
    pub fn figure(&self, texts: &[&str]) -> Option<f64> {
        let (_, page) = self.get("/metrics");
        let line = page.lines().find(|line| !line.starts_with('#') && texts.iter().all(|text| line.contains(text)))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// A field of its `/proc/PID/status`.
    pub fn status_field(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
    }

    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it succeeds, and fails with the last reason after a while.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(reason) if begun.elapsed() > PATIENCE => panic!("no {what} within {PATIENCE:?}:\n{reason}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A web server in a thread: answers 204 to everything after a pause, and counts.
pub struct Answering {
    /// Where.
    pub address: SocketAddr,
    /// Requests so far.
    pub requests: Arc<AtomicUsize>,
}

impl Answering {
    /// Answers at once.
    pub fn start() -> Self {
        Self::after(Duration::ZERO)
    }

    /// Answers each request after a pause.
    pub fn after(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    loop {
                        let mut line = String::new();
                        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                            line.clear();
                        }
                        if line.is_empty() {
                            return;
                        }
                        counted.fetch_add(1, SeqCst);
                        std::thread::sleep(pause);
                        if reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// How many requests so far.
    pub fn count(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

/// Writes a file next to its place and moves it there, as careful editors do.
pub fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let (path, draft) = (directory.join(name), directory.join(format!(".{name}.new")));
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, &path).unwrap();
    path
}
