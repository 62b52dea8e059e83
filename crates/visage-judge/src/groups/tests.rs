use super::*;
use crate::golden;

#[test]
fn gaps_are_differences_between_images_with_and_without_the_attribute() {
    // 200 images, the first half in the group. Of `a` each half has 50 positives, of which 40 and 20 are predicted, without
    // false positives. `b` is rare.
    let labels = |image: usize| [Some(image < 100), Some(image.is_multiple_of(2)), Some(image.is_multiple_of(50))];
    let found = |image: usize| image.is_multiple_of(2) && image % 100 < if image < 100 { 80 } else { 40 };
    let says = |image: usize| [0.9, if found(image) { 0.9 } else { 0.1 }, 0.9];
    let predictions = Predictions::new(
        ["group", "a", "b"].map(str::to_owned).to_vec(),
        (0..200).flat_map(labels).collect(),
        (0..200).flat_map(says).collect(),
    )
    .unwrap();
    let by = [Grouping::by_attribute("group", (0..200).map(|image| (image != 7).then_some(image < 100)))];
    let resampling = Resampling { replicates: 200, draw: &golden::draw };
    let (groups, gaps) = judge_groups(&predictions, &Thresholds::fixed(0.5, 3), &by, &resampling).unwrap();
    assert_eq!(
        groups.iter().map(|group| (group.value.as_str(), group.images)).collect::<Vec<_>>(),
        [("present", 99), ("absent", 100)]
    );
    let gap = |criterion: Criterion, attribute: Option<&str>| {
        gaps.iter().find(|gap| (gap.criterion, gap.attribute.as_deref()) == (criterion, attribute)).unwrap()
    };
    let recall = gap(Criterion::EqualOpportunity, Some("a"));
    assert_eq!((recall.values, recall.cases), ([Some(0.8), Some(0.4)], [50, 50]));
    assert!((recall.difference.unwrap() - 0.4).abs() < 1e-12 && recall.is_significant(), "{recall:?}");
    let interval = recall.interval.unwrap();
    assert!(interval.contains(0.4) && interval.low > 0.15 && interval.high < 0.65, "{interval:?}");
    let rare = gap(Criterion::EqualOpportunity, Some("b"));
    assert!(rare.too_small && !rare.is_significant() && rare.cases == [2, 2], "{rare:?}");
    let mean = gap(Criterion::EqualOpportunity, None);
    assert_eq!((mean.cases, mean.difference), ([1, 1], recall.difference));
    assert!(
        gaps.iter().all(|gap| gap.attribute.as_deref() != Some("group")),
        "the attribute that defines the groups is left out"
    );
    assert_eq!(gap(Criterion::PredictiveParity, Some("a")).difference, Some(0.0));
}

#[test]
fn each_of_several_groups_is_compared_with_the_others() {
    // 50 images of group `young`, 50 of `old`, 50 of an unknown group, 30 of `middle`. All have the attribute; every second
    // image of `old` is a false negative.
    let ages = |image: usize| [Some("young"), Some("old"), None, Some("middle")][image / 50];
    let grouping = Grouping::by_value("age", (0..180).map(ages));
    assert_eq!(grouping.values, ["middle", "old", "young"]);
    let says = |image: usize| if ages(image) == Some("old") && image.is_multiple_of(2) { 0.1 } else { 0.9 };
    let predictions = Predictions::new(vec!["a".into()], vec![Some(true); 180], (0..180).map(says).collect()).unwrap();
    let draw = |_: u64, weights: &mut [u16]| weights.fill(1);
    let resampling = Resampling { replicates: 4, draw: &draw };
    let (groups, gaps) = judge_groups(&predictions, &Thresholds::fixed(0.5, 1), &[grouping], &resampling).unwrap();
    assert_eq!(groups.iter().map(|group| group.images).collect::<Vec<_>>(), [30, 50, 50]);
    let recalls: Vec<_> = gaps
        .iter()
        .filter(|gap| gap.criterion == Criterion::EqualOpportunity && gap.attribute.is_some())
        .map(|gap| (gap.sides(), gap.cases, gap.difference.unwrap()))
        .collect();
    let sides = |value: &str| [format!("age: {value}"), "the others".to_owned()];
    assert_eq!(recalls[0], (sides("middle"), [30, 100], 1.0 - 0.75));
    assert_eq!(recalls[1], (sides("old"), [50, 80], -0.5));
    assert_eq!(recalls[2], (sides("young"), [50, 80], 1.0 - 55.0 / 80.0));
}
