//! Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747): its four files, how to get them, its ten classes.
//! Draws nothing.

use std::path::{Path, PathBuf};

use super::idx::{self, Kind};
use crate::error::{Error, problem};
use crate::fingerprint::Fingerprint;
use crate::task::Split;

/// The data set in memory, 55 MB.
pub struct FashionMnist {
    train: Garments,
    val: Garments,
    digest: String,
}

/// The images of a split with their labels.
pub struct Garments {
    /// `[N, Y, X]`, 0 is the background.
    pixels: Vec<u8>,
    /// `[N]`, below 10.
    labels: Vec<u8>,
}

impl FashionMnist {
    /// Names of the classes by label. The original names are `T-shirt/top` and `Ankle boot`; these can name folders.
    pub const CLASSES: [&str; 10] =
        ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"];

    /// Where the Debian package `dataset-fashion-mnist` puts the files.
    pub const DEBIAN_FOLDER: &str = "/usr/share/datasets/fashion-mnist";

    /// Images and labels of each split; the original's test split serves for validation. `.gz` may follow each name.
    pub const FILES: [[&str; 2]; 2] =
        [["train-images-idx3-ubyte", "train-labels-idx1-ubyte"], ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]];

    /// Reads the four files in a folder, by default in [`FashionMnist::DEBIAN_FOLDER`].
    ///
    /// # Errors
    /// [`Error::Missing`] naming the files that are not there and how to get them; [`Error::Data`] for a file that is
    /// not sound IDX (see the format's room), labels above 9, or labels that are not as many as the images.
    pub fn open(folder: Option<&Path>) -> Result<Self, Error> {
        let folder = folder.unwrap_or(Path::new(Self::DEBIAN_FOLDER));
        let [train, val] = Self::FILES.map(|names| names.map(|name| find(folder, name)));
        let (Some(train), Some(val)) = (all(train), all(val)) else {
            return Err(missing(folder));
        };
        let (train, val) = (Garments::read(&train)?, Garments::read(&val)?);
        let mut digest = Fingerprint::new("fashion-mnist");
        for split in [&train, &val] {
            // The header follows from the length.
            digest.field(&split.pixels);
            digest.field(&split.labels);
        }
        Ok(FashionMnist { train, val, digest: digest.finish() })
    }

    /// The garments of a split.
    pub fn split(&self, split: Split) -> &Garments {
        match split {
            Split::Train => &self.train,
            Split::Val => &self.val,
        }
    }

    /// BLAKE3 of what the four files hold; the same for plain and for gzipped files.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl Garments {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Position in [`FashionMnist::CLASSES`].
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }

    /// `[Y, X]`, 28 x 28, 0 is the background.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let len = Kind::Images.item_len();
        &self.pixels[index * len..][..len]
    }

    fn read([images, labels]: &[PathBuf; 2]) -> Result<Self, Error> {
        let garments = Garments { pixels: idx::read(images, Kind::Images)?, labels: idx::read(labels, Kind::Labels)? };
        let count = garments.pixels.len() / Kind::Images.item_len();
        if garments.count() != count {
            return Err(Error::data(
                labels,
                format!("{} labels, but {} holds {count} images", garments.count(), images.display()),
                "Take both files from the same copy of the data set",
            ));
        }
        if let Some(at) = garments.labels.iter().position(|&l| usize::from(l) >= FashionMnist::CLASSES.len()) {
            return Err(Error::data(
                labels,
                format!("label {at} (from 0) is {}, but Fashion-MNIST has the classes 0 to 9", garments.labels[at]),
                "Give the files of Fashion-MNIST itself",
            ));
        }
        Ok(garments)
    }
}

/// The file as it is or gzipped; as it is when there are both.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_string(), format!("{name}.gz")].map(|name| folder.join(name)).into_iter().find(|path| path.is_file())
}

fn all([a, b]: [Option<PathBuf>; 2]) -> Option<[PathBuf; 2]> {
    Some([a?, b?])
}

fn missing(folder: &Path) -> Error {
    let names = FashionMnist::FILES.concat();
    let absent: Vec<&str> = names.iter().copied().filter(|name| find(folder, name).is_none()).collect();
    Error::Missing(problem(
        folder,
        format!("Fashion-MNIST is not here: there is no {}, plain or with .gz", absent.join(", no ")),
        format!(
            "Run `apt-get install dataset-fashion-mnist`, or put {}, each plain or with .gz, in a folder and give it \
             with `--fashion-mnist DIR` or `data.scenes.fashion_mnist`",
            names.join(", ")
        ),
    ))
}
