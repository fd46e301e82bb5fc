//! A frame as a line of JSON.

use serde::ser::{Serialize, SerializeMap, Serializer};
use upbeat::FeatureFrame;

/// `time` in seconds, and each feature's value or values; what is not finite, JSON writes as null.
pub(crate) struct Row<'a>(pub(crate) &'a FeatureFrame);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.0.seconds())?;
        for feature in self.0.layout().features() {
            match self.0.values(feature) {
                [value] => map.serialize_entry(feature.name(), value)?,
                values => map.serialize_entry(feature.name(), values)?,
            }
        }
        map.end()
    }
}
