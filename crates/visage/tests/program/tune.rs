//! `visage tune`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::fixture::{folder, line, recipe, squares, visage};
use crate::resume::{assert_same_run, start, wait_for};

/// The search of these tests: four trials on two rungs, of one and two epochs.
const SEARCH: &str = "--set epochs=2 --metric validation_loss --param learning_rate=1e-4:1e-2:log --param optimizer.kind=adam,adamw --param batch_size=6:12 \
                      --trials 4 --eta 2 --threads 2";

/// The beginning of a command that searches into `out`.
fn search_into(out: &Path) -> String {
    format!("tune {} --data {} --out {}", recipe().display(), squares().display(), out.display())
}

/// The arguments of the search of these tests, into `out`.
fn searching(out: &Path) -> Vec<String> {
    format!("{} {SEARCH}", search_into(out)).split_whitespace().map(str::to_owned).collect()
}

/// A finished, uninterrupted search, and the output of it.
fn searched() -> &'static (PathBuf, String, String) {
    static SEARCHED: OnceLock<(PathBuf, String, String)> = OnceLock::new();
    SEARCHED.get_or_init(|| {
        let out = folder().keep().join("tune");
        let ran = visage(searching(&out));
        let stderr = ran.stderr.clone();
        (out, ran.done(), stderr)
    })
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The finished jobs, as trial and epochs.
fn jobs(out: &Path) -> Vec<(usize, usize)> {
    let rows = fs::read_to_string(out.join("jobs.csv")).unwrap_or_default();
    let number = |text: &str| text.parse().unwrap();
    // A killed process may have left the last row incomplete.
    let whole = rows.rfind('\n').map_or("", |end| &rows[..end]);
    whole
        .lines()
        .skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split(',').collect();
            (number(cells[1]), number(cells[2]))
        })
        .collect()
}

#[test]
fn the_better_trials_are_trained_further_and_the_best_becomes_a_recipe() {
    let (out, stdout, stderr) = searched();
    // Of two trials one goes on, so that two of the four are trained in full.
    let jobs = jobs(out);
    assert_eq!(jobs.iter().filter(|(_, epochs)| *epochs == 1).count(), 4, "{jobs:?}");
    assert!(jobs.iter().filter(|(_, epochs)| *epochs == 2).count() >= 2, "{jobs:?}");
    let table = read(out, "tune.csv");
    assert!(table.starts_with("trial,epochs,diverged,best,best_epoch,validation_loss,accuracy"), "{table}");
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let column = |name: &str| header.iter().position(|heading| *heading == name).unwrap();
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let batch: u32 = row[column("training.batch_size")].parse().unwrap();
        assert!((6..=12).contains(&batch));
        assert!(["adam", "adamw"].contains(&row[column("optimizer.kind")]));
    }
    // The best is the best of those with two epochs.
    let full = rows.iter().filter(|row| row[column("epochs")] == "2");
    let loss = |row: &Vec<&str>| row[column("validation_loss")].parse::<f64>().unwrap();
    let lowest = full.map(loss).fold(f64::INFINITY, f64::min);
    let best = rows.iter().find(|row| row[column("best")] == "true").unwrap();
    assert_eq!(loss(best), lowest);

    // Its run is whole, and its recipe trains the same model.
    let run = out.join("trials").join(format!("{:0>3}", best[0]));
    let record: Value = serde_json::from_str(&read(&run, "run.json")).unwrap();
    assert_eq!((&record["status"], &record["result"]["best_value"]), (&"finished".into(), &lowest.into()));
    let again = folder();
    let path = again.path().join("again");
    let (tuned, data) = (out.join("best.toml"), squares().to_str().unwrap());
    visage(["train", tuned.to_str().unwrap(), "--data", data, "--out", path.to_str().unwrap(), "--threads", "2"])
        .done();
    assert_eq!(without_times(&read(&path, "epochs.csv")), without_times(&read(&run, "epochs.csv")));

    for part in ["Explains", "first-order", "best.toml", "visage train", "visage evaluate"] {
        assert!(stdout.contains(part), "{part} in\n{stdout}");
    }
    for part in
        ["judged by validation loss on the validation split", "best so far", "rung 2 of 2", "learning_rate=", "left"]
    {
        assert!(stderr.contains(part), "{part} in\n{stderr}");
    }
    let page = read(out, "tune.html");
    for part in ["Accuracy and F1 of the trials", "What mattered", "training.batch_size", "first-order"] {
        assert!(page.contains(part), "{part}");
    }
}

/// Rows of a table of epochs up to the F1 of each.
fn without_times(table: &str) -> Vec<Vec<String>> {
    table.lines().map(|row| row.split(',').take(9).map(str::to_owned).collect()).collect()
}

