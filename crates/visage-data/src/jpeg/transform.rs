//! The inverse DCT of a block: libjpeg's accurate integer version (`jidctint.c`), after Loeffler, Ligtenberg and Moschytz
//! (ICASSP 1989).

/// Fractional bits of the constants, and of the values between the two passes.
const CONSTANT_BITS: u32 = 13;
const PASS_BITS: u32 = 2;

/// The inverse DCT of eight coefficients, scaled by 2^`CONSTANT_BITS`.
#[inline(always)]
fn inverse_dct(input: [i32; 8]) -> [i32; 8] {
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input;
    // The even part. The constants are libjpeg's FIX_0_541196100 and so on.
    let z1 = (i2.wrapping_add(i6)).wrapping_mul(4433);
    let t2 = z1.wrapping_add(i6.wrapping_mul(-15137));
    let t3 = z1.wrapping_add(i2.wrapping_mul(6270));
    let t0 = i0.wrapping_add(i4) << CONSTANT_BITS;
    let t1 = i0.wrapping_sub(i4) << CONSTANT_BITS;
    let (e0, e3) = (t0.wrapping_add(t3), t0.wrapping_sub(t3));
    let (e1, e2) = (t1.wrapping_add(t2), t1.wrapping_sub(t2));
    // The odd part.
    let (z1, z2, z3, z4) = (i7.wrapping_add(i1), i5.wrapping_add(i3), i7.wrapping_add(i3), i5.wrapping_add(i1));
    let z5 = z3.wrapping_add(z4).wrapping_mul(9633);
    let (z1, z2) = (z1.wrapping_mul(-7373), z2.wrapping_mul(-20995));
    let z3 = z3.wrapping_mul(-16069).wrapping_add(z5);
    let z4 = z4.wrapping_mul(-3196).wrapping_add(z5);
    let o0 = i7.wrapping_mul(2446).wrapping_add(z1).wrapping_add(z3);
    let o1 = i5.wrapping_mul(16819).wrapping_add(z2).wrapping_add(z4);
    let o2 = i3.wrapping_mul(25172).wrapping_add(z2).wrapping_add(z3);
    let o3 = i1.wrapping_mul(12299).wrapping_add(z1).wrapping_add(z4);
    [
        e0.wrapping_add(o3),
        e1.wrapping_add(o2),
        e2.wrapping_add(o1),
        e3.wrapping_add(o0),
        e3.wrapping_sub(o0),
        e2.wrapping_sub(o1),
        e1.wrapping_sub(o2),
        e0.wrapping_sub(o3),
    ]
}

/// `value` without its lowest `bits` bits, rounded.
#[inline(always)]
fn rounded(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

/// Writes the 8x8 samples of a block to `plane` at `start`; the rows of `plane` are `stride` long.
pub(super) fn block(coefficients: &[i16; 64], quantisation: &[u16; 64], plane: &mut [u8], start: usize, stride: usize) {
    let at = |index: usize| i32::from(coefficients[index]).wrapping_mul(i32::from(quantisation[index]));
    let value = |level: i32| (level + 128).clamp(0, 255) as u8;
    if coefficients[1..].iter().all(|&coefficient| coefficient == 0) {
        // The result of both passes for a constant block.
        let level = value(rounded(at(0) << PASS_BITS, PASS_BITS + 3));
        (0..8).for_each(|row| plane[start + row * stride..][..8].fill(level));
        return;
    }
    let mut between = [0; 64];
    for column in 0..8 {
        let out = inverse_dct(std::array::from_fn(|row| at(row * 8 + column)));
        for (row, value) in out.into_iter().enumerate() {
            between[row * 8 + column] = rounded(value, CONSTANT_BITS - PASS_BITS);
        }
    }
    for row in 0..8 {
        let out = inverse_dct(std::array::from_fn(|column| between[row * 8 + column]));
        let line = &mut plane[start + row * stride..][..8];
        for (pixel, level) in line.iter_mut().zip(out) {
            *pixel = value(rounded(level, CONSTANT_BITS + PASS_BITS + 3));
        }
    }
}
