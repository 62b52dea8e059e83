//! `visage serve`: responses, limits and robustness. `tests/serve` checks it with other clients.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::{Value, json};

use crate::fixture::{PROGRAM, faces, faces_run, folder, line, run, squares};

/// A server on a free port, until it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(model: &Path, options: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(model).args(["--port", "0"]).args(options.split_whitespace());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
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

    /// Stops the server; returns its exit code and its log.
    fn stop(mut self) -> (Option<i32>, String) {
        assert!(Command::new("kill").arg(self.process.id().to_string()).status().unwrap().success());
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

#[test]
fn responses_equal_the_output_of_predict() {
    let server = Server::start(&run().0, "");
    let whole = server.post("/v1/attributes", &square(2)).json();
    assert_eq!(whole["model"], "run");
    let names: Vec<&str> = whole["images"][0]["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Red", "Bright"], "in the card's order");

    let part = |name: &str, content: Vec<u8>| {
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n");
        [head.into_bytes(), content, b"\r\n".to_vec()].concat()
    };
    let form = [part("a.png", square(2)), part("b.png", square(3)), b"--b--\r\n".to_vec()].concat();
    let head = "POST /v1/models/run/attributes HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=b";
    let several = server.ask(head, &form).json();
    assert_eq!(several["images"][1]["name"], "b.png");
    for (answer, number) in [(&whole["images"][0], 2), (&several["images"][0], 2), (&several["images"][1], 3)] {
        let predicted = predicted(number);
        for attribute in answer["attributes"].as_array().unwrap() {
            let expected = &predicted[attribute["name"].as_str().unwrap()];
            assert_near(&attribute["probability"], &expected["probability"]);
            assert_eq!(attribute["present"], expected["present"]);
            let reached = attribute["probability"].as_f64() >= attribute["threshold"].as_f64();
            assert_eq!(attribute["present"], reached);
        }
    }
    let picture = server.post("/v1/heat?attribute=Red", &square(2));
    assert_eq!(image::load_from_memory(&picture.body).unwrap().width(), 320, "32 pixels, enlarged");
    let described = server.get("/openapi.json").json();
    assert_eq!(described["components"]["schemas"]["ModelName"]["enum"], json!(["run"]));
    let page = server.get("/");
    assert!(page.head.contains("script-src 'sha256-") && !page.head.contains("unsafe"), "{}", page.head);
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    assert!(metrics.contains("visage_images_total{model=\"run\"} 3\n"), "{metrics}");
    assert!(server.get("/v1/models").json()["models"][0]["uses_to_avoid"].as_str().unwrap().contains("Not for"));
}

#[test]
fn the_open_inference_protocol_takes_images_in_every_form() {
    let server = Server::start(&run().0, "");
    assert_eq!(server.get("/v2/health/ready").status, 200);
    let about = server.get("/v2/models/run").json();
    assert_eq!(about["inputs"][1], json!({"name": "pixels", "datatype": "UINT8", "shape": [-1, 32, 32, 3]}));
    // An image of the model's size, so that nothing is resized and its pixels are what the network sees.
    let picture = RgbImage::from_fn(32, 32, |x, y| image::Rgb([(x * 8) as u8, (y * 8) as u8, 90]));
    let mut file = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture.clone()).write_to(&mut file, ImageFormat::Png).unwrap();
    let (file, pixels) = (file.into_inner(), picture.into_raw());
    let plain = server.post("/v1/attributes", &file).json();
    let parameter = |name: &str, channel: usize| about["parameters"][name][channel].as_f64().unwrap();
    let normalised = |(index, &value): (usize, &u8)| {
        ((f64::from(value) / 255.0 - parameter("mean", index % 3)) / parameter("std", index % 3)) as f32
    };
    let normalised: Vec<f32> = pixels.iter().enumerate().map(normalised).collect();
    let planes: Vec<f32> = (0..3).flat_map(|channel| normalised.iter().skip(channel).step_by(3)).copied().collect();

    let infer = |input: Value, bytes: &[u8]| {
        let request = json!({"id": "7", "inputs": [input], "outputs": [{"name": "probabilities"}]}).to_string();
        let head = "POST /v2/models/run/infer HTTP/1.1\r\ncontent-type: application/octet-stream";
        let head = format!("{head}\r\ninference-header-content-length: {}", request.len());
        server.ask(&head, &[request.as_bytes(), bytes].concat())
    };
    let files = [&(file.len() as u32).to_le_bytes()[..], &file].concat();
    let size = json!({"binary_data_size": files.len()});
    let responses = [
        infer(json!({"name": "images", "datatype": "BYTES", "shape": [1], "parameters": size}), &files),
        infer(json!({"name": "pixels", "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": pixels}), b""),
        infer(json!({"name": "normalised", "datatype": "FP32", "shape": [1, 32, 32, 3], "data": normalised}), b""),
        infer(json!({"name": "normalised", "datatype": "FP32", "shape": [1, 3, 32, 32], "data": planes}), b""),
    ];
    for answer in responses {
        let output = answer.json();
        assert_eq!((&output["id"], &output["outputs"][0]["shape"]), (&json!("7"), &json!([1, 2])), "{output}");
        for attribute in 0..2 {
            let expected = &plain["images"][0]["attributes"][attribute]["probability"];
            assert_near(&output["outputs"][0]["data"][attribute], expected);
        }
    }
    let wrong = infer(json!({"name": "pixels", "datatype": "UINT8", "shape": [1, 32, 31, 3], "data": []}), b"");
    assert!(wrong.problem(400).contains("[images, 32, 32, 3]"));
}

