//! Defaults of a project, in `visage.toml`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixture::{PROGRAM, folder, squares};

fn run(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(PROGRAM).args(words).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_project_holds_defaults_of_options() {
    let folder = folder();
    let data = squares().display();
    let text =
        format!("threads = 2\ndata = \"{data}\"\n[train]\nset = [\"epochs=1\", \"input.size=32\"]\nout = \"run\"\n");
    fs::write(folder.path().join("visage.toml"), text).unwrap();
    let (code, stdout, stderr) = run(folder.path(), &["train", "baseline"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(
        stderr
            .contains(&format!("visage.toml: --out=run --set=epochs=1 --set=input.size=32 --data={data} --threads=2")),
        "{stderr}"
    );
    assert!(folder.path().join("run/best.safetensors").is_file());
    let (code, _, stderr) = run(folder.path(), &["--quiet", "evaluate", "run", "--data", "nowhere"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("nowhere") && !stderr.contains("visage.toml"), "the command line comes first: {stderr}");

    fs::write(folder.path().join("visage.toml"), "\n[train]\nepoch = 3\n").unwrap();
    let (code, _, stderr) = run(folder.path(), &["runs"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("visage.toml, line 3: visage train has no option --epoch"), "{stderr}");
}
