//! The data of a tournament as judging needs it: the ids with their parts, and the region of each.
//!
//! Both are made once for each version of the files and stored beside them, under `derived/{digest of the versions}/`.
//! They are written under the condition that nothing is there, and read back: of several that compute them at once, all
//! use what the first one stored.

use std::sync::Arc;

use scoring::kmeans::KMeans;
use scoring::{Features, Invalid, Limits, Regions, Roster};
use sha2::{Digest, Sha256};
use shared::{Failure, Round};
use tokio::sync::Mutex;

use crate::challenge::Scoring;
use crate::fault;
use crate::objects::{ETag, Objects};

/// How regions are computed. It is part of the digest: whoever changes it gets other regions, stored elsewhere.
const METHOD: &str = "k-means, k 5, seed 1337, 1 start, 300 iterations, tolerance 1e-4";

/// The ids of a tournament and their regions.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) roster: Roster,
    pub(crate) regions: Regions,
}

/// Where a round's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) tournament: String,
    pub(crate) training: Option<String>,
    pub(crate) regions: Option<String>,
    pub(crate) truth: Option<String>,
    derived: String,
}

impl Places {
    pub(crate) fn of(round: &Round, scoring: &Scoring) -> Self {
        let folder = scoring.dataset.as_ref().map_or(round.as_str(), |name| name.as_str());
        let place = |name: &str| format!("datasets/{folder}/{name}");
        Self {
            tournament: place(scoring.tournament.as_str()),
            training: scoring.training.as_ref().map(|name| place(name.as_str())),
            regions: scoring.regions.as_ref().map(|name| place(name.as_str())),
            truth: scoring.truth.as_ref().map(|name| place(name.as_str())),
            derived: place("derived"),
        }
    }
}

/// The files' versions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Versions {
    tournament: ETag,
    training: Option<ETag>,
    regions: Option<ETag>,
}

impl Versions {
    /// A name for exactly these versions.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        let given = [Some(&self.tournament), self.training.as_ref(), self.regions.as_ref()];
        for part in [METHOD].into_iter().chain(given.map(|etag| etag.map_or("", ETag::as_str))) {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        hex::encode(&digest.finalize()[..16])
    }
}

/// Datasets, the last one kept.
#[derive(Debug)]
pub(crate) struct Datasets {
    objects: Objects,
    last: Mutex<Option<(String, Arc<Dataset>)>>,
}

