//! A guard against allocating where one must not: in audio callbacks and in the steady state of analysis.
//!
//! A program, a test or a debug build makes [`NoAlloc`] its global allocator; it passes everything on and
//! counts, per thread, only inside of [`forbid_alloc`] or [`count_alloc`]. Elsewhere it costs one look at a
//! thread-local flag per call.
//!
//! ```
//! use upbeat_perf::alloc::{NoAlloc, count_alloc, forbid_alloc};
//!
//! #[global_allocator]
//! static ALLOCATOR: NoAlloc = NoAlloc::system();
//!
//! let mut block = vec![0.5; 512]; // before the guard
//! forbid_alloc(|| block.iter_mut().for_each(|sample| *sample *= 0.5)); // panics if it allocates or frees
//!
//! let (_, made) = count_alloc(|| drop(vec![0_u8; 64])); // counts, for reports
//! assert_eq!((made.allocations, made.frees, made.bytes), (1, 1, 64));
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};

/// A global allocator that passes everything on to another, and watches threads that must not allocate.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAlloc<A = System>(A);

impl NoAlloc {
    /// On top of the system's allocator.
    #[must_use]
    pub const fn system() -> Self {
        Self(System)
    }

    /// Whether a `NoAlloc` is this program's `#[global_allocator]`. Allocates, to find out.
    #[must_use]
    pub fn is_installed() -> bool {
        WATCH.with(|watch| {
            let _restore = Restore::watching(true, false);
            let before = watch.counts.get();
            drop(std::hint::black_box(Box::new(0_u8)));
            // This one is nobody's.
            watch.counts.replace(before) != before
        })
    }
}

impl<A> NoAlloc<A> {
    /// On top of another allocator.
    #[must_use]
    pub const fn new(allocator: A) -> Self {
        Self(allocator)
    }
}

/// What one thread asked of the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct AllocCounts {
    /// Calls that asked for memory, re-allocations included.
    pub allocations: u64,
    /// Calls that gave memory back.
    pub frees: u64,
    /// Bytes asked for, in all.
    pub bytes: u64,
}

impl AllocCounts {
    /// Whether the allocator was not called at all.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// Runs `work`, which must not allocate or free, and returns what it returns.
///
/// Calls may be nested, and [`permit_alloc`] excepts a part.
///
/// # Panics
///
/// After `work`, if it did allocate or free on this thread; the message has the counts and, with
/// `RUST_BACKTRACE=1`, the place of the first. Before it, if no [`NoAlloc`] is the global allocator, since then
/// nothing could be seen.
pub fn forbid_alloc<R>(work: impl FnOnce() -> R) -> R {
    assert!(NoAlloc::is_installed(), "make upbeat_perf::alloc::NoAlloc the #[global_allocator]");
    let (result, counts) = count(true, work);
    if !counts.is_zero() {
        let AllocCounts { allocations, frees, bytes } = counts;
        let place = PLACE.take().filter(|place| place.status() == BacktraceStatus::Captured);
        let place = place.map_or_else(String::new, |place| format!("; the first:\n{place}"));
        panic!(
            "{allocations} allocations ({bytes} bytes) and {frees} frees where none may be{place}"
        );
    }
    result
}

/// Runs `work` and counts what it asks of the allocator on this thread.
///
/// All 0 if no [`NoAlloc`] is the global allocator: see [`NoAlloc::is_installed`]. Does not itself allocate.
pub fn count_alloc<R>(work: impl FnOnce() -> R) -> (R, AllocCounts) {
    count(false, work)
}

/// Runs `work`, which may allocate although what is around it may not; it is not counted.
pub fn permit_alloc<R>(work: impl FnOnce() -> R) -> R {
    let _restore = Restore::watching(false, false);
    work()
}

fn count<R>(capture: bool, work: impl FnOnce() -> R) -> (R, AllocCounts) {
    let restore = Restore::watching(true, capture);
    let before = WATCH.with(|watch| watch.counts.get());
    let result = work();
    let after = WATCH.with(|watch| watch.counts.get());
    drop(restore);
    let counts = AllocCounts {
        allocations: after.allocations - before.allocations,
        frees: after.frees - before.frees,
        bytes: after.bytes - before.bytes,
    };
    (result, counts)
}

/// Sets back how the thread is watched, also when `work` panics.
struct Restore {
    watching: bool,
    capture: bool,
}

impl Restore {
    fn watching(watching: bool, capture: bool) -> Self {
        WATCH.with(|watch| Self {
            watching: watch.watching.replace(watching),
            capture: watch.capture.replace(capture),
        })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        WATCH.with(|watch| {
            watch.watching.set(self.watching);
            watch.capture.set(self.capture);
        });
    }
}

struct Watch {
    watching: Cell<bool>,
    /// Whether the place of the first allocation is to be remembered.
    capture: Cell<bool>,
    counts: Cell<AllocCounts>,
}

thread_local! {
    static WATCH: Watch = const {
        Watch {
            watching: Cell::new(false),
            capture: Cell::new(false),
            counts: Cell::new(AllocCounts { allocations: 0, frees: 0, bytes: 0 }),
        }
    };
    static PLACE: RefCell<Option<Backtrace>> = const { RefCell::new(None) };
}

fn note(allocations: u64, frees: u64, bytes: u64) {
    // Fails only while the thread is being torn down, when nobody watches any more.
    let _ = WATCH.try_with(|watch| {
        if !watch.watching.get() {
            return;
        }
        let now = watch.counts.get();
        watch.counts.set(AllocCounts {
            allocations: now.allocations + allocations,
            frees: now.frees + frees,
            bytes: now.bytes + bytes,
        });
        // The panic handler may hold the lock that capturing takes.
        if watch.capture.replace(false) && !std::thread::panicking() {
            watch.watching.set(false);
            PLACE.set(Some(Backtrace::capture()));
            watch.watching.set(true);
        }
    });
}

#[allow(unsafe_code, reason = "a global allocator cannot be written without it")]
// SAFETY: every call goes on to the inner allocator unchanged. Watching touches a thread-local without
// destructor; capturing the place allocates, through this allocator, with watching off, so once only.
unsafe impl<A: GlobalAlloc> GlobalAlloc for NoAlloc<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, 0, layout.size() as u64);
        // SAFETY: the caller upholds `GlobalAlloc::alloc`'s contract.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, 0, layout.size() as u64);
        // SAFETY: the caller upholds `GlobalAlloc::alloc_zeroed`'s contract.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(1, 0, new_size as u64);
        // SAFETY: the caller upholds `GlobalAlloc::realloc`'s contract.
        unsafe { self.0.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, 1, 0);
        // SAFETY: the caller upholds `GlobalAlloc::dealloc`'s contract.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}
