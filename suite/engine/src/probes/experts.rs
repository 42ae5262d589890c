//! Which experts the validation split is sent to (paper.md section 1, figures 3 to 5), from the forward passes of the evaluation.
//! Sums stay on the device until all images have been seen.

use std::collections::BTreeMap;

use adamv_datasets::{DetectionBatch, Task};
use adamv_models::moe::ExpertSelection;
use adamv_models::vit::Intermediates;
use adamv_store::{ExpertUse, FeatureSimilarity, PatchLayer, RoutedImage};
use tch::{Device, Kind, Tensor};

use super::picture::Picture;
use crate::error::EngineError;

/// The experts of a system, watched over a validation split.
pub struct ExpertProbe<'a> {
    experts: &'a ExpertSelection,
    /// Numbers of the classes of each task, by label.
    classes: BTreeMap<Task, Vec<u64>>,
    sums: BTreeMap<(Task, usize), Sums>,
    routed: Vec<RoutedImage>,
}

/// What was seen of the experts.
#[derive(Debug, Default)]
pub struct Seen {
    pub uses: Vec<ExpertUse>,
    pub similarities: Vec<FeatureSimilarity>,
    pub routed: Vec<RoutedImage>,
}

/// Of one task in one layer.
struct Sums {
    /// `[C+1,E]` int64, pairs of a token and one of its experts: by class (in the last layer only), then of all tokens.
    pairs: Tensor,
    /// `[E]` f64: tokens by first choice.
    tokens: Tensor,
    /// `[E,D]` f64: the sum of their features, each of length 1.
    features: Tensor,
}

impl<'a> ExpertProbe<'a> {
    /// `classes`: numbers of the classes of each task, by label.
    pub fn new(experts: &'a ExpertSelection, classes: BTreeMap<Task, Vec<u64>>) -> Self {
        Self { experts, classes, sums: BTreeMap::new(), routed: Vec::new() }
    }

    /// A batch of classification that was run; `labels` `[B]` int64 from 0.
    pub fn classified(&mut self, labels: &Tensor, out: &Intermediates) {
        let classes = self.count(Task::Classification);
        self.add(Task::Classification, out, |choices| {
            let of_images = choices.sum_dim_intlist(1, false, Kind::Int64);
            let none = Tensor::zeros([classes, of_images.size()[1]], (Kind::Int64, choices.device()));
            none.index_add(0, labels, &of_images)
        });
    }

    /// A batch of detection that was run. A token counts once for each object that its patch has its middle in the box of.
    pub fn detected(&mut self, batch: &DetectionBatch, out: &Intermediates) {
        let classes = self.count(Task::Detection);
        self.add(Task::Detection, out, |choices| {
            let size = choices.size();
            let side = (size[1] as usize).isqrt();
            let inside = Tensor::from_slice(&patches_in_boxes(batch, side)).to_device(choices.device());
            // [B,G,N] x [B,N,E]: the counts are small, so that f32 has them exactly.
            let inside = inside.view([size[0], -1, size[1]]);
            let of_objects = inside.bmm(&choices.to_kind(Kind::Float)).view([-1, size[2]]).to_kind(Kind::Int64);
            // Padding has no patches, and may count as any class.
            let labels = Tensor::from_slice(&batch.labels).clamp_min(0).to_device(choices.device());
            let none = Tensor::zeros([classes, size[2]], (Kind::Int64, choices.device()));
            none.index_add(0, &labels, &of_objects)
        });
    }

