//! How far the sweeps have come, kept in S3 from one to the next.

use serde::{Deserialize, Serialize};

use super::executions::Rounds;
use super::repositories::Pass;
use super::running::Search;
use crate::Deps;
use crate::store::Error;

/// Its key in the staging bucket.
const KEY: &str = "sweep/position.json";

/// Two sweeps at once do the same work, which changes nothing twice, and the position of either is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Position {
    pub(crate) executions: Rounds,
    pub(crate) running: Search,
    pub(crate) repositories: Pass,
}

impl Position {
    /// `None` before the first sweep, or if it cannot be read: then sweeps begin anew.
    pub(crate) async fn load(deps: &Deps) -> Result<Option<Self>, Error> {
        let Some(body) = deps.store.read(&deps.sweep.staging_bucket, KEY).await? else { return Ok(None) };
        match serde_json::from_slice(&body) {
            Ok(position) => Ok(Some(position)),
            Err(error) => {
                tracing::warn!(%error, key = KEY, "the sweep's position is not valid, so the sweeps begin anew");
                Ok(None)
            }
        }
    }

    pub(crate) async fn save(&self, deps: &Deps) -> Result<(), Error> {
        let body = serde_json::to_vec(self).expect("invariant: a position can be written as JSON");
        deps.store.write(&deps.sweep.staging_bucket, KEY, body).await
    }
}
