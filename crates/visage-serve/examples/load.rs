//! Load test: sends requests to a running server as fast as it responds, and prints throughput and latency.
//!
//! ```sh
//! visage serve MODEL --port 8080
//! cargo run --release --example load -- 127.0.0.1:8080 IMAGE [--concurrency 32] [--requests 10000] [--pixels MODEL] [--process PID]
//! ```
//!
//! The file IMAGE is sent to `/v1/attributes`. With `--pixels MODEL`, an image of noise is sent to that model as a UINT8 tensor over the
//! Open Inference Protocol instead, so that nothing is decoded. `--process` also prints the memory of the server before and after
//! (Linux only).

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
        return Err("usage: load ADDRESS IMAGE [OPTIONS]".into());
    };
    let (mut concurrency, mut requests, mut pixels, mut process) = (32, 10_000, None, None);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--concurrency" => concurrency = value.parse()?,
            "--requests" => requests = value.parse()?,
            "--pixels" => pixels = Some(value),
            "--process" => process = Some(value),
            _ => return Err(format!("unknown option {word}").into()),
        }
    }
    let request = match pixels {
        Some(model) => tensor_request(&address, &model)?,
        None => request("/v1/attributes", "", &fs::read(image)?),
    };
    // Warm-up: the first requests make the server allocate memory.
    send_all(&address, &request, concurrency, requests.min(20 * concurrency))?;
    let before = process.as_deref().map(memory).transpose()?;
    let began = Instant::now();
    let mut latencies = send_all(&address, &request, concurrency, requests)?;
    let took = began.elapsed();
    let after = process.as_deref().map(memory).transpose()?;
    latencies.sort();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!(
        "{requests} requests, {concurrency} concurrent: {:.1} requests/s; latency p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        requests as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
    if let (Some(before), Some(after)) = (before, after) {
        println!("resident memory of the server: {before} KiB before, {after} KiB after");
    }
    Ok(())
}

/// Sends `requests` requests on `concurrency` connections; returns their latencies.
fn send_all(address: &str, request: &[u8], concurrency: usize, requests: usize) -> Result<Vec<Duration>, Failure> {
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        let client = || -> Result<Vec<Duration>, Failure> {
            let mut connection = BufReader::new(TcpStream::connect(address)?);
            connection.get_ref().set_nodelay(true)?;
            let mut latencies = Vec::new();
            while begun.fetch_add(1, Ordering::Relaxed) < requests {
                let sent = Instant::now();
                connection.get_mut().write_all(request)?;
                response_body(&mut connection)?;
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

/// A request with one image of noise of the model's size.
fn tensor_request(address: &str, model: &str) -> Result<Vec<u8>, Failure> {
    let mut connection = BufReader::new(TcpStream::connect(address)?);
    write!(connection.get_mut(), "GET /v2/models/{model} HTTP/1.1\r\nhost: load\r\n\r\n")?;
    let metadata: serde_json::Value = serde_json::from_slice(&response_body(&mut connection)?)?;
    let side = |at: usize| metadata["inputs"][1]["shape"][at].as_u64().ok_or("no such model");
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

/// Reads a response; returns its body if the status is 200.
fn response_body(connection: &mut BufReader<TcpStream>) -> Result<Vec<u8>, Failure> {
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

/// Resident memory of a process in KiB.
fn memory(process: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the process has no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