    /// Keeps image `b` of a batch that was run, as the `picture` that the model saw.
    pub fn keep(
        &mut self,
        task: Task,
        image: &str,
        picture: Picture,
        b: usize,
        out: &Intermediates,
    ) -> Result<(), EngineError> {
        let mut layers = Vec::new();
        let mut side = 0;
        for &layer in self.experts.layers() {
            let Some(selected) = out.get(&format!("selected.{layer}")) else { continue };
            let selected = selected.get(b as i64);
            let tokens = selected.size()[0];
            side = (tokens as usize).isqrt();
            // A class token comes first.
            let patches = selected.narrow(0, tokens - (side * side) as i64, (side * side) as i64);
            let choice = |rank: i64| -> Result<Vec<u32>, EngineError> {
                if rank >= patches.size()[1] {
                    return Ok(Vec::new());
                }
                let chosen = Vec::<i64>::try_from(patches.select(1, rank).to_device(Device::Cpu).contiguous())?;
                Ok(chosen.into_iter().map(|expert| expert as u32).collect())
            };
            layers.push(PatchLayer { layer: layer as u32, first: choice(0)?, second: choice(1)? });
        }
        let Picture { jpeg, width, height, .. } = picture;
        let (task, image, rows) = (task.to_string(), image.to_owned(), side as u32);
        self.routed.push(RoutedImage { task, image, jpeg, width, height, rows, columns: rows, layers });
        Ok(())
    }

    /// How often each expert was used, how alike the features of two are, and the images that were kept.
    pub fn finish(self) -> Result<Seen, EngineError> {
        let (mut uses, mut similarities) = (Vec::new(), Vec::new());
        for ((task, layer), sums) in &self.sums {
            let pairs = Vec::<i64>::try_from(sums.pairs.to_device(Device::Cpu).contiguous().view([-1]))?;
            let rows: Vec<&[i64]> = pairs.chunks(self.experts.experts()).collect();
            let Some((all, by_class)) = rows.split_last() else { continue };
            let numbers = self.classes.get(task).into_iter().flatten().map(|&number| Some(number));
            for (class, pairs) in [None].into_iter().chain(numbers).zip([all].into_iter().chain(by_class)) {
                uses.extend(pairs.iter().enumerate().map(|(expert, &pairs)| ExpertUse {
                    task: task.to_string(),
                    layer: *layer as u32,
                    class,
                    expert: expert as u32,
                    pairs: pairs as u64,
                }));
            }
            for (a, row) in similarity(sums)?.chunks(self.experts.experts()).enumerate() {
                similarities.extend(row.iter().enumerate().map(|(b, &cosine)| FeatureSimilarity {
                    task: task.to_string(),
                    layer: *layer as u32,
                    expert_a: a as u32,
                    expert_b: b as u32,
                    cosine: Some(cosine).filter(|cosine| cosine.is_finite()),
                }));
            }
        }
        Ok(Seen { uses, similarities, routed: self.routed })
    }

    fn count(&self, task: Task) -> i64 {
        self.classes.get(&task).map_or(0, |classes| classes.len() as i64)
    }

    /// Adds what a forward pass left; `by_class` counts choices `[B,N,E]` int64, 0 or 1, by class: `[C,E]`.
    fn add(&mut self, task: Task, out: &Intermediates, by_class: impl Fn(&Tensor) -> Tensor) {
        let count = self.experts.experts() as i64;
        for &layer in self.experts.layers() {
            let of_layer = |name: &str| out.get(&format!("{name}.{layer}"));
            let (Some(selected), Some(features)) = (of_layer("selected"), of_layer("router_features")) else {
                continue;
            };
            let choices = selected.one_hot(count).sum_dim_intlist(2, false, Kind::Int64);
            let all = choices.sum_dim_intlist([0i64, 1].as_slice(), false, Kind::Int64).unsqueeze(0);
            let last = self.experts.layers().last() == Some(&layer);
            let pairs = if last { Tensor::cat(&[by_class(&choices), all], 0) } else { all };
            let first = selected.select(2, 0).reshape([-1]).one_hot(count).to_kind(Kind::Float);
            let features = features.reshape([first.size()[0], -1]).to_kind(Kind::Float);
            let length = features.square().sum_dim_intlist(-1, true, Kind::Float).sqrt().clamp_min(1e-12);
            let sums = Sums {
                pairs,
                tokens: first.sum_dim_intlist(0, false, Kind::Double),
                features: first.transpose(0, 1).matmul(&(features / length)).to_kind(Kind::Double),
            };
            match self.sums.get_mut(&(task, layer)) {
                None => {
                    self.sums.insert((task, layer), sums);
                }
                Some(so_far) => {
                    so_far.pairs = &so_far.pairs + sums.pairs;
                    so_far.tokens = &so_far.tokens + sums.tokens;
                    so_far.features = &so_far.features + sums.features;
                }
            }
        }
    }
}

