//! Without the allocator the guard could see nothing, and says so.

use upbeat_perf::alloc::{NoAlloc, count_alloc, forbid_alloc};

#[test]
fn a_guard_that_cannot_see_refuses_to_guard() {
    assert!(!NoAlloc::is_installed());
    assert!(count_alloc(|| drop(vec![1])).1.is_zero());
    let refused = std::panic::catch_unwind(|| forbid_alloc(|| ())).unwrap_err();
    assert!(
        refused.downcast_ref::<&str>().is_some_and(|said| said.contains("#[global_allocator]"))
    );
}
