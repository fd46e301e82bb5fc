use super::bar::{BarPosition, BarTracker, largest};
use super::confidence::{FEATURES, Scales, Trust};
use super::config::{BeatConfig, FrontEnd};
use super::filter::{FilterConfig, TempoFilter};
use super::front::{BANDS, FRAME_RATE, ONSET_DELAY, Onset};
use super::net::{BeatNet, NET_DELAY};
use super::tempo::TempoCourse;
use upbeat_core::ConfigError;

/// Follows the beats of a stream of [`BeatSpectrum`](super::BeatSpectrum) frames; all times are in frames since the
/// start, and those of beats are where the front end tells of them, [`Follower::delay`] after they sound.
#[derive(Debug)]
pub(crate) struct Follower {
    onset: Onset,
    net: Option<BeatNet>,
    /// Whether the network is heard, and for how many more frames only to warm up.
    hears_net: bool,
    warm_up: u32,
    /// How many frames the onset strength waits, so that it tells of a beat when the network would.
    later: u64,
    /// The odds of a beat and of a downbeat that the network gave last.
    odds: [f32; 2],
    pub(crate) filter: TempoFilter,
    ahead: Box<[f32]>,
    /// Frames so far.
    pub(crate) count: u64,
    /// What is to come is estimated in every frame whose number this divides.
    pub(crate) every: u64,
    history: Box<[Heard; HISTORY]>,
    lead: usize,
    /// The beats announced last, the oldest first; those after the first `heard` have not been heard yet.
    announced: [f64; RECENT],
    n_announced: usize,
    unheard: usize,
    /// The last interval between announced beats, in frames.
    interval: Option<f64>,
    bar: BarTracker,
    low_stats: Running,
    trust: Trust,
    scales: Scales,
    /// How much faith it takes to begin.
    enough: f32,
    pub(crate) course: TempoCourse,
    pub(crate) next: Ahead,
    quiet: u32,
    /// How sure it is that there is a beat, of late.
    pub(crate) faith: f32,
    pub(crate) follows: bool,
}

/// A beat to come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    /// When, in frames.
    pub(crate) at: f64,
    /// Frames.
    pub(crate) std_dev: f64,
    pub(crate) belief: f32,
    pub(crate) confidence: f32,
    pub(crate) presence: f32,
    pub(crate) features: [f32; FEATURES],
    pub(crate) bar_position: Option<BarPosition>,
    /// Where the tempo lies, in frames per beat.
    pub(crate) lag: f64,
}

/// What comes of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Followed {
    /// A beat that is announced now.
    pub(crate) beat: Option<Ahead>,
    /// A beat that has been heard (or not) by now: where it was announced, and whether something sounded.
    pub(crate) found: Option<f64>,
    /// The tempo has changed: since which frame, from and to how many seconds per beat.
    pub(crate) change: Option<(f64, f64, f64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    onset: f32,
    beat: f32,
    down: f32,
    low: f32,
}

const HISTORY: usize = 512;
const RECENT: usize = 8;

/// A running mean and mean deviation.
#[derive(Clone, Copy, Debug, Default)]
struct Running {
    mean: f32,
    deviation: f32,
}

impl Running {
    fn standing(&mut self, x: f32) -> f32 {
        let z = (x - self.mean) / (self.deviation + 1e-3);
        self.mean += 0.1 * (x - self.mean);
        self.deviation += 0.1 * ((x - self.mean).abs() - self.deviation);
        z.clamp(-2.0, 3.0)
    }
}

