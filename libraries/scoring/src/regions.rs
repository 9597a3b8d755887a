//! Regions of feature space: the cluster of every id.

use std::io::{self, Read, Write};

use crate::features::Features;
use crate::invalid_file::InvalidFile;
use crate::kmeans::{KMeans, KMeansError};
use crate::roster::{Aligner, Roster};
use crate::table::{Limits, Table, field};

/// The region of every id of validation, test and live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions(Vec<u32>);

impl Regions {
    /// Clusters all rows of features and returns the regions of the tournament rows, which are the last ones.
    ///
    /// The result does not depend on the machine or on `threads`; see [`kmeans`](crate::kmeans).
    ///
    /// # Errors
    /// When a parameter is out of range, or there are fewer rows than clusters or than ids.
    pub fn cluster(
        features: &Features,
        roster: &Roster,
        parameters: &KMeans,
        threads: usize,
    ) -> Result<Self, KMeansError> {
        let (rows, ids) = (features.rows().count(), roster.count());
        let training = rows.checked_sub(ids).ok_or(KMeansError::FewerRowsThanIds { rows, ids })?;
        let labels = parameters.fit(features.rows(), threads)?.labels;
        let mut regions = vec![0; ids];
        for (label, position) in labels[training..].iter().zip(roster.file_order()) {
            regions[*position] = *label;
        }
        Ok(Self(regions))
    }

    /// Reads `id,region` (CSV or gzip): every id of the roster exactly once, in any order, each region an integer from 0
    /// to 4294967295. The numbers need not be consecutive.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column or has another one, a region is not
    /// such an integer, or ids are missing, unknown or repeated.
    pub fn read(reader: impl Read, roster: &Roster, limits: &Limits) -> Result<Self, InvalidFile> {
        let mut table = Table::open(reader, limits)?;
        let (id, region) = (table.column("id")?, table.column("region")?);
        table.allow_only(&["id", "region"])?;
        let mut aligner = Aligner::new(roster);
        while let Some(row) = table.next()? {
            let name = row.id(id)?;
            let Ok(value) = row.text(region)?.parse::<u32>() else {
                let value = row.number(region, Some(id))?;
                let expected = "an integer from 0 to 4294967295";
                return Err(InvalidFile::OutOfRange { location: row.location(region, Some(id)), value, expected });
            };
            aligner.insert(name, value);
        }
        Ok(Self(aligner.finish()?))
    }

    /// Writes `id,region` in ascending order of the ids.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(&self, roster: &Roster, mut writer: impl Write) -> io::Result<()> {
        writeln!(writer, "id,region")?;
        for ((id, _), region) in roster.iter().zip(&self.0) {
            writeln!(writer, "{},{region}", field(id))?;
        }
        writer.flush()
    }

    /// The regions in ascending order of their ids.
    #[must_use]
    pub fn values(&self) -> &[u32] {
        &self.0
    }
}
