use super::*;

#[test]
fn tiles_cover_the_rows_with_few_surplus_rows() {
    for height in [4, 6, 8] {
        for rows in 1..100 {
            let tiles = RowTiling::new(rows, height);
            let mut next = 0;
            for tile in 0..tiles.count() {
                assert_eq!(tiles.first(tile), next);
                assert!(next < rows, "a tile of {rows} rows is empty");
                next += tiles.height(tile);
            }
            assert!(next >= rows && next <= rows.next_multiple_of(height));
        }
    }
    assert_eq!(RowTiling::new(32, 6).first(6), 32);
    assert_eq!(RowTiling::new(16, 6).first(3), 16);
}
