//! The guard sees what allocates, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};

use upbeat_perf::alloc::{NoAlloc, count_alloc, forbid_alloc, permit_alloc};

#[global_allocator]
static ALLOCATOR: NoAlloc = NoAlloc::system();

/// What `work` says when it is forbidden to allocate.
fn complaint(work: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| forbid_alloc(work))).err()?;
    Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
}

#[test]
fn what_allocates_or_frees_is_found() {
    let mut grown = Vec::with_capacity(1);
    let to_free = vec![1];
    assert_eq!(complaint(|| grown.push(1)), None);
    let said = complaint(|| grown.push(2)).unwrap();
    assert!(said.starts_with("1 allocations ("), "{said}");
    let said = complaint(|| drop(to_free)).unwrap();
    assert!(said.contains("(0 bytes) and 1 frees"), "{said}");
    let said = complaint(|| drop(vec![0_u8; 300])).unwrap();
    assert!(said.starts_with("1 allocations (300 bytes) and 1 frees where none may be"), "{said}");
    let said = complaint(|| drop(vec![0_u8; 300].into_iter().map(u64::from).collect::<Vec<_>>()));
    assert!(said.is_some());
}

#[test]
fn what_computes_passes_and_gives_its_result() {
    let samples = vec![0.5; 512];
    assert_eq!(forbid_alloc(|| samples.iter().sum::<f64>()), 256.0);
}

#[test]
fn parts_may_be_excepted_and_guards_nested() {
    let mut kept = Vec::new();
    forbid_alloc(|| {
        permit_alloc(|| kept.push(1));
        forbid_alloc(|| kept[0] += 1);
        let ((), counted) = count_alloc(|| kept[0] += 1);
        assert!(counted.is_zero());
    });
    assert_eq!(kept, [3]);
    let said = complaint(|| permit_alloc(|| drop(vec![1])));
    assert_eq!(said, None);
    // What is allocated after an exception is seen again.
    assert!(
        complaint(|| {
            permit_alloc(|| ());
            drop(vec![1]);
        })
        .is_some()
    );
}

#[test]
fn another_thread_may_do_what_it_wants() {
    let (send, receive) = std::sync::mpsc::sync_channel(0);
    let thread = std::thread::spawn(move || {
        while receive.try_recv().is_err() {
            drop(std::hint::black_box(vec![1; 100]));
        }
    });
    forbid_alloc(|| {
        (0..1000).for_each(|n| {
            std::hint::black_box(n);
        });
    });
    send.send(()).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_panic_within_leaves_the_thread_unwatched() {
    let panicked = catch_unwind(|| forbid_alloc(|| panic!("of its own")));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"of its own"));
    let ((), counted) = count_alloc(|| ());
    assert!(counted.is_zero());
    assert_eq!(complaint(|| ()), None);
}

#[test]
fn it_knows_that_it_is_installed() {
    assert!(NoAlloc::is_installed());
    // Asking is not counted.
    assert_eq!(complaint(|| assert!(NoAlloc::is_installed())), None);
}
