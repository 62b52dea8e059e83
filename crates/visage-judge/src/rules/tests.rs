use super::*;
use crate::golden;

fn names(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn rules(attributes: &str, rules: &[&str]) -> Result<Rules, RuleError> {
    RuleSet { rules: rules.iter().map(ToString::to_string).collect() }.bind(&names(attributes), false)
}

#[test]
fn the_decisions_are_the_most_probable_of_all_consistent_ones() {
    // Against every assignment, on drawn probabilities and thresholds.
    let attributes = "A B C D E F";
    let texts = ["A and not B => C or not D", "at most one of D, E, F", "F => not A", "B => E"];
    let rules = rules(attributes, &texts).unwrap();
    let mut random = golden::park_miller();
    let mut draw = || (random() * 999.0 + 1.0).floor() as f32 / 1000.0;
    let holds = |a: &[bool]| {
        (!a[0] || a[1] || a[2] || !a[3])
            && a[3..].iter().filter(|&&present| present).count() <= 1
            && (!a[5] || !a[0])
            && (!a[1] || a[4])
    };
    let mut changed = 0;
    for round in 0..300 {
        let probabilities: Vec<f32> = (0..6).map(|_| draw()).collect();
        let thresholds: Vec<f32> = (0..6).map(|_| if round % 2 == 0 { 0.5 } else { draw() }).collect();
        let found = rules.consistent(&probabilities, &thresholds);
        assert!(holds(&found), "{found:?}");
        let logit = |p: f32| f64::from(p / (1.0 - p)).ln();
        let score = |a: &[bool]| -> f64 {
            let cells = probabilities.iter().zip(&thresholds).zip(a);
            cells.map(|((&p, &t), &present)| if present { logit(p) - logit(t) } else { 0.0 }).sum()
        };
        let best = (0..64_u32).map(|bits| (0..6).map(|bit| bits >> bit & 1 == 1).collect::<Vec<bool>>());
        let best = best.filter(|a| holds(a)).map(|a| score(&a)).fold(f64::NEG_INFINITY, f64::max);
        assert!((score(&found) - best).abs() < 1e-4, "{found:?} scores {}, the best {best}", score(&found));
        let plain: Vec<bool> = probabilities.iter().zip(&thresholds).map(|(p, t)| p >= t).collect();
        changed += usize::from(found != plain);
        assert!(!holds(&plain) || found == plain, "consistent decisions stay");
    }
    assert!(changed > 50, "{changed}");
}

#[test]
fn violations_are_counted_in_labels_and_decisions() {
    let rules = rules("Goatee No_Beard Bald", &["Goatee => not No_Beard", "Bald => No_Beard"]).unwrap();
    let (yes, no) = (Some(true), Some(false));
    let labels = vec![yes, yes, no, yes, None, yes, no, no, yes];
    let probabilities = vec![0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.4, 0.1];
    let predictions = Predictions::new(names("Goatee No_Beard Bald"), labels, probabilities).unwrap();
    let found = rules.count(&predictions, &Thresholds::fixed(0.5, 3));
    // An unknown label violates nothing.
    assert_eq!((found.labels, found.predictions), (2, 2));
    assert_eq!(found.rules.iter().map(|rule| (rule.labels, rule.predictions)).collect::<Vec<_>>(), [(1, 1), (1, 1)]);
}

#[test]
fn invalid_rules_are_refused() {
    let cases = [
        (rules("A B", &["A implies B"]), "it has no =>"),
        (rules("A B", &["A => "]), "an attribute is missing"),
        (rules("A B", &["A => C"]), "names \"C\""),
        (rules("A B", &["at most one of A"]), "needs no rule"),
        (rules("A B", &["A => B", "A => not B", "not A => B", "not A => not B"]), "contradict each other"),
    ];
    for (result, message) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} should say {message:?}");
    }
    let many = (0..40).map(|number| format!("a{number}")).collect::<Vec<_>>();
    let chain: Vec<String> = (1..40).map(|number| format!("a0 => a{number}")).collect();
    let error = RuleSet { rules: chain }.bind(&many, false).unwrap_err();
    assert!(matches!(error, RuleError::TooLoose { .. }), "{error}");
    assert!(RuleSet::parse("rule = []").unwrap_err().to_string().contains("rules = ["));
    assert!(RuleSet::parse("rules = [\"A => B\"]").unwrap().bind(&names("A"), true).unwrap().is_empty());
}
