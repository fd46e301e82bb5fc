/// The belief in each tempo and phase: a bar-pointer filter over `lag` (frames per beat) and how many frames
/// are left until the next beat.
///
/// After Whiteley, Cemgil and Godsill, "Bayesian modelling of temporal structure in musical audio" (ISMIR
/// 2006), with the state space of Krebs, Böck and Widmer, "An efficient state-space model for joint tempo and
/// meter tracking" (ISMIR 2015): a tempo may change only at a beat, from lag `a` to lag `b` in proportion to
/// `exp(−λ |b/a − 1|)`. Each frame, a small share of the belief starts anew.
#[derive(Clone, Debug)]
pub(crate) struct TempoFilter {
    shortest: usize,
    /// Belief of all states, tempo by tempo. The state `left` frames before its beat lies at
    /// `(head + left) mod lag`, so that time moves the head instead of the states.
    states: Box<[f32]>,
    /// Where the states of each tempo begin; one more at the end.
    begins: Box<[usize]>,
    heads: Box<[usize]>,
    /// From tempo (rows) to tempo.
    transitions: Box<[f32]>,
    /// The prior of a single state of each tempo, and which tempi are allowed at all.
    prior: Box<[f32]>,
    allowed: Box<[bool]>,
    leaving: Box<[f32]>,
    entering: Box<[f32]>,
    /// The belief in each tempo.
    mass: Box<[f32]>,
    /// Where the belief is put together anew.
    scratch: Box<[f32]>,
    restart: f32,
    centre: f32,
    width: f32,
}

/// How a [`TempoFilter`] is set up; tempi in beats per minute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilterConfig {
    /// From the shortest to the longest lag, in frames.
    pub(crate) lags: (usize, usize),
    /// λ.
    pub(crate) lambda: f32,
    /// The share that starts anew each frame.
    pub(crate) restart: f32,
    /// Centre of the prior, as a lag.
    pub(crate) centre: f32,
    /// Width of the prior, as a standard deviation of the natural logarithm.
    pub(crate) width: f32,
}

/// How wide a prior around a tempo that was asked for is, and how exact a tap, in frames.
const RETARGET_WIDTH: f32 = 0.06;
const TAP_WIDTH: f32 = 4.0;

impl TempoFilter {
    pub(crate) fn new(config: &FilterConfig) -> Self {
        let FilterConfig { lags: (shortest, longest), lambda, restart, .. } = *config;
        let n = longest - shortest + 1;
        let mut begins = vec![0];
        for lag in shortest..=longest {
            begins.push(begins[begins.len() - 1] + lag);
        }
        let mut transitions = vec![0.0; n * n];
        for (from, row) in transitions.chunks_exact_mut(n).enumerate() {
            for (to, p) in row.iter_mut().enumerate() {
                let ratio = (shortest + to) as f32 / (shortest + from) as f32;
                *p = (-lambda * (ratio - 1.0).abs()).exp();
            }
            let sum: f32 = row.iter().sum();
            for p in row {
                *p /= sum;
            }
        }
        let mut filter = Self {
            shortest,
            states: vec![0.0; begins[n]].into(),
            scratch: vec![0.0; begins[n]].into(),
            begins: begins.into(),
            heads: vec![0; n].into(),
            transitions: transitions.into(),
            prior: vec![0.0; n].into(),
            allowed: vec![true; n].into(),
            leaving: vec![0.0; n].into(),
            entering: vec![0.0; n].into(),
            mass: vec![0.0; n].into(),
            restart,
            centre: config.centre,
            width: config.width,
        };
        filter.set_prior();
        filter.reset();
        filter
    }

    /// How many tempi there are.
    pub(crate) fn tempi(&self) -> usize {
        self.heads.len()
    }

    /// The lag of a tempo, in frames.
    pub(crate) const fn lag(&self, tempo: usize) -> usize {
        self.shortest + tempo
    }

    /// The belief in each tempo, the fastest first; their sum is 1.
    pub(crate) fn mass(&self) -> &[f32] {
        &self.mass
    }

    /// Starts from the prior.
    pub(crate) fn reset(&mut self) {
        self.heads.fill(0);
        for tempo in 0..self.tempi() {
            self.states[self.begins[tempo]..self.begins[tempo + 1]].fill(self.prior[tempo]);
            self.mass[tempo] = self.prior[tempo] * self.lag(tempo) as f32;
        }
    }

