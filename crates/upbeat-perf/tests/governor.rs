//! What the governor does with each kind of input, and that none can harm it.

use proptest::collection::vec;
use proptest::prelude::*;
use upbeat_perf::{
    Cost, Governor, GovernorConfig, GovernorEvent, GovernorInput, ItemSet, PerfError, QualityLevel,
    QualitySettings, Reason, Resource, Strategy as Saving, StrategyMode, SystemLoad, Thresholds,
    Tier,
};

fn governor() -> Governor {
    Governor::new(&GovernorConfig::default()).expect("defaults are valid")
}

/// A load that all blocks had.
fn loaded(time: f64, load: f64) -> GovernorInput {
    let mut input = GovernorInput::at(time);
    (input.load_p50, input.load_p99) = (Some(load), Some(load));
    input
}

/// The names of the events of an update every 0.1 s for `seconds`.
fn hold(
    governor: &mut Governor,
    start: f64,
    seconds: f64,
    input: &GovernorInput,
) -> Vec<GovernorEvent> {
    let mut events = Vec::new();
    for step in 0..(seconds * 10.0) as u32 {
        let mut input = *input;
        input.time = start + 0.1 * f64::from(step);
        events.extend_from_slice(governor.update(&input));
    }
    events
}

fn names(events: &[GovernorEvent]) -> Vec<&'static str> {
    events.iter().map(GovernorEvent::name).collect()
}

#[test]
fn every_resource_warns_lowers_and_is_named() {
    type Set = fn(&mut GovernorInput, f64);
    let resources: [(Resource, Set, Thresholds); 4] = [
        (Resource::Load, |i, v| i.load_p99 = Some(v), Thresholds::new(0.6, 0.75, 0.9)),
        (Resource::Cpu, |i, v| i.cpu = Some(v), Thresholds::new(0.5, 0.6, 0.7)),
        (Resource::Memory, |i, v| i.memory = Some(v), Thresholds::new(350e6, 400e6, 500e6)),
        (Resource::Latency, |i, v| i.latency = Some(v), Thresholds::new(0.030, 0.040, 0.050)),
    ];
    for (resource, set, limits) in resources {
        let mut governor = governor();
        let input = |value| {
            let mut input = GovernorInput::at(0.0);
            set(&mut input, value);
            input
        };
        assert_eq!(hold(&mut governor, 0.0, 1.0, &input(limits.warning * 0.999)), []);
        let events = hold(&mut governor, 1.0, 1.0, &input(limits.warning));
        assert_eq!(names(&events), ["warning"], "{resource:?} warns once");
        // Relaxed a little is not relaxed; then it warns no second time.
        assert_eq!(hold(&mut governor, 2.0, 1.0, &input(limits.relax * 1.001)), []);
        assert_eq!(hold(&mut governor, 3.0, 1.0, &input(limits.warning)), []);

        let mut once = input(limits.critical);
        once.time = 4.0;
        assert_eq!(names(governor.update(&once)), ["critical"]);
        assert_eq!(governor.level(), QualityLevel::Maximum, "patience");
        once.time = 4.1;
        let events = governor.update(&once).to_vec();
        let GovernorEvent::LevelChanged { time, from, to, reason: Reason::Overload(cause) } =
            events[0]
        else {
            panic!("{events:?}");
        };
        assert_eq!((time, from, to), (4.1, QualityLevel::Maximum, QualityLevel::High));
        assert_eq!(
            (cause.resource, cause.value, cause.threshold),
            (resource, limits.critical, limits.critical)
        );
        assert_eq!(governor.reason(), Reason::Overload(cause));
        assert!(events[0].to_string().contains(resource.name()), "{}", events[0]);
        // It goes on down while it lasts, and not below the lowest.
        hold(&mut governor, 4.2, 3.0, &input(limits.critical));
        assert_eq!(governor.level(), QualityLevel::Low);
        // Calm again.
        let events = hold(&mut governor, 10.0, 7.0, &input(limits.relax * 0.99));
        assert_eq!(governor.level(), QualityLevel::Maximum);
        assert_eq!(names(&events).iter().filter(|name| **name == "level_changed").count(), 3);
        assert_eq!(governor.reason(), Reason::Calm);
    }
}

