//! Brings tokens to their experts and the experts' answers back, weighted by the gates. Several ways, one result
//! (`tests/moe/dispatch.rs` holds them to one table).

use adamv_native::{autocast_is_on, segmented_linear};
use tch::{Kind, Tensor};

use super::experts::Experts;

/// Tokens `[T,D]`, `selected` `[T,K]` int64 and `gates` `[T,K]` -> the sum over a token's choices of gate times expert,
/// `[T,D]`. A gate of 0 leaves a choice out.
pub trait Dispatch {
    fn run(&self, tokens: &Tensor, selected: &Tensor, gates: &Tensor, experts: &Experts) -> Tensor;
}

/// Expert by expert, as the definition says: the reference.
pub struct Loop;

impl Dispatch for Loop {
    fn run(&self, tokens: &Tensor, selected: &Tensor, gates: &Tensor, experts: &Experts) -> Tensor {
        let mut out = tokens.zeros_like().to_kind(gates.kind());
        for (e, expert) in experts.each().enumerate() {
            let pairs = selected.eq(e as i64).nonzero(); // [n,2]: token, choice
            let (token, choice) = (pairs.select(1, 0), pairs.select(1, 1));
            let gate = gates.index(&[Some(&token), Some(&choice)]).unsqueeze(1);
            let answer = expert.forward(&tokens.index_select(0, &token)).to_kind(gates.kind());
            out = out.index_add(0, &token, &(answer * gate));
        }
        out
    }
}

/// Pairs sorted by expert: each expert sees one contiguous segment. Waits for the segments' lengths, so it is for the CPU;
/// on a GPU that is a wait in every layer.
pub struct Sorted;

impl Dispatch for Sorted {
    fn run(&self, tokens: &Tensor, selected: &Tensor, gates: &Tensor, experts: &Experts) -> Tensor {
        let bf16 = autocast_is_on(tokens.device()).expect("a CPU or a GPU");
        let kind = if bf16 { Kind::BFloat16 } else { experts.fc1.0.kind() };
        let pairs = SortedPairs::new(selected, experts.count());
        let ends = Vec::<i64>::try_from(pairs.ends.to_kind(Kind::Int64)).expect("one end for each expert");
        let lengths: Vec<i64> = ends.iter().scan(0, |start, &end| Some(end - std::mem::replace(start, end))).collect();
        let linear = |x: &Tensor, (weight, bias): &(Tensor, Tensor)| {
            segmented_linear(x, &lengths, &weight.to_kind(kind), &bias.to_kind(kind)).expect("segments of all pairs")
        };
        let hidden = linear(&pairs.gather(tokens).to_kind(kind), &experts.fc1).gelu("none");
        pairs.combine(&linear(&hidden, &experts.fc2), gates)
    }
}

/// Pairs sorted by expert, and libtorch's grouped matrix product in this kind: nothing waits for a GPU. D and M must be
/// multiples of [`Grouped::multiple`].
pub struct Grouped(pub Kind);

impl Grouped {
    /// Rows must begin at multiples of 16 bytes.
    pub fn multiple(&self) -> i64 {
        16 / self.0.elt_size_in_bytes() as i64
    }
}

impl Dispatch for Grouped {
    fn run(&self, tokens: &Tensor, selected: &Tensor, gates: &Tensor, experts: &Experts) -> Tensor {
        let kind = self.0;
        let pairs = SortedPairs::new(selected, experts.count());
        let numbers = Tensor::arange(experts.count(), (Kind::Int64, tokens.device()));
        let owner = pairs.expert.unsqueeze(1).eq_tensor(&numbers).to_kind(kind); // [T·K,E], one-hot
        let linear = |x: &Tensor, (weight, bias): &(Tensor, Tensor)| {
            let weight = weight.to_kind(kind).transpose(1, 2);
            let product = x.internal_grouped_mm(&weight, Some(&pairs.ends), None, kind);
            // The grouped product has no bias; as a product with the one-hot its gradient is a sum in fixed order.
            product.addmm(&owner, &bias.to_kind(kind))
        };
        let hidden = linear(&pairs.gather(&tokens.to_kind(kind)), &experts.fc1).gelu("none");
        pairs.combine(&linear(&hidden, &experts.fc2), gates)
    }
}

/// The pairs in the order of their experts, and within one of their tokens.
struct SortedPairs {
    /// Expert of each pair, `[T·K]` int64, ascending.
    expert: Tensor,
    /// Token of each pair, `[T·K]` int64.
    token: Tensor,
    /// Where in this order each pair is, `[T·K]` int64, token by token.
    place: Tensor,
    /// Where in this order each expert's segment ends, `[E]` int32.
    ends: Tensor,
}

impl SortedPairs {
    fn new(selected: &Tensor, experts: i64) -> Self {
        let k = selected.size()[1];
        let (expert, order) = selected.reshape([-1]).sort_stable(true, 0, false);
        let numbers = Tensor::arange(experts, (Kind::Int64, selected.device()));
        let ends = numbers.searchsorted(&expert, true, true, "right", None::<&Tensor>);
        Self { token: order.divide_scalar_mode(k, "floor"), place: order.argsort(0, false), expert, ends }
    }

    /// Rows of `tokens` `[T,D]` in this order: `[T·K,D]`.
    fn gather(&self, tokens: &Tensor) -> Tensor {
        let bags = Tensor::arange(self.token.size()[0], (Kind::Int64, tokens.device()));
        sums(tokens, &self.token, &bags, None)
    }

    /// Answers `[T·K,D]` in this order, weighted by `gates` `[T,K]` and summed: `[T,D]` in the gates' kind.
    fn combine(&self, answers: &Tensor, gates: &Tensor) -> Tensor {
        let (tokens, k) = (gates.size()[0], gates.size()[1]);
        let bags = Tensor::arange(tokens, (Kind::Int64, answers.device())) * k;
        sums(&answers.to_kind(gates.kind()), &self.place, &bags, Some(&gates.reshape([-1])))
    }
}

/// Sums of rows, a bag from each of `bags` on. Its gradient sorts by row, where that of plain indexing would add in any
/// order on a GPU.
fn sums(rows: &Tensor, index: &Tensor, bags: &Tensor, weights: Option<&Tensor>) -> Tensor {
    Tensor::embedding_bag(rows, index, bags, false, 0, false, weights, false).0
}
