//! A bound on the memory of images that are being decoded, by what the machine and the limits of the process leave.
//!
//! An allocation that fails ends the program, and one that succeeds may end it later, when the system runs out of memory. The
//! memory an image needs is known from its header, so that it can be refused before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::ImageError;
use crate::size::Size;

/// The most bytes of a decoded image, before it becomes RGB: far above any photograph. It is the limit of the `image` crate.
pub(crate) const MAX_DECODED: u64 = 512 << 20;
/// The most pixels of an image.
pub(crate) const MAX_PIXELS: usize = 1 << 28;
/// The longest side of an image in pixels: the longest that JPEG can state. What resizing takes grows with the sides.
pub(crate) const MAX_SIDE: usize = 65_535;

/// What decoding an image takes, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) size: Size,
    /// The bytes of the decoded image.
    pub(crate) decoded: u64,
    /// The most that `decoded` may be.
    pub(crate) limit: u64,
    /// The bytes that the decoder and the conversion to RGB take at the same time.
    pub(crate) work: u64,
}

impl Footprint {
    /// An image of so many bytes a pixel, with so many more for the work.
    pub(crate) fn new(size: Size, decoded: u64, work: u64) -> Self {
        let pixels = (size.height as u64).saturating_mul(size.width as u64);
        let [decoded, work] = [decoded, work].map(|bytes| pixels.saturating_mul(bytes));
        Footprint { size, decoded, limit: MAX_DECODED, work }
    }
}

/// Images that need less are not counted: a few of them on every thread take less than the rest of the program, and looking up
/// what is available takes as long as decoding a small image.
const COUNTED_FROM: u64 = 8 << 20;

/// The bytes of all reservations, and a signal that one has ended.
static RESERVED: Mutex<u64> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// Memory that an image may use until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reservation(u64);

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.0 > 0 {
            *reserved() -= self.0;
            ENDED.notify_all();
        }
    }
}

fn reserved() -> MutexGuard<'static, u64> {
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reserves the memory for decoding an image, and for a copy of it if it `is_turned` afterwards. Waits while other images hold
/// memory without which it would fit.
///
/// What they hold may be allocated already, and then is missing from what is available too: the sum errs on the safe side, and
/// the last image that waits is alone.
///
/// # Errors
///
/// [`ImageError::TooLong`], [`ImageError::TooLarge`], or [`ImageError::OutOfMemory`] when there is not enough memory even without
/// the other images.
pub(crate) fn reserve(footprint: &Footprint, is_turned: bool) -> Result<Reservation, ImageError> {
    let Footprint { size: Size { height, width }, decoded, limit, work } = *footprint;
    if height.max(width) > MAX_SIDE {
        return Err(ImageError::TooLong { width, height });
    }
    let rgb = 3 * height as u64 * width as u64;
    for (decoded, limit) in [(decoded, limit), (rgb, 3 * MAX_PIXELS as u64)] {
        if decoded > limit {
            return Err(ImageError::TooLarge { width, height, decoded, limit });
        }
    }
    let needed = decoded.saturating_mul(if is_turned { 2 } else { 1 }).saturating_add(work);
    if needed < COUNTED_FROM {
        return Ok(Reservation::default());
    }
    let mut others = reserved();
    loop {
        let available = available();
        let fits = available.is_none_or(|available| others.saturating_add(needed) <= available);
        if fits && can_allocate(needed) {
            *others += needed;
            return Ok(Reservation(needed));
        }
        if *others == 0 {
            return Err(ImageError::OutOfMemory { width, height, needed, available });
        }
        others = ENDED.wait(others).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Whether the allocator can provide so many bytes at the moment, in parts as large as decoders ask for. This also works where
/// nothing tells what is available.
fn can_allocate(bytes: u64) -> bool {
    const PART: u64 = 1 << 30;
    let part = |start: u64| {
        let length = usize::try_from((bytes - start).min(PART)).ok()?;
        let mut part = Vec::<u8>::new();
        part.try_reserve_exact(length).ok().map(|()| part)
    };
    // All parts are held at the same time.
    (0..bytes.div_ceil(PART)).map(|number| part(number * PART)).collect::<Option<Vec<_>>>().is_some()
}

/// The bytes that can still be allocated: the least of what the machine has, what the control groups of the process leave, and
/// what its limit on address space leaves (`ulimit -v`). `None` on systems that do not tell.
fn available() -> Option<u64> {
    let machine = kilobytes("/proc/meminfo", "MemAvailable:");
    [machine, address_space(), control_groups()].into_iter().flatten().min()
}

/// The value of a line such as `VmSize:    1234 kB`, in bytes.
fn kilobytes(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// What the limit on address space leaves; `None` without a limit.
fn address_space() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(kilobytes("/proc/self/status", "VmSize:")?))
}

/// What the limits of the process's control group (version 2) and those above it leave; `None` without a limit.
fn control_groups() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let group: PathBuf = root.join(path);
    group.ancestors().take_while(|folder| folder.starts_with(root)).filter_map(left_in).min()
}

/// What the limit of one control group leaves. Its cache of files that are not in use counts as free.
fn left_in(folder: &Path) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    let (limit, used) = (number("memory.max")?, number("memory.current")?);
    let statistics = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cache = statistics.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some(limit.saturating_sub(used.saturating_sub(cache.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_image_waits_for_the_memory_of_others_and_is_refused_alone() {
        let image = |work: u64| Footprint { size: Size::square(10_000), decoded: 0, limit: MAX_DECODED, work };
        let whole = available().unwrap_or(1 << 40);
        let first = reserve(&image(whole / 5 * 3), false).unwrap();
        let second = thread::spawn(move || reserve(&image(whole / 5 * 3), false).map(drop));
        thread::sleep(Duration::from_millis(100));
        assert!(!second.is_finished(), "both do not fit");
        drop(first);
        assert!(second.join().unwrap().is_ok());
        let error = reserve(&image(u64::MAX / 2), false).unwrap_err().to_string();
        assert!(error.contains("10000x10000 pixels, which needs "), "{error}");
        let error = reserve(&Footprint::new(Size::square(30_000), 3, 0), false).unwrap_err().to_string();
        assert!(error.contains("30000x30000 pixels, 2.7 GB when decoded"), "{error}");
    }

    #[test]
    fn an_image_of_a_long_side_or_too_many_pixels_is_refused() {
        let size = |width, height| reserve(&Footprint::new(Size { width, height }, 1, 0), false).map(drop);
        assert!(size(20, MAX_SIDE).is_ok());
        let error = size(20, 16_767_744).unwrap_err().to_string();
        assert!(error.contains("20x16767744 pixels, and a side may have 65535 at most"), "{error}");
        let error = size(20_000, 20_000).unwrap_err().to_string();
        assert!(error.contains("1.2 GB when decoded, and images are decoded up to 805 MB"), "{error}");
    }
}
