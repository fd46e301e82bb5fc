//! What is asked of the operating system.

use std::time::{Duration, Instant};

use upbeat_perf::{
    PerfError, SystemMonitor, SystemMonitorConfig, SystemProbe, ThreadClass, set_thread_class,
};

/// Keeps one core busy.
fn work(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::black_box((0..1000).sum::<u64>());
    }
}

#[test]
fn the_probe_sees_what_this_process_uses() {
    let mut probe = SystemProbe::new();
    let first = probe.measure();
    assert_eq!((first.own_cpu, first.system_cpu), (None, None), "nothing to compare with yet");
    let before = first.own_memory.unwrap();
    assert!(before > 100_000 && before < first.total_memory.unwrap());
    assert!(first.system_memory.unwrap() <= first.total_memory.unwrap());

    let ballast = vec![1_u8; 64 << 20];
    work(Duration::from_millis(300));
    let second = probe.measure();
    // A busy machine may give this thread little time, but never nothing, and this process has few threads.
    let cores = second.own_cores.unwrap();
    assert!(cores > 0.05 && cores < 8.0, "{cores} cores");
    assert!(second.own_cpu.unwrap() <= cores && second.own_cpu.unwrap() <= 1.0);
    assert!(second.system_cpu.unwrap() > 0.0 && second.system_cpu.unwrap() <= 1.0);
    let grown = second.own_memory.unwrap() - before;
    assert!(grown > 60 << 20, "grown by {grown} bytes, {} of ballast", ballast.len());
}

#[test]
fn idle_is_seen_as_idle() {
    // Of a process that sleeps: other tests of this file may run beside it, but none for a whole second.
    let mut probe = SystemProbe::new();
    let mut least = f64::INFINITY;
    for _ in 0..20 {
        probe.measure();
        std::thread::sleep(Duration::from_millis(100));
        least = least.min(probe.measure().own_cores.unwrap());
    }
    assert!(least < 0.5, "{least} cores");
}

#[test]
fn the_monitor_measures_by_itself_and_stops_at_once() {
    let config = SystemMonitorConfig::default();
    assert_eq!(config.interval, Duration::from_millis(100));
    let monitor = SystemMonitor::start(&config).unwrap();
    let start = Instant::now();
    while monitor.measured() < 3 {
        assert!(start.elapsed() < Duration::from_secs(20), "{} measurements", monitor.measured());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(monitor.latest().own_memory.is_some() && monitor.latest().own_cpu.is_some());

    let mut config = SystemMonitorConfig::default();
    config.interval = Duration::from_secs(3600);
    let monitor = SystemMonitor::start(&config).unwrap();
    let start = Instant::now();
    drop(monitor);
    assert!(start.elapsed() < Duration::from_secs(60), "it does not sleep its interval out");
}

#[test]
fn an_interval_that_cannot_work_is_refused() {
    for interval in [Duration::ZERO, Duration::from_secs(3601)] {
        let mut config = SystemMonitorConfig::default();
        config.interval = interval;
        let error = SystemMonitor::start(&config).unwrap_err();
        assert!(matches!(&error, PerfError::Config(e) if e.parameter() == "interval"), "{error}");
    }
}

#[test]
fn real_time_is_granted_or_refused_with_a_reason() {
    // On a thread of its own, which does nothing else.
    std::thread::spawn(|| {
        match set_thread_class(ThreadClass::RealTime) {
            Ok(()) => println!("granted"),
            Err(error @ PerfError::PriorityRefused { class, code }) => {
                assert_eq!(class, ThreadClass::RealTime);
                assert!(code != 0 && error.to_string().contains("CAP_SYS_NICE"), "{error}");
            }
            Err(error) => panic!("not known on this system: {error}"),
        }
        set_thread_class(ThreadClass::Normal).unwrap();
    })
    .join()
    .unwrap();
}