impl Follower {
    pub(crate) fn new(config: &BeatConfig) -> Result<Self, ConfigError> {
        let with_net = config.front_end == FrontEnd::Network;
        let lag = |bpm: f64| 60.0 * FRAME_RATE / bpm;
        let filter = TempoFilter::new(&FilterConfig {
            lags: (lag(config.max_tempo).round() as usize, lag(config.min_tempo).round() as usize),
            lambda: LAMBDA,
            restart: RESTART,
            centre: lag(config.prior_tempo) as f32,
            width: config.prior_width as f32,
        });
        let net = if with_net { Some(BeatNet::new()?) } else { None };
        let mut follower = Self {
            onset: Onset::new(),
            hears_net: with_net,
            warm_up: 0,
            later: if with_net { LATER } else { 0 },
            odds: [0.0; 2],
            ahead: vec![0.0; 1024].into(),
            filter,
            count: 0,
            every: 1,
            history: Box::new([Heard::default(); HISTORY]),
            lead: 0,
            announced: [0.0; RECENT],
            n_announced: 0,
            unheard: 0,
            interval: None,
            bar: BarTracker::new(),
            low_stats: Running::default(),
            trust: Trust::new(),
            scales: Scales::new()?,
            enough: config.threshold as f32,
            course: TempoCourse::new(),
            next: Ahead::default(),
            quiet: 0,
            faith: FAITH,
            follows: false,
            net,
        };
        follower.lead = ((config.lead + follower.delay()) * FRAME_RATE).round() as usize;
        Ok(follower)
    }

    /// How much later than a beat sounds the front end tells of it, in seconds.
    pub(crate) fn delay(&self) -> f64 {
        if self.by_net() { NET_DELAY } else { ONSET_DELAY + self.later as f64 / FRAME_RATE }
    }

    /// Whether the network has a say.
    pub(crate) const fn by_net(&self) -> bool {
        self.hears_net && self.warm_up == 0
    }

    /// Lets the network rest, or takes it up again; false if there is none to take up.
    pub(crate) fn set_front_end(&mut self, front_end: FrontEnd) -> bool {
        let wanted = front_end == FrontEnd::Network;
        let Some(net) = &mut self.net else { return !wanted };
        if wanted != self.hears_net {
            net.reset();
            self.odds = [0.0; 2];
            (self.hears_net, self.warm_up) = (wanted, WARM_UP);
        }
        true
    }

    pub(crate) fn reset(&mut self) {
        self.hear_anew();
        self.filter.reset();
        self.count = 0;
        (self.n_announced, self.unheard) = (0, 0);
        self.interval = None;
        self.bar.reset();
        self.low_stats = Running::default();
        self.trust = Trust::new();
        self.course = TempoCourse::new();
        self.next = Ahead::default();
        (self.quiet, self.faith, self.follows) = (0, FAITH, false);
        // There is nothing yet that the network could spoil.
        self.warm_up = 0;
        self.history.fill(Heard::default());
    }

    /// Forgets what was heard, but not what was made of it.
    pub(crate) fn hear_anew(&mut self) {
        self.onset = Onset::new();
        self.odds = [0.0; 2];
        if let Some(net) = &mut self.net {
            net.reset();
        }
        if self.warm_up > 0 {
            self.warm_up = WARM_UP;
        }
    }

    /// Time passes, and nothing is heard.
    pub(crate) fn skip(&mut self) -> Followed {
        self.history[self.count as usize % HISTORY] = Heard::default();
        self.filter.step(1.0);
        self.go_on()
    }

    /// The next frame: its number since hearing began, its bands and its mean amplitude.
    pub(crate) fn frame(&mut self, number: u64, bands: &[f32; BANDS], level: f32) -> Followed {
        let onset = self.onset.push(bands);
        if let Some(net) = self.net.as_mut().filter(|_| self.hears_net) {
            self.warm_up = self.warm_up.saturating_sub(1);
            if number % 2 == 1 {
                self.odds = net.push(bands);
            }
        }
        let [beat, down] = self.odds.map(|odds| odds / (1.0 + odds));
        let low = self.onset.low_rise();
        self.history[self.count as usize % HISTORY] = Heard { onset, beat, down, low };
        let power = |odds: f32, exponent: f32| (15.0 * odds).powf(exponent);
        let earlier = self.count.saturating_sub(self.later) as usize % HISTORY;
        let onset = self.history[earlier].onset.max(0.02);
        let ratio = if self.by_net() {
            power(self.odds[0].clamp(0.0204, 49.0), NET_POWER)
                * power(onset / (1.0 - onset), JOINED_POWER)
        } else {
            power(onset / (1.0 - onset), ONSET_POWER)
        };
        self.filter.step(ratio);
        self.quiet = if level < QUIET { self.quiet.saturating_add(1) } else { 0 };
        self.go_on()
    }

