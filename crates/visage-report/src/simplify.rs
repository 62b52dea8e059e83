//! Line simplification.

/// The indices of the points that draw a line within `tolerance` (Ramer 1972, Douglas and Peucker 1973), in any number of
/// dimensions. The first and the last are always among them.
pub fn simplified<const N: usize>(points: &[[f64; N]], tolerance: f64) -> Vec<usize> {
    let Some(last) = points.len().checked_sub(1) else { return Vec::new() };
    let mut kept = vec![false; points.len()];
    (kept[0], kept[last]) = (true, true);
    let mut open = vec![(0, last)];
    while let Some((from, to)) = open.pop() {
        let far = (from + 1..to)
            .map(|at| (at, squared_distance(&points[at], &points[from], &points[to])))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((at, distance)) = far
            && distance > tolerance * tolerance
        {
            kept[at] = true;
            open.extend([(from, at), (at, to)]);
        }
    }
    (0..=last).filter(|&at| kept[at]).collect()
}

/// Squared distance of a point from the straight line between two others.
fn squared_distance<const N: usize>(point: &[f64; N], from: &[f64; N], to: &[f64; N]) -> f64 {
    let dot = |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| (0..N).map(|i| a(i) * b(i)).sum::<f64>();
    let along = |i: usize| to[i] - from[i];
    let out = |i: usize| point[i] - from[i];
    let length = dot(&along, &along);
    let share = if length > 0.0 { (dot(&along, &out) / length).clamp(0.0, 1.0) } else { 0.0 };
    let away = |i: usize| out(i) - share * along(i);
    dot(&away, &away)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_stay_and_what_lies_between_goes() {
        let line = [[0.0, 0.0], [1.0, 0.01], [2.0, 0.0], [2.0, 1.0], [2.0, 2.0]];
        assert_eq!(simplified(&line, 0.1), [0, 2, 4]);
        assert_eq!(simplified(&line, 0.001), [0, 1, 2, 4]);
        assert_eq!(simplified::<2>(&[], 1.0), [0; 0]);
        assert_eq!(simplified(&[[1.0, 1.0]], 1.0), [0]);
    }

    #[test]
    fn no_point_is_further_away_than_allowed() {
        let wave: Vec<[f64; 2]> = (0..2000).map(|i| f64::from(i) / 5.0).map(|x| [x, 30.0 * (x / 20.0).sin()]).collect();
        let kept = simplified(&wave, 0.25);
        assert!(kept.len() < 150, "{}", kept.len());
        for pair in kept.windows(2) {
            for point in &wave[pair[0]..pair[1]] {
                assert!(squared_distance(point, &wave[pair[0]], &wave[pair[1]]) <= 0.25 * 0.25);
            }
        }
    }
}
