use super::*;

const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/schedules.json"));

fn peak(learning_rate: f64) -> Rates {
    Rates { learning_rate, momentum: 0.9 }
}

#[test]
fn one_cycle_equals_pytorchs() {
    let file: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    let three_phase = OneCycle { anneal: Anneal::Linear, three_phase: true, ..OneCycle::default() };
    let table = [
        ("max_lr 3e-4, total_steps 100", 3e-4, OneCycle::default(), 100),
        ("max_lr 1e-2, total_steps 7, linear, three_phase", 1e-2, three_phase, 7),
    ];
    assert_eq!(table.len(), file["one_cycle"].as_object().unwrap().len(), "every golden case is tested");
    for (name, learning_rate, shape, total_steps) in table {
        let schedule = Schedule::OneCycle { peak: peak(learning_rate), shape, total_steps };
        let rows = file["one_cycle"][name].as_array().unwrap();
        assert_eq!(rows.len() as u64, total_steps);
        for (step, row) in rows.iter().enumerate() {
            let rates = schedule.at(step as u64);
            for (value, expected) in [(rates.learning_rate, &row[0]), (rates.momentum, &row[1])] {
                let expected = expected.as_f64().unwrap();
                // The last rate is the small difference of two large ones, in PyTorch as here.
                let tolerance = 1e-12 * expected + 1e-16 * learning_rate;
                assert!((value - expected).abs() <= tolerance, "{name}, step {step}: {value}, expected {expected}");
            }
        }
    }
}

#[test]
fn every_step_of_a_short_run_has_rates() {
    for total_steps in 0..12 {
        for pct_start in [0.0, 0.1, 0.3, 0.5, 1.0] {
            for three_phase in [false, pct_start <= 0.5] {
                let shape = OneCycle { pct_start, three_phase, ..OneCycle::default() };
                let schedule = Schedule::OneCycle { peak: peak(1e-3), shape, total_steps };
                for step in 0..total_steps + 2 {
                    let Rates { learning_rate, momentum } = schedule.at(step);
                    let context = format!("{total_steps} steps, climb {pct_start}, step {step}");
                    assert!((0.0..=1.000_001e-3).contains(&learning_rate), "{context}: {learning_rate}");
                    assert!((0.849_999..=0.950_001).contains(&momentum), "{context}: {momentum}");
                }
            }
        }
    }
}

#[test]
fn momentum_stays_when_it_is_not_cycled() {
    let shape = OneCycle { cycle_momentum: false, ..OneCycle::default() };
    let schedule = Schedule::OneCycle { peak: peak(1e-3), shape, total_steps: 10 };
    assert!((0..10).all(|step| schedule.at(step).momentum == 0.9));
}

fn decaying(learning_rate: f64, warmup: Warmup, decay: Decay, total_steps: u64) -> Schedule {
    Schedule::Decay { peak: peak(learning_rate), warmup, decay, total_steps }
}

const NO_WARMUP: Warmup = Warmup { steps: 0, start: 0.0 };

#[test]
fn decays_and_warm_ups_equal_pytorchs() {
    let golden = crate::golden::training("schedules");
    let cosine = |end| Decay::Cosine { end };
    let steps = |every, factor| Decay::Steps { every, factor };
    let table = [
        ("cosine", decaying(1e-3, NO_WARMUP, cosine(0.0), 20)),
        ("cosine to a tenth", decaying(2e-2, NO_WARMUP, cosine(0.1), 13)),
        ("warm-up then cosine", decaying(1e-3, Warmup { steps: 5, start: 0.01 }, cosine(0.0), 25)),
        ("steps", decaying(0.1, NO_WARMUP, steps(4, 0.1), 14)),
        ("warm-up with steps", decaying(0.1, Warmup { steps: 6, start: 0.25 }, steps(4, 0.5), 14)),
        ("warm-up", decaying(3e-4, Warmup { steps: 8, start: 0.5 }, Decay::None, 12)),
    ];
    assert_eq!(table.len(), golden.as_object().unwrap().len(), "every golden case is tested");
    for (name, schedule) in table {
        for (step, expected) in golden[name].as_array().unwrap().iter().enumerate() {
            let (found, expected) = (schedule.at(step as u64).learning_rate, expected.as_f64().unwrap());
            // PyTorch multiplies its way from step to step, and its last cosine is what rounding left of 0.
            let tolerance = 1e-12 * expected + 1e-17;
            assert!((found - expected).abs() <= tolerance, "{name}, step {step}: {found}, expected {expected}");
        }
    }
}

#[test]
fn every_step_of_a_short_decay_has_a_rate() {
    for total_steps in 0..6 {
        for warmup in 0..8 {
            for decay in [Decay::None, Decay::Cosine { end: 0.0 }, Decay::Steps { every: 2, factor: 0.1 }] {
                let schedule = decaying(1.0, Warmup { steps: warmup, start: 0.0 }, decay, total_steps);
                assert!((0..9).all(|step| (0.0..=1.0).contains(&schedule.at(step).learning_rate)));
            }
        }
    }
    let constant = decaying(1e-3, NO_WARMUP, Decay::None, 5);
    assert!([0, 1, 1_000_000].iter().all(|&step| constant.at(step) == peak(1e-3)));
}
