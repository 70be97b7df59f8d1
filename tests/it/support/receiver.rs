//! A web server that remembers every request and answers each by a function: what stands behind channels in tests.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

/// One request that came in completely.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Instant,
}

impl Request {
    /// The body in JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A value of the query.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.path.split_once('?')?.1;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Status, more headers (each with its line end), body.
    Say(u16, String, String),
    /// The same after a while.
    After(Duration, u16, String),
    /// Nothing, with the connection open.
    Silence,
    /// Resets the connection.
    Reset,
    /// A body of a gigabyte.
    Endless,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Say(status, String::new(), String::new())
    }

    pub fn json(body: &serde_json::Value) -> Self {
        Self::Say(200, "Content-Type: application/json\r\n".to_owned(), body.to_string())
    }
}

type Seen = Arc<(Mutex<Vec<Request>>, Condvar)>;

/// The server, for as long as the test runs.
pub struct Receiver {
    pub address: SocketAddr,
    seen: Seen,
}

impl Receiver {
    /// Answers every request with what the function says.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let (shared, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &shared, &*answer));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything that came in.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.0.lock().unwrap().clone()
    }

    /// Waits until so many requests have come in.
    pub fn comes(&self, wanted: usize) -> Vec<Request> {
        let until = Instant::now() + Duration::from_secs(30);
        let mut seen = self.seen.0.lock().unwrap();
        loop {
            if seen.len() >= wanted {
                return seen.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {wanted} requests: {seen:#?}", seen.len());
            seen = self.seen.1.wait_timeout(seen, left).unwrap().0;
        }
    }
}

fn serve(stream: TcpStream, seen: &(Mutex<Vec<Request>>, Condvar), answer: &dyn Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream);
    // A client that dies in the middle of a request has sent nothing that counts.
    let Some(request) = read(&mut reader) else { return };
    let answer = {
        let mut seen_now = seen.0.lock().unwrap();
        let answer = answer(&request);
        seen_now.push(request);
        seen.1.notify_all();
        answer
    };
    let stream = reader.get_mut();
    let say = |stream: &mut TcpStream, status: u16, headers: &str, body: &str| {
        write!(stream, "HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    // The other side may be gone, whatever is written.
    let _ = match answer {
        Answer::Say(status, headers, body) => say(stream, status, &headers, &body),
        Answer::After(pause, status, body) => {
            std::thread::sleep(pause);
            say(stream, status, "", &body)
        }
        Answer::Silence => stream.read(&mut [0]).map(|_| ()),
        Answer::Reset => socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)),
        Answer::Endless => {
            let piece = [b'x'; 1 << 16];
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30);
            let mut sent = 0_u64;
            while sent < 1 << 30 && stream.write_all(&piece).is_ok() {
                sent += piece.len() as u64;
            }
            Ok(())
        }
    };
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body: String::from_utf8(body).unwrap(), at: Instant::now() })
}
