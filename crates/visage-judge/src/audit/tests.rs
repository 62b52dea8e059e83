use super::*;
use crate::golden;

#[test]
fn planted_errors_rank_first_and_random_labels_are_detected() {
    // Of 1,000 images one in five is positive and the model knows it well; 22 labels are flipped. The labels of the second
    // attribute are independent of the probabilities. The third is rare.
    let mut random = golden::park_miller();
    let mut draw = || random() as f32;
    let (mut labels, mut probabilities) = (Vec::new(), Vec::new());
    for image in 0..1000 {
        let truth = image % 5 == 0;
        let planted = image % 50 == 7 || image % 500 == 10;
        labels.extend([Some(truth != planted), Some(draw() < 0.3), Some(image % 100 == 0)]);
        probabilities.extend([if truth { 0.5 + 0.5 * draw() } else { 0.3 * draw() }, 0.2 + 0.2 * draw(), draw()]);
    }
    let names = ["clean", "random", "rare"].map(str::to_owned).to_vec();
    let audit = audit(&Predictions::new(names, labels, probabilities).unwrap()).unwrap();
    let planted = |doubt: &&LabelDoubt| doubt.column == 0 && (doubt.image % 50 == 7 || doubt.image % 500 == 10);
    let first = audit.doubts.iter().filter(|doubt| doubt.column == 0).take(22).filter(planted).count();
    assert_eq!(first, 22, "the 22 errors are the 22 most doubtful labels of their attribute");
    let [clean, random, rare] = audit.attributes.as_slice() else { panic!("three attributes") };
    assert_eq!((clean.looks_random, clean.too_few), (false, false));
    // About half of the errors reach the mean confidence, and nothing else is suspected.
    let suspects: Vec<&LabelDoubt> = audit.doubts.iter().filter(|doubt| doubt.column == 0 && doubt.suspect).collect();
    assert!(suspects.len() >= 5 && suspects.iter().all(planted), "{suspects:?}");
    assert_eq!(clean.suspects, suspects.len() as u64);
    // Where the model cannot tell, nobody is accused.
    assert!(random.looks_random && random.cannot_tell && random.suspects == 0, "{random:?}");
    assert!(audit.judged().all(|doubt| doubt.column != 1) && audit.doubts.iter().all(|d| d.column != 1 || !d.suspect));
    assert!(rare.too_few && !rare.looks_random, "{rare:?}");
    assert!(audit.judged().is_sorted_by(|a, b| a.confidence <= b.confidence));
}

#[test]
fn one_class_of_labels_cannot_be_audited() {
    let predictions = Predictions::new(vec!["a".into()], vec![Some(true), None], vec![0.1, 0.2]).unwrap();
    let audit = super::audit(&predictions).unwrap();
    assert_eq!((audit.doubts.len(), audit.attributes[0].labels, audit.attributes[0].roc_auc), (0, 1, None));
    let none = Predictions::new(vec!["a".into()], vec![None], vec![0.1]).unwrap();
    assert_eq!(super::audit(&none), Err(Error::NoLabels));
}

#[test]
fn suspected_labels_are_cleanlabs() {
    let golden = golden::statistics("audit");
    let predictions = golden::predictions();
    for (column, golden) in golden.as_object().unwrap() {
        let name = format!("column {column}");
        let predictions = predictions.select(&[&name]).unwrap();
        let suspects: Vec<usize> = serde_json::from_value(golden["suspects"].clone()).unwrap();
        // cleanlab suspects labels whether the model is better than chance or not.
        let known: Vec<(f32, bool)> = predictions.known(0).collect();
        for doubt in doubts_of(&predictions, 0, mean_confidence(&known)) {
            assert_eq!(doubt.suspect, suspects.contains(&doubt.image), "{name}: {doubt:?}");
        }
        let audit = audit(&predictions).unwrap();
        let is_judged = !audit.attributes[0].cannot_tell;
        for doubt in &audit.doubts {
            assert_eq!(doubt.suspect, is_judged && suspects.contains(&doubt.image), "{name}: {doubt:?}");
        }
    }
}
