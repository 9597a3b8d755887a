//! What the summaries of a challenge have in common.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use scoring::{Grid, Grids, Pool};

use super::ItemError;

/// The grids and segments of a challenge. They are only ever added.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Index {
    /// How often it was written. Whoever changes it has read the revision before.
    pub(super) revision: u64,
    pub(crate) grids: Grids,
    /// The names of the segments in the order of their creation.
    pub(super) segments: Vec<String>,
}

impl Index {
    /// This index and one more grid, at the quantiles of a pool.
    pub(super) fn with_grid(&self, pool: &Pool) -> Self {
        Self { revision: self.revision + 1, grids: self.grids.with_pool(pool), ..self.clone() }
    }

    /// This index, written for the first time.
    pub(super) fn first(&self) -> Self {
        Self { revision: 1, ..self.clone() }
    }

    /// This index and one more segment.
    pub(super) fn with_segment(&self, name: String) -> Self {
        let segments = self.segments.iter().cloned().chain([name]).collect();
        Self { revision: self.revision + 1, segments, ..self.clone() }
    }

    /// Its attributes without the key.
    pub(super) fn to_item(&self) -> HashMap<String, AttributeValue> {
        let grids = self.grids.later().map(|grid| AttributeValue::B(Blob::new(Grid::to_bytes(grid)))).collect();
        let segments = self.segments.iter().cloned().map(AttributeValue::S).collect();
        HashMap::from([
            ("revision".to_owned(), AttributeValue::N(self.revision.to_string())),
            ("grids".to_owned(), AttributeValue::L(grids)),
            ("segments".to_owned(), AttributeValue::L(segments)),
        ])
    }

    pub(super) fn from_item(mut item: HashMap<String, AttributeValue>) -> Result<Self, ItemError> {
        let revision = match item.remove("revision") {
            Some(AttributeValue::N(revision)) => revision.parse().map_err(|_| ItemError::Attribute)?,
            _ => return Err(ItemError::Attribute),
        };
        let (Some(AttributeValue::L(grids)), Some(AttributeValue::L(segments))) =
            (item.remove("grids"), item.remove("segments"))
        else {
            return Err(ItemError::Attribute);
        };
        let grids: Option<Vec<&[u8]>> = grids.iter().map(|grid| grid.as_b().ok().map(AsRef::as_ref)).collect();
        let segments: Option<Vec<String>> = segments.iter().map(|name| name.as_s().ok().cloned()).collect();
        Ok(Self {
            revision,
            grids: Grids::from_bytes(grids.ok_or(ItemError::Attribute)?)?,
            segments: segments.ok_or(ItemError::Attribute)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use scoring::Sorted;

    use super::*;

    #[test]
    fn an_index_is_read_as_it_was_written() {
        let mut pool = Pool::default();
        pool.add(&Sorted::new(vec![0.4, 0.6]).unwrap());
        let index = Index::default().with_grid(&pool).with_grid(&pool);
        let index = index.with_segment("a".to_owned()).with_segment("b".to_owned());
        assert_eq!((index.revision, index.grids.later().count(), index.segments.len()), (4, 2, 2));
        assert_eq!(Index::from_item(index.to_item()).unwrap(), index);
    }

    #[test]
    fn an_item_that_is_not_an_index_is_refused() {
        let blob = |bytes: &[u8]| AttributeValue::L(vec![AttributeValue::B(Blob::new(bytes))]);
        let number = |text: &str| AttributeValue::N(text.to_owned());
        for (name, value, reason) in [
            ("revision", None, "an attribute is missing"),
            ("revision", Some(number("-1")), "an attribute is missing"),
            ("grids", None, "an attribute is missing"),
            ("grids", Some(AttributeValue::L(vec![number("1")])), "an attribute is missing"),
            ("segments", None, "an attribute is missing"),
            ("segments", Some(blob(&[0; 9])), "an attribute is missing"),
            ("grids", Some(blob(&[0; 9])), "too few or too many bytes"),
            ("grids", Some(blob(&f64::NAN.to_le_bytes())), "not a grid"),
        ] {
            let mut item = Index::default().to_item();
            item.remove(name);
            item.extend(value.map(|value| (name.to_owned(), value)));
            let error = Index::from_item(item).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }
}
