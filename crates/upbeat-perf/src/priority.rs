//! How the operating system schedules a thread.

use std::fmt;

use crate::PerfError;

/// How the operating system is to schedule a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ThreadClass {
    /// As any other thread.
    #[default]
    Normal,
    /// Before all normal threads, for threads that have a deadline and sleep between blocks.
    ///
    /// On Linux, the BSDs and macOS: round robin (`SCHED_RR`), low within that class, so that a sound server
    /// still comes first. On Windows: the highest priority of the process's class.
    RealTime,
}

impl fmt::Display for ThreadClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::RealTime => "real-time",
        })
    }
}

/// Asks the operating system to schedule the calling thread as `class`.
///
/// Call it once, at the start of a thread, never in an audio callback: it makes system calls. A thread of class
/// [`RealTime`](ThreadClass::RealTime) that does not sleep can stop the whole machine; so give it only to
/// threads that wait for blocks, and not to callbacks of ALSA's `pulse` plugin, which spin.
///
/// # Errors
///
/// If the system refuses, as Linux does by default for ordinary users; the thread then goes on as it was.
///
/// ```
/// use upbeat_perf::{PerfError, ThreadClass, set_thread_class};
///
/// match set_thread_class(ThreadClass::RealTime) {
///     Ok(()) => println!("real-time"),
///     Err(error @ PerfError::PriorityRefused { .. }) => println!("{error}"),
///     Err(error) => println!("not on this system: {error}"),
/// }
/// set_thread_class(ThreadClass::Normal)?; // giving it back is always allowed
/// # Ok::<(), PerfError>(())
/// ```
pub fn set_thread_class(class: ThreadClass) -> Result<(), PerfError> {
    set(class)
}

#[cfg(unix)]
#[allow(unsafe_code, reason = "the standard library knows no scheduling classes")]
fn set(class: ThreadClass) -> Result<(), PerfError> {
    let (policy, priority) = match class {
        ThreadClass::Normal => (libc::SCHED_OTHER, 0),
        ThreadClass::RealTime => (libc::SCHED_RR, REAL_TIME),
    };
    // SAFETY: `sched_param` is plain numbers (on some systems more than one), for which 0 is a value;
    // `pthread_self` is always a thread, and `parameters` outlives the call, which only reads it.
    let code = unsafe {
        let mut parameters: libc::sched_param = std::mem::zeroed();
        parameters.sched_priority = priority;
        libc::pthread_setschedparam(libc::pthread_self(), policy, &raw const parameters)
    };
    if code == 0 { Ok(()) } else { Err(PerfError::PriorityRefused { class, code }) }
}

/// Of 1 to 99 on Linux, 15 to 47 on macOS. Sound servers take 20 to 88, the threads of interrupts 50.
#[cfg(unix)]
const REAL_TIME: i32 = if cfg!(target_vendor = "apple") { 40 } else { 10 };

#[cfg(windows)]
fn set(class: ThreadClass) -> Result<(), PerfError> {
    use thread_priority::{Error, ThreadPriority, set_current_thread_priority};

    let priority: u8 = match class {
        ThreadClass::Normal => 50,
        ThreadClass::RealTime => 99, // THREAD_PRIORITY_TIME_CRITICAL
    };
    let set = priority
        .try_into()
        .map_err(|_| Error::Priority("out of range"))
        .and_then(|priority| set_current_thread_priority(ThreadPriority::Crossplatform(priority)));
    set.map_err(|error| match error {
        Error::OS(code) => PerfError::PriorityRefused { class, code },
        other => PerfError::PriorityUnsupported { class, why: other.to_string() },
    })
}

#[cfg(not(any(unix, windows)))]
fn set(class: ThreadClass) -> Result<(), PerfError> {
    match class {
        ThreadClass::Normal => Ok(()),
        ThreadClass::RealTime => {
            Err(PerfError::PriorityUnsupported { class, why: "it has no threads".into() })
        }
    }
}