/// `[B,G,N]`, row by row: 1 where the middle of a patch of a canvas of `side` x `side` patches lies in an object's box.
fn patches_in_boxes(batch: &DetectionBatch, side: usize) -> Vec<f32> {
    let patch = batch.image_size as f32 / side as f32;
    let middles: Vec<f32> = (0..side).map(|i| (i as f32 + 0.5) * patch).collect();
    let mut inside = Vec::with_capacity(batch.boxes.len() / 4 * side * side);
    for corners in batch.boxes.chunks_exact(4) {
        for y in &middles {
            let row =
                middles.iter().map(|x| corners[0] <= *x && *x < corners[2] && corners[1] <= *y && *y < corners[3]);
            inside.extend(row.map(|is| f32::from(u8::from(is))));
        }
    }
    inside
}

/// `[E,E]`, row by row: mean cosine of all pairs of different tokens, one of each expert; not finite where there is no such pair.
/// The mean over all pairs is the product of the means: the sums of both, divided by the number of pairs. Within an
/// expert each token's pair with itself, whose cosine is 1, is taken off.
fn similarity(sums: &Sums) -> Result<Vec<f64>, EngineError> {
    let (tokens, features) = (&sums.tokens, &sums.features);
    let itself = tokens.diag(0);
    let pairs = tokens.outer(tokens) - &itself;
    let cosines = (features.matmul(&features.transpose(0, 1)) - itself) / pairs;
    Ok(Vec::<f64>::try_from(cosines.to_device(Device::Cpu).contiguous().view([-1]))?)
}

#[cfg(test)]
mod tests {
    use adamv_models::config::{BackboneConfig, MoeConfig};

    use super::*;

    fn experts(count: usize) -> ExpertSelection {
        let moe = MoeConfig { experts: count, ..MoeConfig::default() };
        let backbone = BackboneConfig { depth: 2, moe: Some(moe.clone()), ..BackboneConfig::default() };
        ExpertSelection::new(&backbone, &moe)
    }

    /// What a pass leaves of one layer: the choices of `[B,N,K]`, and features of two numbers a token.
    fn out(size: [i64; 3], selected: &[i64], features: &[f32]) -> Intermediates {
        Intermediates::from([
            ("selected.1".to_owned(), Tensor::from_slice(selected).view(size)),
            ("router_features.1".to_owned(), Tensor::from_slice(features).view([size[0], size[1], 2])),
        ])
    }

    fn classes(task: Task, numbers: &[u64]) -> BTreeMap<Task, Vec<u64>> {
        BTreeMap::from([(task, numbers.to_vec())])
    }

    /// Pairs by class and expert.
    fn pairs(uses: &[ExpertUse], class: Option<u64>) -> Vec<u64> {
        uses.iter().filter(|row| row.class == class).map(|row| row.pairs).collect()
    }

    #[test]
    fn every_choice_counts_for_its_images_class() {
        let experts = experts(3);
        let mut probe = ExpertProbe::new(&experts, classes(Task::Classification, &[0, 1, 2]));
        let labels = Tensor::from_slice(&[2i64, 0]);
        // Two images of two tokens of two choices each.
        for _ in 0..2 {
            probe.classified(&labels, &out([2, 2, 2], &[0, 1, 0, 2, 1, 2, 1, 0], &[1.0; 8]));
        }
        let uses = probe.finish().unwrap().uses;
        assert_eq!(pairs(&uses, None), [6, 6, 4]);
        assert_eq!(pairs(&uses, Some(2)), [4, 2, 2]);
        assert_eq!(pairs(&uses, Some(1)), [0, 0, 0]);
        assert_eq!(pairs(&uses, Some(0)), [2, 4, 2]);
    }

