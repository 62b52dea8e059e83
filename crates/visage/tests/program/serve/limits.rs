//! Requests over the limits, malformed ones, and those that may not be sent.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, Server, assert_near, predicted, square};
use crate::fixture::{folder, line, run};

#[test]
fn requests_over_the_limits_are_refused_and_affect_no_others() {
    let server = Server::start(&run().0, "--max-body 1 --max-pixels 1 --max-images 2 --read-timeout 1");
    assert!(server.post("/v1/attributes", &vec![0; 2 << 20]).problem(413).contains("1048576 bytes"));
    server.still_answers();
    // The same without a length.
    let mut stream = server.connect();
    stream.write_all(b"POST /v1/attributes HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..20 {
        if stream.write_all(&[b"10000\r\n", &[0; 0x10000][..], b"\r\n"].concat()).is_err() {
            break;
        }
    }
    assert!(Answer::read(stream).problem(413).contains("1048576 bytes"));
    server.still_answers();
    // A hundred bytes that would decompress to ten gigabytes.
    let bomb = [b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\xFF\xFF\0\0\xFF\xFF\x08\x02\0\0\0", &[0; 70][..]].concat();
    assert!(server.post("/v1/attributes", &bomb).problem(413).contains("65535x65535"));
    assert!(server.post("/v1/heat?attribute=Red", &bomb).problem(413).contains("1000000 in all"));
    server.still_answers();
    let part = "--b\r\ncontent-disposition: form-data; name=\"f\"\r\n\r\nx\r\n";
    let form = format!("{}--b--\r\n", part.repeat(3));
    let head = "POST /v1/attributes HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=b";
    assert!(server.ask(head, form.as_bytes()).problem(413).contains("2 images"));
    server.still_answers();

    assert!(server.post("/v1/attributes", b"no picture").problem(422).contains("not a readable JPEG"));
    assert!(server.post("/v1/attributes", &square(0)[..60]).problem(422).contains("is cut short"));
    assert_eq!(Server::start(&run().0, "--allow-truncated").post("/v1/attributes", &square(0)[..100]).status, 200);
    let heic = server.post("/v1/attributes", b"\0\0\0\x24ftypheic\0\0\0\0").problem(422);
    assert!(heic.contains("HEIC images are not read"), "{heic}");
    assert!(
        server.ask("POST /v1/attributes HTTP/1.1\r\ncontent-type: text/html", b"x").problem(415).contains("image/*")
    );
    assert!(server.post("/v1/attributes?model=none", b"x").problem(404).contains("available: run"));
    assert!(server.post("/v1/models/none/attributes", b"x").problem(404).contains("available: run"));
    assert!(server.get("/v2/models/none/ready").problem(404).contains("available: run"));
    for head in ["GET /v2/models/%ff", "GET /v2/models/%ff/ready", "POST /v1/models/r%c3un/attributes"] {
        let answer = server.ask(&format!("{head} HTTP/1.1"), b"x");
        assert!(answer.problem(400).contains("is not UTF-8"), "{head}");
    }
    assert!(server.post("/v1/heat?attribute=Blue", b"x").problem(404).contains("it has Red, Bright"));
    assert!(server.post("/v1/attributes?only=Red", b"x").problem(400).contains("?only="));
    assert!(server.post("/v2/models/run/infer", b"{}").problem(400).contains("missing field `inputs`"));
    server.get("/none").problem(404);
    let other = server.get("/v1/attributes");
    assert!(other.head.contains("allow: post"), "{}", other.head);
    other.problem(405);

    // Pages of other sites, also of one whose name resolves to this machine.
    let from = |headers: &str| format!("POST /v1/attributes HTTP/1.1\r\n{headers}");
    for headers in ["origin: https://evil.example", "origin: null", "sec-fetch-site: cross-site"] {
        assert!(server.ask(&from(headers), &square(0)).problem(403).contains("--allow-origin"), "{headers}");
    }
    let own = "origin: http://localhost\r\nsec-fetch-site: same-origin";
    assert_eq!(server.ask(&from(own), &square(0)).status, 200);
    let mut stream = server.connect();
    stream.write_all(b"GET /v1/models HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").unwrap();
    assert!(Answer::read(stream).problem(403).contains("local names"));

    // Clients that are too slow: with a body, with a head, and without sending anything.
    let slow = |sent: &[u8]| {
        let mut stream = server.connect();
        stream.write_all(sent).unwrap();
        (stream, Instant::now())
    };
    let body = slow(b"POST /v1/attributes HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nabc");
    let head = slow(b"POST /v1/attributes HTTP/1.1\r\nhost");
    let (mut idle, _) = slow(b"");
    server.still_answers();
    for (stream, began) in [body, head] {
        Answer::read(stream).problem(408);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "closed without a response");
    server.still_answers();
}

#[test]
fn malformed_requests_get_a_response_or_a_closed_connection() {
    let server = Server::start(&run().0, "--read-timeout 1 --log json");
    let whole =
        [&b"POST /v1/attributes HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40\r\nx: "[..], &[b'y'; 60]].concat();
    let mut number = 1_u32;
    let mut draw = |below: usize| {
        // Marsaglia's xorshift.
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
        number as usize % below
    };
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=draw(4) {
            let (at, byte) = (draw(bytes.len()), draw(256) as u8);
            bytes[at] = byte;
        }
        bytes.truncate(1 + draw(bytes.len()));
        let mut stream = server.connect();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"), "{answer}");
    }
    let large = server.ask(&format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(40_000)), b"");
    assert_eq!(large.status, 431);
    server.still_answers();
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    let last = log.lines().rfind(|line| line.contains("/v1/attributes")).unwrap();
    let last: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
    assert_eq!(
        (&last["status"], &last["route"], &last["level"]),
        (&json!(200), &json!("/v1/attributes"), &json!("INFO"))
    );
    assert!(last["timestamp"].is_string() && last["milliseconds"].is_number(), "{last}");
}

