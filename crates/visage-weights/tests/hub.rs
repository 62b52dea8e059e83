//! Weights from the Hub: from a cache folder, and from a local server.
#![cfg(feature = "hub")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use visage_weights::hub::{Hub, HubName};
use visage_weights::{Tensor, TensorFile, read, write_safetensors};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn weights() -> TensorFile {
    let tensors = [("fc.weight".to_owned(), Tensor::new([2, 2], vec![1.0f32, 2.0, 3.0, 4.0]))];
    TensorFile { tensors: tensors.into(), ..TensorFile::default() }
}

fn bytes() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    write_safetensors(&path, &weights()).unwrap();
    fs::read(path).unwrap()
}

/// Starts a server with one repository, `owner/name`, and one weight file. Returns its URL and a counter of requests.
fn serve() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    // Ends with the process.
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
            let _ = answer(connection);
        }
    });
    (address, asked)
}

fn answer(mut connection: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        range = line.strip_prefix("range: bytes=").map(str::to_owned).or(range);
    }
    let whole = bytes();
    let (status, headers, body) = match path.as_str() {
        "/api/models/owner/name/revision/v1" => {
            let file = r#"{"rfilename":"faces.safetensors"}"#;
            let body = format!(r#"{{"sha":"{COMMIT}","siblings":[{{"rfilename":"README.md"}},{file}]}}"#);
            ("200 OK", String::new(), body.into_bytes())
        }
        "/owner/name/resolve/v1/faces.safetensors" => {
            let range = range.unwrap_or_default();
            let (first, last) = range.split_once('-').unwrap_or(("0", ""));
            let first: usize = first.parse().unwrap_or(0);
            let last = last.parse().unwrap_or(whole.len() - 1).min(whole.len() - 1);
            let headers = format!(
                "x-repo-commit: {COMMIT}\r\netag: \"abc\"\r\ncontent-range: bytes {first}-{last}/{}\r\n",
                whole.len()
            );
            ("206 Partial Content", headers, whole[first..=last].to_vec())
        }
        _ => ("404 Not Found", String::new(), b"no such thing".to_vec()),
    };
    let length = body.len();
    write!(connection, "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n")?;
    connection.write_all(&body)
}

fn hub(cache: &Path, endpoint: &str) -> Hub {
    Hub { cache: Some(cache.to_owned()), endpoint: Some(endpoint.to_owned()) }
}

#[test]
fn a_file_is_downloaded_once() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = serve();
    let name: HubName = "hub:owner/name@v1".parse().unwrap();
    let hub = hub(folder.path(), &address);
    let file = hub.file(&name).unwrap();
    assert_eq!(read(&file).unwrap(), weights());
    let before = asked.load(Ordering::Relaxed);
    assert_eq!(hub.file(&name).unwrap(), file);
    // Which file it is has to be asked, because it is none of the usual names; it is not downloaded again.
    assert_eq!(asked.load(Ordering::Relaxed), before + 1);
}

#[test]
fn what_was_downloaded_before_needs_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("models--timm--resnet18.a1_in1k");
    let snapshot = repository.join("snapshots").join(COMMIT);
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    fs::write(repository.join("refs/main"), COMMIT).unwrap();
    fs::write(snapshot.join("model.safetensors"), bytes()).unwrap();
    let file = hub(folder.path(), "http://127.0.0.1:9").file(&"hub:timm/resnet18.a1_in1k".parse().unwrap()).unwrap();
    assert_eq!(read(&file).unwrap(), weights());
}

#[test]
fn what_cannot_be_had_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = serve();
    for (endpoint, name) in [(address.as_str(), "hub:owner/other"), ("http://127.0.0.1:9", "hub:owner/name@v1")] {
        let error = hub(folder.path(), endpoint).file(&name.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("owner/") && error.contains("check the network"), "{error}");
    }
}
