//! Regions of feature space: the cluster of every id.

use std::io::{self, Read, Write};

use crate::features::Features;
use crate::invalid::Invalid;
use crate::kmeans::{KMeans, KMeansError};
use crate::roster::{Fill, Roster};
use crate::table::{Limits, Table, field};

/// The region of every id of validation, test and live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions(Vec<u32>);

impl Regions {
    /// Clusters all rows of features, and gives the regions of those of the tournament, which are the last ones.
    ///
    /// The same on every machine and for every number of threads, see [`kmeans`](crate::kmeans).
    ///
    /// # Errors
    /// When a parameter is out of range, or there are fewer rows than clusters or than ids.
    pub fn cluster(
        features: &Features,
        roster: &Roster,
        parameters: &KMeans,
        threads: usize,
    ) -> Result<Self, KMeansError> {
        let labels = parameters.fit(features.rows(), threads)?.labels;
        let training = labels
            .len()
            .checked_sub(roster.count())
            .ok_or(KMeansError::TooFewRows { rows: labels.len(), clusters: parameters.clusters })?;
        let mut regions = vec![0; roster.count()];
        for (label, position) in labels[training..].iter().zip(roster.file_order()) {
            regions[*position] = *label;
        }
        Ok(Self(regions))
    }

    /// Reads `id,region`, CSV or gzip: every id of the roster exactly once in any order, each region a whole number
    /// from 0 to 4294967295. Any numbering is honoured.
    ///
    /// # Errors
    /// When the file cannot be read or exceeds a limit, has no rows, lacks a column or has another one, a region is no
    /// such number, or ids are missing, unknown or there twice.
    pub fn read(reader: impl Read, roster: &Roster, limits: &Limits) -> Result<Self, Invalid> {
        let mut table = Table::open(reader, limits)?;
        let (id, region) = (table.column("id")?, table.column("region")?);
        table.only(&["id", "region"])?;
        let mut fill = Fill::new(roster);
        while let Some(row) = table.next()? {
            let name = row.id(id)?;
            let Ok(value) = row.text(region)?.parse::<u32>() else {
                let value = row.number(region, Some(id))?;
                let range = "the whole numbers 0..=4294967295";
                return Err(Invalid::OutOfRange { place: row.place(region, Some(id)), value, range });
            };
            fill.place(name, value);
        }
        Ok(Self(fill.finish()?))
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
