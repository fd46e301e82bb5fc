//! A hundred faults in a row, and every sample accounted for.

use super::support::{Rig, id, mono, ms};
use proptest::prelude::*;
use upbeat_io::live::{
    DeviceError, Direction, FaultKind, MockBackend, MockDevice, StreamState, SupervisorConfig,
    counting,
};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Unplug(u64),
    Stall(u64),
    Storm,
    Invalid,
    Lose(u64),
    Busy(u64),
    NewDefault,
    Xruns,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (1_u64..1500).prop_map(Fault::Unplug),
        (1_u64..1500).prop_map(Fault::Stall),
        Just(Fault::Storm),
        Just(Fault::Invalid),
        (1_u64..5000).prop_map(Fault::Lose),
        (1_u64..1500).prop_map(Fault::Busy),
        Just(Fault::NewDefault),
        Just(Fault::Xruns),
    ]
}

/// Two inputs of the same rate; the first is the default.
fn two(hz: u32) -> MockBackend {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input("mock:a", mono(hz)));
    mock.plug(MockDevice::input("mock:b", mono(hz)).block(480));
    mock
}

fn inject(rig: &mut Rig, fault: Fault) {
    let mock = rig.mock.clone();
    let hz = 48_000;
    let device = rig.supervision.status().device.unwrap_or_else(|| id("mock:a"));
    match fault {
        Fault::Unplug(time) => {
            mock.unplug(&device);
            rig.run(ms(time));
            mock.plug(MockDevice::input(device.as_str(), mono(hz)));
        }
        Fault::Stall(time) => {
            mock.stall(&device, true);
            rig.run(ms(time));
            mock.stall(&device, false);
        }
        Fault::Storm => mock.fault(&device, FaultKind::Backend, 10_000),
        Fault::Invalid => mock.set_format(&device, mono(hz)),
        Fault::Lose(samples) => mock.lose(&device, samples),
        Fault::Busy(time) => {
            mock.refuse(&device, Some(DeviceError::Busy("mock".into())));
            mock.fault(&device, FaultKind::DeviceLost, 1);
            rig.run(ms(time));
            mock.refuse(&device, None);
        }
        Fault::NewDefault => {
            let other = if device == id("mock:a") { "mock:b" } else { "mock:a" };
            mock.set_default(Direction::Input, Some(&id(other)));
        }
        Fault::Xruns => mock.fault(&device, FaultKind::Xrun, 3),
    }
    rig.run(ms(300));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// A device's samples tell their number, and it goes on counting while it is away. So each sample heard must tell
    /// its own index: nothing is lost without a gap of just as many.
    #[test]
    fn a_hundred_faults_lose_no_sample_unseen(faults in prop::collection::vec(fault(), 100)) {
        let mut rig = Rig::new(two(48_000), SupervisorConfig::default());
        rig.run(ms(200));
        for fault in &faults {
            inject(&mut rig, *fault);
        }
        rig.run(ms(4000));
        prop_assert!(matches!(rig.supervision.status().state, StreamState::Running | StreamState::Moved));
        rig.assert_accounted();
        for (at, value) in &rig.heard {
            prop_assert_eq!(*value, counting(*at), "sample {}", at);
        }
        prop_assert!(rig.heard.len() as u64 > 48_000);
        rig.supervision.stop();
        rig.read();
        prop_assert!(rig.live.has_ended());
        prop_assert_eq!(rig.mock.open_streams(), 0, "every stream was closed");
    }
}
