use super::*;
use crate::record::{DataRecord, RunResult, RunStatus};

fn recipe() -> Recipe {
    Recipe::load("enhanced").unwrap()
}

fn record() -> RunRecord {
    RunRecord {
        version: "0.1.0".to_owned(),
        recipe: "enhanced".to_owned(),
        started: "2026-01-31T14:25:01Z".parse().unwrap(),
        status: RunStatus::Running,
        device: "cpu".to_owned(),
        threads: 2,
        architecture: "efficientnet-b0".to_owned(),
        parameters: 4_800_000,
        data: DataRecord {
            path: "celeba".into(),
            fingerprint: "abc".to_owned(),
            attributes: vec!["Smiling".to_owned()],
            table: visage_data::TableOptions::default(),
            train: 80,
            validation: 10,
            test: 10,
            allow_truncated: true,
            skip_bad_images: false,
            limit: None,
        },
        resumed: 0,
        restarted_tables: Vec::new(),
        result: None,
    }
}

#[test]
fn a_run_reads_back_as_it_was_written() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("runs").join("first");
    let folder = RunFolder::create(&path, &recipe(), &record()).unwrap();
    assert_eq!(RunFolder::open(&path).unwrap(), folder);
    assert_eq!(folder.recipe().unwrap(), recipe());
    assert_eq!(folder.record().unwrap(), record());

    let result = RunResult {
        epochs: 3,
        best_epoch: 2,
        best_value: Some(0.1 + 0.2),
        seconds: 1.5,
        skipped_steps: 4,
        error: None,
    };
    let ended = RunRecord { status: RunStatus::Finished, result: Some(result), ..record() };
    folder.write_record(&ended).unwrap();
    assert_eq!(folder.record().unwrap(), ended);

    assert!(folder.read_steps().unwrap().is_empty());
    drop(folder.steps(0, None).unwrap());
    drop(folder.epochs(0, None).unwrap());
    let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["epochs.csv", "recipe.toml", "run.json", "steps.csv"], "and nothing temporary");
}

#[test]
fn a_run_begins_only_in_a_folder_of_its_own() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path();
    fs::write(path.join("thesis.doc"), "years of work").unwrap();
    assert!(matches!(RunFolder::create(path, &recipe(), &record()), Err(RunError::NotARun { .. })));
    assert_eq!(fs::read_dir(path).unwrap().count(), 1);
    assert!(matches!(RunFolder::open(path), Err(RunError::Missing { .. })));

    let empty = path.join("empty");
    fs::create_dir(&empty).unwrap();
    RunFolder::create(&empty, &recipe(), &record()).unwrap();
    assert!(matches!(RunFolder::create(&empty, &recipe(), &record()), Err(RunError::Exists { .. })));
}

#[test]
fn what_a_killed_start_left_is_taken_over_and_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path();
    fs::write(path.join(RunFolder::RECIPE), recipe().to_toml().unwrap()).unwrap();
    fs::write(path.join(".run.json.Ab3dEf.tmp"), "{").unwrap();
    RunFolder::create(path, &recipe(), &record()).unwrap();
    assert_eq!(fs::read_dir(path).unwrap().count(), 2, "the recipe and the record");

    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join(RunFolder::RECIPE), "# a recipe somebody wrote").unwrap();
    assert!(matches!(RunFolder::create(other.path(), &recipe(), &record()), Err(RunError::NotARun { .. })));
}

#[test]
fn a_damaged_record_names_its_line() {
    let parent = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&parent.path().join("run"), &recipe(), &record()).unwrap();
    fs::write(folder.file(RunFolder::RECORD), "{\n\"version\": 3}").unwrap();
    let message = folder.record().unwrap_err().to_string();
    assert!(message.contains("run.json, line 2"), "{message}");
}

#[test]
fn runs_are_named_after_their_recipe_and_start() {
    let path = RunFolder::default_path("baseline", "2026-01-31T14:25:01.7Z".parse().unwrap());
    assert_eq!(path, Path::new("runs/baseline-20260131-142501"));
}