    /// Allows only lags from `shortest` to `longest`; false, and nothing changes, where there are none.
    pub(crate) fn allow(&mut self, shortest: f32, longest: f32) -> bool {
        let fits = |lag: usize| (shortest..=longest).contains(&(lag as f32));
        if !(0..self.tempi()).any(|tempo| fits(self.lag(tempo))) {
            return false;
        }
        for tempo in 0..self.tempi() {
            self.allowed[tempo] = fits(self.lag(tempo));
        }
        self.set_prior();
        let left: f32 = (0..self.tempi()).filter(|t| self.allowed[*t]).map(|t| self.mass[t]).sum();
        if left > 1e-6 {
            self.weigh(1.0 / left);
        } else {
            self.reset();
        }
        true
    }

    /// Believes in the lag nearest to `lag`, and expects such lags; the next beat stays where it was.
    pub(crate) fn retarget(&mut self, lag: f32) {
        let last = self.shortest + self.tempi() - 1;
        let target = (lag.round() as usize).clamp(self.shortest, last);
        (self.centre, self.width) = (target as f32, RETARGET_WIDTH);
        self.set_prior();
        self.rearrange(|_, left| {
            let beats = left.saturating_sub(1) / target;
            (target, left - beats * target)
        });
    }

    fn weigh(&mut self, scale: f32) {
        for tempo in 0..self.tempi() {
            let w = if self.allowed[tempo] { scale } else { 0.0 };
            self.states[self.begins[tempo]..self.begins[tempo + 1]]
                .iter_mut()
                .for_each(|p| *p *= w);
            self.mass[tempo] *= w;
        }
    }

    /// Moves each state, given as its lag and the frames left to its beat, elsewhere; false, and nothing
    /// changes, if no state has where to go.
    pub(crate) fn rearrange(&mut self, to: impl Fn(usize, usize) -> (usize, usize)) -> bool {
        self.scratch.fill(0.0);
        let mut total = 0.0;
        for tempo in 0..self.tempi() {
            let lag = self.lag(tempo);
            for left in 1..=lag {
                let (new_lag, new_left) = to(lag, left);
                if new_lag < self.shortest || new_lag - self.shortest >= self.tempi() {
                    continue;
                }
                let p = self.state(tempo, left);
                let new = new_lag - self.shortest;
                // With all heads at 0, the state lies at `left mod lag`.
                self.scratch[self.begins[new] + new_left % new_lag] += p;
                total += p;
            }
        }
        if total < 1e-6 {
            return false;
        }
        for (state, p) in self.states.iter_mut().zip(&*self.scratch) {
            *state = p / total;
        }
        self.heads.fill(0);
        for tempo in 0..self.tempi() {
            self.mass[tempo] = sum(&self.states[self.begins[tempo]..self.begins[tempo + 1]]);
        }
        true
    }

    /// Someone says that there is a beat `left` frames from now (before now, if negative).
    pub(crate) fn tap(&mut self, left: f32) {
        let mut total = 0.0;
        for tempo in 0..self.tempi() {
            let lag = self.lag(tempo);
            let begin = self.begins[tempo];
            let mut mass = 0.0;
            for l in 1..=lag {
                let off = (l as f32 - left) / lag as f32;
                let off = (off - off.round()) * lag as f32 / TAP_WIDTH;
                let at = begin + (self.heads[tempo] + l) % lag;
                self.states[at] *= 0.02 + (-0.5 * off * off).exp();
                mass += self.states[at];
            }
            self.mass[tempo] = mass;
            total += mass;
        }
        let scale = 1.0 / total;
        self.states.iter_mut().for_each(|p| *p *= scale);
        self.mass.iter_mut().for_each(|p| *p *= scale);
    }

    fn set_prior(&mut self) {
        let mut sum = 0.0;
        for tempo in 0..self.tempi() {
            let off = (self.lag(tempo) as f32 / self.centre).ln() / self.width;
            // Never quite 0, so that the sum is not either.
            let p = if self.allowed[tempo] { (-0.5 * off * off).exp() + 1e-30 } else { 0.0 };
            sum += p;
            self.prior[tempo] = p;
        }
        for tempo in 0..self.tempi() {
            self.prior[tempo] /= sum * self.lag(tempo) as f32;
        }
    }