#[test]
fn a_full_queue_is_reported_and_responses_stay_correct() {
    let server = Server::start(&run().0, "--queue 2 --batch 2");
    let expected = predicted(0)["Red"]["probability"].clone();
    let statuses: Vec<u16> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let ask = |_| {
                        let answer = server.post("/v1/attributes", &square(0));
                        match answer.status {
                            200 => assert_near(&answer.json()["images"][0]["attributes"][0]["probability"], &expected),
                            _ => {
                                assert!(answer.problem(429).contains("try again"));
                                assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
                            }
                        }
                        answer.status
                    };
                    (0..25).map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    server.still_answers();
}

#[test]
fn requests_need_the_token_if_one_is_set() {
    let folder = folder();
    let (token, file) = ("0123456789abcdef0123", folder.path().join("token"));
    fs::write(&file, format!("{token}\n")).unwrap();
    let server = Server::start(&run().0, &format!("--token-file {}", file.display()));
    for open in ["/", "/openapi.json", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
    for closed in ["/metrics", "/v1/models", "/v2", "/v2/models/run", "/none"] {
        let answer = server.get(closed);
        assert!(answer.head.contains("www-authenticate: bearer"), "{closed}");
        answer.problem(401);
        assert_eq!(server.ask(&format!("GET {closed} HTTP/1.1\r\nauthorization: Bearer {token}4"), b"").status, 401);
    }
    let right = server.ask(&format!("GET /v1/models HTTP/1.1\r\nauthorization: Bearer {token}"), b"");
    assert_eq!(right.status, 200);
    assert!(!server.stop().1.contains("0123456789"), "a token is not logged");

    fs::write(&file, "short").unwrap();
    let error = line(&format!("serve {} --token-file {}", run().0.display(), file.display())).failed(1);
    assert!(error.contains("16 to 4,096"), "{error}");
}