#[test]
fn a_search_killed_at_random_moments_ends_with_the_same_table() {
    let folder = folder();
    let out = folder.path().join("killed");
    let mut kills = Vec::new();
    loop {
        // The same command goes on, and so does --resume.
        let mut arguments = searching(&out);
        if kills.len() % 2 == 1 {
            let (path, data) = (out.to_str().unwrap(), squares().to_str().unwrap());
            arguments =
                ["tune", "--resume", "--out", path, "--data", data, "--threads", "2"].map(str::to_owned).to_vec();
        }
        let mut child = start(&arguments);
        wait_for(&mut child, || out.join("jobs.csv").is_file());
        let random = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_micros() % 1000;
        let delay = Duration::from_millis(u64::from(random));
        let began = Instant::now();
        wait_for(&mut child, || kills.len() < 6 && began.elapsed() >= delay);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "after kills {kills:?}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills.push((delay, jobs(&out).len()));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!kills.is_empty());
    println!("killed after (delay, finished jobs): {kills:?}");
    let (whole, ..) = searched();
    for name in ["tune.csv", "best.toml", "tune.json"] {
        assert_eq!(read(&out, name), read(whole, name), "{name}");
    }
    assert_eq!(jobs(&out), jobs(whole));
    for trial in ["000", "001", "002", "003"] {
        assert_same_run(&out.join("trials").join(trial), &whole.join("trials").join(trial));
    }
}

#[test]
fn a_finished_search_is_shown_again_and_another_is_refused() {
    let (out, stdout, _) = searched();
    let again = visage(searching(out));
    assert!(!again.stderr.contains("best so far"), "{}", again.stderr);
    assert_eq!(again.done(), *stdout);
    let other = |changes: &[&str]| {
        let changed = searching(out).into_iter().chain(changes.iter().map(|&change| change.to_owned()));
        visage(changed).failed(1)
    };
    for (changes, part) in [
        (&["--seed", "9"], "--seed: 5, not 9"),
        (&["--min-epochs", "2"], "--min-epochs: 1, not 2"),
        (&["--param", "dropout=0:0.5"], "the parameters (--space, --param): "),
        (&["--set", "flip=0.1"], "flip = 0.5; not "),
    ] {
        let error = other(changes);
        assert!(error.contains("holds another search") && error.contains(part), "{part} in\n{error}");
    }
    let path = out.to_str().unwrap();
    let json = visage(searching(out).into_iter().chain(["--json".to_owned()])).json();
    assert_eq!((json["trials"].as_array().unwrap().len(), &json["metric"]), (4, &"validation_loss".into()));
    let error = visage(["tune", "--resume", "--out", path, "--data", "x", "--trials", "3"]).failed(2);
    assert!(error.contains("--trials"), "{error}");
}

#[test]
fn trials_that_diverge_are_the_worst_and_the_search_goes_on() {
    let folder = folder();
    let out = folder.path().join("diverging");
    let search = "--set optimizer.kind=sgd --set schedule.kind=constant --set epochs=1 --param learning_rate=1e-3,1e30 --trials 4 --seed 2";
    let stdout = line(&format!("{} {search}", search_into(&out))).done();
    let table = read(&out, "tune.csv");
    let diverged = |row: &&str| row.contains(",true,false,");
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 4);
    for row in &rows {
        assert_eq!(diverged(row), row.ends_with("1e30"), "{table}");
    }
    assert!((1..4).contains(&rows.iter().filter(|row| diverged(row)).count()), "{table}");
    assert!(stdout.contains("diverged"), "{stdout}");
}

#[test]
fn what_cannot_be_searched_is_refused_before_anything_is_trained() {
    let folder = folder();
    let out = folder.path().join("refused");
    let (path, data, recipe) = (out.to_str().unwrap(), squares().to_str().unwrap(), recipe().to_str().unwrap());
    let space = folder.path().join("space.toml");
    fs::write(&space, "[parameters]\nloss.gamma = 3\n").unwrap();
    for (options, code, part) in [
        (&["--trials", "2"][..], 2, "there is nothing to search"),
        (&["--param", "gamma=0:3"], 2, "--trials"),
        (&["--param", "gama=0:3", "--trials", "2"], 2, "did you mean `loss.gamma`?"),
        (&["--param", "gamma=3:0", "--trials", "2"], 2, "3 is not below 0"),
        (&["--param", "gamma=0:3", "--trials", "2"], 2, "`gamma` means nothing with kind = \"bce\""),
        (&["--param", "epochs=1:3", "--trials", "2"], 2, "--min-epochs"),
        (&["--param", "dropout=0:0.5", "--hours", "0"], 2, "--hours must be above 0"),
        (&["--param", "dropout=0:0.5", "--trials", "2", "--metric", "recall"], 2, "average_precision, f1, accuracy"),
        (
            &["--param", "weighting=pos_weight,none", "--trials", "2", "--metric", "validation_loss"],
            2,
            "cannot be compared",
        ),
        (&["--space", "nonsense", "--trials", "2"], 2, "shipped with visage: focal"),
        (&["--space", space.to_str().unwrap(), "--trials", "2"], 1, "loss.gamma is 3, which is no domain"),
    ] {
        let error = visage(["tune", recipe, "--data", data, "--out", path].iter().chain(options)).failed(code);
        assert!(error.contains(part), "{part} in\n{error}");
        assert!(!out.exists());
    }
    let error = visage(["tune", "--resume", "--out", path, "--data", data]).failed(1);
    assert!(error.contains("holds no search"), "{error}");
    let data_folder = squares().to_str().unwrap();
    let error =
        visage(["tune", recipe, "--data", data, "--out", data_folder, "--param", "dropout=0:0.5", "--trials", "2"])
            .failed(1);
    assert!(error.contains("is not empty and holds no search"), "{error}");
}

#[test]
fn the_shipped_space_is_searched_within_a_time() {
    let folder = folder();
    let out = folder.path().join("timed");
    let output = line(&format!("{} --space focal --set epochs=1 --hours 0.0000001", search_into(&out))).done();
    // The first job begins at once, and ends after the time.
    assert_eq!(jobs(&out), [(0, 1)]);
    let best = read(&out, "best.toml");
    for part in [
        "kind = \"focal\"",
        "thresholds = \"smooth_f1\"",
        "monitor = \"average_precision\"",
        "name = \"squares-tuned\"",
    ] {
        assert!(best.contains(part), "{part} in\n{best}");
    }
    assert!(output.contains("visage train"), "{output}");
}