#[test]
fn two_misses_are_enough_and_one_a_second_is_forgiven() {
    let mut input = GovernorInput::at(0.0);
    input.misses = 1;
    let mut governor = governor();
    for second in 0..20 {
        input.time = f64::from(second);
        governor.update(&input);
    }
    assert_eq!(governor.level(), QualityLevel::Maximum);
    input.time += 0.2;
    governor.update(&input);
    input.time += 0.2;
    governor.update(&input);
    assert_eq!(governor.level(), QualityLevel::High, "{:?}", governor.reason());
}

#[test]
fn the_heavier_the_load_the_further_it_falls_at_once() {
    let fallen = |load| {
        let mut governor = governor();
        hold(&mut governor, 0.0, 0.2, &loaded(0.0, load));
        governor.level()
    };
    // Without costs, in proportion to the budgets 0.8, 0.5 and 0.25, to below 0.75.
    assert_eq!(fallen(0.92), QualityLevel::High);
    assert_eq!(fallen(0.95), QualityLevel::Medium);
    assert_eq!(fallen(1.49), QualityLevel::Medium);
    assert_eq!(fallen(1.51), QualityLevel::Low);
    assert_eq!(fallen(1000.0), QualityLevel::Low);
}

#[test]
fn what_buys_most_is_left_out_first() {
    let costs = [
        Cost::new("essential", 10.0).with_tier(Tier::Essential),
        Cost::new("cheap", 1.0),
        Cost::new("dear", 6.0),
        Cost::new("middling", 3.0),
        Cost::new("advanced", 2.0).with_tier(Tier::Advanced),
        Cost::new("not measured", f64::NAN),
    ];
    let computed = |level| {
        let mut governor = governor();
        governor.set_costs(&costs).unwrap();
        governor.set_level(Some(level));
        governor.update(&GovernorInput::at(0.0));
        let items = governor.settings().items;
        (0..costs.len()).filter(|i| items.contains(*i)).map(|i| costs[i].name).collect::<Vec<_>>()
    };
    assert_eq!(computed(QualityLevel::Maximum), costs.map(|cost| cost.name));
    // 17.6 of 22 may stay: the advanced one goes, then the dearest.
    assert_eq!(computed(QualityLevel::High), ["essential", "cheap", "middling", "not measured"]);
    // 11 may stay.
    assert_eq!(computed(QualityLevel::Medium), ["essential", "cheap", "not measured"]);
    // 5.5 may stay, and the essential one does.
    assert_eq!(computed(QualityLevel::Low), ["essential", "not measured"]);
}

#[test]
fn new_costs_do_not_make_features_come_and_go() {
    let mut governor = governor();
    governor.set_costs(&[Cost::new("a", 1.0), Cost::new("b", 1.1)]).unwrap();
    governor.set_level(Some(QualityLevel::Medium));
    governor.update(&GovernorInput::at(0.0));
    let settings = governor.settings();
    assert!(settings.items.contains(0) && !settings.items.contains(1));
    governor.set_costs(&[Cost::new("a", 1.2), Cost::new("b", 1.1)]).unwrap();
    assert_eq!(governor.update(&GovernorInput::at(1.0)), []);
    assert_eq!(governor.settings(), settings);
    governor.set_level(Some(QualityLevel::High));
    governor.update(&GovernorInput::at(2.0));
    assert!(!governor.settings().items.contains(0), "they count from the next change on");
    let many = vec![Cost::new("x", 1.0); ItemSet::MAX_ITEMS + 1];
    let error = governor.set_costs(&many).unwrap_err();
    assert!(matches!(&error, PerfError::Config(e) if e.parameter() == "costs"), "{error}");
    governor.set_costs(&many[1..]).unwrap();
}

