//! Digests that say whether two data sets are the same. Hashes what it is given; opens nothing.

/// A BLAKE3 digest over fields, each preceded by its length so that neighbours cannot run into each other.
pub(crate) struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    /// A digest of one kind of thing.
    pub fn new(kind: &str) -> Self {
        let mut digest = Fingerprint(blake3::Hasher::new());
        digest.field(kind.as_bytes());
        digest
    }

    pub fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub fn number(&mut self, value: u64) {
        self.0.update(&value.to_le_bytes());
    }

    /// 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
