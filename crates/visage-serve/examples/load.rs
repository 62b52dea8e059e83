//! Asks a running server as fast as it answers, and says how fast that was:
//!
//! ```sh
//! visage serve MODEL --port 8080
//! cargo run --release --example load -- 127.0.0.1:8080 IMAGE [--concurrency 32] [--requests 10000] [--pixels MODEL] [--process PID]
//! ```
//!
//! IMAGE is sent as it is to `/v1/attributes`; with `--pixels NAME`, an image of noise is sent to that model as a UINT8 tensor by the
//! Open Inference Protocol, so that nothing is decoded. With `--process` also how the memory of that process grew, on Linux.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut words = env::args().skip(1);
    let (Some(address), Some(image)) = (words.next(), words.next()) else {
        return Err("name an address and an image".into());
    };
    let (mut concurrency, mut requests, mut pixels, mut process) = (32, 10_000, None, None);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--concurrency" => concurrency = value.parse()?,
            "--requests" => requests = value.parse()?,
            "--pixels" => pixels = Some(value),
            "--process" => process = Some(value),
            _ => return Err(format!("what is {word}?").into()),
        }
    }
    let request = match pixels {
        Some(model) => tensor(&address, &model)?,
        None => request("/v1/attributes", "", &fs::read(image)?),
    };
    // The first requests make the server ask the system for memory.
    ask_all(&address, &request, concurrency, requests.min(20 * concurrency))?;
    let before = process.as_deref().map(memory).transpose()?;
    let began = Instant::now();
    let mut latencies = ask_all(&address, &request, concurrency, requests)?;
    let took = began.elapsed();
    let after = process.as_deref().map(memory).transpose()?;
    latencies.sort();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "{requests} requests, {concurrency} at a time: {:.1} a second; latency {:.2} ms in the middle, {:.2} ms at 99 %, {:.2} ms at most",
        requests as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
    if let (Some(before), Some(after)) = (before, after) {
        println!("memory of the server: {before} KiB before, {after} KiB after");
    }
    Ok(())
}

/// The latency of each of so many requests, of which `concurrency` are under way at any time, each on a connection of its own.
fn ask_all(address: &str, request: &[u8], concurrency: usize, requests: usize) -> Result<Vec<Duration>, Failure> {
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        let client = || -> Result<Vec<Duration>, Failure> {
            let mut connection = BufReader::new(TcpStream::connect(address)?);
            connection.get_ref().set_nodelay(true)?;
            let mut latencies = Vec::new();
            while begun.fetch_add(1, Ordering::Relaxed) < requests {
                let sent = Instant::now();
                connection.get_mut().write_all(request)?;
                answer(&mut connection)?;
                latencies.push(sent.elapsed());
            }
            Ok(latencies)
        };
        let clients: Vec<_> = (0..concurrency).map(|_| scope.spawn(client)).collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(all)
    })
}

fn request(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: load\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A request of one image of noise of the model's size.
fn tensor(address: &str, model: &str) -> Result<Vec<u8>, Failure> {
    let mut connection = BufReader::new(TcpStream::connect(address)?);
    write!(connection.get_mut(), "GET /v2/models/{model} HTTP/1.1\r\nhost: load\r\n\r\n")?;
    let about: serde_json::Value = serde_json::from_slice(&answer(&mut connection)?)?;
    let side = |at: usize| about["inputs"][1]["shape"][at].as_u64().ok_or("no such model");
    let (height, width) = (side(1)?, side(2)?);
    let size = height * width * 3;
    let input = serde_json::json!({"name": "pixels", "datatype": "UINT8", "shape": [1, height, width, 3], "parameters": {"binary_data_size": size}});
    let output = serde_json::json!({"name": "probabilities", "parameters": {"binary_data": true}});
    let json = serde_json::json!({"inputs": [input], "outputs": [output]}).to_string();
    let noise = (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8);
    let body: Vec<u8> = json.bytes().chain(noise).collect();
    let headers = format!("inference-header-content-length: {}\r\n", json.len());
    Ok(request(&format!("/v2/models/{model}/infer"), &headers, &body))
}

/// The body of an answer that says that all is well.
fn answer(connection: &mut BufReader<TcpStream>) -> Result<Vec<u8>, Failure> {
    let (mut status, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        if status.is_empty() {
            status.clone_from(&line);
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    if status.contains(" 200 ") { Ok(body) } else { Err(status.into()) }
}

/// What a process holds in memory, in KiB.
fn memory(process: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
