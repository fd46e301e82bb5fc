//! A counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting what each thread asks of it.
///
/// ```
/// use upbeat_testkit::alloc::{CountingAllocator, count};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let mut sum = 0;
/// assert!(count(|| sum += 1).is_zero());
/// assert_eq!(count(|| drop(vec![1, 2, 3])).allocations, 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CountingAllocator;

/// What one thread asked of the allocator during [`count`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that asked for memory, re-allocations included.
    pub allocations: u64,
    /// Calls that gave memory back.
    pub frees: u64,
    /// Bytes asked for, less bytes given back.
    pub bytes: i64,
}

impl Counts {
    /// Whether the allocator was not called at all.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// Runs `work` and counts what this thread asked of the allocator meanwhile.
///
/// # Panics
///
/// If [`CountingAllocator`] is not the program's `#[global_allocator]`: all counts would be 0.
pub fn count(work: impl FnOnce()) -> Counts {
    let probe = COUNTS.get();
    drop(std::hint::black_box(Box::new(0_u8)));
    assert_ne!(probe, COUNTS.get(), "CountingAllocator must be the #[global_allocator]");
    let before = COUNTS.get();
    work();
    let after = COUNTS.get();
    Counts {
        allocations: after.allocations - before.allocations,
        frees: after.frees - before.frees,
        bytes: after.bytes - before.bytes,
    }
}

/// What this thread asked of the allocator so far: the difference of two is what it asked in between.
///
/// For work that no closure can be put around, such as that of a thread which calls back now and then.
#[must_use]
pub fn so_far() -> Counts {
    COUNTS.get()
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, frees: 0, bytes: 0 }) };
}

fn note(allocations: u64, frees: u64, bytes: i64) {
    // Fails only while the thread is being torn down, when nobody counts any more.
    let _ = COUNTS.try_with(|counts| {
        let now = counts.get();
        counts.set(Counts {
            allocations: now.allocations + allocations,
            frees: now.frees + frees,
            bytes: now.bytes + bytes,
        });
    });
}

#[allow(unsafe_code, reason = "a global allocator cannot be written without it")]
// SAFETY: every call goes to `System` unchanged; counting touches only a thread-local `Cell` without
// destructor, which cannot allocate.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, 0, layout.size() as i64);
        // SAFETY: the caller upholds `GlobalAlloc::alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, 0, layout.size() as i64);
        // SAFETY: the caller upholds `GlobalAlloc::alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(1, 0, new_size as i64 - layout.size() as i64);
        // SAFETY: the caller upholds `GlobalAlloc::realloc`'s contract.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, 1, -(layout.size() as i64));
        // SAFETY: the caller upholds `GlobalAlloc::dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}
