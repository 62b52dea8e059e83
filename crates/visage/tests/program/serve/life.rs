//! How the server starts, reloads its models, and ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Answer, Server, square, until};
use crate::fixture::{PROGRAM, folder, line, run, squares};

#[test]
fn a_changed_model_file_is_reloaded_unless_it_is_damaged() {
    let (folder, best) = (folder(), run().0.join("best.safetensors"));
    let (served, next) = (folder.path().join("m.safetensors"), folder.path().join("next.safetensors"));
    fs::copy(&best, &served).unwrap();
    let server = Server::start(&served, "");
    let thresholds = || server.get("/v1/models").json()["models"][0]["attributes"][0]["threshold"].clone();
    let before = thresholds();
    let loads = |result: &str, count: usize| {
        server.metrics().contains(&format!("visage_model_loads_total{{model=\"m\",result=\"{result}\"}} {count}\n"))
    };
    let whole = fs::read(&served).unwrap();
    fs::write(&next, &whole[..whole.len() / 2]).unwrap();
    fs::rename(&next, &served).unwrap();
    until(|| loads("refused", 1), "half a file is noticed");
    server.still_answers();
    assert_eq!(thresholds(), before, "the old one answers");

    let calibrate = format!("calibrate {} --data {} --thresholds 0.125", best.display(), squares().display());
    line(&format!("{calibrate} --out {}", next.display())).done();
    fs::rename(&next, &served).unwrap();
    until(|| loads("loaded", 1), "a new file is noticed");
    assert_eq!(thresholds(), json!(0.125));
    #[cfg(unix)]
    {
        // A pipe, which nobody writes into.
        assert!(Command::new("mkfifo").arg(&next).status().unwrap().success());
        fs::rename(&next, &served).unwrap();
        until(|| loads("refused", 2), "a pipe is noticed");
        fs::copy(&best, &next).unwrap();
        fs::rename(&next, &served).unwrap();
        until(|| loads("loaded", 2), "a file in the place of a pipe is noticed");
    }
    server.still_answers();
    let (_, log) = server.stop();
    assert!(log.contains("cannot be used: the previous model stays in use") && log.contains("is now in use"), "{log}");
}

#[test]
fn accepted_requests_finish_before_shutdown() {
    let server = Server::start(&run().0, "");
    let (mut stream, file) = (server.connect(), square(0));
    let head = format!(
        "POST /v1/attributes HTTP/1.1\r\nhost: localhost\r\nx-request-id: mine-1\r\ncontent-length: {}\r\n\r\n",
        file.len()
    );
    stream.write_all(&[head.as_bytes(), &file[..20]].concat()).unwrap();
    // The request has arrived once the server counts its connection.
    until(|| server.metrics().contains("visage_connections 2\n"), "the connection is counted");
    let address = server.address.clone();
    let stopping = thread::spawn(move || server.stop());
    let end = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(&address).is_ok_and(|stream| stream.shutdown(Shutdown::Both).is_ok()) {
        assert!(Instant::now() < end, "nobody new is accepted");
        thread::sleep(Duration::from_millis(20));
    }
    stream.write_all(&file[20..]).unwrap();
    let answer = Answer::read(stream);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("x-request-id: mine-1\r\n"), "{}", answer.head);
    let (code, log) = stopping.join().unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("route=/v1/attributes status=200") && log.contains("id=\"mine-1\""), "{log}");
}

