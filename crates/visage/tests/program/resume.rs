//! A run that is killed or interrupted and then resumed ends like an uninterrupted one.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::fixture::{PROGRAM, folder, run, squares, training, training_with, visage};

/// Longer than any of these runs takes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A file of tensors: its header without times, and its bytes.
fn contents(path: &Path) -> (Value, Vec<u8>) {
    let file = fs::read(path).unwrap();
    let (length, rest) = file.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let metadata = header["__metadata__"].as_object_mut().unwrap();
    for (_, value) in metadata.iter_mut() {
        let mut parsed: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
        if let Some(origin) = parsed.get_mut("origin") {
            origin["started"].take();
        }
        // Times, and checksums of what holds times: the tables and the metadata.
        for key in ["seconds", "steps_table", "epochs_table", "metadata"] {
            parsed.get_mut(key).map(Value::take);
        }
        *value = parsed;
    }
    (header, data.to_vec())
}

/// A table without the columns of times and speeds.
fn table(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let kept: Vec<usize> = (0..header.len())
        .filter(|&column| !["seconds", "images_per_second", "waiting"].contains(&header[column].as_str()))
        .collect();
    lines.map(|line| kept.iter().map(|&column| line[column].clone()).collect()).collect()
}

pub fn assert_same_run(found: &Path, expected: &Path) {
    for name in ["last.safetensors", "best.safetensors"] {
        let ((found, bytes), (expected, expected_bytes)) =
            (contents(&found.join(name)), contents(&expected.join(name)));
        assert_eq!(found, expected, "{name}");
        assert!(bytes == expected_bytes, "the tensors of {name} differ");
    }
    for name in ["steps.csv", "epochs.csv"] {
        assert_eq!(table(&found.join(name)), table(&expected.join(name)), "{name}");
    }
}

pub fn start(arguments: &[String]) -> Child {
    Command::new(PROGRAM).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `done`, or until the process has ended.
pub fn wait_for(child: &mut Child, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() && child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < TIMEOUT);
        thread::sleep(Duration::from_millis(2));
    }
}

fn steps(run: &Path) -> usize {
    fs::read_to_string(run.join("steps.csv")).map_or(0, |text| text.lines().count().saturating_sub(1))
}

/// Trains by `arguments` into `killed`; the process is killed up to `most` times, and resumed each time.
fn kill_and_resume(killed: &Path, mut arguments: Vec<String>, most: usize) {
    let mut kills = Vec::new();
    loop {
        let mut child = start(&arguments);
        wait_for(&mut child, || killed.join("run.json").is_file());
        if !arguments.contains(&"--resume".to_owned()) {
            arguments.push("--resume".to_owned());
        }
        // The clock is random enough, so that every run of the test tries other moments.
        let random = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_micros() % 1000;
        let delay = Duration::from_millis(u64::from(random));
        let began = Instant::now();
        wait_for(&mut child, || kills.len() < most && began.elapsed() >= delay);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "after kills {kills:?}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills.push((delay, steps(killed)));
    }
    assert!(!kills.is_empty());
    println!("killed after (delay, steps written): {kills:?}");
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_same_bits() {
    let folder = folder();
    let killed = folder.path().join("killed");
    kill_and_resume(&killed, training(&killed), 8);
    assert_same_run(&killed, &run().0);
    let left = fs::read_dir(&killed)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0, "no temporary file is left behind");
}

/// Two recipes that use all state of training besides the weights and Adam's moments.
#[test]
fn checkpoints_hold_the_whole_training_state() {
    let folder = folder();
    let weights = format!("weights={}", run().0.join("best.safetensors").display());
    let descent: &[&str] = &[
        "optimizer.kind=sgd",
        "nesterov=true",
        "learning_rate=0.05",
        "clip_norm=1",
        "schedule.kind=plateau",
        "factor=0.5",
        "plateau_patience=0",
        "plateau_threshold=0.3",
        "warmup_epochs=0.5",
        "accumulate=3",
        "checkpoint_activations=true",
        "ema_decay=0.9",
        "precision=f16",
        "sampling=balanced",
        "label_smoothing=0.1",
    ];
    let frozen: &[&str] = &[
        "schedule.kind=cosine",
        &weights,
        "freeze_backbone_epochs=1",
        "freeze_norms=true",
        "layer_decay=0.8",
        "decay_norms_and_biases=false",
        "ema_decay=0.9",
        "precision=bf16",
    ];
    for (name, changes) in [("descent", descent), ("frozen", frozen)] {
        let (whole, killed) = (folder.path().join(name), folder.path().join(format!("{name}-killed")));
        visage(training_with(&whole, changes)).done();
        kill_and_resume(&killed, training_with(&killed, changes), 5);
        assert_same_run(&killed, &whole);
    }
}

