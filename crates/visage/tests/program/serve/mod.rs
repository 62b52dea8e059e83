//! `visage serve`. `tests/serve` checks it with other clients, and `tests/hostile` under load.

mod answers;
mod floods;
mod life;
mod limits;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{PROGRAM, line, run, squares};

/// A server on a free port, until it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(model: &Path, options: &str) -> Self {
        Self::logging_to(Stdio::piped(), &[model], options)
    }

    /// Starts a server of these models, whose log goes to `log`.
    fn logging_to(log: Stdio, models: &[&Path], options: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").args(models).args(["--port", "0"]).args(options.split_whitespace());
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the program starts");
        let mut said = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        let address = said.trim().rsplit_once("http://").unwrap_or_else(|| panic!("{said}")).1.to_owned();
        Self { process, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends one request on a new connection.
    fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = format!("{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        // A body that is too large is refused before all of it is sent.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        Answer::read(stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1"), b"")
    }

    fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.ask(&format!("POST {path} HTTP/1.1"), body)
    }

    /// The server still answers, whatever was sent before.
    fn still_answers(&self) {
        assert_eq!(self.post("/v1/attributes", &square(0)).status, 200);
    }

    fn metrics(&self) -> String {
        String::from_utf8(self.get("/metrics").body).unwrap()
    }

    fn send_sigterm(&self) {
        assert!(Command::new("kill").arg(self.process.id().to_string()).status().unwrap().success());
    }

    /// Stops the server; returns its exit code and its log.
    fn stop(self) -> (Option<i32>, String) {
        self.send_sigterm();
        self.ended()
    }

    /// Waits for the end of the server; returns its exit code and its log.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap().code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A response.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let body = all.split_off(end + 4);
        let head = String::from_utf8(all).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body }
    }

    fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}{text}", self.head))
    }

    /// The detail of a problem response of this status.
    fn problem(&self, status: u16) -> String {
        let output = self.json();
        assert_eq!((self.status, &output["status"]), (status, &json!(status)), "{output}");
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        assert_eq!(output["error"], output["detail"], "as the Open Inference Protocol has it");
        output["detail"].as_str().unwrap().to_owned()
    }
}

/// The image file of a square.
fn square(number: usize) -> Vec<u8> {
    fs::read(squares().join(format!("images/{number:02}.png"))).unwrap()
}

/// The output of `visage predict` for a square.
fn predicted(number: usize) -> Value {
    let image = squares().join(format!("images/{number:02}.png"));
    let output = line(&format!("predict {} {} --format json", run().0.display(), image.display())).json();
    output["attributes"].clone()
}

fn assert_near(a: &Value, b: &Value) {
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    assert!((a - b).abs() < 1e-5, "{a} {b}");
}

/// Waits, for a minute at most, until something is so.
fn until(done: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}