    fn go_on(&mut self) -> Followed {
        let mut followed = Followed::default();
        let now = self.count as f64;
        self.count += 1;
        followed.found = self.hear(now);
        if self.count.is_multiple_of(self.every) && self.look_ahead(now) <= self.lead {
            followed.beat = Some(self.next);
            followed.change = self.announce();
        }
        if self.quiet > QUIET_FRAMES {
            self.faith *= 0.9;
        }
        self.faith *= FAITH_DECAY;
        self.follows = self.faith >= if self.follows { 0.5 * self.enough } else { self.enough };
        followed
    }

    fn last(&self) -> Option<f64> {
        (self.n_announced > 0).then(|| self.announced[RECENT - 1])
    }

    /// Estimates the next beat after the last one announced, and returns how many frames from now it is.
    fn look_ahead(&mut self, now: f64) -> usize {
        let mass = self.filter.mass();
        let n = mass.len();
        let at = |i: usize| mass.get(i).copied().unwrap_or(0.0);
        let best = largest((0..n).map(|i| at(i.wrapping_sub(1)) + at(i) + at(i + 1)));
        let (mut weight, mut sum) = (1e-30, 1e-30 * self.filter.lag(best) as f64);
        let first = best.saturating_sub(3);
        for (i, mass) in mass.iter().enumerate().skip(first).take(best + 4 - first) {
            weight += f64::from(*mass);
            sum += f64::from(*mass) * self.filter.lag(i) as f64;
        }
        let lag = sum / weight;
        let whole = self.filter.lag(best) as f64;
        let tempo: f32 = (0..n)
            .filter(|i| ((self.filter.lag(*i) as f64 / lag).ln()).abs() < 0.05)
            .map(|i| mass[i])
            .sum();

        let earliest = self.last().map_or(1.0, |last| (last + 0.55 * whole - now).ceil().max(1.0));
        let earliest = (earliest as usize).min(self.ahead.len() / 2);
        self.filter.read_ahead(earliest, &mut self.ahead);
        let limit = ((1.7 * whole) as usize).max(earliest);
        let ahead = |frame: usize, off: i32| {
            usize::try_from(frame as i32 + off)
                .ok()
                .and_then(|f| self.ahead.get(f))
                .copied()
                .unwrap_or(0.0)
        };
        let near = |frame: usize| -> f32 {
            (-REACH..=REACH).map(|d| ahead(frame, d) * (1.0 - 0.0625 * d.abs() as f32)).sum()
        };
        let frames = earliest + largest((earliest..=limit).map(near));
        let moment = |reach: i32, power: i32| -> f32 {
            (-reach..=reach).map(|d| ahead(frames, d) * (d as f32).powi(power)).sum()
        };
        let belief = moment(REACH, 0).clamp(0.0, 1.0);
        let off = moment(3, 1) / (moment(3, 0) + 1e-20);
        let variance = moment(REACH, 2) / (moment(REACH, 0) + 1e-20) - off * off;
        let by_net = self.by_net();
        let features = self.trust.features(belief, tempo, by_net);
        self.next = Ahead {
            at: now + frames as f64 + f64::from(off),
            std_dev: f64::from(variance.max(0.25)).sqrt(),
            belief,
            confidence: self.scales.confidence(&features, by_net),
            presence: self.scales.presence(&features, by_net),
            features,
            bar_position: (self.n_announced > 0).then(|| self.bar.ahead(self.unheard + 1)),
            lag,
        };
        frames
    }

    /// The next beat is announced now.
    fn announce(&mut self) -> Option<(f64, f64, f64)> {
        let Ahead { at, belief, presence, .. } = self.next;
        let interval = self.last().map(|last| at - last);
        let ratio = interval.zip(self.interval).map(|(new, old)| new / old);
        self.trust.announced(belief, ratio);
        // A step for each beat, whatever their number per minute.
        let share = (0.4 * interval.unwrap_or(50.0) / 100.0).min(0.6) as f32;
        self.faith += share * (presence - self.faith);
        self.interval = interval.or(self.interval);
        self.announced.rotate_left(1);
        self.announced[RECENT - 1] = at;
        self.n_announced = (self.n_announced + 1).min(RECENT);
        self.unheard = (self.unheard + 1).min(RECENT);
        let seconds = interval? / FRAME_RATE;
        self.course.push(seconds, at / FRAME_RATE).map(|(at, from, to)| (at * FRAME_RATE, from, to))
    }

