//! A MoE layer: what stands in a block in place of its MLP.

use adamv_datasets::Task;
use adamv_native::autocast_is_on;
use tch::{Device, Kind, Tensor};

use super::config::{MoeConfig, RouterSharing};
use super::dispatch::{Dispatch, Grouped, Sorted};
use super::experts::Experts;
use super::router::Router;
use super::{Route, capacity, losses};
use crate::params::Scope;
use crate::vit::Mode;

/// Routers and experts of one block.
#[derive(Debug)]
pub struct MoeLayer {
    routers: Vec<(Task, Router)>,
    /// One for all tasks.
    shared: Option<Router>,
    experts: Experts,
    capacity_factor: Option<f64>,
    /// Images that the losses look at together; none for all.
    loss_group: Option<i64>,
    sigma: f64,
}

/// What the routers of a layer decided, for a batch as it came.
#[derive(Debug)]
pub struct Routing {
    /// Softmax without noise, `[B,N,E]`.
    pub probs: Tensor,
    /// Experts of every token, best first, `[B,N,K]` int64.
    pub selected: Tensor,
    /// A scalar.
    pub importance_loss: Tensor,
    /// A scalar; none where the router has no noise, for it is about the noise. In evaluation it's that of zero noise.
    pub load_loss: Option<Tensor>,
}

impl MoeLayer {
    /// Creates `moe` in the `block`: `routers.TASK.weight` `[E,D]` for each of `tasks`, or `routers.shared.weight`, and
    /// `experts.{fc1,fc2}.{weight,bias}`. `mlp` is the hidden width of an MLP.
    pub fn new(mut block: Scope, width: usize, mlp: usize, config: &MoeConfig, tasks: &[Task]) -> Self {
        let mut router = |name: &str| Router::new(block.sub("moe").sub("routers").sub(name), width, config.experts);
        let (routers, shared) = match config.router {
            RouterSharing::PerTask => (tasks.iter().map(|&task| (task, router(task.as_str()))).collect(), None),
            RouterSharing::Shared => (Vec::new(), Some(router("shared"))),
        };
        let hidden = config.mlp.unwrap_or(mlp);
        Self {
            routers,
            shared,
            experts: Experts::new(block, width, hidden, config.experts, config.expert_init),
            capacity_factor: config.capacity_factor,
            loss_group: config.loss_group.map(|images| images as i64),
            sigma: config.sigma(),
        }
    }

    /// Tokens `[B·W,N,D]` of W windows an image -> same, and what was decided. K may be another in every call.
    pub fn forward(&self, x: &Tensor, windows: i64, route: Route, mode: Mode) -> (Tensor, Routing) {
        self.forward_by(self.dispatch(x.device()).as_ref(), x, windows, route, mode)
    }

    /// As [`MoeLayer::forward`], by the dispatch given.
    pub fn forward_by(
        &self,
        dispatch: &dyn Dispatch,
        x: &Tensor,
        windows: i64,
        route: Route,
        mode: Mode,
    ) -> (Tensor, Routing) {
        let size = x.size();
        let (b, n, d) = (size[0], size[1], size[2]);
        let tokens = x.reshape([b * n, d]);
        let noise = (mode == Mode::Train && self.sigma > 0.0).then_some(self.sigma);
        let choice = self.router(route.task).forward(&tokens, route.k, noise);
        let gates = match self.capacity_factor {
            Some(factor) => {
                let kept =
                    capacity::kept(&choice.selected, self.experts.count(), capacity::GROUP * windows * n, factor);
                &choice.gates * kept.to_kind(choice.kind())
            }
            None => choice.gates.shallow_clone(),
        };
        let group = self.loss_group.map_or(b * n, |images| images * windows * n);
        let out = dispatch.run(&tokens, &choice.selected, &gates, &self.experts);
        let routing = Routing {
            probs: choice.probs.view([b, n, -1]),
            selected: choice.selected.view([b, n, -1]),
            importance_loss: losses::importance(&choice.probs, group),
            load_loss: (self.sigma > 0.0).then(|| losses::load(&choice, self.sigma, group)),
        };
        (out.view([b, n, d]), routing)
    }

    /// Multiply-adds of `tokens` tokens, each of which uses `k` experts. Those without room in an expert count: they run, with a gate
    /// of 0.
    pub fn macs(&self, tokens: usize, k: usize) -> u64 {
        let routers = self.shared.iter().chain(self.routers.iter().map(|(_, router)| router));
        routers.take(1).map(|router| router.macs(tokens)).sum::<u64>() + self.experts.macs(tokens * k)
    }

    fn router(&self, task: Task) -> &Router {
        let own = || self.routers.iter().find(|(owner, _)| *owner == task).map(|(_, router)| router);
        self.shared.as_ref().or_else(own).expect("a layer is made with a router for every task that runs through it")
    }

    /// The fastest way on this device: in bf16 on a GPU grouped products; in f32 there is none that needn't wait for it.
    fn dispatch(&self, device: Device) -> Box<dyn Dispatch> {
        let grouped = Grouped(Kind::BFloat16);
        let sizes = self.experts.fc1.0.size();
        let aligned = sizes[1] % grouped.multiple() == 0 && sizes[2] % grouped.multiple() == 0;
        if device.is_cuda() && aligned && autocast_is_on(device).unwrap_or(false) {
            return Box::new(grouped);
        }
        Box::new(Sorted)
    }
}