    #[test]
    fn a_patch_counts_for_the_objects_it_lies_in() {
        let experts = experts(2);
        let mut probe = ExpertProbe::new(&experts, classes(Task::Detection, &[7, 30]));
        // A canvas of 2 x 2 patches of 4 px: the first object covers the upper two, the second has the middle of the lower
        // left one; the third slot is padding.
        let batch = DetectionBatch {
            images: vec![],
            boxes: vec![0.0, 0.0, 8.0, 4.0, 1.0, 5.0, 3.0, 7.0, 0.0, 0.0, 0.0, 0.0],
            labels: vec![1, 0, -1],
            masks: vec![],
            indices: vec![0],
            image_ids: vec![1],
            scales: vec![1.0],
            sizes: vec![[8, 8]],
            image_size: 8,
            max_instances: 3,
            mask_size: 1,
        };
        probe.detected(&batch, &out([1, 4, 1], &[0, 1, 1, 0], &[1.0; 8]));
        let uses = probe.finish().unwrap().uses;
        assert_eq!(
            (pairs(&uses, None), pairs(&uses, Some(30)), pairs(&uses, Some(7))),
            (vec![2, 2], vec![1, 1], vec![0, 1])
        );
    }

    #[test]
    fn similarities_are_the_means_over_all_pairs() {
        let experts = experts(3);
        let mut probe = ExpertProbe::new(&experts, BTreeMap::new());
        let (selected, features) = ([0i64, 0, 1, 1, 0], [3.0f32, 4.0, -1.0, 0.5, 0.2, 0.1, 2.0, -7.0, 1.0, 1.0]);
        // In two batches: the sums are of all of them.
        for (s, f) in [(&selected[..2], &features[..4]), (&selected[2..], &features[4..])] {
            probe.classified(&Tensor::zeros([1], (Kind::Int64, Device::Cpu)), &out([1, s.len() as i64, 1], s, f));
        }
        let similarities = probe.finish().unwrap().similarities;
        let unit = |i: usize| {
            let (x, y) = (f64::from(features[2 * i]), f64::from(features[2 * i + 1]));
            [x / x.hypot(y), y / x.hypot(y)]
        };
        for row in similarities {
            let of = |expert: u32| (0..5).filter(move |&i| selected[i] == i64::from(expert));
            let cosines: Vec<f64> = of(row.expert_a)
                .flat_map(|i| of(row.expert_b).filter(move |&j| i != j).map(move |j| (i, j)))
                .map(|(i, j)| unit(i)[0] * unit(j)[0] + unit(i)[1] * unit(j)[1])
                .collect();
            let mean = (!cosines.is_empty()).then(|| cosines.iter().sum::<f64>() / cosines.len() as f64);
            match (row.cosine, mean) {
                (Some(found), Some(mean)) => assert!((found - mean).abs() < 1e-6, "{row:?} {mean}"),
                (found, mean) => assert_eq!(found, mean, "{row:?}"),
            }
        }
    }

    #[test]
    fn a_kept_image_has_its_patches_without_the_class_token() {
        let experts = experts(3);
        let mut probe = ExpertProbe::new(&experts, BTreeMap::new());
        let picture = || Picture { jpeg: vec![1], width: 8, height: 8, scale: 1.0 };
        let selected = [2i64, 2, 0, 1, 1, 0, 2, 1, 0, 2];
        probe.keep(Task::Classification, "a.png", picture(), 0, &out([1, 5, 2], &selected, &[0.0; 10])).unwrap();
        probe.keep(Task::Detection, "b.png", picture(), 0, &out([1, 4, 1], &selected[..4], &[0.0; 8])).unwrap();
        let routed = probe.finish().unwrap().routed;
        assert_eq!((routed[0].rows, routed[0].columns), (2, 2));
        assert_eq!(routed[0].layers, [PatchLayer { layer: 1, first: vec![0, 1, 2, 0], second: vec![1, 0, 1, 2] }]);
        assert_eq!(routed[1].layers, [PatchLayer { layer: 1, first: vec![2, 2, 0, 1], second: vec![] }]);
    }
}