#[test]
fn strategies_are_set_by_hand_one_by_one() {
    let low = QualitySettings::recommended(QualityLevel::Low);
    assert_eq!(
        (low.budget, low.skip_advanced, low.window_divisor, low.prediction_interval, low.reuse),
        (0.25, true, 2, 8, 8)
    );
    for strategy in Saving::ALL {
        let mut governor = governor();
        governor.set_strategy(strategy, StrategyMode::At(QualityLevel::Low));
        let events = governor.update(&GovernorInput::at(3.0)).to_vec();
        let applied =
            GovernorEvent::OptimizationApplied { time: 3.0, strategy, to: QualityLevel::Low };
        assert_eq!(events, [applied]);
        assert!(events[0].to_string().contains(strategy.name()));
        assert_eq!(governor.level(), QualityLevel::Maximum);
        // All others are as they were.
        let mut expected = QualitySettings::recommended(QualityLevel::Maximum);
        match strategy {
            Saving::FeatureReduction => expected.budget = low.budget,
            Saving::WindowSizeReduction => expected.window_divisor = low.window_divisor,
            Saving::SkipAdvancedFeatures => expected.skip_advanced = low.skip_advanced,
            Saving::ReducePredictionFrequency => {
                expected.prediction_interval = low.prediction_interval;
            }
            Saving::Caching => expected.reuse = low.reuse,
            _ => panic!("no test for {strategy}"),
        }
        assert_eq!(governor.settings(), expected);
        // Off by hand, it stays off in need.
        governor.set_strategy(strategy, StrategyMode::At(QualityLevel::Maximum));
        let events = hold(&mut governor, 4.0, 0.5, &loaded(0.0, 9.0));
        assert_eq!(governor.level(), QualityLevel::Low);
        let others = Saving::ALL.len() - 1;
        let falling = events.iter().filter(|event| {
            matches!(event, GovernorEvent::OptimizationApplied { to: QualityLevel::Low, .. })
        });
        assert_eq!(falling.count(), others, "{events:?}");
    }
}

#[test]
fn a_level_by_hand_holds_until_it_is_given_back() {
    let mut governor = governor();
    governor.set_level(Some(QualityLevel::Medium));
    let events = governor.update(&loaded(0.0, 5.0)).to_vec();
    assert!(
        matches!(
            events[..],
            [.., GovernorEvent::LevelChanged { reason: Reason::ByHand, .. }, _, _, _, _]
        ),
        "{events:?}"
    );
    hold(&mut governor, 0.1, 5.0, &loaded(0.0, 5.0));
    assert_eq!(governor.level(), QualityLevel::Medium);
    hold(&mut governor, 5.1, 15.0, &loaded(0.0, 0.1));
    assert_eq!(governor.level(), QualityLevel::Medium);
    governor.set_level(None);
    hold(&mut governor, 20.1, 5.0, &loaded(0.0, 0.1));
    assert_eq!(governor.level(), QualityLevel::Maximum);
}

#[test]
fn it_stays_between_the_lowest_and_the_highest() {
    let mut config = GovernorConfig::default();
    (config.lowest, config.highest) = (QualityLevel::Medium, QualityLevel::High);
    let mut governor = Governor::new(&config).unwrap();
    assert_eq!(governor.level(), QualityLevel::High);
    hold(&mut governor, 0.0, 3.0, &loaded(0.0, 50.0));
    assert_eq!(governor.level(), QualityLevel::Medium);
    hold(&mut governor, 3.0, 20.0, &loaded(0.0, 0.1));
    assert_eq!(governor.level(), QualityLevel::High);
    governor.set_level(Some(QualityLevel::Maximum));
    governor.update(&loaded(23.0, 0.1));
    assert_eq!(governor.level(), QualityLevel::Maximum);
    governor.set_level(None);
    governor.update(&loaded(23.1, 0.1));
    assert_eq!(governor.level(), QualityLevel::High);
}

#[test]
fn nothing_known_changes_nothing() {
    let mut governor = governor();
    hold(&mut governor, 0.0, 1.0, &loaded(0.0, 9.0));
    assert_eq!(governor.level(), QualityLevel::Low);
    assert_eq!(hold(&mut governor, 1.0, 60.0, &GovernorInput::at(0.0)), []);
    assert_eq!(governor.level(), QualityLevel::Low);
    for (start, broken) in [(61.0, f64::NAN), (121.0, -1.0), (181.0, f64::NEG_INFINITY)] {
        assert_eq!(hold(&mut governor, start, 60.0, &loaded(0.0, broken)), []);
    }
    assert_eq!(governor.level(), QualityLevel::Low);
    let input = GovernorInput::at(0.0).with_system(&SystemLoad::default());
    assert_eq!((input.cpu, input.memory), (None, None));
}

