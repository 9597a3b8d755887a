/// A record's position in Kafka.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position<'a> {
    /// `topic-partition`, as the event names it.
    pub(crate) partition_name: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<u32>,
    pub(crate) offset: Option<u64>,
}

impl<'a> Position<'a> {
    pub(crate) fn of(partition_name: &'a str, offset: Option<u64>) -> Self {
        let (topic, partition) = split_partition(partition_name);
        Self { partition_name, topic, partition, offset }
    }
}

/// The topic and the partition in `topic-partition`. Topics can contain hyphens themselves.
pub(crate) fn split_partition(name: &str) -> (&str, Option<u32>) {
    name.rsplit_once('-')
        .and_then(|(topic, partition)| Some((topic, Some(partition.parse().ok()?))))
        .unwrap_or((name, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_can_contain_hyphens() {
        assert_eq!(
            split_partition("submission.notification.aggregate-0"),
            ("submission.notification.aggregate", Some(0))
        );
        assert_eq!(split_partition("a-b-12"), ("a-b", Some(12)));
        assert_eq!(split_partition("odd"), ("odd", None));
        assert_eq!(split_partition("odd-one"), ("odd-one", None));
    }
}
