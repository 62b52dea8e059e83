//! What the server answers.

use std::fs;
use std::process::Command;

use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::{Value, json};

use super::{Server, assert_near, predicted, square};
use crate::fixture::{PROGRAM, faces, faces_run, folder, line, run};

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
