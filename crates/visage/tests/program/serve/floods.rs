//! Many bad clients at once: none of them keeps a good one from being served. `tests/hostile/load.py` measures how fast.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Server, square};
use crate::fixture::{folder, run};

const LIVE: &[u8] = b"GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Whether the server has closed a connection.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut stream = stream;
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            // An answer.
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn idle_and_slow_connections_make_room_for_others() {
    let server = Server::start(&run().0, "--max-connections 8 --read-timeout 600");
    let open = |sent: &[u8]| {
        let mut stream = server.connect();
        stream.write_all(sent).unwrap();
        stream
    };
    let head = b"POST /v1/attributes HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nbegin";
    for sent in [&b""[..], b"POST /v1/attributes HTTP/1.1\r\nhost", head, LIVE] {
        let bad: Vec<TcpStream> = (0..24).map(|_| open(sent)).collect();
        for _ in 0..4 {
            server.still_answers();
        }
        let closed = bad.iter().filter(|stream| is_closed(stream)).count();
        assert!(closed >= 16, "{closed} of 24 are closed, and 8 can be open");
    }
    assert!(!server.metrics().contains("visage_connections_reclaimed_total 0\n"));
}

#[test]
fn a_request_that_is_being_answered_keeps_its_connection() {
    let server = Server::start(&run().0, "--max-connections 4");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(server.connect());
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(server.post("/v1/attributes", &square(0)).status, 200);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn connections_that_are_always_busy_give_way_after_a_response() {
    let server = Server::start(&run().0, "--max-connections 4");
    let file = square(0);
    let head = format!("POST /v1/attributes HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", file.len());
    let request = [head.as_bytes(), &file].concat();
    let stop = AtomicBool::new(false);
    // Further requests are there before the first one is answered.
    let send = |mut stream: TcpStream| {
        while !stop.load(Ordering::Relaxed) {
            if stream.write_all(&request).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
    };
    let be_busy = || {
        while !stop.load(Ordering::Relaxed) {
            let mut stream = server.connect();
            let requests = stream.try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(|| send(requests));
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(be_busy);
        }
        for _ in 0..20 {
            server.still_answers();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_connection_has_a_number_of_requests() {
    let server = Server::start(&run().0, "");
    let mut stream = server.connect();
    let mut responses = stream.try_clone().unwrap();
    let sending = thread::spawn(move || stream.write_all(&LIVE.repeat(10_100)));
    let mut text = String::new();
    let _ = responses.read_to_string(&mut text);
    let _ = sending.join().unwrap();
    let text = text.to_ascii_lowercase();
    assert_eq!((text.matches("http/1.1 200").count(), text.matches("connection: close\r\n").count()), (10_000, 1));
    server.still_answers();
}

#[test]
fn a_flood_on_one_model_leaves_room_for_another() {
    let (folder, best) = (folder(), run().0.join("best.safetensors"));
    let [flooded, other] = ["flooded", "other"].map(|name| folder.path().join(format!("{name}.safetensors")));
    std::fs::copy(&best, &flooded).unwrap();
    std::fs::copy(&best, &other).unwrap();
    let models: [&Path; 2] = [&flooded, &other];
    let server = Server::logging_to(Stdio::null(), &models, "--queue 8 --batch 4");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let status = server.post("/v1/models/flooded/attributes", &square(0)).status;
                    assert!(status == 200 || status == 429, "{status}");
                }
            });
        }
        let statuses: Vec<u16> =
            (0..30).map(|_| server.post("/v1/models/other/attributes", &square(0)).status).collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(statuses, [200; 30]);
    });
}

#[test]
fn a_client_that_sends_and_never_reads_harms_no_other() {
    let server = Server::start(&run().0, "--read-timeout 1");
    let mut deaf = server.connect();
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(400);
    deaf.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let _ = deaf.write_all(&request);
    server.still_answers();
    super::until(|| server.metrics().contains("visage_connections 1\n"), "the connection is closed");
}
