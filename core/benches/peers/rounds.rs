//! Rounds of ours and the peer, in turn.

/// What one row came to.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// What the peer's median and the median of the ratios of single rounds come to.
    pub ours: f64,
    /// Median of the peer's rounds.
    pub peer: f64,
    /// The lower and the upper quartile of the ratios of single rounds.
    pub spread: [f64; 2],
}

/// Runs both sides `rounds` times, who goes first by turns, after one round each that does not count. Each side
/// gives `N` values a round.
pub fn interleave<const N: usize>(
    rounds: usize,
    mut ours: impl FnMut() -> [f64; N],
    mut peer: impl FnMut() -> [f64; N],
) -> [Outcome; N] {
    ours();
    peer();
    let mut values = Vec::with_capacity(rounds);
    for round in 0..rounds {
        values.push(if round % 2 == 0 {
            let ours = ours();
            (ours, peer())
        } else {
            let peer = peer();
            (ours(), peer)
        });
    }
    std::array::from_fn(|at| {
        let pairs = || values.iter().map(|(ours, peer)| (ours[at], peer[at]));
        let ratios = sorted(pairs().map(|(ours, peer)| ours / peer));
        let peer = quantile(&sorted(pairs().map(|(_, peer)| peer)), 0.5);
        Outcome {
            ours: quantile(&ratios, 0.5) * peer,
            peer,
            spread: [quantile(&ratios, 0.25), quantile(&ratios, 0.75)],
        }
    })
}

/// Sorted, without those that say nothing.
fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The quantile `q` of sorted values; NaN if there are none.
pub fn quantile<T: Copy + Into<f64>>(sorted: &[T], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * q).round() as usize)
        .map_or(f64::NAN, |value| (*value).into())
}