    /// The next frame: time passes, and a beat within it is `ratio` times as likely as none.
    pub(crate) fn step(&mut self, ratio: f32) {
        let n = self.tempi();
        for tempo in 0..n {
            let lag = self.shortest + tempo;
            let head = self.heads[tempo] + 1;
            let head = if head == lag { 0 } else { head };
            self.heads[tempo] = head;
            self.leaving[tempo] = self.states[self.begins[tempo] + head];
        }
        self.entering.fill(0.0);
        for (p, row) in self.leaving.iter().zip(self.transitions.chunks_exact(n)) {
            for (to, t) in self.entering.iter_mut().zip(row) {
                *to += p * t;
            }
        }
        let mut total = 0.0;
        for tempo in 0..n {
            let lag = self.shortest + tempo;
            let head = self.heads[tempo];
            let states = &mut self.states[self.begins[tempo]..self.begins[tempo + 1]];
            states[head] = if self.allowed[tempo] { self.entering[tempo] } else { 0.0 };
            let length = beat_length(lag);
            let whole = length as usize;
            for back in 0..=whole {
                let at = if head >= back { head - back } else { head + lag - back };
                let share = if back < whole { 1.0 } else { length - whole as f32 };
                states[at] *= 1.0 + share * (ratio - 1.0);
            }
            self.mass[tempo] = sum(states);
            total += self.mass[tempo];
        }
        let keep = (1.0 - self.restart) / total;
        for tempo in 0..n {
            let fresh = self.restart * self.prior[tempo];
            for state in &mut self.states[self.begins[tempo]..self.begins[tempo + 1]] {
                *state = *state * keep + fresh;
            }
            self.mass[tempo] = self.mass[tempo] * keep + fresh * (self.shortest + tempo) as f32;
        }
    }

    /// Adds up what is believed of a beat `left` frames from now, for all `left` that `ahead` has room for.
    ///
    /// A state whose beat is fewer than `earliest` frames away counts at the first beat after it that is
    /// not, two beats on at most.
    pub(crate) fn read_ahead(&self, earliest: usize, ahead: &mut [f32]) {
        ahead.fill(0.0);
        for tempo in 0..self.tempi() {
            let lag = self.shortest + tempo;
            let states = &self.states[self.begins[tempo]..self.begins[tempo + 1]];
            // In order of `left`, from 1 to `lag`.
            let (late, early) = states.split_at((self.heads[tempo] + 1) % lag);
            add_runs(ahead, early, 1, lag, earliest);
            add_runs(ahead, late, 1 + early.len(), lag, earliest);
        }
    }

    /// The belief of a beat `left` frames from now at the given tempo alone.
    pub(crate) fn state(&self, tempo: usize, left: usize) -> f32 {
        let lag = self.lag(tempo);
        self.states[self.begins[tempo] + (self.heads[tempo] + left) % lag]
    }
}

/// How many frames a beat lasts: two at the fastest tempi, more at slower ones. In whole frames, rounding would decide
/// between a tempo and its double.
fn beat_length(lag: usize) -> f32 {
    0.7 + lag as f32 / 20.0
}

/// Adds `states`, the first of which is `left` frames before its beat.
fn add_runs(ahead: &mut [f32], states: &[f32], left: usize, lag: usize, earliest: usize) {
    let soon = earliest.saturating_sub(left).min(states.len());
    let (soon, fine) = states.split_at(soon);
    add(ahead, left + soon.len(), fine);
    // These come a beat later, and the first of them another one.
    let next = left + lag;
    let sooner = earliest.saturating_sub(next).min(soon.len());
    let (sooner, later) = soon.split_at(sooner);
    add(ahead, next + sooner.len(), later);
    add(ahead, next + lag, sooner);
}

fn add(ahead: &mut [f32], at: usize, states: &[f32]) {
    for (sum, p) in ahead.iter_mut().skip(at).zip(states) {
        *sum += p;
    }
}