#[test]
fn settings_that_cannot_work_are_named() {
    let refused = |change: fn(&mut GovernorConfig)| {
        let mut config = GovernorConfig::default();
        change(&mut config);
        match Governor::new(&config).unwrap_err() {
            PerfError::Config(error) => error.parameter(),
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(|c| c.load.relax = 0.75), "load");
    assert_eq!(refused(|c| c.cpu.critical = f64::INFINITY), "cpu");
    assert_eq!(refused(|c| c.memory.warning = f64::NAN), "memory");
    assert_eq!(refused(|c| c.latency.relax = 0.0), "latency");
    assert_eq!(refused(|c| c.misses = 0), "misses");
    assert_eq!(refused(|c| c.patience = -1.0), "patience");
    assert_eq!(refused(|c| c.dwell = 0.0), "dwell");
    assert_eq!(refused(|c| c.calm = f64::NAN), "calm");
    assert_eq!(refused(|c| c.back_off = 1.0), "back_off");
    assert_eq!(
        refused(|c| (c.lowest, c.highest) = (QualityLevel::High, QualityLevel::Low)),
        "lowest"
    );
}

/// Numbers as they come from broken measurements, too.
fn odd() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..2.0,
        1 => prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-1.0), Just(1e300), Just(5e-324),
        ],
    ]
}

fn odd_input() -> impl Strategy<Value = GovernorInput> {
    let maybe = || proptest::option::of(odd());
    let misses = prop_oneof![3 => Just(0), 1 => 0..5_u64, 1 => Just(u64::MAX)];
    (odd(), maybe(), maybe(), misses, maybe(), maybe(), maybe()).prop_map(
        |(time, load_p50, load_p99, misses, cpu, memory, latency)| {
            let mut input = GovernorInput::at(time);
            (input.load_p50, input.load_p99, input.misses) = (load_p50, load_p99, misses);
            (input.cpu, input.memory, input.latency) = (cpu, memory.map(|m| m * 4e8), latency);
            input
        },
    )
}

proptest! {
    /// Time goes forward in small steps here, and jumps anywhere now and then.
    #[test]
    fn no_input_makes_it_panic_or_flap(
        inputs in vec((odd_input(), prop::bool::weighted(0.1)), 1..300),
        costs in vec(odd(), 0..8),
    ) {
        let mut governor = governor();
        let costs: Vec<_> = costs.into_iter().map(|seconds| Cost::new("x", seconds)).collect();
        governor.set_costs(&costs).unwrap();
        let mut time = 0.0;
        let mut last: Option<f64> = None;
        let mut greatest = f64::NEG_INFINITY;
        let mut replay = governor.clone();
        for (mut input, jumps) in inputs {
            if !jumps {
                time += 0.05 + 0.05 * if input.time.is_finite() { input.time.clamp(0.0, 1.0) } else { 0.0 };
                input.time = time;
            }
            for event in governor.update(&input) {
                prop_assert!(event.time() >= greatest && event.time().is_finite());
                greatest = event.time();
                if let GovernorEvent::LevelChanged { time, from, to, .. } = event {
                    prop_assert!(last.is_none_or(|last| time - last >= GovernorConfig::default().dwell));
                    prop_assert!(from != to);
                    last = Some(*time);
                }
            }
            replay.update(&input);
            prop_assert_eq!(&governor, &replay);
            let settings = governor.settings();
            prop_assert_eq!(QualitySettings::from_words(settings.words()), settings);
        }
    }
}

#[cfg(feature = "serde")]
#[test]
fn events_and_inputs_are_told_in_json() {
    let mut governor = governor();
    let events = hold(&mut governor, 0.0, 0.2, &loaded(0.0, 1.25));
    let json: Vec<_> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(json[0]["event"], "critical");
    assert_eq!(json[0]["cause"]["resource"], "load");
    assert_eq!(json[1]["event"], "level_changed");
    assert_eq!(
        (json[1]["from"].as_str(), json[1]["to"].as_str()),
        (Some("MAXIMUM"), Some("MEDIUM"))
    );
    for (event, json) in events.iter().zip(json) {
        assert_eq!(serde_json::from_value::<GovernorEvent>(json).unwrap(), *event);
    }
    let input = loaded(1.5, 0.7).with_latency(0.01);
    let json = serde_json::to_string(&input).unwrap();
    assert_eq!(serde_json::from_str::<GovernorInput>(&json).unwrap(), input);
    let config: GovernorConfig = serde_json::from_str(r#"{"dwell": 0.5}"#).unwrap();
    assert_eq!((config.dwell, config.calm), (0.5, 2.0));
    let settings = governor.settings();
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<QualitySettings>(&json).unwrap(), settings);
}
