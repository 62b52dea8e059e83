//! The commands that the program suggests, run as they are printed.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::fixture::{PROGRAM, Ran, folder, line, recipe, squares, training_with, visage};

/// The commands after `next:` in an output, one a line.
fn suggested(ran: &Ran) -> Vec<String> {
    let output = format!("{}\n{}", ran.stdout, ran.stderr);
    let mut commands = Vec::new();
    let mut goes_on = false;
    for line in output.lines() {
        let command = line.strip_prefix("next: ").or_else(|| line.strip_prefix("      ").filter(|_| goes_on));
        goes_on = command.is_some();
        commands.extend(command.map(str::to_owned));
    }
    commands
}

/// Runs a suggested command in a shell.
fn run_in_shell(command: &str) -> Ran {
    let program = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh").args(["-c", command]).env("PATH", path).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs what a command suggests, and what that suggests; returns the verbs.
fn follow(ran: Ran) -> Vec<String> {
    let mut verbs = Vec::new();
    let mut commands = suggested(&ran);
    ran.done();
    while let Some(command) = commands.pop() {
        assert!(verbs.len() < 8, "it goes on for ever: {verbs:?}");
        verbs.push(command.split_whitespace().nth(1).unwrap_or_default().to_owned());
        let ran = run_in_shell(&command);
        commands.extend(suggested(&ran));
        assert_eq!(ran.code, 0, "{command}\n{}\n{}", ran.stdout, ran.stderr);
    }
    verbs
}

#[cfg(unix)]
#[test]
fn every_suggested_command_works_as_printed() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let changes = ["--set", "epochs=1", "--set", "input.size=32"];
    let with = |words: &[&str]| visage(words.iter().chain(&changes));

    let made = visage(["data", "synth", &at("my faces"), "--images", "60", "--size", "64x52"]);
    assert_eq!(follow(made), ["data"]);
    let converted = visage(["data", "convert", &at("my faces"), &at("faces.zip"), "--to", "csv"]);
    assert_eq!(follow(converted), ["data"]);
    let squares = squares().display().to_string();
    let recipe = recipe().display().to_string();
    let trained = with(&["train", &recipe, "--data", &squares, "--out", &at("a run")]);
    assert_eq!(follow(trained), ["evaluate", "report"]);
    assert_eq!(follow(visage(["calibrate", &at("a run"), "--data", &squares])), ["evaluate", "report"]);
    let packed = visage(["data", "pack", &squares, &at("squares.pack"), "--recipe", &recipe, "--set", "epochs=1"]);
    // The run goes to a folder of the working directory by default.
    assert!(suggested(&packed)[0].starts_with("visage train"), "{:?}", suggested(&packed));
    let command = format!("{} --out '{}'", suggested(&packed)[0], at("from pack"));
    packed.done();
    assert_eq!(follow(run_in_shell(&command)), ["evaluate", "report"]);
}

/// A table whose images are all for training or validation.
#[cfg(unix)]
#[test]
fn nothing_is_suggested_that_needs_a_test_split() {
    let folder = folder();
    let text = fs::read_to_string(squares().join("labels.csv")).unwrap();
    let absolute = |line: &str| format!("{}/{line}", squares().display());
    let rows = text.lines().skip(1).filter(|line| !line.contains(",test,")).map(absolute);
    let table = folder.path().join("labels.csv");
    fs::write(&table, format!("image,split,Red,Bright\n{}\n", rows.collect::<Vec<_>>().join("\n"))).unwrap();
    let run = folder.path().join("run");
    let mut arguments = training_with(&run, &["epochs=1"]);
    arguments[3] = table.display().to_string();
    let trained = visage(&arguments);
    assert!(suggested(&trained)[0].ends_with("--split validation"), "{:?}", suggested(&trained));
    assert_eq!(follow(trained), ["evaluate", "report"]);
    let calibrated = line(&format!("calibrate {} --data {}", run.display(), table.display()));
    assert!(calibrated.stderr.contains("there is no test split"), "{}", calibrated.stderr);
    assert_eq!(follow(calibrated), [""; 0]);
    // Without metrics, `card` and `compare` suggest an evaluation that works.
    fs::remove_file(run.join("metrics-validation.json")).unwrap();
    let error = line(&format!("card {}", run.display())).failed(1);
    let help = error.lines().find_map(|line| line.trim().strip_prefix("help: ")).unwrap();
    assert_eq!(run_in_shell(help).code, 0, "{help}");
    line(&format!("card {}", run.display())).done();
}

#[test]
fn a_dry_run_takes_steps_and_writes_nothing() {
    let folder = folder();
    let run = folder.path().join("run");
    let mut arguments = training_with(&run, &["epochs=5"]);
    arguments.push("--dry-run".to_owned());
    let ran = visage(&arguments);
    assert!(ran.stderr.contains("64 training and 16 validation images of squares"), "{}", ran.stderr);
    let text = ran.done();
    for expected in ["taken, nothing written", "images/s", "for 5 epochs on 64 images"] {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
    assert!(!run.exists());
    // What would end the training is found.
    let broken = folder.path().join("broken");
    super::resume::copy(squares(), &broken);
    fs::remove_file(broken.join("images/00.png")).unwrap();
    arguments[3] = broken.display().to_string();
    visage(&arguments).failed(1);
}

#[test]
fn the_events_of_a_training_are_json_lines() {
    let folder = folder();
    let run = folder.path().join("run");
    let mut arguments = training_with(&run, &["epochs=2"]);
    arguments.push("--json".to_owned());
    let text = visage(&arguments).done();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((count("started"), count("step"), count("epoch"), count("ended")), (1, 16, 2, 1));
    let first_step = lines.iter().find(|line| line["event"] == "step").unwrap();
    assert_eq!((&first_step["step"], &first_step["total_steps"]), (&1.into(), &16.into()));
    let end = lines.last().unwrap();
    assert_eq!((&end["event"], &end["status"], &end["epochs"]), (&"ended".into(), &"finished".into(), &2.into()));
    assert_eq!(end["model"], run.join("best.safetensors").to_str().unwrap());
}
