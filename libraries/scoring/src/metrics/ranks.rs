//! Ranks with ties.

/// Twice the midrank of each value. Ranks start at 1, and equal values share the mean of their ranks.
pub(super) fn doubled_midranks(values: &[f64]) -> Vec<u64> {
    // Adding zero makes negative zero equal to zero in the total order.
    let mut order: Vec<(f64, usize)> = values.iter().map(|value| value + 0.0).zip(0..).collect();
    order.sort_unstable_by(|first, second| first.0.total_cmp(&second.0));
    let mut ranks = vec![0; values.len()];
    let mut before = 0_u64;
    for tied in order.chunk_by(|first, second| first.0.total_cmp(&second.0).is_eq()) {
        let through = before + tied.len() as u64;
        for (_, index) in tied {
            // Twice the mean of `before + 1` and `through`.
            ranks[*index] = before + 1 + through;
        }
        before = through;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(doubled_midranks(&[0.5, 0.1, 0.5, 0.9]), [5, 2, 5, 8]);
        assert_eq!(doubled_midranks(&[0.0, -0.0]), [3, 3]);
        assert!(doubled_midranks(&[]).is_empty());
    }
}
