//! What is printed beside the results: notes, progress, colours.

use std::process::{Command, Output};

use crate::fixture::{PROGRAM, folder, line, recipe, run, squares};

/// Runs `visage` with arguments separated by blanks, and with these variables alone of those that matter.
fn with(variables: &[(&str, &str)], arguments: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "VISAGE_DEVICE", "VISAGE_THREADS"] {
        command.env_remove(name);
    }
    command.args(arguments.split_whitespace()).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn quiet_leaves_results_warnings_and_errors() {
    let home = folder();
    let (run, data, out) = (run().0.display(), squares().display(), home.path().join("run"));
    let ran =
        line(&format!("-q train {} --data {data} --out {} --epochs 1 --threads 2", recipe().display(), out.display()));
    assert_eq!(ran.stderr, "");
    assert!(ran.done().contains("1 epoch in "), "the result is printed");
    let ran = line(&format!("predict --quiet {run} {data}/images/00.png nofile.png"));
    assert!(ran.stdout.contains("00.png") && ran.stderr.starts_with("cannot use nofile.png: "), "{}", ran.stderr);
    assert!(ran.failed(1).contains("error: 1 of 2 images could not be used"));
    line(&format!("predict -q -v {run} {data}/images/00.png")).failed(2);
}

#[test]
fn colours_follow_the_variables() {
    let refused = "recipe show nothing";
    let coloured = |variables: &[(&str, &str)]| with(variables, refused).stderr.contains(&0x1b);
    assert!(!coloured(&[]), "standard error is no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn the_environment_sets_device_and_threads() {
    let predict = format!("predict {} {}/images/00.png", run().0.display(), squares().display());
    let refused = |variables: &[(&str, &str)], arguments: &str| {
        let output = with(variables, arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, error) = refused(&[("VISAGE_DEVICE", "abacus")], &predict);
    assert!(code == Some(2) && error.contains("abacus"), "{error}");
    let (code, error) = refused(&[("VISAGE_THREADS", "two")], &predict);
    assert!(code == Some(2) && error.contains("--threads must be a whole number, not \"two\""), "{error}");
    // An option has precedence.
    let (code, error) =
        refused(&[("VISAGE_DEVICE", "abacus"), ("VISAGE_THREADS", "1")], &format!("{predict} --device cpu"));
    assert_eq!(code, Some(0), "{error}");
}