    /// Listens to the oldest announced beat that has not been heard, once all of it has come.
    fn hear(&mut self, now: f64) -> Option<f64> {
        if self.unheard == 0 {
            return None;
        }
        let at = self.announced[RECENT - self.unheard];
        if now < at + AFTER as f64 {
            return None;
        }
        self.unheard -= 1;
        let by_net = self.by_net();
        let most = |of: fn(&Heard) -> f32, at: f64, later: i64| {
            let at = at.round() as i64 - later;
            (at - 3..=at + AFTER)
                .filter(|f| *f >= 0 && *f as u64 + HISTORY as u64 >= self.count)
                .map(|f| of(&self.history[f as usize % HISTORY]))
                .fold(0.0, f32::max)
        };
        let later = self.later as i64;
        let between = at - self.interval.unwrap_or(50.0) / 2.0;
        let net = [most(|h| h.beat, at, 0), most(|h| h.beat, between, 0)];
        let onset = [most(|h| h.onset, at, later), most(|h| h.onset, between, later)];
        let down = most(|h| h.down, at, 0);
        let low = most(|h| h.low, at, later);
        self.trust.heard(net, onset, by_net);
        let low = self.low_stats.standing(low);
        self.bar.advance();
        self.bar.observe(if by_net {
            let p = (down / (down.max(net[0]) + 0.05)).clamp(0.03, 0.97);
            (2.0 * p / (1.0 - p)).powf(DOWNBEAT_POWER)
        } else {
            (BASS_WEIGHT * low).exp()
        });
        (if by_net { net[0] > HEARD.max(2.0 * net[1]) } else { onset[0] > 0.2 }).then_some(at)
    }

    /// Where in the bar the beat `n` after the next one is.
    pub(crate) fn place_after(&self, n: usize) -> BarPosition {
        self.bar.ahead(self.unheard + 1 + n)
    }

    /// Estimates the next beat anew, after the belief was changed from outside.
    pub(crate) fn look_again(&mut self) {
        self.look_ahead(self.count as f64 - 1.0);
    }

    /// Someone says where a beat is, in frames.
    pub(crate) fn tap(&mut self, at: f64) {
        self.filter.tap((at - (self.count as f64 - 1.0)) as f32);
    }

    /// Beats announced are taken back as far as they are to come, when the belief is changed from outside.
    pub(crate) fn take_back(&mut self) {
        let now = self.count as f64;
        while self.unheard > 0 && self.announced[RECENT - 1] > now {
            self.announced.rotate_right(1);
            self.unheard -= 1;
            self.n_announced -= 1;
        }
        self.interval = None;
        self.course = TempoCourse::new();
        self.bar.reset();
    }
}

/// How little a tempo changes from beat to beat: λ of [`TempoFilter`].
const LAMBDA: f32 = 60.0;
/// The share of the belief that starts anew each frame.
const RESTART: f32 = 1e-5;
/// Neighbouring frames tell nearly the same, so what they tell is raised to powers below 1: the network's odds, the
/// onset strength's beside them, and the onset strength's alone.
const NET_POWER: f32 = 0.25;
const JOINED_POWER: f32 = 0.15;
const ONSET_POWER: f32 = 0.25;
/// The same for what a downbeat is told by.
const DOWNBEAT_POWER: f32 = 0.7;
const BASS_WEIGHT: f32 = 0.5;
/// The onset strength tells of a beat so many frames before the network does.
const LATER: u64 = 3;
/// How long the network listens, after it has rested, before it has a say: 5 s.
const WARM_UP: u32 = 500;
/// How many frames after the beat is announced for it can still be heard.
const AFTER: i64 = 5;
/// A beat was heard where the network thinks so at least this much, and twice as much as half-way before it.
const HEARD: f32 = 0.15;
/// A beat is what lies within 7 frames, 70 ms.
const REACH: i32 = 7;
/// Below this mean amplitude of the bands is silence, about −80 dB of music.
const QUIET: f32 = 1e-6;
/// So many frames of it end the beat.
const QUIET_FRAMES: u32 = 150;
/// Without beats announced, faith falls by half in 6 s.
const FAITH_DECAY: f32 = 0.998_845;
/// Faith before anything is heard.
const FAITH: f32 = 0.2;
