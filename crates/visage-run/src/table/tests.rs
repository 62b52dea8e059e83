use super::*;

fn row(step: u64) -> StepRow {
    StepRow {
        step,
        epoch: 1,
        loss: 0.1 + step as f64,
        learning_rate: 1e-3,
        gradient_norm: 1.0 / 3.0,
        images_per_second: 31.5,
        waiting: 0.25,
    }
}

fn epoch(epoch: u64) -> EpochRow {
    EpochRow {
        epoch,
        step: 10 * epoch,
        train_loss: 0.3,
        validation_loss: f64::NAN,
        accuracy: Some(0.9),
        balanced_accuracy: None,
        precision: None,
        recall: Some(0.0),
        f1: Some(1.0),
        average_precision: Some(0.1),
        learning_rate: 1.2e-9,
        seconds: 12.0,
        images_per_second: 1.0,
        best: epoch == 1,
    }
}

#[test]
fn headers_name_the_fields() {
    fn header<R: Row>(row: R) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(row).unwrap();
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        text.lines().next().unwrap().to_owned()
    }
    assert_eq!(header(row(1)), StepRow::HEADER);
    assert_eq!(header(epoch(1)), EpochRow::HEADER);
}

#[test]
fn rows_read_back_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.csv");
    let mut table = StepTable::open(&path, 0, None).unwrap();
    let rows: Vec<StepRow> = (1..=3).map(row).collect();
    for row in &rows {
        table.append(row).unwrap();
    }
    assert_eq!(read::<StepRow>(&path).unwrap(), rows);

    let path = folder.path().join("epochs.csv");
    let mut table = EpochTable::open(&path, 0, None).unwrap();
    table.append(&epoch(1)).unwrap();
    table.append(&epoch(2)).unwrap();
    let read = read::<EpochRow>(&path).unwrap();
    assert!(read[1].validation_loss.is_nan());
    assert_eq!((read[0].balanced_accuracy, read[0].recall, read[0].best), (None, Some(0.0), true));
    assert_eq!((read[1].epoch, read[1].learning_rate, read[1].best), (2, 1.2e-9, false));
}

#[test]
fn resuming_removes_rows_after_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.csv");
    // Complete rows, the incomplete row that a killed process left, and the step of the checkpoint.
    for (rows, cut_off, done, kept) in [
        (0, "", 0, 0),
        (5, "", 3, 3),
        (5, "", 5, 5),
        (5, "", 0, 0),
        (5, "6,1,0.", 5, 5),
        (5, "6", 4, 4),
        (12, "", 9, 9),
    ] {
        let context = format!("{rows} rows and {cut_off:?}, checkpoint at {done}");
        let _ = std::fs::remove_file(&path);
        let mut table = StepTable::open(&path, 0, None).unwrap();
        (1..=rows).for_each(|step| table.append(&row(step)).unwrap());
        table.write(cut_off.as_bytes()).unwrap();
        drop(table);
        assert_eq!(read::<StepRow>(&path).unwrap().len() as u64, rows, "{context}");

        let mut table = StepTable::open(&path, done, None).unwrap();
        table.append(&row(kept + 1)).unwrap();
        drop(table);
        let steps: Vec<u64> = read::<StepRow>(&path).unwrap().iter().map(|row| row.step).collect();
        assert_eq!(steps, (1..=kept + 1).collect::<Vec<_>>(), "{context}");
    }
}

#[test]
fn missing_rows_are_an_error_unless_all_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.csv");
    let mut table = StepTable::open(&path, 0, None).unwrap();
    (1..=5).for_each(|step| table.append(&row(step)).unwrap());
    drop(table);
    let whole = std::fs::read_to_string(&path).unwrap();
    for cut in 1..whole.len() {
        let rows = whole[..cut].lines().count() - usize::from(!whole[..cut].ends_with('\n'));
        std::fs::write(&path, &whole[..cut]).unwrap();
        let opened = StepTable::open(&path, 5, None);
        assert_eq!(opened.is_ok(), rows <= 1, "{cut}: {opened:?}");
    }
    let without_third: String = whole.split_inclusive('\n').filter(|line| !line.starts_with("3,")).collect();
    std::fs::write(&path, without_third).unwrap();
    let error = StepTable::open(&path, 5, None).unwrap_err().to_string();
    assert!(error.contains("line 4: row 4 follows row 2") && error.contains("restore it"), "{error}");
}

#[test]
fn an_incomplete_header_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.csv");
    std::fs::write(&path, "step,ep").unwrap();
    StepTable::open(&path, 0, None).unwrap().append(&row(1)).unwrap();
    assert_eq!(read::<StepRow>(&path).unwrap(), [row(1)]);
}

#[test]
fn a_table_changed_by_hand_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.csv");
    for (text, line) in [("a,b\n".to_owned(), 1), (format!("{}\n1,1,1,1,1,1\nx\n", StepRow::HEADER), 3)] {
        std::fs::write(&path, text).unwrap();
        let error = StepTable::open(&path, 9, None).unwrap_err();
        assert!(matches!(error, RunError::Table { line: found, .. } if found == line), "{error}");
    }
}

#[test]
fn one_process_writes_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.csv");
    let first = StepTable::open(&path, 0, None).unwrap();
    assert!(matches!(StepTable::open(&path, 0, None), Err(RunError::InUse { .. })));
    drop(first);
    assert!(StepTable::open(&path, 0, None).is_ok());
}

#[test]
fn rows_that_were_changed_are_noticed_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.csv");
    let mut table = StepTable::open(&path, 0, None).unwrap();
    (1..4).for_each(|step| table.append(&row(step)).unwrap());
    let mark = table.mark();
    table.append(&row(4)).unwrap();
    drop(table);
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.replacen("31.5", "31.6", 1)).unwrap();
    let error = StepTable::open(&path, 3, Some(mark)).unwrap_err();
    assert!(error.to_string().contains("when the checkpoint was written"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap().len(), whole.len(), "no row was removed");
    std::fs::write(&path, &whole).unwrap();
    // A checkpoint may be written before the last row that belongs to it.
    assert!(StepTable::open(&path, 4, Some(mark)).is_ok());
    assert_eq!(StepTable::open(&path, 3, Some(mark)).unwrap().mark(), mark);
    let header_and_last: String =
        whole.split_inclusive('\n').enumerate().filter(|(line, _)| line % 4 == 0).map(|l| l.1).collect();
    std::fs::write(&path, header_and_last).unwrap();
    assert!(StepTable::open(&path, 3, Some(mark)).is_err(), "rows are missing");
    // Every cut before the mark is noticed, also one that leaves no row.
    for cut in 0..mark.bytes as usize {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(StepTable::open(&path, 3, Some(mark)).is_err(), "cut to {cut} bytes");
    }
    // Removed by hand, to go on without its rows.
    std::fs::remove_file(&path).unwrap();
    assert!(StepTable::open(&path, 3, Some(mark)).is_ok());
}
