//! Many pipelines in one process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Pipeline, PipelineStatus};

/// The name of a pipeline in [`Pipelines`]; never given twice by the same registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineId(u64);

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The pipelines of a process, for those who start and watch several from different threads.
///
/// Its methods lock, but no thread of a pipeline ever waits for that lock.
#[derive(Debug, Default)]
pub struct Pipelines {
    pipelines: Mutex<(u64, BTreeMap<PipelineId, Pipeline>)>,
}

impl Pipelines {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps a pipeline, and names it.
    pub fn add(&self, pipeline: Pipeline) -> PipelineId {
        let (last, pipelines) = &mut *self.lock();
        *last += 1;
        let id = PipelineId(*last);
        pipelines.insert(id, pipeline);
        id
    }

    /// Does something with a pipeline: pauses it, for instance. `None` if there is none of that name.
    pub fn with<T>(&self, id: PipelineId, work: impl FnOnce(&Pipeline) -> T) -> Option<T> {
        self.lock().1.get(&id).map(work)
    }

    /// How each pipeline fares.
    #[must_use]
    pub fn statuses(&self) -> Vec<(PipelineId, PipelineStatus)> {
        self.lock().1.iter().map(|(id, pipeline)| (*id, pipeline.status())).collect()
    }

    /// Takes a pipeline out, for instance to stop it. `None` if there is none of that name.
    pub fn remove(&self, id: PipelineId) -> Option<Pipeline> {
        self.lock().1.remove(&id)
    }

    /// Takes out the pipelines that have ended, and says how they went.
    pub fn remove_finished(&self) -> Vec<(PipelineId, PipelineStatus)> {
        let mut pipelines = self.lock();
        let ids: Vec<_> =
            pipelines.1.iter().filter(|(_, p)| p.is_finished()).map(|(id, _)| *id).collect();
        let finished: Vec<_> =
            ids.into_iter().filter_map(|id| Some((id, pipelines.1.remove(&id)?))).collect();
        drop(pipelines);
        finished.into_iter().map(|(id, pipeline)| (id, pipeline.stop())).collect()
    }

    /// A panic under the lock leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<PipelineId, Pipeline>)> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
