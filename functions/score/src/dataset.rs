//! The tournament data as scoring needs it: the roster of ids, and the region of each id.
//!
//! Both are computed once for each version of the files and stored under `derived/{digest of the versions}/`. They are
//! written on condition that nothing is there, and read back: if several executions compute them at the same time, all use
//! what the first one stored.

use std::sync::Arc;

use domain::ChallengeId;
use scoring::kmeans::KMeans;
use scoring::{Features, InvalidFile, Limits, Regions, Roster};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::challenge::Scoring;
use crate::error::ScoreError;
use crate::objects::{ETag, Objects};

/// How regions are computed. It is part of the digest, so that a change gives new regions in another folder.
const METHOD: &str = "k-means, k 5, seed 1337, 1 start, 300 iterations, tolerance 1e-4";

#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) roster: Roster,
    pub(crate) regions: Regions,
}

/// The keys of a challenge's files in the scoring bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatasetKeys {
    tournament: String,
    training: Option<String>,
    regions: Option<String>,
    pub(crate) truth: Option<String>,
    derived: String,
}

impl DatasetKeys {
    pub(crate) fn of(challenge: &ChallengeId, scoring: &Scoring) -> Self {
        let folder = scoring.dataset.as_ref().map_or(challenge.as_str(), |name| name.as_str());
        let key = |name: &str| format!("datasets/{folder}/{name}");
        Self {
            tournament: key(scoring.tournament.as_str()),
            training: scoring.training.as_ref().map(|name| key(name.as_str())),
            regions: scoring.regions.as_ref().map(|name| key(name.as_str())),
            truth: scoring.truth.as_ref().map(|name| key(name.as_str())),
            derived: key("derived"),
        }
    }
}

/// The versions of the files that roster and regions depend on.
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

/// Loads datasets and keeps the last one in memory.
#[derive(Debug)]
pub(crate) struct Datasets {
    objects: Objects,
    last: Mutex<Option<(String, Arc<Dataset>)>>,
}

impl Datasets {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { objects, last: Mutex::new(None) }
    }

    /// The dataset in its current version.
    pub(crate) async fn load(&self, keys: &DatasetKeys) -> Result<Arc<Dataset>, ScoreError> {
        let versions = self.versions(keys).await?;
        let folder = format!("{}/{}", keys.derived, versions.digest());
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
            let (roster, regions) = self.compute(keys, &versions).await?;
            tracing::info!(folder, "computed the regions of a dataset");
            tokio::try_join!(
                self.objects.write_once(&roster_key, roster),
                self.objects.write_once(&regions_key, regions)
            )?
        };
        let dataset = tokio::task::spawn_blocking(move || read_derived(&roster, &regions)).await?;
        let location = self.objects.location(&folder);
        let dataset = Arc::new(dataset.map_err(|source| ScoreError::DerivedFiles { location, source })?);
        for split in dataset.roster.absent_splits() {
            tracing::warn!(
                folder,
                split = split.as_str(),
                "the tournament data has no rows of this part, so concordance leaves it out"
            );
        }
        *last = Some((folder, Arc::clone(&dataset)));
        Ok(dataset)
    }

    async fn versions(&self, keys: &DatasetKeys) -> Result<Versions, ScoreError> {
        let (tournament, training, regions) = tokio::try_join!(
            self.version(&keys.tournament),
            self.optional_version(keys.training.as_deref()),
            self.optional_version(keys.regions.as_deref()),
        )?;
        Ok(Versions { tournament, training, regions })
    }

    async fn version(&self, key: &str) -> Result<ETag, ScoreError> {
        let version = self.objects.version(key).await?;
        version.ok_or_else(|| ScoreError::FileMissing { location: self.objects.location(key) })
    }

    async fn optional_version(&self, key: Option<&str>) -> Result<Option<ETag>, ScoreError> {
        match key {
            Some(key) => Ok(Some(self.version(key).await?)),
            None => Ok(None),
        }
    }

    /// The roster and the regions as CSV files.
    async fn compute(&self, keys: &DatasetKeys, versions: &Versions) -> Result<(Vec<u8>, Vec<u8>), ScoreError> {
        let (roster, regions) = match (&keys.regions, &versions.regions) {
            (Some(key), Some(version)) => self.read_regions(keys, versions, key, version).await?,
            _ => self.cluster(keys, versions).await?,
        };
        Ok(to_files(&roster, &regions))
    }

    async fn read_regions(
        &self,
        keys: &DatasetKeys,
        versions: &Versions,
        regions_key: &str,
        regions_version: &ETag,
    ) -> Result<(Arc<Roster>, Regions), ScoreError> {
        let read = |reader| Roster::read(reader, &Limits::data());
        let roster = Arc::new(self.parse(&keys.tournament, &versions.tournament, read).await?);
        let ids = Arc::clone(&roster);
        let read = move |reader| Regions::read(reader, &ids, &Limits::predictions());
        let regions = self.parse(regions_key, regions_version, read).await?;
        Ok((roster, regions))
    }

    async fn cluster(&self, keys: &DatasetKeys, versions: &Versions) -> Result<(Arc<Roster>, Regions), ScoreError> {
        let training = match (&keys.training, &versions.training) {
            (Some(key), Some(version)) => {
                let read = |reader| Features::read_training(reader, &Limits::data());
                Some(self.parse(key, version, read).await?)
            }
            _ => None,
        };
        let read = move |reader| match training {
            Some(training) => training.append_tournament(reader, &Limits::data()),
            None => Features::read_tournament(reader, &Limits::data()),
        };
        let (features, roster) = self.parse(&keys.tournament, &versions.tournament, read).await?;
        let roster = Arc::new(roster);
        let ids = Arc::clone(&roster);
        let clustered = tokio::task::spawn_blocking(move || {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            Regions::cluster(&features, &ids, &KMeans::default(), threads)
        });
        let location = self.objects.location(&keys.tournament);
        let regions = clustered.await?.map_err(|source| ScoreError::Clustering { location, source })?;
        Ok((roster, regions))
    }

    async fn parse<T: Send + 'static>(
        &self,
        key: &str,
        version: &ETag,
        read: impl FnOnce(Box<dyn std::io::Read + Send>) -> Result<T, InvalidFile> + Send + 'static,
    ) -> Result<T, ScoreError> {
        let parsed = self.objects.parse(key, version, read).await?;
        parsed.map_err(|error| ScoreError::file(self.objects.location(key), error))
    }
}

fn to_files(roster: &Roster, regions: &Regions) -> (Vec<u8>, Vec<u8>) {
    let (mut ids, mut numbers) = (Vec::new(), Vec::new());
    roster.write(&mut ids).expect("invariant: writing to memory does not fail");
    regions.write(roster, &mut numbers).expect("invariant: writing to memory does not fail");
    (ids, numbers)
}

fn read_derived(roster: &[u8], regions: &[u8]) -> Result<Dataset, InvalidFile> {
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
    fn each_version_of_the_files_has_its_own_digest() {
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
    fn files_are_in_the_folder_of_the_dataset() {
        let challenge = "r1".parse().unwrap();
        let keys = DatasetKeys::of(&challenge, &Scoring::default());
        assert_eq!((keys.tournament.as_str(), keys.training), ("datasets/r1/tournament.csv", None));
        let scoring: Scoring = serde_json::from_str(r#"{"dataset": "houses", "regions": "r.csv"}"#).unwrap();
        assert_eq!(DatasetKeys::of(&challenge, &scoring).regions.as_deref(), Some("datasets/houses/r.csv"));
    }
}