#[test]
fn all_models_in_a_folder_are_served() {
    let (folder, best) = (folder(), run().0.join("best.safetensors"));
    let models = folder.path();
    let error = line(&format!("serve {} --port 0", models.display())).failed(1);
    assert!(error.contains("there is no model in"), "{error}");
    fs::create_dir(models.join("night")).unwrap();
    fs::copy(&best, models.join("night/best.safetensors")).unwrap();
    fs::write(models.join("notes.txt"), "no model").unwrap();
    let names = |server: &Server| -> Vec<String> {
        let listed = server.get("/v1/models").json();
        listed["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&Server::start(models, "")), ["night"]);
    let named = format!("mine={}", models.display());
    assert_eq!(names(&Server::start(Path::new(&named), "")), ["mine"], "as KServe names what it has fetched");
    fs::copy(&best, models.join("day.safetensors")).unwrap();
    let server = Server::start(models, "");
    assert_eq!(names(&server), ["day", "night"]);
    server.still_answers();
    let error = line(&format!("serve {named} --port 0")).failed(1);
    assert!(error.contains("holds 2 models, which cannot all be named mine") && error.contains("leave mine= out"));
}

#[test]
fn a_server_that_cannot_start_explains_why() {
    let model = run().0.display();
    let error = line(&format!("serve {model} {model} --port 0")).failed(1);
    assert!(error.contains("two models would be served by the name run") && error.contains("NAME=PATH"), "{error}");
    let error = line(&format!("serve ={model} --port 0")).failed(1);
    assert!(error.contains("cannot be a model's name"), "{error}");
    let error = line(&format!("serve {} --port 0", squares().join("labels.csv").display())).failed(1);
    assert!(error.contains("cannot serve labels\n  cause: "), "{error}");
    let other = Server::start(&run().0, "");
    let port = other.address.rsplit_once(':').unwrap().1;
    let error = line(&format!("serve {model} --port {port}")).failed(1);
    assert!(error.contains(&format!("cannot listen on 127.0.0.1:{port}")) && error.contains("--port"), "{error}");
}

/// The exit code and the standard error of a process.
fn ended(process: Child) -> (Option<i32>, String) {
    let output = process.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_is_stopped_while_it_starts_ends_as_any_other() {
    // Bit 14 of the signals that the process handles is SIGTERM.
    let handles_sigterm = |process: u32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << 14 != 0)
    };
    for _ in 0..5 {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(&run().0).args(["--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let process = command.spawn().unwrap();
        let number = process.id();
        until(|| handles_sigterm(number), "SIGTERM is handled");
        assert!(Command::new("kill").arg(number.to_string()).status().unwrap().success());
        let (code, log) = ended(process);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("told to stop before listening") || log.contains("shutting down"), "{log}");
    }
}

#[test]
fn what_has_arrived_before_sigterm_is_answered() {
    let server = Server::start(&run().0, "");
    const WHOLE: &[u8] = b"GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let (begin, end) = WHOLE.split_at(20);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.write_all(begin).unwrap();
    second.write_all(WHOLE).unwrap();
    until(|| server.metrics().contains("route=\"/v2\",status=\"200\"} 1\n"), "a request is answered");
    second.write_all(begin).unwrap();
    until(|| server.metrics().contains("visage_connections 3\n"), "the connections are counted");
    // The server may not have accepted these when it is told to stop.
    let waiting = (0..20).map(|_| server.connect()).map(|mut stream| stream.write_all(WHOLE).map(|()| stream));
    let waiting: Vec<TcpStream> = waiting.collect::<Result<_, _>>().unwrap();
    server.send_sigterm();
    for stream in waiting {
        assert_eq!(Answer::read(stream).status, 200);
    }
    for stream in [&mut first, &mut second] {
        stream.write_all(end).unwrap();
    }
    for (mut stream, answers) in [(first, 1), (second, 2)] {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let text = text.to_ascii_lowercase();
        assert_eq!(text.matches("http/1.1 200").count(), answers, "{text}");
        assert_eq!(text.matches("connection: close\r\n").count(), 1, "{text}");
    }
    let (code, log) = server.ended();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_server_that_idles_for_longer_than_the_stall_timeout_is_alive() {
    let server = Server::start(&run().0, "--stall-timeout 2");
    thread::sleep(Duration::from_secs(3));
    assert_eq!((server.get("/v2/health/live").status, server.get("/v2/health/ready").status), (200, 200));
    let metrics = server.metrics();
    assert!(metrics.contains("visage_decode_seconds_count 0\n"), "the watchdog's questions are no requests: {metrics}");
    assert!(!metrics.contains("visage_batch_images_count"), "{metrics}");
}

/// Makes the server log more than fits into the pipe of its log, which is full after some hundred lines, and into its queue of 1,024.
fn overflow_log(server: &Server) {
    let mut stream = server.connect();
    let mut answers = stream.try_clone().unwrap();
    let reading = thread::spawn(move || answers.read_to_end(&mut Vec::new()));
    let request = format!("GET /none HTTP/1.1\r\nhost: localhost\r\nx-request-id: {}\r\n", "x".repeat(64));
    stream.write_all(format!("{request}\r\n").repeat(3000).as_bytes()).unwrap();
    stream.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).unwrap();
    reading.join().unwrap().unwrap();
    until(|| !server.metrics().contains("visage_log_lines_dropped_total 0\n"), "lines are dropped");
}

#[test]
fn a_log_that_nobody_reads_delays_nothing() {
    let mut server = Server::start(&run().0, "");
    overflow_log(&server);
    assert_eq!(server.get("/v2/health/ready").status, 200);
    server.still_answers();
    server.send_sigterm();
    assert_eq!(server.process.wait().unwrap().code(), Some(0), "nobody has read the log");
}

#[test]
fn a_log_that_is_read_again_says_how_many_lines_are_missing() {
    let mut server = Server::start(&run().0, "");
    overflow_log(&server);
    let log = BufReader::new(server.process.stderr.take().unwrap());
    let said = log.lines().map(Result::unwrap).find(|line| line.contains("log lines were dropped")).unwrap();
    assert!(said.contains("lines="), "{said}");
}

#[test]
fn a_log_that_cannot_be_written_costs_no_answer() {
    #[cfg(target_os = "linux")]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let server = Server::logging_to(full.into(), &[&run().0], "");
        server.still_answers();
        until(|| !server.metrics().contains("visage_log_lines_dropped_total 0\n"), "lines are dropped");
    }
    let mut server = Server::start(&run().0, "");
    // Nobody can read the log any more.
    drop(server.process.stderr.take());
    server.still_answers();
    server.still_answers();
    until(|| !server.metrics().contains("visage_log_lines_dropped_total 0\n"), "lines are dropped");
    server.send_sigterm();
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}