#[test]
fn an_image_missing_during_training_loses_no_progress() {
    let folder = folder();
    let data = folder.path().join("squares");
    copy(squares(), &data);
    let broken = folder.path().join("broken");
    let mut arguments = training(&broken);
    arguments[3] = data.to_str().unwrap().to_owned();
    let picture = data.join("images/70.png");
    let mut child = start(&arguments);
    wait_for(&mut child, || broken.join("last.safetensors").is_file());
    fs::remove_file(&picture).unwrap();
    let status = child.wait().unwrap();
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(status.code(), Some(1), "{error}");
    let resume = format!("visage train --resume {}", broken.display());
    for part in ["images/70.png", "everything saved so far is intact", &resume] {
        assert!(error.contains(part), "{part} in\n{error}");
    }
    let record: Value = serde_json::from_slice(&fs::read(broken.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "failed");

    fs::copy(squares().join("images/70.png"), &picture).unwrap();
    arguments.push("--resume".to_owned());
    visage(&arguments).done();
    assert_same_run(&broken, &run().0);
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_changed_recipe_needs_accept_changes() {
    let folder = folder();
    let changed = folder.path().join("changed");
    visage(training_with(&changed, &["epochs=1"])).done();
    let mut arguments = training_with(&changed, &["epochs=2", "dropout=0.1"]);
    arguments.push("--resume".to_owned());
    let error = visage(&arguments).failed(1);
    for part in ["epochs = 1", "epochs = 2", "dropout = 0.2", "dropout = 0.1", "--accept-changes"] {
        assert!(error.contains(part), "{part} in\n{error}");
    }
    arguments.push("--accept-changes".to_owned());
    visage(&arguments).done();
    assert_eq!(table(&changed.join("epochs.csv")).len(), 2);
    let recipe = fs::read_to_string(changed.join("recipe.toml")).unwrap();
    assert!(recipe.contains("epochs = 2") && recipe.contains("dropout = 0.1"), "{recipe}");

    // Another network cannot resume, accepted or not.
    let mut arguments = training_with(&changed, &["epochs=2", "architecture=resnet18"]);
    arguments.extend(["--resume".to_owned(), "--accept-changes".to_owned()]);
    let error = visage(&arguments).failed(1);
    assert!(error.contains("its network is efficientnet-lite0, the recipe's is resnet18"), "{error}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_shows_how_to_resume() {
    let folder = folder();
    let stopped = folder.path().join("stopped run");
    let mut child = start(&training(&stopped));
    wait_for(&mut child, || steps(&stopped) >= 3);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let status = child.wait().unwrap();
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(status.code(), Some(130), "{error}");
    assert_eq!(error.lines().last(), Some(format!("stopped: saved in {}", stopped.display()).as_str()));
    let command = format!("visage train --resume '{}' --threads 2", stopped.display());
    assert!(error.contains("stopping after this step") && error.contains(&command), "{command} in\n{error}");
    let record: Value = serde_json::from_slice(&fs::read(stopped.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "interrupted");

    // The run knows its recipe, its data and its options.
    visage(["train", "--resume", stopped.to_str().unwrap(), "--threads", "2"]).done();
    assert_same_run(&stopped, &run().0);
}

#[test]
fn resuming_goes_on_with_event_files_limit_and_skipped_images() {
    let folder = folder();
    let (data, run) = (folder.path().join("squares"), folder.path().join("run"));
    copy(squares(), &data);
    fs::write(data.join("images/03.png"), b"no image").unwrap();
    let mut arguments = training_with(&run, &["epochs=1"]);
    arguments[3] = data.to_str().unwrap().to_owned();
    arguments.extend(["--tensorboard", "--skip-bad-images", "--limit", "24"].map(str::to_owned));
    let ran = visage(&arguments);
    assert!(ran.stderr.contains("24 training and 16 validation images"), "{}", ran.stderr);
    let next = ran.done();
    assert!(next.contains("--skip-bad-images"), "{next}");
    let record: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!((&record["data"]["limit"], &record["data"]["skip_bad_images"]), (&24.into(), &true.into()));
    let events = || fs::read_dir(run.join("tensorboard")).unwrap().count();
    assert_eq!(events(), 1);
    let more = ["train", "--resume", run.to_str().unwrap(), "--accept-changes", "--set", "epochs=2"];
    let resumed = visage(more);
    assert!(resumed.stderr.contains("24 training and 16 validation images"), "{}", resumed.stderr);
    resumed.done();
    assert_eq!((events(), table(&run.join("epochs.csv")).len()), (2, 2));
    let error = visage(["train", "--resume", run.to_str().unwrap(), "--limit", "8"]).failed(1);
    assert!(error.contains("it was trained with --limit 24, now there is --limit 8"), "{error}");
    let error = visage(["train", "--resume"]).failed(2);
    assert!(error.contains("--resume RUN"), "{error}");
}

#[test]
fn a_run_in_progress_cannot_be_resumed() {
    let folder = folder();
    let busy = folder.path().join("busy");
    let mut arguments = training(&busy);
    arguments.extend(["--set".to_owned(), "epochs=1000".to_owned()]);
    let mut child = start(&arguments);
    wait_for(&mut child, || steps(&busy) >= 1 && busy.join("last.safetensors").is_file());
    let (path, data) = (busy.to_str().unwrap(), squares().to_str().unwrap());
    let error = visage(["train", "--resume", "--out", path, "--data", data, "--threads", "1"]).failed(1);
    assert!(error.contains("another process is writing"), "{error}");
    let record: Value = serde_json::from_slice(&fs::read(busy.join("run.json")).unwrap()).unwrap();
    assert_eq!((&record["status"], &record["resumed"]), (&"running".into(), &0.into()));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = folder();
    let single = folder.path().join("single");
    let mut arguments = training(&single);
    *arguments.last_mut().unwrap() = "1".to_owned();
    visage(arguments).done();
    assert_same_run(&single, &run().0);
}
