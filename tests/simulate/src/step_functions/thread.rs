//! One line of control of an execution: its own, or that of a branch.

use std::rc::Rc;

use super::{ExecutionId, ThreadId};
use crate::definition::{Flow, Kind, StateId};
use crate::json::Json;
use crate::jsonata::Variables;

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) execution: ExecutionId,
    pub(super) flow: Rc<Flow>,
    /// The parallel state whose branch this is.
    pub(super) parent: Option<Parent>,
    pub(super) state: StateId,
    pub(super) input: Json,
    /// `$states.context`.
    pub(super) context: Json,
    pub(super) variables: Variables,
    /// How often each retrier of the state has retried it.
    pub(super) retries: Vec<u32>,
    /// The number of the attempt under way.
    pub(super) token: u64,
    /// Of the branches of this parallel state.
    pub(super) results: Vec<Option<Json>>,
    pub(super) children: Vec<ThreadId>,
}

#[derive(Debug)]
pub(super) struct Parent {
    pub(super) thread: ThreadId,
    pub(super) branch: usize,
}

impl Thread {
    pub(super) fn new(execution: ExecutionId, flow: Rc<Flow>, parent: Option<Parent>) -> Self {
        Self {
            execution,
            state: flow.start,
            flow,
            parent,
            input: Json::Null,
            context: Json::Null,
            variables: Variables::new(),
            retries: Vec::new(),
            token: 0,
            results: Vec::new(),
            children: Vec::new(),
        }
    }

    /// A state that is entered again is retried as often as the first time.
    pub(super) fn entered(&mut self, context: Json, kind: &Kind) {
        self.context = context;
        self.retries.clear();
        let retriers = match kind {
            Kind::Task(task) => task.handlers.retry.len(),
            Kind::Parallel { handlers, .. } => handlers.retry.len(),
            _ => 0,
        };
        self.retries.resize(retriers, 0);
    }
}
