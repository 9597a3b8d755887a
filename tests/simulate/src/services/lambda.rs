//! Lambda: how many functions run at once, and how long they take.

use std::time::Duration;

use super::Calls;
use crate::functions::Invocation;
use crate::plan::{Plan, rates};
use crate::quota::Places;
use crate::random::Random;
use crate::step_functions::Failure;

/// What becomes of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Answers,
    /// The function does its work, but its answer does not arrive.
    AnswerIsLost,
}

#[derive(Debug)]
pub(crate) struct Lambda {
    pub places: Places,
    random: Random,
    faults: f64,
    pub calls: Calls,
}

impl Lambda {
    #[must_use]
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            places: Places::new(plan.quotas.lambda_concurrency),
            random: Random::new(plan.seed, "lambda"),
            faults: plan.faults,
            calls: Calls::default(),
        }
    }

    /// Starts an invocation from a state machine, which takes its place until [`Places::give_back`]. Errors:
    /// <https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception>.
    pub(crate) fn invoke(&mut self, invocation: &Invocation) -> Result<(Duration, Run), Failure> {
        self.take_place().map_err(|()| Failure::new("Lambda.TooManyRequestsException", "Rate Exceeded."))?;
        if self.random.chance(rates::LAMBDA_FAILS * self.faults) {
            self.places.give_back(1);
            return Err(Failure::new("Lambda.ServiceException", "The service failed."));
        }
        let lost = self.random.chance(rates::LAMBDA_ANSWER_LOST * self.faults);
        let (median, spread) = invocation.seconds();
        Ok((self.random.seconds(median, spread), if lost { Run::AnswerIsLost } else { Run::Answers }))
    }

    /// Takes the place of one invocation.
    pub(crate) fn take_place(&mut self) -> Result<(), ()> {
        self.calls.made += 1;
        if self.places.take(1) {
            Ok(())
        } else {
            self.calls.throttled += 1;
            Err(())
        }
    }
}
