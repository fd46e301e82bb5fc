//! The governor in a loop with a simulated machine, on load traces of all kinds.
//!
//! The machine processes blocks of 10 ms, measured by a real load meter. A block's load is the cost of what the
//! governor wants computed, times how much slower than usual the machine is at that moment.

use upbeat_perf::{
    Cost, Governor, GovernorConfig, GovernorEvent, GovernorInput, ItemSet, QualityLevel, Tier,
    load_meter,
};

/// Shares of the deadline. All together 0.45, predictions (0.06) and what is always computed (0.04) included.
const ITEMS: [(&str, f64, Tier); 6] = [
    ("rms", 0.005, Tier::Essential),
    ("mfcc", 0.045, Tier::Standard),
    ("chroma", 0.06, Tier::Standard),
    ("pitch", 0.09, Tier::Standard),
    ("cqt", 0.08, Tier::Advanced),
    ("pyin", 0.07, Tier::Advanced),
];
const PREDICTIONS: f64 = 0.06;
const ALWAYS: f64 = 0.04;
const BLOCK: f64 = 0.01;
const UPDATE: usize = 10;
/// The overload of a trace lasts from here to there, in seconds.
const OVERLOAD: std::ops::Range<f64> = 20.0..80.0;
const END: f64 = 100.0;

struct Run {
    misses_in_overload: u64,
    changes: Vec<(f64, QualityLevel)>,
    events: Vec<GovernorEvent>,
}

impl Run {
    /// When the level was the highest for good.
    fn back_at(&self) -> f64 {
        let (at, level) = *self.changes.last().expect("it was overloaded");
        assert_eq!(level, QualityLevel::Maximum, "{:?}", self.changes);
        at
    }
}

fn run(slowness: impl Fn(f64) -> f64, governed: bool, costs_known: bool) -> Run {
    let config = GovernorConfig::default();
    let mut governor = Governor::new(&config).expect("defaults are valid");
    let costs = ITEMS.map(|(name, share, tier)| Cost::new(name, share).with_tier(tier));
    if costs_known {
        governor.set_costs(&costs).expect("few items");
    }
    let (mut meter, mut monitor) = load_meter();
    let mut run = Run { misses_in_overload: 0, changes: Vec::new(), events: Vec::new() };
    let mut random = 1_u64;
    for block in 0..(END / BLOCK) as usize {
        let time = block as f64 * BLOCK;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let noise = 0.95 + 0.1 * (random >> 40) as f64 / f64::from(1 << 24);
        let slowness = if OVERLOAD.contains(&time) { slowness(time - OVERLOAD.start) } else { 1.0 };
        let load = noise * slowness * cost(&governor);
        meter.record(load * BLOCK, BLOCK);
        run.misses_in_overload += u64::from(load > 1.0 && OVERLOAD.contains(&time));
        if governed && block % UPDATE == UPDATE - 1 {
            let now = time + BLOCK;
            let input = GovernorInput::at(now).with_load(&monitor.interval()).with_latency(0.012);
            let events = governor.update(&input);
            run.changes.extend(events.iter().filter_map(|event| match event {
                GovernorEvent::LevelChanged { time, to, .. } => Some((*time, *to)),
                _ => None,
            }));
            run.events.extend_from_slice(events);
        }
    }
    for pair in run.changes.windows(2) {
        let apart = pair[1].0 - pair[0].0;
        assert!(apart >= config.dwell - 1e-9, "flaps: {apart} s apart, {:?}", run.changes);
    }
    run
}

/// The share of the deadline that the governor's settings cost on the machine at its usual speed.
fn cost(governor: &Governor) -> f64 {
    let settings = governor.settings();
    // A machine that was told no costs leaves nothing out by cost, so that it computes in proportion to the budget.
    let all = settings.items == ItemSet::ALL;
    let items = ITEMS.iter().enumerate().filter(|(i, (.., tier))| {
        settings.items.contains(*i) && !(settings.skip_advanced && *tier == Tier::Advanced)
    });
    let items = items.map(|(_, (_, share, _))| share).sum::<f64>();
    let items = if all { items.min(settings.budget * 0.35) } else { items };
    let window = f64::from(settings.window_divisor);
    ALWAYS + items / window + PREDICTIONS / f64::from(settings.prediction_interval)
}

type Trace = fn(f64) -> f64;

/// How many times slower than usual the machine is, so many seconds after the overload began.
const TRACES: [(&str, Trace); 7] = [
    ("sustained, 3 times", |_| 3.0),
    ("sustained, 6 times", |_| 6.0),
    ("ramp to 6 times", |t| 1.0 + 5.0 * t / 60.0),
    ("ramp up and down", |t| 1.0 + 5.0 * (1.0 - (t / 30.0 - 1.0).abs())),
    ("spikes of 0.4 s every 4 s", |t| if t % 4.0 < 0.4 { 4.0 } else { 1.0 }),
    ("oscillating, 2 s and 2 s", |t| if t % 4.0 < 2.0 { 3.0 } else { 1.0 }),
    ("oscillating, 0.5 s and 0.5 s", |t| if t % 1.0 < 0.5 { 5.0 } else { 1.0 }),
];

#[test]
fn it_holds_deadlines_and_comes_back() {
    for (name, trace) in TRACES {
        for costs_known in [true, false] {
            let without = run(trace, false, costs_known);
            let with = run(trace, true, costs_known);
            let (before, after) = (without.misses_in_overload, with.misses_in_overload);
            let back = with.back_at() - OVERLOAD.end;
            println!(
                "{name}, costs known: {costs_known}: {before} misses without, {after} with; back after {back:.1} s; {} changes",
                with.changes.len()
            );
            assert!(before >= 100, "{name} is no overload: {before} misses");
            assert!(10 * after <= before, "{name}: {after} misses, {before} without the governor");
            assert!(back <= 10.0, "{name}: back at MAXIMUM only after {back} s");
        }
    }
}

#[test]
fn a_machine_that_keeps_up_is_left_alone() {
    // Half as slow again is no overload: 0.68 of the deadline. A single late block every 10 s is none either.
    for trace in [|_| 1.0, |_| 1.5, |t: f64| if t % 10.0 < 0.005 { 9.0 } else { 1.0 }] as [Trace; 3]
    {
        let run = run(trace, true, true);
        assert_eq!(run.changes, []);
    }
}

#[test]
fn a_run_is_replayed_to_the_same_events() {
    for (_, trace) in TRACES {
        let first = run(trace, true, true);
        assert!(!first.events.is_empty());
        assert_eq!(first.events, run(trace, true, true).events);
    }
}
