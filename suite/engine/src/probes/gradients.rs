//! The two tasks' gradients on the weights that both use (paper.md section 1, figure 7). Both are there after each task's backward
//! pass, so that nothing is computed twice: the second is what the second pass added.

use adamv_datasets::Task;
use adamv_models::systems::{Phase, System};
use adamv_store::GradientPair;
use tch::{Device, Kind, Tensor};

use crate::error::EngineError;

/// The weights that both tasks of a phase use and train, and the first task's gradients on them.
pub struct SharedGradients {
    weights: Vec<(String, Tensor)>,
    first: Vec<Tensor>,
}

impl SharedGradients {
    /// None unless the phase trains both tasks, which share something.
    pub fn of(system: &dyn System, phase: &Phase) -> Option<Self> {
        let shared = |name: &str| Task::ALL.iter().all(|&task| system.activates(name, task).is_some());
        let weights: Vec<(String, Tensor)> = system
            .params()
            .iter()
            .filter(|param| system.trains(&param.name, phase) && shared(&param.name))
            .map(|param| (param.name.clone(), param.tensor.shallow_clone()))
            .collect();
        // In this order their losses are propagated.
        let both = phase.tasks == [Task::Classification, Task::Detection];
        (both && !weights.is_empty()).then_some(Self { weights, first: Vec::new() })
    }

    /// After the backward pass of classification, the first of the step.
    pub fn after_first(&mut self) {
        self.first = self.weights.iter().map(|(_, weight)| gradient(weight).copy()).collect();
    }

    /// After that of detection: a row for each weight, of the step before which `step` are done.
    pub fn compare(&mut self, step: u64, phase: &str, rows: &mut Vec<GradientPair>) -> Result<(), EngineError> {
        let products: Vec<Tensor> = self
            .weights
            .iter()
            .zip(self.first.drain(..))
            .map(|((_, weight), classification)| {
                let detection = gradient(weight) - &classification;
                let product = |a: &Tensor, b: &Tensor| (a * b).sum(Kind::Double);
                let [a, b] = [&classification, &detection];
                Tensor::stack(&[product(a, b), product(a, a), product(b, b)], 0)
            })
            .collect();
        let fetched = Tensor::stack(&products, 0).to_device(Device::Cpu).contiguous();
        let values = Vec::<f64>::try_from(fetched.view([-1]))?;
        rows.extend(self.weights.iter().zip(values.chunks(3)).map(|((name, _), products)| GradientPair {
            step,
            phase: phase.into(),
            weight: name.clone(),
            dot: products[0],
            classification_norm: products[1].sqrt(),
            detection_norm: products[2].sqrt(),
        }));
        Ok(())
    }
}

/// The gradient of a weight, f32; zeros for one that no loss has reached.
fn gradient(weight: &Tensor) -> Tensor {
    let gradient = weight.grad();
    if gradient.defined() { gradient } else { weight.detach().zeros_like() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses of which the gradients are known by hand.
    fn compared(first: [f32; 2], second: [f32; 2]) -> GradientPair {
        let weight = Tensor::from_slice(&[1.0f32, 1.0]).set_requires_grad(true);
        let mut shared = SharedGradients { weights: vec![("w".into(), weight.shallow_clone())], first: Vec::new() };
        (&weight * Tensor::from_slice(&first)).sum(Kind::Float).backward();
        shared.after_first();
        (&weight * Tensor::from_slice(&second)).sum(Kind::Float).backward();
        let mut rows = Vec::new();
        shared.compare(5, "joint", &mut rows).unwrap();
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((row.step, &*row.phase, &*row.weight), (5, "joint", "w"));
        row.clone()
    }

    #[test]
    fn the_second_gradient_is_what_the_second_pass_adds() {
        let row = compared([3.0, 4.0], [4.0, -3.0]);
        assert_eq!((row.dot, row.classification_norm, row.detection_norm), (0.0, 5.0, 5.0));
        let row = compared([3.0, 4.0], [-6.0, -8.0]);
        assert_eq!((row.dot, row.classification_norm, row.detection_norm), (-50.0, 5.0, 10.0));
    }

    #[test]
    fn a_weight_that_no_loss_reached_has_no_gradient() {
        let weight = Tensor::from_slice(&[1.0f32, 1.0]).set_requires_grad(true);
        let mut shared = SharedGradients { weights: vec![("w".into(), weight)], first: Vec::new() };
        shared.after_first();
        let mut rows = Vec::new();
        shared.compare(1, "joint", &mut rows).unwrap();
        assert_eq!((rows[0].dot, rows[0].classification_norm, rows[0].detection_norm), (0.0, 0.0, 0.0));
    }
}
