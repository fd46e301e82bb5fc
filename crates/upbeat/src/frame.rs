//! What an [`Analyzer`](crate::Analyzer) hands out.

use std::ops::Range;
use std::sync::Arc;

use upbeat_core::{FrameSpec, SampleIndex};

use crate::{Feature, FeatureSet};

/// Where the values of each feature lie in a [`FeatureFrame`], and what they are called.
///
/// One for all frames of an analyzer: [`Analyzer::layout`](crate::Analyzer::layout).
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureLayout {
    spec: FrameSpec,
    fields: Vec<Field>,
    len: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    feature: Feature,
    columns: Range<usize>,
    latency: u64,
}

impl FeatureLayout {
    pub(crate) const fn new(spec: FrameSpec) -> Self {
        Self { spec, fields: Vec::new(), len: 0 }
    }

    /// Adds `columns` columns for `feature`, whose values come `latency` samples after the sample they
    /// refer to.
    pub(crate) fn push(&mut self, feature: Feature, columns: usize, latency: u64) -> Range<usize> {
        let columns = self.len..self.len + columns;
        self.len = columns.end;
        self.fields.push(Field { feature, columns: columns.clone(), latency });
        columns
    }

    /// How the stream is cut into frames.
    #[must_use]
    pub const fn spec(&self) -> FrameSpec {
        self.spec
    }

    /// The features computed, in the order of their columns.
    pub fn features(&self) -> impl Iterator<Item = Feature> {
        self.fields.iter().map(|field| field.feature)
    }

    /// The columns of `feature` in [`FeatureFrame::as_slice`]; empty if it is not computed.
    #[must_use]
    pub fn columns(&self, feature: Feature) -> Range<usize> {
        self.field(feature).map_or(0..0, |field| field.columns.clone())
    }

    /// How many samples before the end of the frame the sample lies that `feature` refers to.
    ///
    /// For most features that is the frame's first sample (`frame_length − 1`); features that look
    /// ahead or use a longer window of their own refer to an earlier one. `None` if not computed.
    #[must_use]
    pub fn latency(&self, feature: Feature) -> Option<u64> {
        self.field(feature).map(|field| field.latency)
    }

    /// How many columns all features have together.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is computed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The names of all columns: the feature's name, followed by `_` and a number or a word where it
    /// has several.
    pub fn column_names(&self) -> impl Iterator<Item = String> {
        self.fields.iter().flat_map(|field| {
            let name = field.feature.name();
            let parts = parts(field.feature);
            let single = field.columns.len() == 1;
            (0..field.columns.len()).map(move |i| match parts.get(i) {
                Some(part) => format!("{name}_{part}"),
                None if single => name.to_string(),
                None => format!("{name}_{i}"),
            })
        })
    }

    fn field(&self, feature: Feature) -> Option<&Field> {
        self.fields.iter().find(|field| field.feature == feature)
    }
}

/// The words for the columns of features whose columns differ in kind.
const fn parts(feature: Feature) -> &'static [&'static str] {
    match feature {
        Feature::Loudness => &["momentary", "short_term", "integrated"],
        Feature::Pitch | Feature::Pyin => &["frequency", "confidence"],
        Feature::Stereo => &["width", "correlation", "balance"],
        _ => &[],
    }
}

/// The features of one frame, owned.
///
/// ```
/// use upbeat::{Analyzer, AnalyzerConfig, Feature};
///
/// let mut analyzer = Analyzer::new(&AnalyzerConfig::new(44_100, 1))?;
/// let silence = vec![0.0; 2048];
/// analyzer.push(&silence, |frame| {
///     assert_eq!(frame.value(Feature::Rms), Some(0.0));
///     assert_eq!(frame.value(Feature::Pitch), None); // there is none, which is not 0 Hz
///     assert_eq!(frame.values(Feature::Mfcc).len(), 20);
///     assert_eq!(frame.values(Feature::Cqt).len(), 0); // not asked for
/// })?;
/// # Ok::<(), upbeat::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FeatureFrame {
    pub(crate) at: SampleIndex,
    pub(crate) lost: u64,
    pub(crate) layout: Arc<FeatureLayout>,
    pub(crate) values: Box<[f32]>,
}

impl FeatureFrame {
    pub(crate) fn new(layout: Arc<FeatureLayout>) -> Self {
        let values = vec![f32::NAN; layout.len()].into();
        Self { at: SampleIndex(0), lost: 0, layout, values }
    }

    /// Makes all values unknown but those of the features in `standing`.
    pub(crate) fn forget_all_but(&mut self, standing: FeatureSet) {
        for field in &self.layout.fields {
            if !standing.contains(field.feature) {
                self.values[field.columns.clone()].fill(f32::NAN);
            }
        }
    }

    /// The index of the frame's first sample.
    #[must_use]
    pub const fn at(&self) -> SampleIndex {
        self.at
    }

    /// When the frame starts, in seconds since the start of the stream.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.at.seconds(self.layout.spec.sample_rate())
    }

    /// The index of the sample that `feature` refers to in this frame; see [`FeatureLayout::latency`].
    ///
    /// `None` if the feature is not computed, or refers to a time before the stream began.
    #[must_use]
    pub fn refers_to(&self, feature: Feature) -> Option<SampleIndex> {
        let end = self.at.0 + (self.layout.spec.frame_length() as u64 - 1);
        end.checked_sub(self.layout.latency(feature)?).map(SampleIndex)
    }

    /// How many samples per channel were lost since the frame before this one; 0 in a whole stream.
    ///
    /// After a gap all features start anew, as at the start of a stream.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The first value of `feature`; `None` where it is not computed or not known.
    #[must_use]
    pub fn value(&self, feature: Feature) -> Option<f32> {
        self.values(feature).first().copied().filter(|value| !value.is_nan())
    }

    /// All values of `feature`; empty if it is not computed. What is not known is NaN.
    #[must_use]
    pub fn values(&self, feature: Feature) -> &[f32] {
        &self.values[self.layout.columns(feature)]
    }

    /// All values of all features, in the order of [`FeatureLayout::column_names`].
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// Where each feature's values lie.
    #[must_use]
    pub fn layout(&self) -> &FeatureLayout {
        &self.layout
    }

    /// The values of `feature` as an array; empty if it is not computed.
    #[cfg(feature = "ndarray")]
    #[must_use]
    pub fn array(&self, feature: Feature) -> ndarray::ArrayView1<'_, f32> {
        self.values(feature).into()
    }
}

/// As a map: `at`, `seconds`, `lost`, and each feature's name with a number, or a list where it has
/// several columns; unknown values are null.
#[cfg(feature = "serde")]
impl serde::Serialize for FeatureFrame {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;

        let known = |value: &f32| value.is_finite().then_some(*value);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("seconds", &self.seconds())?;
        map.serialize_entry("lost", &self.lost)?;
        for field in &self.layout.fields {
            let name = field.feature.name();
            match &self.values[field.columns.clone()] {
                [value] => map.serialize_entry(name, &known(value))?,
                values => {
                    let values: Vec<_> = values.iter().map(known).collect();
                    map.serialize_entry(name, &values)?;
                }
            }
        }
        map.end()
    }
}
