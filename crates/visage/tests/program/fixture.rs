//! Small datasets and trained runs that tests share, and functions that run the program.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{LazyLock, OnceLock};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// The output of a command, and its exit code.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Standard output of a command that succeeded.
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard error of a command that exited with this code.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self.stderr
    }

    /// Standard output of a command that succeeded, as JSON.
    pub fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.done()).expect("JSON")
    }
}

/// Runs `visage` with these arguments.
pub fn visage<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    let output = Command::new(PROGRAM).args(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code().expect("an exit code"), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs `visage` with arguments separated by blanks.
pub fn line(arguments: &str) -> Ran {
    visage(arguments.split_whitespace())
}

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_visage");

/// The folder of this test process. Statics are never dropped, so the next test process removes it.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let parent = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    // Folders of earlier test processes, but not those of processes that still run, as far as /proc tells.
    let is_left = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix("program-"));
        process.is_some_and(|process| !Path::new("/proc").join(process).exists())
    };
    if let Ok(entries) = fs::read_dir(&parent) {
        entries.flatten().filter(is_left).for_each(|entry| {
            let _ = fs::remove_dir_all(entry.path());
        });
    }
    let folder = parent.join(format!("program-{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
});

/// An empty folder for one test.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(&*FOLDER).expect("a folder")
}

/// Synthetic faces: 120 of 64x52, in CelebA's layout. With this seed both classes of every attribute occur in the training split.
pub fn faces() -> &'static Path {
    static FACES: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = FOLDER.join("faces");
        visage(["data", "synth", path.to_str().unwrap(), "--images", "120", "--seed", "4", "--size", "64x52"]).done();
        path
    });
    &FACES
}

/// Coloured squares with attributes `Red` and `Bright`, as a CSV file and PNG images: 64 to train, 16 to validate, 16
/// to test. Every eighth `Bright` is unknown.
pub fn squares() -> &'static Path {
    static SQUARES: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = FOLDER.join("squares");
        fs::create_dir_all(path.join("images")).unwrap();
        let mut table = String::from("image,split,Red,Bright\n");
        for index in 0..96u32 {
            let (red, bright) = (index % 2 == 0, index % 3 == 0);
            let level = if bright { 230 } else { 90 };
            let noise = |x: u32, y: u32| (x * 7 + y * 13 + index * 31) % 20;
            let picture = RgbImage::from_fn(40, 36, |x, y| {
                let (strong, weak) = ((level + noise(x, y)) as u8, noise(y, x) as u8);
                Rgb(if red { [strong, weak, weak] } else { [weak, weak, strong] })
            });
            let name = format!("images/{index:02}.png");
            picture.save(path.join(&name)).unwrap();
            let split = ["train", "train", "train", "train", "val", "test"][(index / 16) as usize];
            let bright = if index % 8 == 7 { String::new() } else { u8::from(bright).to_string() };
            table += &format!("{name},{split},{},{bright}\n", u8::from(red));
        }
        fs::write(path.join("labels.csv"), table).unwrap();
        path
    });
    &SQUARES
}

/// A recipe for the squares: every source of randomness in training, few steps, many checkpoints.
const RECIPE: &str = r#"
    name = "squares"
    [model]
    architecture = "efficientnet-lite0"
    stochastic_depth = 0.2
    dropout = 0.2
    [input]
    size = 32
    [augmentation]
    flip = 0.5
    noise = 0.5
    [loss]
    kind = "bce"
    weighting = "pos_weight"
    [optimizer]
    kind = "adamw"
    learning_rate = 2e-3
    [schedule]
    kind = "one_cycle"
    [training]
    epochs = 3
    batch_size = 8
    seed = 5
    checkpoint_minutes = 0.001
    [evaluation]
    thresholds = "best_f1"
"#;

/// The recipe of the squares, as a file.
pub fn recipe() -> &'static Path {
    static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = FOLDER.join("squares.toml");
        fs::write(&path, RECIPE).unwrap();
        path
    });
    &FILE
}

/// The arguments that train the squares into `run`.
pub fn training(run: &Path) -> Vec<String> {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let words =
        ["train".to_owned(), text(recipe()), "--data".to_owned(), text(squares()), "--out".to_owned(), text(run)];
    words.into_iter().chain(["--threads".to_owned(), "2".to_owned()]).collect()
}

/// The arguments that train the squares into `run`, by a changed recipe.
pub fn training_with(run: &Path, changes: &[&str]) -> Vec<String> {
    let set = changes.iter().flat_map(|change| ["--set".to_owned(), (*change).to_owned()]);
    training(run).into_iter().chain(set).collect()
}

/// A finished, uninterrupted run on the squares, and the output of its training.
pub fn run() -> &'static (PathBuf, String, String) {
    static RUN: OnceLock<(PathBuf, String, String)> = OnceLock::new();
    RUN.get_or_init(|| {
        let path = FOLDER.join("run");
        let ran = visage(training(&path));
        let stderr = ran.stderr.clone();
        (path, ran.done(), stderr)
    })
}

/// A finished run on the faces, of one epoch.
pub fn faces_run() -> &'static Path {
    static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
        let path = FOLDER.join("faces-run");
        let (data, out) = (faces().to_str().unwrap(), path.to_str().unwrap());
        let set = ["--set", "epochs=1", "--set", "input.size=32", "--set", "batch_size=24"];
        visage(["train", "baseline", "--data", data, "--out", out].into_iter().chain(set)).done();
        path
    });
    &RUN
}
