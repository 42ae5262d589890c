//! How closely a cell is looked at.

use serde::{Deserialize, Serialize};

use crate::config::check;
use crate::error::EngineError;

/// What is looked at. Changes no result, so it is no part of the cell's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbesConfig {
    pub enabled: bool,
    /// Steps between two looks at the routing of the same images while a phase trains; its end is always looked at.
    pub every: u64,
    /// Validation images of each task whose routing is looked at then.
    pub images: usize,
    /// Pictures kept: of each task's routing, and of each end of the gallery.
    pub pictures: usize,
}

impl Default for ProbesConfig {
    fn default() -> Self {
        Self { enabled: true, every: 1_000, images: 16, pictures: 4 }
    }
}

impl ProbesConfig {
    /// Checks every value; the error names key, value and range.
    pub fn validate(&self) -> Result<(), EngineError> {
        check(self.every > 0, "probes.every", self.every, "1 or more")?;
        check((1..=1024).contains(&self.images), "probes.images", self.images, "1 to 1024")?;
        check(self.pictures <= 64, "probes.pictures", self.pictures, "0 to 64")
    }
}

/// `count` of `len` indices, evenly spaced from the first on.
pub fn spread(len: usize, count: usize) -> Vec<usize> {
    let count = count.min(len);
    (0..count).map(|i| i * len / count).collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn indices_are_spread_evenly() {
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(2, 4), [0, 1]);
        assert_eq!((spread(0, 4), spread(4, 0)), (vec![], vec![]));
    }
}