/// A sum in eight lanes, which vectorises.
fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += x;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal::Random;

    fn config() -> FilterConfig {
        FilterConfig { lags: (20, 60), lambda: 60.0, restart: 1e-4, centre: 40.0, width: 0.4 }
    }

    /// The filter by its definition: belief by lag and phase (frames since the beat), in `f64`.
    struct Naive {
        belief: Vec<Vec<f64>>,
        prior: Vec<f64>,
    }

    impl Naive {
        fn new(config: &FilterConfig) -> Self {
            let lags = config.lags.0..=config.lags.1;
            let off =
                |lag: usize| (lag as f64 / f64::from(config.centre)).ln() / f64::from(config.width);
            let weights: Vec<f64> = lags.clone().map(|l| (-0.5 * off(l).powi(2)).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let prior: Vec<f64> =
                lags.clone().zip(&weights).map(|(l, w)| w / sum / l as f64).collect();
            let belief = lags.zip(&prior).map(|(l, p)| vec![*p; l]).collect();
            Self { belief, prior }
        }

        fn step(&mut self, config: &FilterConfig, ratio: f64) {
            let first = config.lags.0;
            let ends: Vec<f64> = self.belief.iter().map(|b| b[b.len() - 1]).collect();
            let jump = |from: usize, to: usize| {
                let ratio = (first + to) as f64 / (first + from) as f64;
                (-f64::from(config.lambda) * (ratio - 1.0).abs()).exp()
            };
            let n = self.belief.len();
            for to in 0..n {
                let arriving = (0..n)
                    .map(|from| {
                        let all: f64 = (0..n).map(|to| jump(from, to)).sum();
                        ends[from] * jump(from, to) / all
                    })
                    .sum();
                self.belief[to].rotate_right(1);
                self.belief[to][0] = arriving;
                // A beat covers the frames it lasts for, the last one in part.
                let length = 0.7 + (first + to) as f64 / 20.0;
                for (frame, p) in self.belief[to].iter_mut().enumerate() {
                    let covered = (length - frame as f64).clamp(0.0, 1.0);
                    *p *= covered * ratio + (1.0 - covered);
                }
            }
            let sum: f64 = self.belief.iter().flatten().sum();
            let restart = f64::from(config.restart);
            for (tempo, fresh) in self.belief.iter_mut().zip(&self.prior) {
                for p in tempo.iter_mut() {
                    *p = *p / sum * (1.0 - restart) + restart * fresh;
                }
            }
        }
    }

    fn hear(filter: &mut TempoFilter, lag: usize, beats: usize) {
        for frame in 0..lag * beats {
            filter.step(if frame % lag < 2 { 3.0 } else { 0.8 });
        }
    }

    fn likeliest(filter: &TempoFilter) -> usize {
        let mass = filter.mass();
        let best = (0..mass.len()).max_by(|a, b| mass[*a].total_cmp(&mass[*b]));
        filter.lag(best.expect("there are tempi"))
    }

    #[test]
    fn equals_its_definition() {
        let config = config();
        let (mut filter, mut naive) = (TempoFilter::new(&config), Naive::new(&config));
        let mut random = Random::new(11);
        for _ in 0..400 {
            let ratio = 0.5 + 2.0 * random.unit();
            filter.step(ratio as f32);
            naive.step(&config, ratio);
        }
        for tempo in 0..filter.tempi() {
            let lag = filter.lag(tempo);
            for phase in 0..lag {
                let (found, expected) =
                    (filter.state(tempo, lag - phase), naive.belief[tempo][phase]);
                assert!((f64::from(found) - expected).abs() < 1e-5, "{found}, not {expected}");
            }
            let mass: f64 = naive.belief[tempo].iter().sum();
            assert!((f64::from(filter.mass()[tempo]) - mass).abs() < 1e-4);
        }
        // What is ahead, by the states.
        let mut ahead = [0.0; 256];
        filter.read_ahead(30, &mut ahead);
        let mut expected = [0.0; 256];
        for tempo in 0..filter.tempi() {
            let lag = filter.lag(tempo);
            for left in 1..=lag {
                let beat = (0..3).map(|n| left + n * lag).find(|at| *at >= 30);
                expected[beat.unwrap_or(left + 2 * lag)] += filter.state(tempo, left);
            }
        }
        for (f, e) in ahead.iter().zip(expected) {
            assert!((f - e).abs() < 1e-6);
        }
    }

    #[test]
    fn finds_a_tempo_and_where_its_beats_are() {
        let mut filter = TempoFilter::new(&config());
        hear(&mut filter, 45, 12);
        assert!(likeliest(&filter).abs_diff(45) <= 1, "{}", likeliest(&filter));
        let mut ahead = [0.0; 256];
        filter.read_ahead(1, &mut ahead);
        let next = (1..100).max_by(|a, b| ahead[*a].total_cmp(&ahead[*b])).unwrap();
        assert!(next.abs_diff(1) <= 2 || next.abs_diff(46) <= 2, "{next}"); // the frame after the last of a beat
    }

    #[test]
    fn what_is_asked_for_is_believed() {
        let mut filter = TempoFilter::new(&config());
        hear(&mut filter, 50, 12);
        assert!(filter.rearrange(|lag, left| {
            let half = lag.div_ceil(2);
            (half, if left > half { left - half } else { left })
        }));
        assert!(likeliest(&filter).abs_diff(25) <= 1);
        assert!((filter.mass().iter().sum::<f32>() - 1.0).abs() < 1e-3);
        // A third as fast is out of range: nothing changes.
        assert!(!filter.rearrange(|lag, left| (3 * lag + 100, left)));
        assert!(likeliest(&filter).abs_diff(25) <= 1);

        assert!(filter.allow(40.0, 60.0));
        hear(&mut filter, 25, 12);
        assert!(likeliest(&filter) >= 40);
        assert!(!filter.allow(100.0, 200.0));
        filter.retarget(44.0);
        assert_eq!(likeliest(&filter), 44);
        assert!((filter.mass().iter().sum::<f32>() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_tap_says_where_the_beats_are() {
        let mut filter = TempoFilter::new(&config());
        filter.retarget(40.0);
        filter.tap(17.0);
        let mut ahead = [0.0; 256];
        filter.read_ahead(1, &mut ahead);
        let next = (1..40).max_by(|a, b| ahead[*a].total_cmp(&ahead[*b])).unwrap();
        assert!(next.abs_diff(17) <= 1, "{next}");
    }
}
