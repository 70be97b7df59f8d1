//! A status page that says what it is told to say, and remembers what it was asked.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
};

/// The server, for as long as the test runs.
pub struct Page {
    /// Where the feed is.
    pub url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Page {
    /// Answers every request with this body.
    pub fn saying(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/incidents.json", listener.local_addr().unwrap());
        let page = Self { url, answer: Arc::default(), asked: Arc::default() };
        page.says(body);
        let (answer, asked) = (Arc::clone(&page.answer), Arc::clone(&page.asked));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
                asked.lock().unwrap().push(head.to_lowercase());
                let answer = answer.lock().unwrap().clone();
                let _ = stream.write_all(&answer);
            }
        });
        page
    }

    /// What it says from now on.
    pub fn says(&self, body: &str) {
        self.answers(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
    }

    /// The same, head and all.
    pub fn answers(&self, answer: &str) {
        *self.answer.lock().unwrap() = answer.as_bytes().to_vec();
    }

    /// The heads of all requests so far, in small letters.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}