#[test]
fn faces_need_the_networks_and_wrong_parameters_are_explained() {
    let server = Server::start(&run().0, "");
    for path in ["/v1/attributes?faces=all", "/v1/attributes?faces=largest", "/v1/heat?attribute=Red&face=0"] {
        assert!(server.post(path, &square(0)).problem(400).contains("start it with `visage serve --faces`"), "{path}");
    }
    assert_eq!(server.post("/v1/attributes?faces=off", &square(0)).status, 200);
    assert_eq!(server.post("/v1/heat?attribute=Red&faces=off", &square(0)).status, 200);
    for (path, said) in [
        ("/v1/attributes?faces=some", "all, largest or off, not \"some\""),
        ("/v1/attributes?faces=all&faces=off", "given twice"),
        ("/v1/attributes?face=1", "?face= has no meaning here"),
        ("/v1/heat?attribute=Red&faces=all", "a heat map is of one face"),
        ("/v1/heat?attribute=Red&faces=largest&face=0", "one of ?faces= and ?face="),
        ("/v1/heat?attribute=Red&face=-1", "a number from 0, not \"-1\""),
        ("/v2/models/run/infer?faces=all", "among the parameters of the request"),
    ] {
        let problem = server.post(path, &square(0)).problem(400);
        assert!(problem.contains(said), "{path}: {problem}");
    }
    let infer = |faces: Value, input: &str, datatype: &str, data: Value| {
        let input = json!({"name": input, "datatype": datatype, "shape": [1], "data": data});
        let request = json!({"parameters": {"faces": faces}, "inputs": [input]}).to_string();
        let head = "POST /v2/models/run/infer HTTP/1.1\r\ncontent-type: application/json";
        server.ask(head, request.as_bytes()).problem(400)
    };
    assert!(infer(json!("all"), "images", "BYTES", json!(["aGk="])).contains("visage serve --faces"));
    assert!(infer(json!("any"), "images", "BYTES", json!(["aGk="])).contains("all, largest or off, not \"any\""));

    assert_eq!(server.get("/v1/models").json()["finds_faces"], json!(false));
    let metadata = server.get("/v2/models/run").json();
    assert_eq!((metadata["outputs"].as_array().unwrap().len(), &metadata["parameters"]["faces"]), (2, &Value::Null));
    let described = server.get("/openapi.json").json();
    assert_eq!(described["components"]["schemas"]["FaceSelection"]["enum"], json!(["off", "all", "largest"]));

    // Without the networks, the server does not start.
    let (empty, model) = (folder(), run().0.clone());
    let mut command = Command::new(PROGRAM);
    command.arg("serve").arg(model).args(["--port", "0", "--faces"]).env("VISAGE_HOME", empty.path());
    let output = command.output().expect("the program starts");
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("the face detector is not installed") && error.contains("visage faces install"), "{error}");
    let error = line(&format!("serve {} --max-faces 3", run().0.display())).failed(2);
    assert!(error.contains("--faces"), "{error}");
}

#[test]
fn an_image_that_is_not_aligned_gets_a_warning_from_a_model_of_aligned_faces() {
    let server = Server::start(faces_run(), "");
    assert_eq!(server.get("/v1/models").json()["models"][0]["alignment"], "celeba");
    let warnings = |body: &[u8]| server.post("/v1/attributes", body).json()["warnings"].clone();
    let aligned = fs::read(faces().join("Img/img_align_celeba/000001.jpg")).unwrap();
    assert_eq!(warnings(&aligned), Value::Null);
    let said = warnings(&square(0));
    let said = said.as_array().unwrap();
    assert!(said.len() == 1 && said[0].as_str().unwrap().contains("?faces=largest"), "{said:?}");
    // A model that expects nothing of the kind does not warn.
    let other = Server::start(&run().0, "");
    assert_eq!(other.post("/v1/attributes", &aligned).json()["warnings"], Value::Null);
}

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

#[test]
fn a_changed_model_file_is_reloaded_unless_it_is_damaged() {
    let (folder, best) = (folder(), run().0.join("best.safetensors"));
    let (served, next) = (folder.path().join("m.safetensors"), folder.path().join("next.safetensors"));
    fs::copy(&best, &served).unwrap();
    let server = Server::start(&served, "");
    let thresholds = || server.get("/v1/models").json()["models"][0]["attributes"][0]["threshold"].clone();
    let before = thresholds();
    let until = |done: &dyn Fn() -> bool, what: &str| {
        let end = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < end, "{what}");
            thread::sleep(Duration::from_millis(100));
        }
    };
    let loads = |result: &str, count: usize| {
        let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
        metrics.contains(&format!("visage_model_loads_total{{model=\"m\",result=\"{result}\"}} {count}\n"))
    };
    let whole = fs::read(&served).unwrap();
    fs::write(&next, &whole[..whole.len() / 2]).unwrap();
    fs::rename(&next, &served).unwrap();
    until(&|| loads("refused", 1), "half a file is noticed");
    server.still_answers();
    assert_eq!(thresholds(), before, "the old one answers");

    let calibrate = format!("calibrate {} --data {} --thresholds 0.125", best.display(), squares().display());
    line(&format!("{calibrate} --out {}", next.display())).done();
    fs::rename(&next, &served).unwrap();
    until(&|| loads("loaded", 1), "a new file is noticed");
    assert_eq!(thresholds(), json!(0.125));
    #[cfg(unix)]
    {
        // A pipe, which nobody writes into.
        assert!(Command::new("mkfifo").arg(&next).status().unwrap().success());
        fs::rename(&next, &served).unwrap();
        until(&|| loads("refused", 2), "a pipe is noticed");
        fs::copy(&best, &next).unwrap();
        fs::rename(&next, &served).unwrap();
        until(&|| loads("loaded", 2), "a file in the place of a pipe is noticed");
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
    let metrics = || String::from_utf8(server.get("/metrics").body).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !metrics().contains("visage_connections 2\n") {
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(20));
    }
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
