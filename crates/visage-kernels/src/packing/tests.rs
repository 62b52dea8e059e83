use super::*;
use crate::simd;

#[test]
fn panels_are_even_and_cover_the_columns() {
    for level in simd::available() {
        let (lanes, most) = (level.lanes(), level.tile_vectors());
        for columns in 1..300 {
            let panels = panels(columns, level);
            let mut next = 0;
            for panel in &panels {
                assert_eq!(panel.column, next);
                assert!((1..=most).contains(&panel.vectors) && panel.vectors + 1 >= panels[0].vectors);
                next += panel.vectors * lanes;
            }
            assert_eq!(next, columns.next_multiple_of(lanes));
            let last = panels[panels.len() - 1];
            assert_eq!(last.column + (last.vectors - 1) * lanes + last.last_lanes(lanes, columns), columns);
        }
    }
}

#[test]
fn both_layouts_are_packed_to_the_same_values() {
    let (depth, columns) = (37, 53);
    let rows: Vec<f32> = (0..depth * columns).map(|i| i as f32).collect();
    let offsets: Vec<usize> = (0..depth).map(|k| k * columns).collect();
    let transposed: Vec<f32> = (0..columns * depth).map(|i| rows[i % depth * columns + i / depth]).collect();
    for level in simd::available() {
        let lanes = level.lanes();
        let len = packed_len(columns, depth, lanes);
        let (mut a, mut b) = (vec![1.0; len], vec![2.0; len]);
        pack(&Matrix::Rows(&rows, &offsets), depth, columns, level, &mut a);
        pack(&Matrix::ColumnMajor(&transposed), depth, columns, level, &mut b);
        assert_eq!(a, b);
        assert_eq!(a[2 * panels(columns, level)[0].vectors * lanes + 1], rows[2 * columns + 1]);
    }
}