impl Datasets {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, last: Mutex::new(None) }
    }

    /// The dataset at these places in its present version.
    pub(crate) async fn load(&self, places: &Places) -> Result<Arc<Dataset>, Failure> {
        let (tournament, training, regions) = tokio::try_join!(
            self.version(Some(&places.tournament)),
            self.version(places.training.as_deref()),
            self.version(places.regions.as_deref()),
        )?;
        let versions =
            Versions { tournament: tournament.ok_or_else(|| missing(&places.tournament))?, training, regions };
        let folder = format!("{}/{}", places.derived, versions.digest());
        let mut last = self.last.lock().await;
        if let Some((known, dataset)) = last.as_ref()
            && *known == folder
        {
            return Ok(Arc::clone(dataset));
        }
        let (roster_key, regions_key) = (format!("{folder}/roster.csv"), format!("{folder}/regions.csv"));
        let stored = tokio::try_join!(self.objects.read(&roster_key), self.objects.read(&regions_key))?;
        let (roster, regions) = if let (Some(roster), Some(regions)) = stored {
            (roster, regions)
        } else {
            let (roster, regions) = self.compute(places, &versions).await?;
            tracing::info!(folder, "computed the regions of a dataset");
            tokio::try_join!(
                self.objects.write_once(&roster_key, roster),
                self.objects.write_once(&regions_key, regions)
            )?
        };
        let dataset = tokio::task::spawn_blocking(move || read_derived(&roster, &regions)).await;
        let dataset = dataset.map_err(|panic| fault("The stored regions cannot be read.").caused_by(panic))?;
        let dataset = Arc::new(dataset.map_err(|error| {
            fault(format!(
                "What is stored under {folder} cannot be read; delete that folder to have it computed again."
            ))
            .caused_by(error)
        })?);
        *last = Some((folder, Arc::clone(&dataset)));
        Ok(dataset)
    }

    async fn version(&self, key: Option<&str>) -> Result<Option<ETag>, Failure> {
        let Some(key) = key else { return Ok(None) };
        self.objects.version(key).await?.map(Some).ok_or_else(|| missing(key))
    }

    /// The roster and the regions as files.
    async fn compute(&self, places: &Places, versions: &Versions) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let invalid = |key: &str, error: Invalid| fault(format!("{key} cannot be used: {error}")).caused_by(error);
        let tournament = &places.tournament;
        if let (Some(key), Some(version)) = (&places.regions, &versions.regions) {
            let read = |reader| Roster::read(reader, &Limits::data());
            let roster = self.objects.parse(tournament, &versions.tournament, read).await?;
            let roster = Arc::new(roster.map_err(|error| invalid(tournament, error))?);
            let ids = Arc::clone(&roster);
            let read = move |reader| Regions::read(reader, &ids, &Limits::predictions());
            let regions = self.objects.parse(key, version, read).await?.map_err(|error| invalid(key, error))?;
            return files(&roster, &regions);
        }
        let training = match (&places.training, &versions.training) {
            (Some(key), Some(version)) => {
                let read = |reader| Features::read_training(reader, &Limits::data());
                Some(self.objects.parse(key, version, read).await?.map_err(|error| invalid(key, error))?)
            }
            _ => None,
        };
        let read = move |reader| match training {
            Some(training) => training.append_tournament(reader, &Limits::data()),
            None => Features::read_tournament(reader, &Limits::data()),
        };
        let read = self.objects.parse(tournament, &versions.tournament, read).await?;
        let (features, roster) = read.map_err(|error| invalid(tournament, error))?;
        let clustered = tokio::task::spawn_blocking(move || {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            Regions::cluster(&features, &roster, &KMeans::default(), threads).map(|regions| (roster, regions))
        });
        let stopped = |panic| fault("Clustering stopped unexpectedly.").caused_by(panic);
        let (roster, regions) = clustered.await.map_err(stopped)?.map_err(|error| {
            fault(format!("The rows of {tournament} cannot be clustered: {error}")).caused_by(error)
        })?;
        files(&roster, &regions)
    }
}

fn missing(key: &str) -> Failure {
    fault(format!("There is no {key} in the scoring bucket: upload it, or correct the round's settings."))
}

fn files(roster: &Roster, regions: &Regions) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (mut ids, mut numbers) = (Vec::new(), Vec::new());
    let written = roster.write(&mut ids).and_then(|()| regions.write(roster, &mut numbers));
    written.map_err(|error| fault("The regions cannot be written.").caused_by(error))?;
    Ok((ids, numbers))
}

fn read_derived(roster: &[u8], regions: &[u8]) -> Result<Dataset, Invalid> {
    let roster = Roster::read(roster, &Limits::data())?;
    let regions = Regions::read(regions, &roster, &Limits::data())?;
    Ok(Dataset { roster, regions })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(tournament: &str, training: Option<&str>, regions: Option<&str>) -> String {
        let etag = |text: &str| ETag::from(text);
        Versions { tournament: etag(tournament), training: training.map(etag), regions: regions.map(etag) }.digest()
    }

    #[test]
    fn each_version_of_the_files_has_a_place_of_its_own() {
        let all = [
            versions("a", None, None),
            versions("b", None, None),
            versions("a", Some("b"), None),
            versions("a", None, Some("b")),
            versions("a", Some("c"), None),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 32);
            assert!(!all[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn files_are_below_the_datasets_folder() {
        let round = "r1".parse().unwrap();
        let places = Places::of(&round, &Scoring::default());
        assert_eq!((places.tournament.as_str(), places.training), ("datasets/r1/tournament.csv", None));
        let scoring: Scoring = serde_json::from_str(r#"{"dataset": "houses", "regions": "r.csv"}"#).unwrap();
        assert_eq!(Places::of(&round, &scoring).regions.as_deref(), Some("datasets/houses/r.csv"));
    }
}
